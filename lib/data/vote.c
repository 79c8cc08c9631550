/* SPDX-License-Identifier: Apache-2.0 */
/* Members' weights: see vote.h. */
#include "lib/data/vote.h"

#include <math.h>

static const double usual_times = 3;

static double median(uint32_t n, const double *values) {
  double sorted[PX_VOTE_MEMBERS_MAX];
  for (uint32_t i = 0; i < n; i++) {
    uint32_t place = i;
    for (; place > 0 && sorted[place - 1] > values[i]; place--) sorted[place] = sorted[place - 1];
    sorted[place] = values[i];
  }
  return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

void px_vote_weights(const float *const *probes, uint32_t n, size_t cells, double *weight) {
  double away[PX_VOTE_MEMBERS_MAX] = { 0 }, probe[PX_VOTE_MEMBERS_MAX], sum = 0;
  for (uint32_t i = 0; i < n; i++) weight[i] = 1;
  for (size_t c = 0; c < cells && n > 2; c++) {
    for (uint32_t i = 0; i < n; i++) probe[i] = (double)probes[i][c];
    const double middle = median(n, probe);
    for (uint32_t i = 0; i < n; i++) away[i] += (probe[i] - middle) * (probe[i] - middle);
  }
  const double usual = usual_times * median(n, away);
  for (uint32_t i = 0; i < n; i++) sum += 1 / fmax(away[i], usual);
  if (!isfinite(sum)) return; /* most members agree in every probe */
  for (uint32_t i = 0; i < n; i++) weight[i] = n / fmax(away[i], usual) / sum;
}
