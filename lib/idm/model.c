/* SPDX-License-Identifier: Apache-2.0 */
/* A member's parts and its forward pass: see model.h. */
#include "lib/idm/model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/spaces.h"
#include "lib/idm/norm.h"
#include "lib/idm/softmax.h"
#include "lib/idm/window.h"
#include "lib/nn/mat.h"

/* Where the spread only follows the mean, a quarter of the width is enough. */
static uint32_t sigma_hidden(const struct idm_spec *spec) {
  return spec->mean_loss == IDM_SQUARED && spec->hidden >= 32 ? spec->hidden / 4 : spec->hidden;
}

static bool has_gelus(const struct idm_spec *spec, uint32_t member) {
  return spec->activation == IDM_GELU || (spec->activation == IDM_MIXED && member % 2 == 0);
}

static enum px_status new_nets(struct idm_model *model, const struct idm_spec *spec,
                               struct px_err *err) {
  const struct px_mlp_shape shape = { .in = idm_window_inputs(spec, model->obs_dim),
                                      .out = model->outputs,
                                      .hidden = spec->hidden,
                                      .layers = spec->layers,
                                      .dropout = (float)spec->dropout,
                                      .gelu = has_gelus(spec, model->member) };
  struct px_mlp_shape sigma_shape = shape;
  sigma_shape.hidden = sigma_hidden(spec);
  sigma_shape.gelu = false;
  enum px_status status = idm_norm_new(model->obs_dim, &model->norm);
  if (!status && spec->residuals && spec->inputs == IDM_DIFFERENCE)
    status = idm_norm_add_residuals(model->norm);
  if (!status) status = px_mlp_new(&shape, &model->mu, err);
  if (!status && spec->head != IDM_DETERMINISTIC && spec->head != IDM_SOFTMAX)
    status = px_mlp_new(&sigma_shape, &model->sigma, err);
  return status;
}

/* What there is of each dimension, and the linear path. */
static enum px_status new_arrays(struct idm_model *model, const struct px_spaces *spaces) {
  const uint32_t in = idm_window_inputs(&model->spec, model->obs_dim), dims = model->act_dim;
  float **const arrays[] = { &model->act_low, &model->act_high, &model->spread, &model->least,
                             &model->most };
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
    if (!(*arrays[i] = px_mem_calloc(dims, sizeof(float)))) return PX_E_NO_MEMORY;
  if (model->spec.linear &&
      !(model->linear = px_mem_calloc((size_t)model->outputs * (in + 1), sizeof *model->linear)))
    return PX_E_NO_MEMORY;
  memcpy(model->act_low, spaces->act_low, sizeof(float) * dims);
  memcpy(model->act_high, spaces->act_high, sizeof(float) * dims);
  for (uint32_t j = 0; j < dims; j++) {
    model->spread[j] = 1;
    model->least[j] = -IDM_EDGE;
    model->most[j] = IDM_EDGE;
  }
  return PX_OK;
}

enum px_status idm_model_new(const struct idm_spec *spec, uint32_t member,
                             const struct px_spaces *spaces, struct idm_model **out,
                             struct px_err *err) {
  struct idm_model *model = px_mem_calloc(1, sizeof *model);
  if (!model) return px_fail(err, PX_E_NO_MEMORY, "no memory for an inverse dynamics model");
  model->spec = *spec;
  model->member = member;
  model->obs_dim = spaces->obs_dim;
  model->act_dim = spaces->act_dim;
  model->act_count = spaces->act_count;
  model->outputs = idm_window_outputs(spaces);
  enum px_status status = new_nets(model, spec, err);
  if (!status) status = new_arrays(model, spaces);
  if (!status) *out = model;
  else idm_model_free(model);
  return status == PX_E_NO_MEMORY ? px_fail(err, status, "no memory for an inverse dynamics model")
                                  : status;
}

void idm_model_free(struct idm_model *model) {
  if (!model) return;
  idm_norm_free(model->norm);
  px_mlp_free(model->mu);
  px_mlp_free(model->sigma);
  free(model->act_low);
  free(model->act_high);
  free(model->spread);
  free(model->least);
  free(model->most);
  free(model->linear);
  free(model->probes);
  free(model);
}

float *idm_model_mu(const struct idm_model *model, struct px_mlp_work *work, const float *x,
                    uint32_t n, const struct px_mlp_drop *drop) {
  const uint32_t in = model->mu->shape.in, outputs = model->outputs;
  float *mu = px_mlp_forward(model->mu, work, x, n, drop);
  if (model->linear) {
    px_mat_mul(PX_MAT_N, PX_MAT_T, n, outputs, in, x, model->linear, 1, mu);
    px_mat_bias(n, outputs, model->linear + (size_t)outputs * in, mu);
  }
  return mu;
}

const float *idm_model_sigma(const struct idm_model *model, struct px_mlp_work *work,
                             const float *x, uint32_t n, const struct px_mlp_drop *drop) {
  return model->sigma ? px_mlp_forward(model->sigma, work, x, n, drop) : NULL;
}

void idm_model_label(const struct idm_model *model, uint32_t n, const float *mu, float *label) {
  const uint32_t dims = model->act_dim;
  if (model->act_count) {
    for (size_t i = 0; i < n; i++)
      label[i] = (float)idm_softmax_class(model->outputs, mu + i * model->outputs);
    return;
  }
  for (size_t i = 0; i < (size_t)n * dims; i++) {
    const float m = model->spec.head == IDM_SQUASHED ? tanhf(mu[i]) : mu[i];
    label[i] = fminf(fmaxf(m, model->least[i % dims]), model->most[i % dims]);
  }
}

const struct idm_spec *idm_model_spec(const struct idm_model *model) { return &model->spec; }
uint32_t idm_model_member(const struct idm_model *model) { return model->member; }
uint32_t idm_model_obs_dim(const struct idm_model *model) { return model->obs_dim; }
uint32_t idm_model_act_count(const struct idm_model *model) { return model->act_count; }
uint32_t idm_model_act_dim(const struct idm_model *model) { return model->act_dim; }
