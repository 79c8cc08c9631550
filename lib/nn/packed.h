/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A large layer's weights, reordered once for many products: dnnl_sgemm packs
 * them anew for every chunk of rows. For nets that do not change any more, which
 * is labelling.
 *
 * The product is oneDNN's matmul, with the weights laid out as it likes best,
 * for a fixed number of rows: a row's bits do not depend on how many of its chunk
 * are asked for. The caller's thread computes, and nothing is allocated after
 * px_packed_new. An object belongs to one thread at a time.
 */
#ifndef PX_NN_PACKED_H
#define PX_NN_PACKED_H

#include <stdint.h>

#include "lib/base/status.h"

struct px_packed;
/* w [n,k] stays the caller's, and stays as it is while *out is used. NO_MEMORY. */
enum px_status px_packed_new(uint32_t rows, uint32_t n, uint32_t k, const float *w,
                             struct px_packed **out) PX_MUST_CHECK;
void px_packed_free(struct px_packed *packed);

/* Y[rows,n] = X[rows,k] W^T. */
void px_packed_mul(const struct px_packed *packed, const float *x, float *y);

#endif
