/* SPDX-License-Identifier: Apache-2.0 */
/* Ridge regression on windows: see ridge.h. */
#include "lib/idm/ridge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/data/dataset.h"
#include "lib/idm/dual.h"
#include "lib/idm/fold.h"
#include "lib/idm/gram.h"
#include "lib/idm/norm.h"
#include "lib/idm/window.h"

enum { ROWS = 256 };
/* From so many inputs on the dual form pays where there are fewer rows. */
enum { WIDE = 512 };
static const double lambdas[] = { 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1 };
enum { LAMBDAS_N = sizeof lambdas / sizeof *lambdas };

struct ridge {
  const struct px_dataset *ds;
  const struct idm_norm *norm;
  const struct idm_spec *spec;
  const struct px_progress *progress;
  const struct idm_step *labelled, *train; /* [n], [train_n] */
  uint32_t n, train_n, in, dims;
  int64_t solved, total; /* systems */
  float *x, *a;          /* [ROWS, in], [ROWS, M] */
};

/* Also where no system was solved: a stop is noticed. */
static enum px_status report_progress(const struct ridge *r) {
  return px_progress_report(r->progress, "ridge", r->solved, r->total, NULL, 0);
}

static uint32_t rows_at(uint32_t n, uint32_t at) { return n - at < ROWS ? n - at : ROWS; }

static double best_lambda(const double errors[LAMBDAS_N]) {
  int best = LAMBDAS_N - 1;
  for (int i = LAMBDAS_N - 1; i >= 0; i--)
    if (errors[i] < errors[best]) best = i;
  return lambdas[best];
}

/* ---- by normal equations: more rows than inputs, or few of both */

struct primal {
  struct idm_gram *all, *held;
  double *w; /* [in + 1, M] */
};

static void gram_clear(struct idm_gram *gram) { idm_gram_combine(gram, gram, -1); }

static enum px_status add_rows(const struct ridge *r, const struct idm_step *steps, uint32_t n,
                               struct idm_gram *gram) {
  for (uint32_t at = 0; at < n; at += ROWS) {
    const uint32_t rows = rows_at(n, at);
    idm_window_gather(r->norm, r->spec, r->ds, steps + at, rows, r->x);
    idm_window_actions(r->ds, steps + at, rows, r->a);
    idm_gram_add(gram, rows, r->x, r->a);
    const enum px_status status = report_progress(r);
    if (status) return status;
  }
  return PX_OK;
}

/* Adds the held-out fold's error under every lambda. A lambda too small for a
 * solution is out of the race. */
static enum px_status add_errors(struct ridge *r, const struct primal *p,
                                 double errors[LAMBDAS_N]) {
  for (int i = 0; i < LAMBDAS_N; i++) {
    enum px_status status = idm_gram_solve(p->all, lambdas[i], p->w);
    if (status && status != PX_E_NAN_LOSS) return status;
    errors[i] += status ? HUGE_VAL : idm_gram_error(p->held, p->w);
    r->solved++;
    if ((status = report_progress(r))) return status;
  }
  return PX_OK;
}

static enum px_status choose(struct ridge *r, const struct primal *p, uint32_t folds,
                             double *lambda) {
  double errors[LAMBDAS_N] = { 0 };
  enum px_status status = add_rows(r, r->labelled, r->n, p->all);
  for (uint32_t i = 0; i < folds && !status; i++) {
    struct idm_fold fold;
    status = idm_fold_split(r->spec, i, r->labelled, r->n, &fold);
    if (status) return status;
    gram_clear(p->held);
    status = add_rows(r, fold.held, fold.held_n, p->held);
    if (r->n > 1) idm_gram_combine(p->all, p->held, -1);
    if (!status) status = add_errors(r, p, errors);
    if (r->n > 1) idm_gram_combine(p->all, p->held, 1);
    idm_fold_free(&fold);
  }
  *lambda = best_lambda(errors);
  return status;
}

static enum px_status fit_primal(struct ridge *r, uint32_t folds, float *linear) {
  const uint32_t in = r->in, dims = r->dims;
  struct primal p = { .w = px_mem_calloc((size_t)(in + 1) * dims, sizeof *p.w) };
  double lambda;
  enum px_status status = p.w ? idm_gram_new(in, dims, &p.all) : PX_E_NO_MEMORY;
  if (!status) status = idm_gram_new(in, dims, &p.held);
  if (!status) status = choose(r, &p, folds, &lambda);
  if (!status) {
    gram_clear(p.all);
    status = add_rows(r, r->train, r->train_n, p.all);
  }
  if (!status) status = idm_gram_solve(p.all, lambda, p.w);
  for (uint32_t i = 0; i <= in && !status; i++)
    for (uint32_t j = 0; j < dims; j++)
      linear[i < in ? (size_t)j * in + i : (size_t)dims * in + j] =
        (float)p.w[(size_t)i * dims + j];
  idm_gram_free(p.all);
  idm_gram_free(p.held);
  free(p.w);
  return status;
}

/* ---- by the dual form */

static enum px_status take_products(const struct ridge *r, struct idm_dual *dual, float *other) {
  for (uint32_t i = 0; i < r->n; i += ROWS) {
    const uint32_t rows = rows_at(r->n, i);
    idm_window_gather(r->norm, r->spec, r->ds, r->labelled + i, rows, r->x);
    idm_window_actions(r->ds, r->labelled + i, rows, r->a);
    for (size_t at = 0; at < (size_t)rows * r->dims; at++)
      dual->y[(size_t)i * r->dims + at] = (double)r->a[at];
    for (uint32_t j = i; j < r->n; j += ROWS) {
      const uint32_t others = rows_at(r->n, j);
      if (j > i) idm_window_gather(r->norm, r->spec, r->ds, r->labelled + j, others, other);
      idm_dual_products(dual, r->in, i, rows, r->x, j, others, j > i ? other : r->x);
      const enum px_status status = report_progress(r);
      if (status) return status;
    }
  }
  return PX_OK;
}

/* Places in labelled[n] of steps[steps_n], both in order; those that are not in there are passed
 * over. */
static uint32_t places(const struct ridge *r, const struct idm_step *steps, uint32_t steps_n,
                       uint32_t *out) {
  uint32_t found = 0;
  for (uint32_t i = 0, k = 0; i < r->n && k < steps_n; i++) {
    const struct idm_step *at = r->labelled + i;
    while (k < steps_n &&
           (steps[k].traj < at->traj || (steps[k].traj == at->traj && steps[k].t < at->t)))
      k++;
    if (k < steps_n && steps[k].traj == at->traj && steps[k].t == at->t) out[found++] = i;
  }
  return found;
}

static enum px_status choose_dual(struct ridge *r, struct idm_dual *dual, uint32_t folds,
                                  uint32_t *rows, uint32_t *held, double *lambda) {
  double errors[LAMBDAS_N] = { 0 };
  enum px_status status = PX_OK;
  for (uint32_t i = 0; i < folds && !status; i++) {
    struct idm_fold fold;
    status = idm_fold_split(r->spec, i, r->labelled, r->n, &fold);
    if (status) return status;
    const uint32_t m = places(r, fold.train, fold.train_n, rows),
                   held_n = places(r, fold.held, fold.held_n, held);
    idm_fold_free(&fold);
    for (int l = 0; l < LAMBDAS_N && !status; l++, r->solved++) {
      const bool solved = idm_dual_solve(dual, rows, m, lambdas[l]) == PX_OK;
      errors[l] += solved ? idm_dual_error(dual, rows, m, held, held_n) : HUGE_VAL;
      status = report_progress(r);
    }
  }
  *lambda = best_lambda(errors);
  return status;
}

/* linear = weight^T X, and the bias; sum is scratch [in]. */
static void put_linear(const struct ridge *r, const struct idm_dual *dual, const uint32_t *rows,
                       uint32_t m, double *sum, double *bias, float *linear) {
  const uint32_t in = r->in, dims = r->dims;
  memset(linear, 0, sizeof *linear * dims * ((size_t)in + 1));
  for (uint32_t at = 0; at < m; at += ROWS) {
    const uint32_t n = rows_at(m, at);
    for (uint32_t i = 0; i < n; i++)
      idm_window_gather(r->norm, r->spec, r->ds, r->labelled + rows[at + i], 1,
                        r->x + (size_t)i * in);
    for (uint32_t j = 0; j < dims; j++) {
      memset(sum, 0, sizeof *sum * in);
      for (uint32_t i = 0; i < n; i++) {
        const double weight = dual->weight[(size_t)(at + i) * dims + j];
        for (uint32_t p = 0; p < in; p++) sum[p] += weight * (double)r->x[(size_t)i * in + p];
      }
      for (uint32_t p = 0; p < in; p++) linear[(size_t)j * in + p] += (float)sum[p];
    }
  }
  idm_dual_bias(dual, rows, m, bias);
  for (uint32_t j = 0; j < dims; j++) linear[(size_t)dims * in + j] = (float)bias[j];
}

static enum px_status fit_dual(struct ridge *r, uint32_t folds, float *linear) {
  struct idm_dual *dual = NULL;
  float *other = px_mem_calloc((size_t)ROWS * r->in, sizeof *other);
  uint32_t *rows = px_mem_calloc(r->n, 2 * sizeof *rows);
  double *scratch = px_mem_calloc((size_t)r->in + r->dims, sizeof *scratch), lambda;
  enum px_status status =
    other && rows && scratch ? idm_dual_new(r->n, r->dims, &dual) : PX_E_NO_MEMORY;
  if (!status) status = take_products(r, dual, other);
  if (!status) status = choose_dual(r, dual, folds, rows, rows + r->n, &lambda);
  if (!status) {
    const uint32_t m = places(r, r->train, r->train_n, rows);
    status = idm_dual_solve(dual, rows, m, lambda);
    if (!status) put_linear(r, dual, rows, m, scratch, scratch + r->in, linear);
  }
  idm_dual_free(dual);
  free(other);
  free(rows);
  free(scratch);
  return status;
}

/* ---- which of both, and on which rows */

static bool dual_pays(uint32_t in, uint32_t n) {
  return in > IDM_RIDGE_SYSTEM_MAX || (in >= WIDE && n <= in);
}

uint32_t idm_ridge_rows(uint32_t in, uint32_t n) {
  /* multiplications of numbers: about a minute */
  const double work = 1.5e11, most = work / in / in;
  if (dual_pays(in, n)) return n < IDM_RIDGE_SYSTEM_MAX ? n : IDM_RIDGE_SYSTEM_MAX;
  return n > most ? (uint32_t)most : n;
}

/* out[rows], evenly spaced ones of steps[n]. */
static void thin(const struct idm_step *steps, uint32_t n, struct idm_step *out, uint32_t rows) {
  for (uint32_t i = 0; i < rows; i++) out[i] = steps[(uint64_t)i * n / rows];
}

enum px_status idm_ridge_fit(const struct px_dataset *ds, const struct idm_norm *norm,
                             const struct idm_spec *spec, const struct idm_step *labelled,
                             uint32_t n, const struct idm_step *train, uint32_t train_n,
                             const struct px_progress *progress, float *linear) {
  struct ridge r = { .ds = ds,
                     .norm = norm,
                     .spec = spec,
                     .progress = progress,
                     .labelled = labelled,
                     .train = train,
                     .n = n,
                     .train_n = train_n,
                     .in = idm_window_inputs(spec, ds->spaces.obs_dim),
                     .dims = idm_window_outputs(&ds->spaces) };
  const uint32_t rows = idm_ridge_rows(r.in, n),
                 train_rows = rows < n ? (uint32_t)((uint64_t)rows * train_n / n) : train_n;
  const bool dual = dual_pays(r.in, n);
  struct idm_step *thinned =
    rows < n ? px_mem_calloc((size_t)rows + train_rows, sizeof *thinned) : NULL;
  r.x = px_mem_calloc((size_t)ROWS * r.in, sizeof *r.x);
  r.a = px_mem_calloc((size_t)ROWS * r.dims, sizeof *r.a);
  enum px_status status = r.x && r.a && (thinned || rows == n) ? PX_OK : PX_E_NO_MEMORY;
  if (!status && rows < n) {
    thin(labelled, n, thinned, rows);
    thin(train, train_n, thinned + rows, train_rows);
    r.labelled = thinned, r.n = rows;
    /* the dual takes those of `train` that it has */
    if (!dual) r.train = thinned + rows, r.train_n = train_rows;
  }
  if (!status) {
    const uint32_t folds = idm_folds_n(spec, r.labelled, r.n);
    r.total = (int64_t)folds * LAMBDAS_N + 1;
    status = dual ? fit_dual(&r, folds, linear) : fit_primal(&r, folds, linear);
  }
  free(thinned);
  free(r.x);
  free(r.a);
  return status;
}
