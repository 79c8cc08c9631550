/* SPDX-License-Identifier: Apache-2.0 */
/* Probabilities of classes: see softmax.h. */
#include "lib/idm/softmax.h"

#include <math.h>
#include <stddef.h>

uint32_t idm_softmax_class(uint32_t classes, const float *x) {
  uint32_t best = 0;
  for (uint32_t j = 1; j < classes; j++)
    if (x[j] > x[best]) best = j;
  return best;
}

void idm_softmax(uint32_t n, uint32_t classes, const float *logits, float *p) {
  for (uint32_t i = 0; i < n; i++, logits += classes, p += classes) {
    /* subtracted, so that nothing overflows */
    const float largest = logits[idm_softmax_class(classes, logits)];
    float sum = 0;
    for (uint32_t j = 0; j < classes; j++) sum += p[j] = expf(logits[j] - largest);
    for (uint32_t j = 0; j < classes; j++) p[j] /= sum;
  }
}

double idm_softmax_entropy(uint32_t classes, const double *p, double scale) {
  double entropy = 0;
  for (uint32_t j = 0; j < classes; j++)
    if (p[j] > 0) entropy -= scale * p[j] * log(scale * p[j]);
  return entropy > 0 ? entropy : 0; /* rounding may leave a little below 0 */
}
