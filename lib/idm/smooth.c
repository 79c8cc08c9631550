/* SPDX-License-Identifier: Apache-2.0 */
/* A cross-fitted smooth function: see smooth.h. */
#include "lib/idm/smooth.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/idm/gram.h"
#include "lib/nn/mat.h"

static const double penalties[] = { 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 1e3 };
enum { PENALTIES_N = sizeof penalties / sizeof *penalties };

struct idm_smooth {
  uint32_t in, out, linear, features; /* linear: how many inputs are features themselves */
  struct idm_gram *folds[IDM_SMOOTH_FOLDS], *rest;
  float *w, *b;       /* [UNITS, in], [UNITS] */
  float *units, *row; /* [ROWS, UNITS], [ROWS, features] */
  /* [features + 1, out] without the fold; the last with all */
  double *solution[IDM_SMOOTH_FOLDS + 1];
};

void idm_smooth_free(struct idm_smooth *s) {
  if (!s) return;
  for (int i = 0; i < IDM_SMOOTH_FOLDS; i++) idm_gram_free(s->folds[i]);
  for (int i = 0; i <= IDM_SMOOTH_FOLDS; i++) free(s->solution[i]);
  idm_gram_free(s->rest);
  free(s->w);
  free(s->b);
  free(s->units);
  free(s->row);
  free(s);
}

static enum px_status allocate(struct idm_smooth *s) {
  enum px_status status = idm_gram_new(s->features, s->out, &s->rest);
  for (int i = 0; i < IDM_SMOOTH_FOLDS && !status; i++)
    status = idm_gram_new(s->features, s->out, &s->folds[i]);
  for (int i = 0; i <= IDM_SMOOTH_FOLDS && !status; i++) {
    s->solution[i] = px_mem_calloc(((size_t)s->features + 1) * s->out, sizeof(double));
    if (!s->solution[i]) status = PX_E_NO_MEMORY;
  }
  if (status) return status;
  s->w = px_mem_calloc((size_t)IDM_SMOOTH_UNITS * s->in, sizeof *s->w);
  s->b = px_mem_calloc(IDM_SMOOTH_UNITS, sizeof *s->b);
  s->units = px_mem_calloc((size_t)IDM_SMOOTH_ROWS * IDM_SMOOTH_UNITS, sizeof *s->units);
  s->row = px_mem_calloc((size_t)IDM_SMOOTH_ROWS * s->features, sizeof *s->row);
  return s->w && s->b && s->units && s->row ? PX_OK : PX_E_NO_MEMORY;
}

enum px_status idm_smooth_new(uint32_t in, uint32_t out, struct idm_smooth **smooth) {
  struct idm_smooth *s = px_mem_calloc(1, sizeof *s);
  if (!s) return PX_E_NO_MEMORY;
  s->in = in;
  s->out = out;
  s->linear = in <= IDM_SMOOTH_LINEAR_MAX ? in : 0;
  s->features = s->linear + IDM_SMOOTH_UNITS;
  const enum px_status status = allocate(s);
  if (status) {
    idm_smooth_free(s);
    return status;
  }
  struct px_rng rng = px_rng_at(0, px_rng_stream("idm smooth", 0), 0);
  px_rng_normal(&rng, s->b, IDM_SMOOTH_UNITS);
  px_rng_normal(&rng, s->w, (size_t)IDM_SMOOTH_UNITS * in);
  const float scale = 1 / sqrtf((float)in);
  for (size_t i = 0; i < (size_t)IDM_SMOOTH_UNITS * in; i++) s->w[i] *= scale;
  *smooth = s;
  return PX_OK;
}

/* Into row [n, features]. */
static void put_features(struct idm_smooth *s, uint32_t n, const float *x) {
  px_mat_layer(n, IDM_SMOOTH_UNITS, s->in, x, s->w, s->b, false, s->units);
  for (uint32_t i = 0; i < n; i++) {
    float *row = s->row + (size_t)i * s->features;
    memcpy(row, x + (size_t)i * s->in, sizeof *row * s->linear);
    for (uint32_t j = 0; j < IDM_SMOOTH_UNITS; j++)
      row[s->linear + j] = tanhf(s->units[(size_t)i * IDM_SMOOTH_UNITS + j]);
  }
}

void idm_smooth_add(struct idm_smooth *s, uint32_t fold, uint32_t n, const float *x,
                    const float *y) {
  put_features(s, n, x);
  idm_gram_add(s->folds[fold], n, s->row, y);
}

/* The rows of all folds but one, or of all. */
static void gather(struct idm_smooth *s, int but) {
  idm_gram_combine(s->rest, s->rest, -1);
  for (int i = 0; i < IDM_SMOOTH_FOLDS; i++)
    if (i != but) idm_gram_combine(s->rest, s->folds[i], 1);
}

/* Adds the held-out fold's error under every penalty. */
static enum px_status add_errors(struct idm_smooth *s, int fold, double errors[PENALTIES_N]) {
  gather(s, fold);
  for (int i = 0; i < PENALTIES_N; i++) {
    const enum px_status status = idm_gram_solve(s->rest, penalties[i], s->solution[fold]);
    if (status && status != PX_E_NAN_LOSS) return status;
    errors[i] += status ? HUGE_VAL : idm_gram_error(s->folds[fold], s->solution[fold]);
  }
  return PX_OK;
}

enum px_status idm_smooth_fit(struct idm_smooth *s) {
  double errors[PENALTIES_N] = { 0 };
  enum px_status status = PX_OK;
  int best = PENALTIES_N - 1;
  for (int fold = 0; fold < IDM_SMOOTH_FOLDS && !status; fold++)
    status = add_errors(s, fold, errors);
  for (int i = PENALTIES_N - 1; i >= 0; i--)
    if (errors[i] < errors[best]) best = i;
  for (int fold = 0; fold <= IDM_SMOOTH_ALL && !status; fold++) {
    gather(s, fold);
    status = idm_gram_solve(s->rest, penalties[best], s->solution[fold]);
  }
  return status;
}

void idm_smooth_predict(struct idm_smooth *s, uint32_t fold, uint32_t n, const float *x, float *y) {
  const double *w = s->solution[fold];
  const size_t out = s->out;
  put_features(s, n, x);
  for (uint32_t i = 0; i < n; i++) {
    const float *row = s->row + (size_t)i * s->features;
    for (size_t j = 0; j < out; j++) {
      double sum = w[s->features * out + j];
      for (size_t k = 0; k < s->features; k++) sum += (double)row[k] * w[k * out + j];
      y[(size_t)i * out + j] = (float)sum;
    }
  }
}
