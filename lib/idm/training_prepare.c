/* SPDX-License-Identifier: Apache-2.0 */
/* Setting up a training: see training.h. Memory is taken here, before the first step. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/clock.h"
#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/data/dataset.h"
#include "lib/idm/features.h"
#include "lib/idm/loss.h"
#include "lib/idm/norm.h"
#include "lib/idm/pass.h"
#include "lib/idm/ridge.h"
#include "lib/idm/training.h"
#include "lib/idm/window.h"

/* Where it may stop early, it makes no more passes than this over few
 * transitions, and validates at least so often. */
enum { PASSES_MAX = 200, VALIDATIONS_MIN = 10 };

static enum px_status part_init(struct idm_training *t, int which, struct px_mlp *net, float *used,
                                float *grads, size_t n) {
  const struct idm_spec *spec = &t->model->spec;
  struct idm_part *part = &t->parts[which];
  struct px_adam_options options = PX_ADAM_DEFAULTS((float)spec->lr);
  *part = (struct idm_part){ .used = used, .moved = used, .grads = grads, .n = n };
  options.weight_decay = (float)spec->weight_decay;
  part->best = px_arena_take(t->arena, n, sizeof(float));
  if (!part->best) return PX_E_NO_MEMORY;
  if (net && spec->spectral_norm) {
    const enum px_status status = px_spectral_new(net, &part->spectral);
    if (status) return status;
    part->moved = part->spectral->raw;
  }
  return px_adam_init(&part->adam, n, options);
}

static enum px_status buffers(struct idm_training *t) {
  const struct idm_model *model = t->model;
  const struct idm_pass *pass = &t->pass;
  const uint32_t dims = model->act_dim;
  const size_t linear_n = (size_t)model->outputs * (model->mu->shape.in + 1);
  enum px_status status = idm_pass_new(model, &t->pass);
  if (status) return status;
  t->batch = px_arena_take(t->arena, model->spec.batch, sizeof *t->batch);
  t->rows = px_arena_take(t->arena, PX_MLP_CHUNK, sizeof *t->rows);
  double *sums = px_arena_take(t->arena, (size_t)IDM_SUMS_N * dims, sizeof(double));
  if (model->linear) t->ridge = px_arena_take(t->arena, linear_n, sizeof(float));
  if (!t->batch || !t->rows || !sums || (model->linear && !t->ridge)) return PX_E_NO_MEMORY;
  t->sums = (struct idm_sums){
    sums, sums + dims, sums + 2 * dims, sums + 3 * dims, sums + 4 * dims, sums + 5 * dims, 0
  };
  status = part_init(t, IDM_MU, model->mu, model->mu->params, pass->mu_grads, model->mu->params_n);
  if (!status && model->sigma)
    status = part_init(t, IDM_SPREAD, model->sigma, model->sigma->params, pass->sigma_grads,
                       model->sigma->params_n);
  if (!status && model->linear)
    status = part_init(t, IDM_LINEAR, NULL, model->linear, pass->linear_grads, linear_n);
  return status;
}

/* Bounds of labels: see IDM_MARGIN. */
static void bound_labels(struct idm_training *t) {
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

void idm_training_limit(struct idm_training *t) {
  const struct idm_spec *spec = &t->model->spec;
  t->steps_max = spec->steps;
  t->validate_every = spec->validate_every;
  const uint64_t passes = 1 + (t->fold.train_n + t->pseudo.n) * PASSES_MAX / spec->batch;
  if (!spec->patience || passes >= t->steps_max) return;
  t->steps_max = (uint32_t)passes;
  const uint32_t often = 1 + t->steps_max / VALIDATIONS_MIN;
  if (often < t->validate_every) t->validate_every = often;
}

static enum px_status start_net(struct idm_training *t, struct px_mlp *net, const char *name) {
  const uint64_t index = t->place.round << 48 | t->model->member;
  return px_mlp_init(net, PX_MLP_ORTHOGONAL, t->model->spec.seed, px_rng_stream(name, index));
}

enum px_status idm_training_start_round(struct idm_training *t) {
  struct idm_model *model = t->model;
  enum px_status status = start_net(t, model->mu, "idm mu");
  if (!status && model->sigma) status = start_net(t, model->sigma, "idm y");
  if (status) return status;
  if (model->linear) { /* it starts at the ridge solution, and the net's last layer at 0 */
    const struct px_mlp_layer last = px_mlp_layer(model->mu, model->spec.layers);
    memset(model->mu->params + last.weight, 0, sizeof(float) * (model->mu->params_n - last.weight));
    memcpy(model->linear, t->ridge, sizeof *t->ridge * t->parts[IDM_LINEAR].n);
  }
  for (uint64_t i = 0; i < IDM_PARTS_N; i++) {
    struct idm_part *part = &t->parts[i];
    const uint64_t index = (t->place.round << 32 | model->member) << 2 | i;
    if (part->spectral)
      px_spectral_start(part->spectral, model->spec.seed, px_rng_stream("idm spectral", index));
    if (part->n) px_adam_restart(&part->adam);
  }
  t->place.step = t->place.worse = 0;
  t->seen.best = t->seen.val_mse = HUGE_VAL;
  return PX_OK;
}

/* Where it predicts classes' probabilities, it is turned into logits by the
 * inverse of the softmax near equal probabilities: M times as large. */
static enum px_status fit_ridge(struct idm_training *t, const struct idm_step *labelled,
                                uint32_t n) {
  const struct idm_model *model = t->model;
  const enum px_status status =
    idm_ridge_fit(t->ds, model->norm, &model->spec, labelled, n, t->fold.train, t->fold.train_n,
                  t->progress, t->ridge);
  for (size_t i = 0; i < t->parts[IDM_LINEAR].n && model->act_count && !status; i++)
    t->ridge[i] *= (float)model->outputs;
  return status;
}

static enum px_status prepare(struct idm_training *t, const struct idm_step *labelled, uint32_t n) {
  struct idm_model *model = t->model;
  const struct idm_spec *spec = &model->spec;
  enum px_status status = idm_fold_split(spec, model->member, labelled, n, &t->fold);
  if (!status && !(t->arena = px_arena_new(IDM_MODEL_BYTES_MAX))) status = PX_E_NO_MEMORY;
  if (!status) status = buffers(t);
  if (!status) status = idm_pseudo_init(&t->pseudo, t->ds, spec);
  if (status) return status;
  idm_norm_measure(model->norm, t->ds);
  status = idm_norm_leave_out(model->norm, t->ds, spec, labelled, n);
  if (!status) status = idm_features_measure(model->norm, t->ds, spec, labelled, n);
  if (status) return status;
  if (spec->head != IDM_SQUASHED && !model->act_count) bound_labels(t);
  if (model->linear) status = fit_ridge(t, labelled, n);
  return status ? status : idm_training_start_round(t);
}

static enum px_status prepare_from(struct idm_training *t, struct px_err *err) {
  struct idm_step *labelled = NULL;
  uint32_t n = 0;
  enum px_status status = idm_window_steps_labelled(t->ds, &t->model->spec, &labelled, &n);
  if (!status && n == 0) {
    px_fail(err, PX_E_NO_LABELS, "no transition with a known next state is labelled");
    px_fail_hint(err, "An action is learned from by the states on both sides of it: give the final "
                      "state too, one observation more than actions.");
    return PX_E_NO_LABELS;
  }
  if (!status) status = prepare(t, labelled, n);
  free(labelled);
  return status
           ? px_fail(err, status, "training could not be prepared (%s)", px_status_slug(status))
           : PX_OK;
}

enum px_status idm_training_new(const struct px_dataset *ds, const struct idm_spec *spec,
                                uint32_t member, const struct px_progress *progress,
                                struct idm_training **out, struct px_err *err) {
  enum px_status status = idm_spec_check(spec, err);
  if (status) return status;
  if (member >= spec->members)
    return px_fail_at(err, PX_E_BAD_FIELD, "/member", "member %u of an ensemble of %u", member,
                      spec->members);
  status = idm_spec_check_spaces(spec, &ds->spaces, err);
  if (status) return status;
  struct idm_training *t = px_mem_calloc(1, sizeof *t);
  if (!t) return px_fail(err, PX_E_NO_MEMORY, "no memory for a training");
  t->ds = ds;
  t->progress = progress;
  t->since_s = px_clock_s();
  status = idm_model_new(spec, member, &ds->spaces, &t->model, err);
  if (!status) status = prepare_from(t, err);
  if (status) {
    idm_training_free(t);
    return status;
  }
  *out = t;
  return PX_OK;
}

void idm_training_free(struct idm_training *t) {
  if (!t) return;
  for (int i = 0; i < IDM_PARTS_N; i++) {
    px_adam_free(&t->parts[i].adam);
    px_spectral_free(t->parts[i].spectral);
  }
  idm_pass_free(&t->pass);
  px_arena_free(t->arena);
  idm_pseudo_free(&t->pseudo);
  idm_fold_free(&t->fold);
  idm_model_free(t->model);
  free(t);
}

void idm_training_arrays(struct idm_training *t, struct px_state *list) {
  static const char *const NAME[IDM_PARTS_N] = { "mu", "spread", "linear" };
  for (int i = 0; i < IDM_PARTS_N; i++) {
    struct idm_part *part = &t->parts[i];
    if (!part->n) continue;
    px_state_floats(list, NAME[i], "params", part->moved, part->n);
    px_state_floats(list, NAME[i], "best", part->best, part->n);
    px_state_adam(list, NAME[i], &part->adam);
    if (!part->spectral) continue;
    px_state_floats(list, NAME[i], "left", part->spectral->u, part->spectral->u_n);
    px_state_floats(list, NAME[i], "right", part->spectral->v, part->spectral->v_n);
  }
  px_state_whole(list, "place", NULL, &t->place.round, sizeof t->place / sizeof t->place.round);
  px_state_doubles(list, "seen", NULL, &t->seen.best, sizeof t->seen / sizeof t->seen.best);
  px_state_doubles(list, "seconds", NULL, &t->seconds, 1);
  if (!t->pseudo.max) return;
  px_state_whole(list, "pseudo", "rows", t->pseudo.rows, t->pseudo.max);
  px_state_floats(list, "pseudo", "actions", t->pseudo.actions, t->pseudo.max * t->model->act_dim);
  px_state_whole(list, "pseudo", "n", &t->pseudo.n, 1);
}
