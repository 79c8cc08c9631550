/*
 * Training one member: see idm.h. Each step draws a batch with replacement,
 * takes it in chunks that stay in the cache, and moves every part by Adam.
 * Memory is taken before the first step. The iterate kept is the best on the
 * held-out fold, by squared error of the labels, or by likelihood where that
 * trains the mean (mean_loss nll; of a softmax head always, as cross entropy).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "worker/idm/fold.h"
#include "worker/idm/model.h"
#include "worker/idm/ridge.h"
#include "worker/nn/adam.h"
#include "worker/nn/checkpoint.h"

enum { HELD_MAX = 20000 }; /* validation between steps looks at no more rows than this */
/* Where it may stop early, it makes no more passes than this over few
 * transitions, and validates at least so often. */
enum { PASSES_MAX = 200, VALIDATIONS_MIN = 10 };
static const double report_every_s = 0.5;

/* Parameters that Adam moves: a net's, or those of the linear path. */
struct part { float *params, *best; const float *grads; size_t n; struct px_adam adam; };
enum { MU, SPREAD, LINEAR, PARTS_N };

struct trainer {
  const struct px_dataset *ds;
  const struct px_progress *progress;
  struct idm_model *model;
  struct idm_fold fold;
  struct part parts[PARTS_N];
  struct idm_pass pass;
  struct px_arena *arena;
  struct idm_step *batch;             /* [B] */
  struct idm_sums sums;
  uint32_t steps_max, validate_every;
  double reported_s, loss, score;     /* of the last report, step and validation */
  double seconds, since_s;            /* spent until since_s, in earlier attempts too */
  double best;                        /* the kept iterate's score */
  uint64_t best_step, worse;          /* ... its step, and the validations since */
};

/* ---- setting up */

static bool part_init(struct trainer *t, int which, float *params, const float *grads, size_t n) {
  struct part *part = &t->parts[which];
  *part = (struct part){ .params = params, .grads = grads, .n = n };
  part->best = px_arena_take(t->arena, n, sizeof(float));
  struct px_adam_options options = PX_ADAM_DEFAULTS((float)t->model->spec.lr);
  options.weight_decay = (float)t->model->spec.weight_decay;
  return part->best && px_adam_init(&part->adam, n, options) == PX_OK;
}

static bool buffers(struct trainer *t) {
  const struct idm_model *model = t->model;
  const struct idm_pass *pass = &t->pass;
  const uint32_t in = model->mu->shape.in, dims = model->act_dim, outputs = model->outputs;
  if (idm_pass_new(model, &t->pass)) return false;
  t->batch = px_arena_take(t->arena, model->spec.batch, sizeof *t->batch);
  double *sums = px_arena_take(t->arena, (size_t)5 * dims, sizeof(double));
  if (!t->batch || !sums) return false;
  t->sums = (struct idm_sums){ sums, sums + dims, sums + 2 * dims, sums + 3 * dims, sums + 4 * dims, 0 };
  return part_init(t, MU, model->mu->params, pass->mu_grads, model->mu->params_n)
         && (!model->y || part_init(t, SPREAD, model->y->params, pass->y_grads, model->y->params_n))
         && (!model->linear || part_init(t, LINEAR, model->linear, pass->linear_grads, (size_t)outputs * (in + 1)));
}

/* All that the next steps depend on, and what is published; a new part of a member is listed here. */
static void list_arrays(struct trainer *t, struct px_state *list) {
  static const char *const NAME[PARTS_N] = { "mu", "spread", "linear" };
  for (int i = 0; i < PARTS_N; i++) {
    struct part *part = &t->parts[i];
    if (!part->n) continue;
    px_state_floats(list, NAME[i], "params", part->params, part->n);
    px_state_floats(list, NAME[i], "best", part->best, part->n);
    px_state_adam(list, NAME[i], &part->adam);
  }
  px_state_doubles(list, "loss", NULL, &t->loss, 1);
  px_state_doubles(list, "val_mse", NULL, &t->score, 1);
  px_state_doubles(list, "best_score", NULL, &t->best, 1);
  px_state_whole(list, "best_step", NULL, &t->best_step, 1);
  px_state_whole(list, "worse", NULL, &t->worse, 1);
  px_state_doubles(list, "seconds", NULL, &t->seconds, 1);
}

/* The linear path starts at the ridge solution and the net's last layer at 0.
 * Where that predicts classes' probabilities, it is turned into logits by the
 * inverse of the softmax near equal probabilities: M times as large. */
static enum px_status start_at_ridge(struct trainer *t, const struct idm_step *labelled, uint32_t n) {
  struct idm_model *model = t->model;
  const struct px_mlp_layer last = px_mlp_layer(model->mu, model->spec.layers);
  memset(model->mu->params + last.weight, 0, sizeof(float) * (model->mu->params_n - last.weight));
  const enum px_status status = idm_ridge_fit(t->ds, model->norm, &model->spec, labelled, n, t->fold.train,
                                              t->fold.train_n, t->progress, model->linear);
  const size_t linear_n = (size_t)model->outputs * (model->mu->shape.in + 1);
  for (size_t i = 0; i < linear_n && model->act_count && !status; i++) model->linear[i] *= (float)model->outputs;
  return status;
}

/* Bounds of labels: see IDM_MARGIN. */
static void bound_labels(struct trainer *t) {
  struct idm_model *model = t->model;
  const uint32_t dims = model->act_dim;
  for (uint32_t i = 0; i < t->fold.train_n; i++) {
    idm_window_actions(t->ds, t->fold.train + i, 1, t->pass.action);
    for (uint32_t j = 0; j < dims; j++) {
      model->least[j] = i ? fminf(model->least[j], t->pass.action[j]) : t->pass.action[j];
      model->most[j] = i ? fmaxf(model->most[j], t->pass.action[j]) : t->pass.action[j];
    }
  }
  for (uint32_t j = 0; j < dims; j++) {
    const float margin = IDM_MARGIN * (model->most[j] - model->least[j]);
    model->least[j] = fmaxf(fminf(model->least[j] - margin, IDM_EDGE), -IDM_EDGE);
    model->most[j] = fmaxf(fminf(model->most[j] + margin, IDM_EDGE), -IDM_EDGE);
  }
}

static void limit_steps(struct trainer *t) {
  const struct idm_spec *spec = &t->model->spec;
  t->steps_max = spec->steps;
  t->validate_every = spec->validate_every;
  const uint64_t passes = 1 + (uint64_t)t->fold.train_n * PASSES_MAX / spec->batch;
  if (!spec->patience || passes >= t->steps_max) return;
  t->steps_max = (uint32_t)passes;
  const uint32_t often = 1 + t->steps_max / VALIDATIONS_MIN;
  if (often < t->validate_every) t->validate_every = often;
}

static enum px_status prepare(struct trainer *t, const struct idm_step *labelled, uint32_t n) {
  struct idm_model *model = t->model;
  const uint64_t seed = model->spec.seed;
  enum px_status status = idm_fold_split(&model->spec, model->member, labelled, n, &t->fold);
  if (!status && !(t->arena = px_arena_new(IDM_MODEL_BYTES_MAX))) status = PX_E_NO_MEMORY;
  if (!status && !buffers(t)) status = PX_E_NO_MEMORY;
  if (!status) status = px_mlp_init(model->mu, PX_MLP_ORTHOGONAL, seed, px_rng_stream("idm mu", model->member));
  if (!status && model->y) status = px_mlp_init(model->y, PX_MLP_ORTHOGONAL, seed, px_rng_stream("idm y", model->member));
  if (status) return status;
  limit_steps(t);
  idm_norm_measure(model->norm, t->ds);
  if (model->spec.head != IDM_SQUASHED && !model->act_count) bound_labels(t);
  return model->linear ? start_at_ridge(t, labelled, n) : PX_OK;
}

static enum px_status trainer_init(struct trainer *t, struct px_err *err) {
  struct idm_step *labelled = NULL;
  uint32_t n = 0;
  enum px_status status = idm_steps_labelled(t->ds, &labelled, &n);
  if (!status && n == 0) return px_fail(err, PX_E_NO_LABELS, "no transition with a known next state is labelled");
  if (!status) status = prepare(t, labelled, n);
  free(labelled);
  return status ? px_fail(err, status, "training could not be prepared (%s)", px_status_slug(status)) : PX_OK;
}

static void trainer_free(struct trainer *t) {
  for (int i = 0; i < PARTS_N; i++) px_adam_free(&t->parts[i].adam);
  idm_pass_free(&t->pass);
  px_arena_free(t->arena);
  idm_fold_free(&t->fold);
}

/* ---- steps */

static void draw_batch(struct trainer *t, uint32_t step) {
  const struct idm_spec *spec = &t->model->spec;
  const uint64_t stream = px_rng_stream("idm batch", (uint64_t)t->model->member << 32 | step);
  struct px_rng rng = px_rng_at(spec->seed, stream, 0);
  for (uint32_t i = 0; i < spec->batch; i++) t->batch[i] = t->fold.train[px_rng_below(&rng, t->fold.train_n)];
}

/* Gradients of rows [row, row + n) of the batch are added to those of the rows before. */
static double chunk_gradients(struct trainer *t, uint32_t step, uint32_t row, uint32_t n) {
  const struct idm_model *model = t->model;
  const struct idm_spec *spec = &model->spec;
  const struct px_mlp_drop mu_drop = { spec->seed ^ px_rng_stream("idm mu drop", model->member), step, row };
  const struct px_mlp_drop y_drop = { spec->seed ^ px_rng_stream("idm y drop", model->member), step, row };
  idm_window_gather(model->norm, spec, t->ds, t->batch + row, n, t->pass.x);
  idm_window_actions(t->ds, t->batch + row, n, t->pass.action);
  return idm_pass_gradients(model, &t->pass, n, &mu_drop, &y_drop, 1.0 / spec->batch, row > 0);
}

static void take_step(struct trainer *t, uint32_t step) {
  const struct idm_spec *spec = &t->model->spec;
  draw_batch(t, step);
  t->loss = 0;
  for (uint32_t row = 0; row < spec->batch; row += PX_MLP_CHUNK)
    t->loss += chunk_gradients(t, step, row, spec->batch - row < PX_MLP_CHUNK ? spec->batch - row : PX_MLP_CHUNK);
  const double share = (double)(step - 1) / t->steps_max, rate = spec->cosine ? 0.5 * (1 + cos(M_PI * share)) : 1;
  for (int i = 0; i < PARTS_N; i++) {
    if (!t->parts[i].n) continue;
    t->parts[i].adam.options.lr = (float)(spec->lr * rate);
    px_adam_step(&t->parts[i].adam, t->parts[i].params, t->parts[i].grads);
  }
}

/* About twice a second. */
static enum px_status tell(struct trainer *t, const char *phase, uint32_t step) {
  const double now_s = px_clock_s();
  t->seconds += now_s - t->since_s;
  t->since_s = now_s;
  if (now_s - t->reported_s < report_every_s) return PX_OK;
  t->reported_s = now_s;
  const struct px_metric judged = t->model->act_count ? (struct px_metric){ "val_accuracy", 1 - t->score }
                                                      : (struct px_metric){ "val_mse", t->score };
  const struct px_metric metrics[] = { { "loss", t->loss }, judged };
  return px_progress_report(t->progress, phase, step, t->steps_max, metrics, isfinite(t->score) ? 2 : 1);
}

/* ---- validation */

/* Sums over every stride-th held-out transition. */
static enum px_status validate(struct trainer *t, uint32_t step, uint32_t stride) {
  const struct idm_model *model = t->model;
  struct idm_step rows[PX_MLP_CHUNK];
  memset(t->sums.squared, 0, sizeof(double) * 5 * model->act_dim);
  t->sums.n = 0;
  for (uint32_t at = 0; at < t->fold.held_n;) {
    uint32_t n = 0;
    for (; n < PX_MLP_CHUNK && at < t->fold.held_n; at += stride) rows[n++] = t->fold.held[at];
    idm_window_gather(model->norm, &model->spec, t->ds, rows, n, t->pass.x);
    idm_window_actions(t->ds, rows, n, t->pass.action);
    const float *mu = idm_model_mu(model, t->pass.mu_work, t->pass.x, n, NULL);
    const float *y = idm_model_y(model, t->pass.y_work, t->pass.x, n, NULL);
    idm_loss_sums(model, n, mu, y, t->pass.action, t->pass.dmu, &t->sums);
    const enum px_status status = tell(t, "validate", step);
    if (status) return status;
  }
  return PX_OK;
}

static double mean_of(const struct trainer *t, const double *sums) {
  double sum = 0;
  for (uint32_t j = 0; j < t->model->act_dim; j++) sum += sums[j];
  return sum / (double)t->sums.n / t->model->act_dim;
}

static double sums_nll(const struct trainer *t) {
  return t->model->act_dim * (mean_of(t, t->sums.z2) / 2 + mean_of(t, t->sums.log_scale));
}

static void copy_parts(struct trainer *t, bool keep) {
  for (int i = 0; i < PARTS_N; i++) {
    struct part *part = &t->parts[i];
    if (part->n) memcpy(keep ? part->best : part->params, keep ? part->params : part->best, sizeof(float) * part->n);
  }
}

static enum px_status diverged(const struct trainer *t, const char *what, uint32_t step, struct px_err *err) {
  px_fail(err, PX_E_NAN_LOSS, "the %s of member %u is not finite at step %u", what, t->model->member, step);
  px_err_hint(err, "Try an lr below %g, and look for observations or actions of extreme size.", t->model->spec.lr);
  return PX_E_NAN_LOSS;
}

/* Keeps the iterate if it is the best so far. */
static enum px_status judge(struct trainer *t, uint32_t step, struct px_err *err) {
  const uint32_t stride = 1 + (t->fold.held_n - 1) / HELD_MAX;
  const enum px_status status = validate(t, step, stride);
  if (status) return status;
  t->score = mean_of(t, t->sums.squared);
  const double score = t->model->spec.mean_loss == IDM_NLL ? sums_nll(t) : t->score;
  if (!isfinite(score)) return diverged(t, "validation", step, err);
  t->worse++;
  if (score < t->best) {
    t->best = score;
    t->best_step = step;
    t->worse = 0;
    copy_parts(t, true);
  }
  return PX_OK;
}

static enum px_status train(struct trainer *t, struct px_checkpoint *checkpoint, struct idm_metrics *metrics,
                            struct px_err *err) {
  const struct idm_spec *spec = &t->model->spec;
  struct px_state list = { .n = 0 };
  uint64_t done = 0;
  t->score = t->best = HUGE_VAL;
  list_arrays(t, &list);
  enum px_status status = px_checkpoint_resume(checkpoint, &list, &done, err);
  if (!status && done) metrics->steps = (uint32_t)done;
  for (uint32_t step = done ? (uint32_t)done + 1 : 0; !status && step <= t->steps_max; step++) {
    if (step > 0) take_step(t, step);
    metrics->steps = step;
    if (!isfinite(t->loss)) return diverged(t, "loss", step, err);
    if ((status = tell(t, "train", step))) return status;
    /* Iterate 0 is a candidate too: with a linear path it is the ridge solution. */
    if (step % t->validate_every == 0 || step == t->steps_max) {
      if ((status = judge(t, step, err))) return status;
      if (spec->patience && t->worse >= spec->patience) break;
    }
    if (step) status = px_checkpoint_step(checkpoint, &list, step, err);
  }
  if (status) return status;
  metrics->best_step = (uint32_t)t->best_step;
  copy_parts(t, false);
  return PX_OK;
}

/* The kept iterate on the whole fold. Where the spread only follows the mean,
 * it has seen nothing but errors on its own training rows: scale it to the
 * held-out ones, so that z has variance 1 there. */
static enum px_status measure(struct trainer *t, struct idm_metrics *metrics) {
  struct idm_model *model = t->model;
  const enum px_status status = validate(t, metrics->steps, 1);
  if (status) return status;
  const struct idm_sums *sums = &t->sums;
  const double n = (double)sums->n;
  double error = 0, total = 0, nll = 0;
  for (uint32_t j = 0; j < model->act_dim; j++) {
    /* Without a spread net sigma is 1, and this is the squared error itself. */
    const double least = model->y ? 0.01 : 1e-12;
    double variance = 1;
    if (model->spec.mean_loss != IDM_NLL) variance = fmin(fmax(sums->z2[j] / n, least), 1e4);
    model->spread[j] = (float)sqrt(variance);
    nll += sums->z2[j] / n / variance / 2 + sums->log_scale[j] / n + log(variance) / 2;
    const double about_mean = sums->action2[j] - sums->action[j] * sums->action[j] / n;
    metrics->val_r2_dim[j] = about_mean > 0 ? 1 - sums->squared[j] / about_mean : 0;
    error += sums->squared[j];
    total += about_mean;
  }
  metrics->val_mse = model->act_count ? 0 : error / n / model->act_dim;
  metrics->val_r2 = total > 0 ? 1 - error / total : 0;
  metrics->val_nll = nll;
  metrics->val_accuracy = model->act_count ? 1 - error / n : 0;
  metrics->train_n = t->fold.train_n;
  metrics->val_n = t->fold.held_n;
  metrics->val_by_transition = t->fold.by_transition;
  return PX_OK;
}

enum px_status idm_train_member(const struct px_dataset *ds, const struct idm_spec *spec, uint32_t member,
                                const struct px_progress *progress, struct px_checkpoint *checkpoint,
                                struct idm_model **out, struct idm_metrics *metrics, struct px_err *err) {
  struct trainer t = { .ds = ds, .progress = progress, .since_s = px_clock_s() };
  enum px_status status = idm_spec_check(spec, err);
  if (status) return status;
  if (member >= spec->members)
    return px_fail_at(err, PX_E_BAD_FIELD, "/member", "member %u of an ensemble of %u", member, spec->members);
  status = idm_spec_check_spaces(spec, &ds->spaces, err);
  if (status) return status;
  status = idm_model_new(spec, member, &ds->spaces, &t.model, err);
  if (status) return status;
  struct idm_metrics *found = &t.model->metrics;
  status = trainer_init(&t, err);
  if (!status) status = train(&t, checkpoint, found, err);
  if (!status) status = measure(&t, found);
  found->seconds = t.seconds + px_clock_s() - t.since_s;
  trainer_free(&t);
  if (status) {
    idm_model_free(t.model);
    return status;
  }
  *metrics = *found;
  *out = t.model;
  return PX_OK;
}
