/* SPDX-License-Identifier: Apache-2.0 */
/* A training's state as a list of arrays: see state.h. */
#include "lib/nn/state.h"

#include "lib/base/buf.h"
#include "lib/base/fail.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add(struct px_state *state, const char *of, const char *what, enum px_dtype dtype,
                void *data, size_t n) {
  assert(state->n < PX_STATE_ITEMS_MAX);
  struct px_state_item *item = &state->item[state->n++];
  snprintf(item->name, sizeof item->name, "%s%s%s", of, what ? "." : "", what ? what : "");
  item->dtype = dtype, item->count = n, item->data = data;
}

void px_state_floats(struct px_state *state, const char *of, const char *what, float *data,
                     size_t n) {
  add(state, of, what, PX_DTYPE_F32, data, n);
}

void px_state_doubles(struct px_state *state, const char *of, const char *what, double *data,
                      size_t n) {
  add(state, of, what, PX_DTYPE_F64, data, n);
}

void px_state_whole(struct px_state *state, const char *of, const char *what, uint64_t *data,
                    size_t n) {
  add(state, of, what, PX_DTYPE_I64, data, n);
}

void px_state_net(struct px_state *state, const char *of, struct px_mlp *net) {
  px_state_floats(state, of, "params", net->params, net->params_n);
}

void px_state_adam(struct px_state *state, const char *of, struct px_adam *adam) {
  px_state_floats(state, of, "m", adam->m, adam->n);
  px_state_floats(state, of, "v", adam->v, adam->n);
  px_state_whole(state, of, "steps", &adam->steps, 1);
}

enum px_status px_state_write(const struct px_state *state, const struct px_safetensors_meta *meta,
                              size_t meta_n, struct px_buf *out, struct px_err *err) {
  struct px_safetensors_tensor tensors[PX_STATE_ITEMS_MAX];
  for (size_t i = 0; i < state->n; i++) {
    const struct px_state_item *item = &state->item[i];
    tensors[i] = (struct px_safetensors_tensor){ .name = item->name,
                                                 .dtype = item->dtype,
                                                 .rank = 1,
                                                 .dims = { item->count },
                                                 .data = item->data };
  }
  return px_safetensors_write(tensors, state->n, meta, meta_n, out, err);
}

enum px_status px_state_read(const struct px_state *state, const struct px_safetensors *st,
                             struct px_err *err) {
  const void *found[PX_STATE_ITEMS_MAX];
  if (px_safetensors_tensors_n(st) != state->n)
    return px_fail(err, PX_E_BAD_DATA, "%zu arrays of a training's state, where %zu are expected",
                   px_safetensors_tensors_n(st), state->n);
  for (size_t i = 0; i < state->n; i++) {
    const struct px_state_item *item = &state->item[i];
    const uint64_t dims[] = { item->count };
    const enum px_status status =
      px_safetensors_take(st, item->name, item->dtype, 1, dims, &found[i], err);
    if (status) return status;
  }
  for (size_t i = 0; i < state->n; i++)
    memcpy(state->item[i].data, found[i],
           state->item[i].count * px_safetensors_dtype_bytes(state->item[i].dtype));
  return PX_OK;
}

/* Looks at the bits, which a compiler may do for many numbers at once. */
static bool finite_floats(const float *x, size_t n) {
  const uint32_t exponent = 0x7f800000;
  uint32_t broken = 0;
  for (size_t i = 0; i < n; i++) {
    uint32_t bits;
    memcpy(&bits, x + i, sizeof bits);
    broken |= (bits & exponent) == exponent;
  }
  return !broken;
}

bool px_state_finite(const struct px_state *state) {
  for (size_t i = 0; i < state->n; i++) {
    const struct px_state_item *item = &state->item[i];
    if (item->dtype == PX_DTYPE_F32 && !finite_floats(item->data, item->count)) return false;
  }
  return true;
}
