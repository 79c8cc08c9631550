/* SPDX-License-Identifier: Apache-2.0 */
/* Opening segments: see segment.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/safetensors.h"
#include "lib/data/segment.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"

void px_segment_close(struct px_segment_view *view) {
  px_safetensors_free(view->file);
  free(view->owned);
  *view = (struct px_segment_view){ 0 };
}

static enum px_status take_tensor(struct px_segment_view *v, const char *name, enum px_dtype dtype,
                                  uint64_t rows, uint64_t cols, void *out, struct px_err *err) {
  const uint64_t dims[2] = { rows, cols };
  const void *data = NULL;
  const enum px_status status =
    px_safetensors_take(v->file, name, dtype, cols ? 2 : 1, dims, &data, err);
  if (!status) memcpy(out, &data, sizeof data); /* a pointer, whatever it points to */
  return status;
}

/* The first dimension of a tensor; 0 if there is no such tensor. */
static uint64_t rows_of(const struct px_segment_view *v, const char *name) {
  const struct px_safetensors_tensor *t = px_safetensors_find(v->file, name);
  return t && t->rank ? t->dims[0] : 0;
}

static enum px_status bad(struct px_err *err, uint32_t i, const char *what) {
  return px_fail(err, PX_E_BAD_DATA, "trajectory %" PRIu32 " of the segment: %s", i, what);
}

/* The lengths, and what they sum up to. */
static enum px_status take_lengths(struct px_segment_view *v, struct px_err *err) {
  const enum px_status status =
    take_tensor(v, "length", PX_DTYPE_I64, v->traj_n, 0, &v->length, err);
  for (uint32_t i = 0; !status && i < v->traj_n; i++) {
    if (v->length[i] < 1 || v->length[i] > PX_STEPS_MAX)
      return bad(err, i, "its length is out of range");
    v->steps_n += (uint64_t)v->length[i];
  }
  return status;
}

static enum px_status take_tensors(struct px_segment_view *v, const struct px_spaces *spaces,
                                   struct px_err *err) {
  const uint64_t n = rows_of(v, "length");
  if (n < 1 || n > UINT32_MAX) return px_fail(err, PX_E_BAD_DATA, "a segment without trajectories");
  v->traj_n = (uint32_t)n;
  v->obs_n = rows_of(v, "observations");
  enum px_status status = take_lengths(v, err);
  const uint64_t s = v->steps_n;
  if (!status)
    status = take_tensor(v, "observations", PX_DTYPE_F32, v->obs_n, spaces->obs_dim,
                         &v->observations, err);
  if (!status && px_safetensors_find(v->file, "actions"))
    status = take_tensor(v, "actions", PX_DTYPE_F32, s, spaces->act_dim, &v->actions, err);
  if (!status && px_safetensors_find(v->file, "rewards"))
    status = take_tensor(v, "rewards", PX_DTYPE_F32, s, 0, &v->rewards, err);
  if (!status) status = take_tensor(v, "labelled", PX_DTYPE_U8, n, 0, &v->labelled, err);
  if (!status && px_safetensors_find(v->file, "label_mask"))
    status = take_tensor(v, "label_mask", PX_DTYPE_U8, s, 0, &v->label_mask, err);
  if (!status) status = take_tensor(v, "terminated", PX_DTYPE_U8, n, 0, &v->terminated, err);
  if (!status) status = take_tensor(v, "truncated", PX_DTYPE_U8, n, 0, &v->truncated, err);
  if (!status) status = take_tensor(v, "has_final", PX_DTYPE_U8, n, 0, &v->has_final, err);
  return status;
}

static bool all_flags(const uint8_t *x, uint64_t n) {
  uint8_t bits = 0;
  for (uint64_t i = 0; i < n; i++) bits |= x[i];
  return bits <= 1;
}

static bool all_zero(const float *x, uint64_t n) {
  uint32_t bits = 0;
  for (uint64_t i = 0; i < n; i++) {
    uint32_t word;
    memcpy(&word, x + i, sizeof word);
    bits |= word;
  }
  return bits == 0;
}

static uint64_t count(const uint8_t *x, uint64_t n) {
  uint64_t sum = 0;
  for (uint64_t i = 0; i < n; i++) sum += x[i];
  return sum;
}

/* Whoever counts classes, or looks a class up, may rely on them. */
static bool all_classes(const float *x, uint64_t n, uint32_t count) {
  bool good = true;
  for (uint64_t i = 0; i < n && good; i++) good = px_is_class(x[i], count);
  return good;
}

/* Whether trajectory i, whose first step is given, is labelled as its flag and
 * the mask say, with zeros elsewhere. Counts labelled steps. */
static const char *check_labels(struct px_segment_view *v, uint32_t i, uint64_t step,
                                uint32_t act_dim, bool *part) {
  const uint64_t steps = (uint64_t)v->length[i];
  const uint64_t known = v->label_mask    ? count(v->label_mask + step, steps)
                         : v->labelled[i] ? steps
                                          : 0;
  v->labelled_n += known;
  if (known && !v->actions) return "labelled, but there are no actions";
  if ((known > 0) != (v->labelled[i] == 1)) return "labelled and label_mask disagree";
  if (known == steps || !v->actions) return NULL;
  if (known == 0)
    return all_zero(v->actions + step * act_dim, steps * act_dim) ? NULL
                                                                  : "actions where none are known";
  *part = true;
  for (uint64_t t = step; t < step + steps; t++)
    if (!v->label_mask[t] && !all_zero(v->actions + t * act_dim, act_dim))
      return "actions where none are known";
  return NULL;
}

static enum px_status check_trajectories(struct px_segment_view *v, const struct px_spaces *spaces,
                                         struct px_err *err) {
  uint64_t steps = 0, obs = 0;
  bool part = false;
  for (uint32_t i = 0; i < v->traj_n; i++) {
    if (!v->terminated[i] && !v->truncated[i]) return bad(err, i, "it has no end");
    const uint64_t length = (uint64_t)v->length[i];
    const char *why = check_labels(v, i, steps, spaces->act_dim, &part);
    if (why) return bad(err, i, why);
    steps += length;
    obs += length + v->has_final[i];
  }
  if (obs != v->obs_n)
    return px_fail(err, PX_E_BAD_DATA, "the segment's lengths do not sum up to its rows");
  if (v->actions && v->labelled_n == 0)
    return px_fail(err, PX_E_BAD_DATA, "the segment has actions but no labels");
  if (v->label_mask && !part)
    return px_fail(err, PX_E_BAD_DATA, "the segment has a label_mask without need");
  return PX_OK;
}

static enum px_status check(struct px_segment_view *v, const struct px_spaces *spaces,
                            struct px_err *err) {
  if (!all_flags(v->labelled, v->traj_n) || !all_flags(v->terminated, v->traj_n) ||
      !all_flags(v->truncated, v->traj_n) || !all_flags(v->has_final, v->traj_n) ||
      (v->label_mask && !all_flags(v->label_mask, v->steps_n)))
    return px_fail(err, PX_E_BAD_DATA, "a flag of the segment is neither 0 nor 1");
  if (!px_traj_all_finite(v->observations, v->obs_n * spaces->obs_dim, NULL) ||
      (v->rewards && !px_traj_all_finite(v->rewards, v->steps_n, NULL)) ||
      (v->actions && !px_traj_all_finite(v->actions, v->steps_n * spaces->act_dim, NULL)))
    return px_fail(err, PX_E_BAD_DATA, "a number in the segment is not finite");
  if (spaces->act_count && v->actions && !all_classes(v->actions, v->steps_n, spaces->act_count))
    return px_fail(err, PX_E_BAD_DATA,
                   "an action in the segment is none of the %" PRIu32 " discrete ones",
                   spaces->act_count);
  return check_trajectories(v, spaces, err);
}

enum px_status px_segment_open(const void *bytes, size_t n, const struct px_spaces *spaces,
                               struct px_segment_view *view, struct px_err *err) {
  struct px_segment_view v = { 0 };
  struct px_safetensors *st = NULL;
  enum px_status status = PX_OK;
  if ((uintptr_t)bytes % 8 != 0) { /* a row inside a database's answer, say */
    v.owned = px_mem_calloc(n, 1);
    if (!v.owned)
      return px_fail(err, PX_E_NO_MEMORY, "no memory to open a segment of %zu bytes", n);
    memcpy(v.owned, bytes, n);
    bytes = v.owned;
  }
  status = px_safetensors_parse(bytes, n, &st, err);
  v.file = st;
  if (!status) status = take_tensors(&v, spaces, err);
  if (!status) status = check(&v, spaces, err);
  if (status) px_segment_close(&v);
  else *view = v;
  return status;
}

struct px_traj px_segment_traj(const struct px_segment_view *view, uint32_t i, uint64_t first_step,
                               uint64_t first_obs, const struct px_spaces *spaces) {
  const bool labelled = view->labelled[i];
  return (struct px_traj){
    .steps = (uint32_t)view->length[i],
    .observations = view->observations + first_obs * spaces->obs_dim,
    .actions = labelled ? view->actions + first_step * spaces->act_dim : NULL,
    .labelled = labelled && view->label_mask ? view->label_mask + first_step : NULL,
    .rewards = view->rewards ? view->rewards + first_step : NULL,
    .terminated = view->terminated[i],
    .truncated = view->truncated[i],
    .has_final = view->has_final[i],
  };
}
