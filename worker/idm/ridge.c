/* Ridge regression on windows: see ridge.h. */
#include "worker/idm/ridge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "worker/idm/fold.h"
#include "worker/idm/linear.h"

enum { ROWS = 256 };
static const double lambdas[] = { 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1 };
enum { LAMBDAS_N = sizeof lambdas / sizeof *lambdas };

struct ridge {
  const struct px_dataset *ds;
  const struct idm_norm *norm;
  const struct idm_spec *spec;
  const struct px_progress *progress;
  struct idm_gram *all, *held;
  float *x, *a; /* [ROWS, in], [ROWS, M] */
  double *w;    /* [in + 1, M] */
};

static void gram_clear(struct idm_gram *gram) { idm_gram_combine(gram, gram, -1); }

static enum px_status add_rows(const struct ridge *r, const struct idm_step *steps, uint32_t n, struct idm_gram *gram) {
  for (uint32_t at = 0; at < n; at += ROWS) {
    const uint32_t rows = n - at < ROWS ? n - at : ROWS;
    idm_window_gather(r->norm, r->spec, r->ds, steps + at, rows, r->x);
    idm_window_actions(r->ds, steps + at, rows, r->a);
    idm_gram_add(gram, rows, r->x, r->a);
    const enum px_status status =
      at / ROWS % 64 ? PX_OK : px_progress_report(r->progress, "ridge", at, n, NULL, 0);
    if (status) return status;
  }
  return PX_OK;
}

/* Adds the held-out fold's error under every lambda. A lambda too small for a
 * solution is out of the race. */
static enum px_status add_errors(const struct ridge *r, double errors[LAMBDAS_N]) {
  for (int i = 0; i < LAMBDAS_N; i++) {
    const enum px_status status = idm_gram_solve(r->all, lambdas[i], r->w);
    if (status && status != PX_E_NAN_LOSS) return status;
    errors[i] += status ? HUGE_VAL : idm_gram_error(r->held, r->w);
  }
  return PX_OK;
}

static enum px_status choose(const struct ridge *r, const struct idm_step *labelled, uint32_t n, double *lambda) {
  double errors[LAMBDAS_N] = { 0 };
  enum px_status status = add_rows(r, labelled, n, r->all);
  const uint32_t folds = idm_folds_n(r->spec, labelled, n);
  for (uint32_t i = 0; i < folds && !status; i++) {
    struct idm_fold fold;
    status = idm_fold_split(r->spec, i, labelled, n, &fold);
    if (status) return status;
    gram_clear(r->held);
    status = add_rows(r, fold.held, fold.held_n, r->held);
    if (n > 1) idm_gram_combine(r->all, r->held, -1);
    if (!status) status = add_errors(r, errors);
    if (n > 1) idm_gram_combine(r->all, r->held, 1);
    idm_fold_free(&fold);
  }
  int best = LAMBDAS_N - 1;
  for (int i = LAMBDAS_N - 1; i >= 0; i--)
    if (errors[i] < errors[best]) best = i;
  *lambda = lambdas[best];
  return status;
}

static enum px_status fit(const struct ridge *r, const struct idm_step *labelled, uint32_t n,
                          const struct idm_step *train, uint32_t train_n, float *linear) {
  const uint32_t in = r->all->in, dims = r->all->out;
  double lambda;
  enum px_status status = choose(r, labelled, n, &lambda);
  if (status) return status;
  gram_clear(r->all);
  status = add_rows(r, train, train_n, r->all);
  if (!status) status = idm_gram_solve(r->all, lambda, r->w);
  for (uint32_t i = 0; i <= in && !status; i++)
    for (uint32_t j = 0; j < dims; j++)
      linear[i < in ? (size_t)j * in + i : (size_t)dims * in + j] = (float)r->w[(size_t)i * dims + j];
  return status;
}

enum px_status idm_ridge_fit(const struct px_dataset *ds, const struct idm_norm *norm, const struct idm_spec *spec,
                             const struct idm_step *labelled, uint32_t n, const struct idm_step *train,
                             uint32_t train_n, const struct px_progress *progress, float *linear) {
  const uint32_t in = idm_window_inputs(spec, ds->spaces.obs_dim), dims = idm_window_outputs(&ds->spaces);
  struct ridge r = { .ds = ds, .norm = norm, .spec = spec, .progress = progress };
  r.x = px_calloc((size_t)ROWS * in, sizeof *r.x);
  r.a = px_calloc((size_t)ROWS * dims, sizeof *r.a);
  r.w = px_calloc((size_t)(in + 1) * dims, sizeof *r.w);
  enum px_status status = r.x && r.a && r.w ? idm_gram_new(in, dims, &r.all) : PX_E_NO_MEMORY;
  if (!status) status = idm_gram_new(in, dims, &r.held);
  if (!status) status = fit(&r, labelled, n, train, train_n, linear);
  free(r.x);
  free(r.a);
  free(r.w);
  idm_gram_free(r.all);
  idm_gram_free(r.held);
  return status;
}
