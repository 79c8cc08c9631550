/* SPDX-License-Identifier: Apache-2.0 */
/* Label segments: see labels.h. */
#include "lib/data/labels.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/safetensors.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"

enum { COLUMNS_N = 8 };

/* Of one element. */
static double total_of(const struct px_spaces *spaces, float std, float epistemic) {
  return spaces->act_count ? (double)std + (double)epistemic
                           : hypot((double)std, (double)epistemic);
}

void px_label_totals(const struct px_spaces *spaces, const float *std, const float *epistemic,
                     uint64_t steps_n, float *total) {
  for (uint64_t k = 0; k < steps_n * spaces->act_dim; k++)
    total[k] = (float)total_of(spaces, std[k], epistemic[k]);
}

void px_label_scores(const struct px_spaces *spaces, const float *std, const float *epistemic,
                     const uint8_t *known, uint64_t steps_n, float *score) {
  const uint32_t dims = spaces->act_dim;
  if (spaces->act_count) {
    for (uint64_t t = 0; t < steps_n; t++) score[t] = known[t] ? std[t] + epistemic[t] : 0;
    return;
  }
  for (uint64_t t = 0; t < steps_n; t++, std += dims, epistemic += dims) {
    double sum = 0;
    for (uint32_t j = 0; j < dims && known[t]; j++) {
      const double range = (double)spaces->act_high[j] - (double)spaces->act_low[j];
      sum += total_of(spaces, std[j], epistemic[j]) * 2 / range;
    }
    score[t] = (float)(sum / dims);
  }
}

/* ---- one segment ---- */

static const char *check_known(const struct px_spaces *spaces, const struct px_label_rows *r,
                               uint64_t t) {
  for (uint64_t j = 0, k = t * spaces->act_dim; j < spaces->act_dim; j++, k++) {
    if (r->actions[k] < spaces->act_low[j] || r->actions[k] > spaces->act_high[j])
      return "an action out of range";
    if (r->std[k] < 0 || r->epistemic[k] < 0) return "a negative deviation";
  }
  if (spaces->act_count && !px_is_class(r->actions[t], spaces->act_count))
    return "an action that is no class";
  return r->score[t] < 0 ? "a negative score" : NULL;
}

/* The simulator's columns, where there are any. */
static const char *check_origin(const struct px_label_rows *r, uint64_t t) {
  if (!r->origin) return NULL;
  if (r->verified[t] > 1 || r->origin[t] > PX_ORIGIN_SIMULATOR)
    return "a flag that is neither 0 nor 1";
  if (r->residual[t] < 0) return "a negative residual";
  const bool zero = r->residual[t] == 0 && !r->verified[t] && !r->origin[t];
  return r->known[t] || zero ? NULL : "a residual where no label can be known";
}

static const char *check_unknown(const struct px_spaces *spaces, const struct px_label_rows *r,
                                 uint64_t t) {
  bool zero = r->score[t] == 0;
  for (uint64_t j = 0, k = t * spaces->act_dim; j < spaces->act_dim; j++, k++)
    zero = zero && r->actions[k] == 0 && r->std[k] == 0 && r->epistemic[k] == 0;
  return zero ? NULL : "a label where none can be known";
}

static enum px_status check(const struct px_spaces *spaces, const struct px_label_rows *r,
                            struct px_err *err) {
  const uint64_t n = r->steps_n * spaces->act_dim;
  if (!px_traj_all_finite(r->actions, n, NULL) || !px_traj_all_finite(r->std, n, NULL) ||
      !px_traj_all_finite(r->epistemic, n, NULL) ||
      !px_traj_all_finite(r->score, r->steps_n, NULL) ||
      (r->origin && !px_traj_all_finite(r->residual, r->steps_n, NULL)))
    return px_fail(err, PX_E_BAD_DATA, "a number in the labels is not finite");
  for (uint64_t t = 0; t < r->steps_n; t++) {
    const char *why = r->known[t] > 1 ? "a flag that is neither 0 nor 1"
                      : r->known[t]   ? check_known(spaces, r, t)
                                      : check_unknown(spaces, r, t);
    if (!why) why = check_origin(r, t);
    if (why) return px_fail(err, PX_E_BAD_DATA, "step %" PRIu64 " of the labels has %s", t, why);
  }
  return PX_OK;
}

enum px_status px_label_write(const struct px_spaces *spaces, const struct px_label_rows *rows,
                              struct px_buf *out, struct px_err *err) {
  enum px_status status = check(spaces, rows, err);
  if (status) return status;
  const uint64_t s = rows->steps_n, a = spaces->act_dim;
  struct px_safetensors_tensor tensors[COLUMNS_N] = {
    { "actions", PX_DTYPE_F32, 2, { s, a }, rows->actions, 0, 0 },
    { "std", PX_DTYPE_F32, 2, { s, a }, rows->std, 0, 0 },
    { "epistemic", PX_DTYPE_F32, 2, { s, a }, rows->epistemic, 0, 0 },
    { "score", PX_DTYPE_F32, 1, { s }, rows->score, 0, 0 },
  };
  size_t n = 4;
  if (rows->origin)
    tensors[n++] =
      (struct px_safetensors_tensor){ "residual", PX_DTYPE_F32, 1, { s }, rows->residual, 0, 0 };
  tensors[n++] =
    (struct px_safetensors_tensor){ "known", PX_DTYPE_U8, 1, { s }, rows->known, 0, 0 };
  if (rows->origin)
    tensors[n++] =
      (struct px_safetensors_tensor){ "verified", PX_DTYPE_U8, 1, { s }, rows->verified, 0, 0 };
  if (rows->origin)
    tensors[n++] =
      (struct px_safetensors_tensor){ "origin", PX_DTYPE_U8, 1, { s }, rows->origin, 0, 0 };
  const struct px_safetensors_meta meta = { "format", "proxact.labels.1" };
  return px_safetensors_write(tensors, n, &meta, 1, out, err);
}

void px_label_close(struct px_label_view *view) {
  px_safetensors_free(view->file);
  free(view->owned);
  *view = (struct px_label_view){ 0 };
}

static enum px_status take_all(const struct px_safetensors *st, const struct px_spaces *spaces,
                               struct px_label_rows *r, struct px_err *err) {
  const uint64_t matrix[2] = { r->steps_n, spaces->act_dim };
  const void *data[COLUMNS_N] = { NULL };
  const bool simulated = px_safetensors_find(st, "origin") != NULL;
  enum px_status status =
    px_safetensors_take(st, "actions", PX_DTYPE_F32, 2, matrix, &data[0], err);
  if (!status) status = px_safetensors_take(st, "std", PX_DTYPE_F32, 2, matrix, &data[1], err);
  if (!status)
    status = px_safetensors_take(st, "epistemic", PX_DTYPE_F32, 2, matrix, &data[2], err);
  if (!status) status = px_safetensors_take(st, "score", PX_DTYPE_F32, 1, matrix, &data[3], err);
  if (!status) status = px_safetensors_take(st, "known", PX_DTYPE_U8, 1, matrix, &data[4], err);
  if (!status && simulated)
    status = px_safetensors_take(st, "residual", PX_DTYPE_F32, 1, matrix, &data[5], err);
  if (!status && simulated)
    status = px_safetensors_take(st, "verified", PX_DTYPE_U8, 1, matrix, &data[6], err);
  if (!status && simulated)
    status = px_safetensors_take(st, "origin", PX_DTYPE_U8, 1, matrix, &data[7], err);
  r->actions = data[0];
  r->std = data[1];
  r->epistemic = data[2];
  r->score = data[3];
  r->known = data[4];
  r->residual = data[5];
  r->verified = data[6];
  r->origin = data[7];
  return status;
}

enum px_status px_label_open(const void *bytes, size_t n, const struct px_spaces *spaces,
                             uint64_t steps_n, struct px_label_view *view, struct px_err *err) {
  struct px_label_view v = { .rows.steps_n = steps_n };
  struct px_safetensors *st = NULL;
  if ((uintptr_t)bytes % 8 != 0) { /* a row inside a database's answer, say */
    v.owned = px_mem_calloc(n, 1);
    if (!v.owned) return px_fail(err, PX_E_NO_MEMORY, "no memory to open %zu bytes of labels", n);
    memcpy(v.owned, bytes, n);
    bytes = v.owned;
  }
  enum px_status status = px_safetensors_parse(bytes, n, &st, err);
  v.file = st;
  if (!status) status = take_all(st, spaces, &v.rows, err);
  if (!status) status = check(spaces, &v.rows, err);
  if (status) px_label_close(&v);
  else *view = v;
  return status;
}
