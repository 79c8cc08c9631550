/* SPDX-License-Identifier: Apache-2.0 */
/* See recall.h. */
#include "worker/sim/recall.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

/* Distances are in units of the changes' own spread; a state counts less than the change, since
 * it varies far more. */
static const double STATE_SHARE = 0.3;

struct sim_recall {
  uint32_t obs_dim, act_dim;
  uint64_t added;
  float *features; /* [SIM_RECALL_STEPS, 2 O] */
  double *u;       /* [SIM_RECALL_STEPS, A] */
  float *asked;    /* [2 O] */
};

struct sim_recall *sim_recall_new(uint32_t obs_dim, uint32_t act_dim) {
  struct sim_recall *r = px_mem_calloc(1, sizeof *r);
  if (!r) return NULL;
  r->obs_dim = obs_dim;
  r->act_dim = act_dim;
  r->features = px_mem_calloc((size_t)SIM_RECALL_STEPS * 2 * obs_dim, sizeof(float));
  r->u = px_mem_calloc((size_t)SIM_RECALL_STEPS * act_dim, sizeof(double));
  r->asked = px_mem_calloc(2 * (size_t)obs_dim, sizeof(float));
  if (r->features && r->u && r->asked) return r;
  sim_recall_free(r);
  return NULL;
}

void sim_recall_free(struct sim_recall *r) {
  if (!r) return;
  free(r->features);
  free(r->u);
  free(r->asked);
  free(r);
}

void sim_recall_forget(struct sim_recall *r) { r->added = 0; }

static void describe(const struct sim_recall *r, const double *weight, const float *obs,
                     const float *next, float *out) {
  for (uint32_t d = 0; d < r->obs_dim; d++) {
    out[d] = (float)(STATE_SHARE * (double)obs[d] * weight[d]);
    out[r->obs_dim + d] = (float)(((double)next[d] - (double)obs[d]) * weight[d]);
  }
}

void sim_recall_add(struct sim_recall *r, const double *weight, const float *obs, const float *next,
                    const double *u) {
  const size_t at = r->added++ % SIM_RECALL_STEPS;
  describe(r, weight, obs, next, r->features + at * 2 * r->obs_dim);
  memcpy(r->u + at * r->act_dim, u, sizeof *u * r->act_dim);
}

static float distance(const float *a, const float *b, uint32_t n) {
  float sum = 0;
  for (uint32_t i = 0; i < n; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

uint32_t sim_recall_nearest(struct sim_recall *r, const double *weight, const float *obs,
                            const float *next, const double *u[SIM_RECALL_MAX]) {
  const size_t steps = r->added < SIM_RECALL_STEPS ? r->added : SIM_RECALL_STEPS;
  float best[SIM_RECALL_MAX];
  uint32_t n = 0;
  describe(r, weight, obs, next, r->asked);
  for (size_t i = 0; i < steps; i++) {
    const float far = distance(r->features + i * 2 * r->obs_dim, r->asked, 2 * r->obs_dim);
    if (n == SIM_RECALL_MAX && !(far < best[n - 1])) continue;
    uint32_t k = n < SIM_RECALL_MAX ? n++ : n - 1;
    for (; k > 0 && far < best[k - 1]; k--) {
      best[k] = best[k - 1];
      u[k] = u[k - 1];
    }
    best[k] = far;
    u[k] = r->u + i * r->act_dim;
  }
  return n;
}
