/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A member as safetensors bytes: see idm.h. Tensors, float32 unless said:
 *
 *   norm [4, O] f64          mean and std of states, mean and std of changes
 *   residual [O, 2 O + 1] f64    where the spec has residuals (window.h)
 *   act_low, act_high [A]    declared range;  spread [A] factor on sigma
 *   least, most [A]          bounds of labels, in actions mapped to (-1, 1)
 *   mu.<l>.weight [out, in], mu.<l>.bias [out] per layer, y.<l>.* likewise
 *                            (no y.* with the deterministic head)
 *                            (nor with softmax, whose mu has an output for each class)
 *   linear.weight [A, in], linear.bias [A]     where the spec has it; a row for each class likewise
 *   val_r2_dim [A] f64
 *   probes [probes_n, A]     where probes_n is above 0 (vote.h)
 *
 * Metadata: "format", "kernels" (the numeric profile), the spec's fields and
 * the metrics by name, then the lineage.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/safetensors.h"
#include "lib/data/spaces.h"
#include "lib/idm/model.h"
#include "lib/idm/norm.h"
#include "lib/idm/vote.h"
#include "lib/nn/mat.h"

static const char format_name[] = "proxact-idm-1";
enum {
  TENSORS_MAX = 11 + 4 * (IDM_LAYERS_MAX + 1),
  META_MAX = 64,
  TEXT_MAX = 40,
  NAME_MAX_BYTES = 24
};

/* ---- tensors: one table, walked by saving and by loading */

struct tensors {
  struct px_safetensors_tensor list[TENSORS_MAX];
  char names[TENSORS_MAX][NAME_MAX_BYTES];
  size_t n;
};

static void add(struct tensors *t, enum px_dtype dtype, uint64_t rows, uint64_t cols, void *data,
                const char *net, const char *part) {
  char *name = t->names[t->n];
  (void)snprintf(name, NAME_MAX_BYTES, "%s%s", net, part);
  struct px_safetensors_tensor *tensor = &t->list[t->n++];
  *tensor = (struct px_safetensors_tensor){
    .name = name, .dtype = dtype, .rank = cols ? 2 : 1, .data = data
  };
  tensor->dims[0] = rows;
  tensor->dims[1] = cols;
}

static void add_net(struct tensors *t, const struct px_mlp *net, const char *name) {
  for (uint32_t l = 0; l <= net->shape.layers; l++) {
    const struct px_mlp_layer layer = px_mlp_layer(net, l);
    char weight[NAME_MAX_BYTES], bias[NAME_MAX_BYTES];
    (void)snprintf(weight, sizeof weight, ".%u.weight", l);
    (void)snprintf(bias, sizeof bias, ".%u.bias", l);
    add(t, PX_DTYPE_F32, layer.out, layer.in, net->params + layer.weight, name, weight);
    add(t, PX_DTYPE_F32, layer.out, 0, net->params + layer.bias, name, bias);
  }
}

static void list_tensors(const struct idm_model *model, struct tensors *t) {
  const uint32_t dims = model->act_dim, in = model->mu->shape.in;
  t->n = 0;
  add(t, PX_DTYPE_F64, IDM_STATS_N, model->obs_dim, model->norm->stats, "", "norm");
  if (model->norm->residual)
    add(t, PX_DTYPE_F64, model->obs_dim, 2 * (uint64_t)model->obs_dim + 1, model->norm->residual,
        "", "residual");
  add(t, PX_DTYPE_F64, dims, 0, (void *)(uintptr_t)model->metrics.val_r2_dim, "", "val_r2_dim");
  add(t, PX_DTYPE_F32, dims, 0, model->act_low, "", "act_low");
  add(t, PX_DTYPE_F32, dims, 0, model->act_high, "", "act_high");
  add(t, PX_DTYPE_F32, dims, 0, model->spread, "", "spread");
  add(t, PX_DTYPE_F32, dims, 0, model->least, "", "least");
  add(t, PX_DTYPE_F32, dims, 0, model->most, "", "most");
  if (model->probes_n) add(t, PX_DTYPE_F32, model->probes_n, dims, model->probes, "", "probes");
  add_net(t, model->mu, "mu");
  if (model->sigma) add_net(t, model->sigma, "y");
  if (!model->linear) return;
  const uint32_t outputs = model->outputs;
  add(t, PX_DTYPE_F32, outputs, in, model->linear, "linear", ".weight");
  add(t, PX_DTYPE_F32, outputs, 0, model->linear + (size_t)outputs * in, "linear", ".bias");
}

/* ---- metadata: numbers by name */

/* LATER_U64: files of older versions lack it, and mean 0. */
struct number {
  const char *name;
  enum { U32, U64, LATER_U64, F64, FLAG } type;
  void *at;
};

static size_t list_numbers(struct idm_model *m, struct number *list) {
  struct idm_metrics *r = &m->metrics;
  const struct number numbers[] = {
    { "member", U32, &m->member },
    { "obs_dim", U32, &m->obs_dim },
    { "act_dim", U32, &m->act_dim },
    { "val_mse", F64, &r->val_mse },
    { "val_r2", F64, &r->val_r2 },
    { "val_nll", F64, &r->val_nll },
    { "train_n", U64, &r->train_n },
    { "val_n", U64, &r->val_n },
    { "best_step", U32, &r->best_step },
    { "steps_taken", U32, &r->steps },
    { "val_by_transition", FLAG, &r->val_by_transition },
    { "pseudo_n", LATER_U64, &r->pseudo_n },
    { "probes_n", LATER_U64, &m->probes_n },
    { "probes_of", LATER_U64, &m->probes_of },
    /* discrete actions alone */
    { "act_count", U32, &m->act_count },
    { "val_accuracy", F64, &r->val_accuracy },
  };
  memcpy(list, numbers, sizeof numbers);
  return sizeof numbers / sizeof *numbers - (m->act_count ? 0 : 2);
}

static void print_number(const struct number *number, char text[TEXT_MAX]) {
  switch (number->type) {
    case U32: (void)snprintf(text, TEXT_MAX, "%u", *(const uint32_t *)number->at); break;
    case U64:
    case LATER_U64:
      (void)snprintf(text, TEXT_MAX, "%llu", *(const unsigned long long *)number->at);
      break;
    case F64: (void)snprintf(text, TEXT_MAX, "%.17g", *(const double *)number->at); break;
    case FLAG: (void)snprintf(text, TEXT_MAX, "%d", *(const bool *)number->at); break;
  }
}

static bool read_number(const struct number *number, const char *text) {
  char *end;
  if (!text || !*text) return number->type == LATER_U64;
  if (number->type == F64) {
    *(double *)number->at = strtod(text, &end);
    return *end == '\0';
  }
  const unsigned long long value = strtoull(text, &end, 10);
  if (*end || *text == '-') return false;
  if (number->type == U64 || number->type == LATER_U64) {
    *(uint64_t *)number->at = value;
  } else if (number->type == U32 && value <= UINT32_MAX) {
    *(uint32_t *)number->at = (uint32_t)value;
  } else if (number->type == FLAG && value <= 1) {
    *(bool *)number->at = value;
  } else {
    return false;
  }
  return true;
}

/* ---- saving */

enum px_status idm_model_save(const struct idm_model *model, const char *const (*lineage)[2],
                              size_t lineage_n, struct px_buf *buf, struct px_err *err) {
  struct tensors tensors;
  struct idm_model copy = *model; /* the table wants pointers that loading may write through */
  struct number numbers[META_MAX];
  char texts[META_MAX][TEXT_MAX], kernels[PX_MAT_PROFILE_MAX];
  struct idm_spec_text spec;
  const size_t numbers_n = list_numbers(&copy, numbers);
  struct px_safetensors_meta *meta =
    px_mem_calloc(2 + IDM_SPEC_META_MAX + numbers_n + lineage_n, sizeof *meta);
  if (!meta) return px_fail(err, PX_E_NO_MEMORY, "no memory to save a model");
  px_mat_profile(kernels);
  size_t n = 0;
  meta[n++] = (struct px_safetensors_meta){ "format", format_name };
  meta[n++] = (struct px_safetensors_meta){ "kernels", kernels };
  n += idm_spec_meta(&model->spec, &spec, meta + n);
  for (size_t i = 0; i < numbers_n; i++) {
    print_number(&numbers[i], texts[i]);
    meta[n++] = (struct px_safetensors_meta){ numbers[i].name, texts[i] };
  }
  for (size_t i = 0; i < lineage_n; i++)
    meta[n++] = (struct px_safetensors_meta){ lineage[i][0], lineage[i][1] };
  list_tensors(model, &tensors);
  const enum px_status status = px_safetensors_write(tensors.list, tensors.n, meta, n, buf, err);
  free(meta);
  return status;
}

/* ---- loading */

static enum px_status read_meta(const struct px_safetensors *st, struct idm_model *head,
                                struct px_err *err) {
  const char *name = px_safetensors_meta(st, "format");
  if (!name || strcmp(name, format_name) != 0)
    return px_fail(err, PX_E_BAD_DATA, "this is not a %s file", format_name);
  const enum px_status status = idm_spec_from_meta(st, &head->spec, err);
  if (status) return status;
  struct number numbers[META_MAX];
  /* then the numbers say how many */
  head->act_count = px_safetensors_meta(st, "act_count") != NULL;
  const size_t n = list_numbers(head, numbers);
  for (size_t i = 0; i < n; i++)
    if (!read_number(&numbers[i], px_safetensors_meta(st, numbers[i].name)))
      return px_fail(err, PX_E_BAD_DATA, "the model's metadata '%s' is missing or no number",
                     numbers[i].name);
  if (!head->obs_dim || head->obs_dim > PX_OBS_MAX || !head->act_dim ||
      head->act_dim > PX_ACT_MAX || head->act_count == 1 || head->act_count > PX_ACT_COUNT_MAX ||
      (head->act_count && head->act_dim != 1))
    return px_fail(err, PX_E_BAD_DATA, "the model's dimensions %u and %u are out of bounds",
                   head->obs_dim, head->act_dim);
  return PX_OK;
}

static enum px_status read_tensors(const struct px_safetensors *st, struct idm_model *model,
                                   struct px_err *err) {
  struct tensors tensors;
  list_tensors(model, &tensors);
  for (size_t i = 0; i < tensors.n; i++) {
    struct px_safetensors_tensor *tensor = &tensors.list[i];
    const void *data;
    const enum px_status status =
      px_safetensors_take(st, tensor->name, tensor->dtype, tensor->rank, tensor->dims, &data, err);
    if (status) return status;
    size_t count = (size_t)tensor->dims[0] * (tensor->rank == 2 ? (size_t)tensor->dims[1] : 1);
    memcpy((void *)(uintptr_t)tensor->data, data,
           count * px_safetensors_dtype_bytes(tensor->dtype));
  }
  idm_norm_ready(model->norm);
  return PX_OK;
}

enum px_status idm_model_load(const void *bytes, size_t n, struct idm_model **out,
                              struct px_err *err) {
  struct px_safetensors *st = NULL;
  struct idm_model *head = px_mem_calloc(1, sizeof *head), *model = NULL;
  struct px_spaces *spaces = px_mem_calloc(1, sizeof *spaces);
  enum px_status status = PX_E_NO_MEMORY;
  if (!head || !spaces) {
    (void)px_fail(err, status, "no memory to load a model");
    goto out;
  }
  status = px_safetensors_parse(bytes, n, &st, err);
  if (!status) status = read_meta(st, head, err);
  if (status) goto out;
  spaces->obs_dim = head->obs_dim;
  spaces->act_dim = head->act_dim;
  spaces->act_count = head->act_count;
  if (idm_spec_check_spaces(&head->spec, spaces, err)) status = PX_E_BAD_DATA;
  if (status) goto out;
  status = idm_model_new(&head->spec, head->member, spaces, &model, err);
  if (status) goto out;
  model->metrics = head->metrics;
  status = idm_vote_probes_new(model, head->probes_n, err);
  model->probes_of = head->probes_of;
  if (status) goto out;
  status = read_tensors(st, model, err);
  if (status) goto out;
  *out = model;
  model = NULL;
out:
  idm_model_free(model);
  px_safetensors_free(st);
  free(spaces);
  free(head);
  return status;
}
