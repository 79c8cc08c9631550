/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dense float32 products: with packed.h the only caller of BLAS. Used by the
 * layers in this folder and by whoever fits something linear (ridge, nearest neighbour).
 *
 * All matrices are row-major and contiguous. One thread computes, always: the
 * libraries are kept from starting others, so results do not depend on the
 * machine's core count. Thread safe, except px_mat_choose, which belongs at a
 * program's start. Nothing is owned here.
 *
 * Our own kernels (gemm.h) where the processor has fused multiply-adds; large
 * weights, and all others, are oneDNN's (dnnl_sgemm, Debian libdnnl), or those of
 * any CBLAS elsewhere than on x86-64.
 */
#ifndef PX_NN_MAT_H
#define PX_NN_MAT_H

#include <stdint.h>

#include "lib/base/fail.h"
#include "lib/base/status.h"

enum px_mat_library { PX_MAT_OWN, PX_MAT_ONEDNN, PX_MAT_CBLAS, PX_MAT_NAIVE };
enum px_mat_op { PX_MAT_N, PX_MAT_T };

/* CBLAS is loaded when it is chosen (libopenblas, libblis, libcblas: whichever is there).
 * UNAVAILABLE if none is, or if the processor cannot run our own kernels. */
enum px_status px_mat_choose(enum px_mat_library library, struct px_err *err) PX_MUST_CHECK;

/* C[m,n] = op(A)[m,k] op(B)[k,n] + beta C. A is [m,k], or [k,m] if transposed;
 * B is [k,n], or [n,k]. C overlaps neither. beta 0 does not read C. */
void px_mat_mul(enum px_mat_op op_a, enum px_mat_op op_b, uint32_t m, uint32_t n, uint32_t k,
                const float *a, const float *b, float beta, float *c);
/* The same on parts of larger matrices: a row begins lda, ldb or ldc numbers after the one
 * before. */
void px_mat_mul_ld(enum px_mat_op op_a, enum px_mat_op op_b, uint32_t m, uint32_t n, uint32_t k,
                   const float *a, uint32_t lda, const float *b, uint32_t ldb, float beta, float *c,
                   uint32_t ldc);
/* px_mat_mul by three plain loops in float64: what the tests compare with. */
void px_mat_mul_naive(enum px_mat_op op_a, enum px_mat_op op_b, uint32_t m, uint32_t n, uint32_t k,
                      const float *a, const float *b, float beta, float *c);

/* Y[m,n] = X[m,k] W[n,k]^T + bias[n]; max of that and 0 if `relu`. */
void px_mat_layer(uint32_t m, uint32_t n, uint32_t k, const float *x, const float *w,
                  const float *bias, bool relu, float *y);
/* Whether a layer's weights [n,k] are worth packing (packed.h): products with them are oneDNN's. */
bool px_mat_packs(uint32_t n, uint32_t k);
/* From now on oneDNN computes in the calling thread, without others. */
void px_mat_one_thread(void);
/* D[m,n] = behind > 0 ? scale (E[m,k] W[k,n]) : 0: a gradient through a layer's weights and the
 * ReLU in front of them, whose output was `behind` [m,n]. sum[n] (+)= its column sums, unless sum
 * is NULL; `add` keeps what sum holds. */
void px_mat_layer_back(uint32_t m, uint32_t n, uint32_t k, const float *e, const float *w,
                       const float *behind, float scale, float *d, bool add, float *sum);

/* y[m,n] = max(y + bias[n], 0), in place. */
void px_mat_bias_relu(uint32_t m, uint32_t n, const float *bias, float *y);
/* y[m,n] += bias[n]. */
void px_mat_bias(uint32_t m, uint32_t n, const float *bias, float *y);
/* d[m,n] = h > 0 ? scale d : 0: the gradient behind a ReLU whose output was h.
 * sum[n] (+)= its column sums, unless sum is NULL; `add` keeps what sum holds. */
void px_mat_relu_back(uint32_t m, uint32_t n, const float *h, float scale, float *d, bool add,
                      float *sum);
/* sum[n] (+)= the column sums of d[m,n]. */
void px_mat_col_sums(uint32_t m, uint32_t n, const float *d, bool add, float *sum);

/* What the bits of a result depend on, for the metadata of models: library,
 * version, instruction set, libm. At most PX_MAT_PROFILE_MAX bytes with the NUL. */
enum { PX_MAT_PROFILE_MAX = 128 };
void px_mat_profile(char *out);

#endif
