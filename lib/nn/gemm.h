/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dense float32 products of our own, for processors with fused multiply-adds
 * (AVX2 or AVX-512): C = A B, with what the layers of a net do to C done while
 * it is in registers. Used by mat.c only, which has other libraries where this
 * one cannot run.
 *
 * Every element of C is one chain of fused multiply-adds over k, in order, that
 * begins with beta C, the bias or 0; column sums are chains over the rows, in
 * order. So the bits do not depend on the tiles' sizes, on the instruction set,
 * or on how a batch is cut into chunks that add to the same C: a loop of fmaf
 * gives them too. The caller's thread computes; nothing is allocated.
 */
#ifndef PX_NN_GEMM_H
#define PX_NN_GEMM_H

#include <stdbool.h>
#include <stddef.h>

enum px_gemm_isa { PX_GEMM_NONE, PX_GEMM_AVX2, PX_GEMM_AVX512 };

struct px_gemm {
  size_t m, n, k;
  /* A(i, l) = a[i * a_row + l * a_step]; one of the two is 1 */
  const float *a;
  size_t a_row, a_step;
  const float *b;
  size_t b_step, b_col; /* B(l, j) = b[l * b_step + j * b_col]; likewise */
  float *c;
  size_t c_row;      /* C(i, j) = c[i * c_row + j], overlaps neither */
  float beta;        /* what C held counts; 0: C is not read */
  const float *bias; /* [n] or NULL: instead of beta C */
  bool relu;         /* C = max(C, 0) at last */
  /* The gradient behind a ReLU whose output was `behind`: C = behind > 0 ? scale C : 0 at last, or
   * NULL. */
  const float *behind;
  size_t behind_row;
  float scale;
  float *sum; /* [n] += the column sums of C, or NULL */
};

/* The best that this processor has. */
enum px_gemm_isa px_gemm_best(void);
/* isa: at most px_gemm_best(), not NONE. */
void px_gemm(enum px_gemm_isa isa, const struct px_gemm *g);

#endif
