/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Training one member: see idm.h and training.h. Each step draws a batch with
 * replacement, takes it in chunks that stay in the cache, and moves every part
 * by Adam. The iterate kept is the best on the held-out fold, by squared error
 * of the labels, or by likelihood where that trains the mean (mean_loss nll; of
 * a softmax head always, as cross entropy).
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/fail.h"
#include "lib/base/rng.h"
#include "lib/data/dataset.h"
#include "lib/idm/pass.h"
#include "lib/idm/training.h"
#include "lib/idm/vote.h"
#include "lib/idm/window.h"

enum { HELD_MAX = 20000 }; /* validation between steps looks at no more rows than this */
/* A label anywhere in the range costs less than 3e6 a dim, even with the least
 * spread and an action at the other edge. */
static const double loss_max_dim = 1e7;

/* ---- steps */

/* Streams of a round are its own; those of round 0 are what they were before there were rounds. */
static uint64_t stream(const struct idm_training *t, const char *name, uint64_t index) {
  return px_rng_stream(name, t->place.round << 56 | index);
}

static void draw_batch(struct idm_training *t) {
  const struct idm_spec *spec = &t->model->spec;
  const uint32_t rows = t->fold.train_n + (uint32_t)t->pseudo.n;
  const uint64_t step = (uint64_t)t->model->member << 32 | t->place.step;
  struct px_rng rng = px_rng_at(spec->seed, stream(t, "idm batch", step), 0);
  for (uint32_t i = 0; i < spec->batch; i++) t->batch[i] = px_rng_below(&rng, rows);
}

/* Windows and actions of rows [row, row + n) of the batch. */
static void gather(struct idm_training *t, uint32_t row, uint32_t n) {
  const struct idm_model *model = t->model;
  const uint32_t true_n = t->fold.train_n;
  for (uint32_t i = 0; i < n; i++) {
    const uint32_t at = t->batch[row + i];
    float *target = t->pass.action + (size_t)i * model->outputs;
    t->rows[i] = at < true_n ? t->fold.train[at] : idm_pseudo_step(&t->pseudo, at - true_n);
    if (at < true_n) idm_window_actions(t->ds, t->rows + i, 1, target);
    else
      idm_window_action_target(&t->ds->spaces,
                               t->pseudo.actions + (size_t)(at - true_n) * model->act_dim, target);
  }
  idm_window_gather(model->norm, &model->spec, t->ds, t->rows, n, t->pass.x);
}

/* Gradients of rows [row, row + n) of the batch are added to those of the rows before. */
static double chunk_gradients(struct idm_training *t, uint32_t row, uint32_t n) {
  const struct idm_model *model = t->model;
  const struct idm_spec *spec = &model->spec;
  const struct px_mlp_drop mu_drop = { spec->seed ^ stream(t, "idm mu drop", model->member),
                                       t->place.step, row };
  const struct px_mlp_drop sigma_drop = { spec->seed ^ stream(t, "idm y drop", model->member),
                                          t->place.step, row };
  gather(t, row, n);
  return idm_pass_gradients(model, &t->pass, n, &mu_drop, &sigma_drop, 1.0 / spec->batch, row > 0);
}

static void take_step(struct idm_training *t) {
  const struct idm_spec *spec = &t->model->spec;
  draw_batch(t);
  for (int i = 0; i < IDM_PARTS_N; i++)
    if (t->parts[i].spectral) px_spectral_apply(t->parts[i].spectral, true);
  t->seen.loss = 0;
  for (uint32_t row = 0; row < spec->batch; row += PX_MLP_CHUNK)
    t->seen.loss +=
      chunk_gradients(t, row, spec->batch - row < PX_MLP_CHUNK ? spec->batch - row : PX_MLP_CHUNK);
  const double share = (double)(t->place.step - 1) / t->steps_max;
  const double rate = spec->cosine ? 0.5 * (1 + cos(M_PI * share)) : 1;
  for (int i = 0; i < IDM_PARTS_N; i++) {
    struct idm_part *part = &t->parts[i];
    if (!part->n) continue;
    if (part->spectral) px_spectral_gradients(part->spectral, part->grads);
    part->adam.options.lr = (float)(spec->lr * rate);
    px_adam_step(&part->adam, part->moved, part->grads);
  }
  t->place.steps++;
}

/* ---- rounds */

static enum px_status diverged(const struct idm_training *t, const char *what, double value,
                               struct px_err *err) {
  const struct idm_spec *spec = &t->model->spec;
  px_fail(err, PX_E_NAN_LOSS, "%s of member %u is %g at step %" PRIu64, what, t->model->member,
          value, t->place.step);
  px_fail_hint(err, "Try an lr below %g, and look for observations or actions of extreme size.",
               spec->lr);
  return PX_E_NAN_LOSS;
}

/* Iterate 0 is a candidate too: with a linear path it is the ridge solution. */
static enum px_status validate_iterate(struct idm_training *t, struct px_err *err) {
  const struct idm_spec *spec = &t->model->spec;
  for (int i = 0; i < IDM_PARTS_N; i++)
    if (t->parts[i].spectral) px_spectral_apply(t->parts[i].spectral, false);
  const enum px_status status = idm_training_validate(t, 1 + (t->fold.held_n - 1) / HELD_MAX);
  if (status) return status;
  t->seen.val_mse = idm_training_sums_mse(t);
  const double score = spec->mean_loss == IDM_NLL ? idm_training_sums_nll(t) : t->seen.val_mse;
  if (!isfinite(score)) return diverged(t, "the validation", score, err);
  t->place.worse++;
  /* the reference keeps the last one */
  if (!(score < t->seen.best) && spec->compat != IDM_REFERENCE) return PX_OK;
  t->seen.best = score;
  t->place.worse = 0;
  t->place.best_step = t->place.step, t->place.kept = 1;
  for (int i = 0; i < IDM_PARTS_N; i++)
    if (t->parts[i].n) memcpy(t->parts[i].best, t->parts[i].used, sizeof(float) * t->parts[i].n);
  return PX_OK;
}

static enum px_status train_round(struct idm_training *t, struct px_checkpoint *checkpoint,
                                  struct px_state *list, struct px_err *err) {
  const uint32_t patience = t->model->spec.patience;
  while (t->place.step <= t->steps_max && !(patience && t->place.worse >= patience)) {
    if (t->place.step > 0) take_step(t);
    if (!(fabs(t->seen.loss) < loss_max_dim * t->model->act_dim))
      return diverged(t, "the loss", t->seen.loss, err);
    enum px_status status = idm_training_tell(t, "train");
    if (!status && (t->place.step % t->validate_every == 0 || t->place.step == t->steps_max))
      status = validate_iterate(t, err);
    t->place.step++;
    if (!status && t->place.steps)
      status = px_checkpoint_step(checkpoint, list, t->place.steps, err);
    if (status) return status;
  }
  return PX_OK;
}

enum px_status idm_training_run(struct idm_training *t, struct px_checkpoint *checkpoint,
                                struct px_err *err) {
  struct px_state list = { .n = 0 };
  uint64_t steps;
  idm_training_arrays(t, &list);
  enum px_status status = px_checkpoint_resume(checkpoint, &list, &steps, err);
  while (!status) {
    idm_training_limit(t);
    status = train_round(t, checkpoint, &list, err);
    if (status || t->place.round >= t->model->spec.rounds || t->pseudo.n >= t->pseudo.max)
      return status;
    status = idm_training_measure(t);
    if (!status) status = idm_pseudo_add(&t->pseudo, t->ds, t->model, t->progress, err);
    if (status) return status;
    t->place.round++;
    status = idm_training_start_round(t);
    if (status) px_fail(err, status, "round %" PRIu64 " could not be prepared", t->place.round);
  }
  return status;
}

enum px_status idm_training_take(struct idm_training *t, struct idm_model **out,
                                 struct idm_metrics *metrics, struct px_err *err) {
  if (!t->place.kept)
    return px_fail(err, PX_E_NOT_FOUND, "no iterate of member %u was validated yet",
                   t->model->member);
  enum px_status status = idm_training_measure(t);
  if (!status) status = idm_vote_probes_take(t->model, t->ds, &t->pass, err);
  if (status) return status;
  *metrics = t->model->metrics;
  *out = t->model;
  t->model = NULL;
  return PX_OK;
}

enum px_status idm_train_member(const struct px_dataset *ds, const struct idm_spec *spec,
                                uint32_t member, const struct px_progress *progress,
                                struct px_checkpoint *checkpoint, struct idm_model **out,
                                struct idm_metrics *metrics, struct px_err *err) {
  struct idm_training *t = NULL;
  enum px_status status = idm_training_new(ds, spec, member, progress, &t, err);
  if (!status) status = idm_training_run(t, checkpoint, err);
  if (!status) status = idm_training_take(t, out, metrics, err);
  idm_training_free(t);
  return status;
}
