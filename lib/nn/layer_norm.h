/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layer normalisation (Ba, Kiros, Hinton 2016, arXiv 1607.06450), eps 1e-5 as in
 * torch. Used by the transformer. Nothing is owned; thread safe. width is a
 * multiple of PX_LANES.
 *
 *   y = gain (x - mean) / sqrt(var + eps) + bias, by rows
 */
#ifndef PX_NN_LAYER_NORM_H
#define PX_NN_LAYER_NORM_H

#include <stdbool.h>
#include <stdint.h>

/* x [n,width] -> y [n,width]; for the backward pass normal [n,width] = (x - mean) / deviation and
 * inverse [n] = 1 / deviation. */
void px_layer_norm(uint32_t n, uint32_t width, const float *x, const float *gain, const float *bias,
                   float *normal, float *inverse, float *y);
/* dx [n,width] += dL/dx for dy = dL/dy; dgain, dbias [width] (+)= theirs. */
void px_layer_norm_back(uint32_t n, uint32_t width, const float *normal, const float *inverse,
                        const float *gain, const float *dy, float *dx, bool add, float *dgain,
                        float *dbias);

#endif
