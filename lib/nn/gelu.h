/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Gaussian error linear unit in its tanh form, as GPT-2 has it (Hendrycks
 * and Gimpel 2016, arXiv 1606.08415): with c = sqrt(2 / pi),
 *
 *   gelu(u) = u/2 (1 + tanh(c (u + 0.044715 u^3)))
 *
 * Used by the transformer and by mlp.c. Nothing is owned; thread safe.
 */
#ifndef PX_NN_GELU_H
#define PX_NN_GELU_H

#include <stdbool.h>
#include <stdint.h>

/* y[n,width] = gelu(y + bias[width]), in place; slope[n,width] = its derivative there. */
void px_gelu(uint32_t n, uint32_t width, const float *bias, float *y, float *slope);
/* d[n,width] *= slope: the gradient behind it; sum[width] (+)= its column sums. */
void px_gelu_back(uint32_t n, uint32_t width, const float *slope, float *d, bool add, float *sum);

#endif
