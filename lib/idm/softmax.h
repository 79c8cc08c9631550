/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probabilities of classes and their entropy: what a softmax head says. Used by
 * this folder only. Nothing is owned; thread safe.
 */
#ifndef PX_IDM_SOFTMAX_H
#define PX_IDM_SOFTMAX_H

#include <stdint.h>

/* p[n, classes] = softmax of the logits, row by row; in place is fine. */
void idm_softmax(uint32_t n, uint32_t classes, const float *logits, float *p);
/* -sum p log p in nats, p[classes] times scale being a distribution. 0 log 0 is 0. */
double idm_softmax_entropy(uint32_t classes, const double *p, double scale);
/* The index of the largest; the first among equals. */
uint32_t idm_softmax_class(uint32_t classes, const float *x);

#endif
