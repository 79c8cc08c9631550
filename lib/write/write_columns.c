/* SPDX-License-Identifier: Apache-2.0 */
/* A segment as columns, for writers of arrays: see write_parts.h. */
#include <math.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/data/actions_merged.h"
#include "lib/write/write_parts.h"

void px_write_column_add(struct px_write_columns *columns, const char *name, enum px_dtype dtype,
                         uint32_t width, uint64_t rows, const void *data) {
  columns->column[columns->n++] = (struct px_write_column){ name, dtype, width, rows, data };
}

void px_write_scratch_free(struct px_write_scratch *s) {
  px_buf_free(&s->next);
  px_buf_free(&s->flat);
  px_buf_free(&s->terminals);
  px_buf_free(&s->timeouts);
  px_buf_free(&s->known);
  px_buf_free(&s->labelled);
  px_buf_free(&s->mask);
  px_buf_free(&s->classes);
  px_buf_free(&s->rewards);
}

static enum px_status sized(struct px_buf *buf, size_t n, int fill) {
  buf->len = 0;
  const enum px_status status = px_buf_room(buf, n);
  if (!status) memset(buf->data, fill, n);
  return status;
}

/* Class indices as whole numbers, one to a step, as Gymnasium's Discrete has them. */
static enum px_status add_actions(const struct px_write_rows *r, struct px_write_scratch *s,
                                  struct px_write_columns *out) {
  const uint64_t n = r->view->steps_n;
  if (!r->spaces->act_count) {
    px_write_column_add(out, "actions", PX_DTYPE_F32, r->spaces->act_dim, n, r->actions);
    return PX_OK;
  }
  const enum px_status status = sized(&s->classes, n * sizeof(int64_t), 0);
  if (status) return status;
  int64_t *classes = (int64_t *)(void *)s->classes.data;
  for (uint64_t t = 0; t < n; t++) classes[t] = (int64_t)r->actions[t];
  px_write_column_add(out, "actions", PX_DTYPE_I64, 0, n, classes);
  return PX_OK;
}

static void add_uncertainty(const struct px_write_rows *r, struct px_write_columns *out) {
  const uint32_t width = r->spaces->act_count ? 0 : r->spaces->act_dim;
  px_write_column_add(out, "action_std", PX_DTYPE_F32, width, r->view->steps_n, r->std);
  px_write_column_add(out, "action_epistemic", PX_DTYPE_F32, width, r->view->steps_n, r->epistemic);
  px_write_column_add(out, "action_score", PX_DTYPE_F32, 0, r->view->steps_n, r->score);
  px_write_column_add(out, "action_residual", PX_DTYPE_F32, 0, r->view->steps_n, r->residual);
}

/* observations without, and next_observations with, each trajectory's last row. */
static void split_observations(const struct px_write_rows *r, struct px_write_scratch *s) {
  const struct px_segment_view *v = r->view;
  const size_t width = r->spaces->obs_dim * sizeof(float);
  uint64_t step = 0, obs = 0;
  for (uint32_t i = 0; i < v->traj_n; i++) {
    const uint64_t steps = (uint64_t)v->length[i];
    const char *from = (const char *)v->observations + obs * width;
    memcpy(s->flat.data + step * width, from, steps * width);
    memcpy(s->next.data + step * width, from + width, (steps - 1) * width);
    const uint64_t last = step + steps - 1; /* not known: the state is repeated */
    memcpy(s->next.data + last * width, from + (v->has_final[i] ? steps : steps - 1) * width,
           width);
    s->terminals.data[last] = (char)v->terminated[i];
    s->timeouts.data[last] = (char)v->truncated[i];
    s->known.data[last] = (char)v->has_final[i];
    step += steps;
    obs += steps + v->has_final[i];
  }
}

/* Leaves them out where no trajectory has any. */
static enum px_status add_rewards(const struct px_write_rows *r, struct px_write_scratch *s,
                                  struct px_write_columns *out) {
  const uint64_t n = r->view->steps_n;
  const void *rewards = r->view->rewards;
  if (!r->rewarded) return PX_OK;
  if (!rewards) {
    const enum px_status status = sized(&s->rewards, n * sizeof(float), 0);
    if (status) return status;
    for (uint64_t t = 0; t < n; t++) ((float *)(void *)s->rewards.data)[t] = NAN;
    rewards = s->rewards.data;
  }
  px_write_column_add(out, "rewards", PX_DTYPE_F32, 0, n, rewards);
  return PX_OK;
}

enum px_status px_write_columns_d4rl(const struct px_write_rows *r, struct px_write_scratch *s,
                                     struct px_write_columns *out) {
  const uint64_t n = r->view->steps_n;
  const uint32_t o = r->spaces->obs_dim;
  enum px_status status = sized(&s->flat, n * o * sizeof(float), 0);
  if (!status) status = sized(&s->next, n * o * sizeof(float), 0);
  if (!status) status = sized(&s->terminals, n, 0);
  if (!status) status = sized(&s->timeouts, n, 0);
  if (!status) status = sized(&s->known, n, 1);
  if (status) return status;
  split_observations(r, s);
  px_write_column_add(out, "observations", PX_DTYPE_F32, o, n, s->flat.data);
  status = add_actions(r, s, out);
  if (!status) status = add_rewards(r, s, out);
  if (status) return status;
  px_write_column_add(out, "terminals", PX_DTYPE_BOOL, 0, n, s->terminals.data);
  px_write_column_add(out, "timeouts", PX_DTYPE_BOOL, 0, n, s->timeouts.data);
  px_write_column_add(out, "next_observations", PX_DTYPE_F32, o, n, s->next.data);
  px_write_column_add(out, "next_known", PX_DTYPE_U8, 0, n, s->known.data);
  px_write_column_add(out, "action_source", PX_DTYPE_U8, 0, n, r->source);
  add_uncertainty(r, out);
  px_write_column_add(out, "action_verified", PX_DTYPE_U8, 0, n, r->verified);
  return PX_OK;
}

/* labelled and label_mask here say where there is an action, whatever its source. */
static void mark_actions(const struct px_write_rows *r, struct px_write_scratch *s) {
  uint64_t t = 0;
  for (uint32_t i = 0; i < r->view->traj_n; i++) {
    for (const uint64_t end = t + (uint64_t)r->view->length[i]; t < end; t++) {
      s->mask.data[t] = r->source[t] != PX_SOURCE_NONE;
      s->labelled.data[i] |= s->mask.data[t];
    }
  }
}

enum px_status px_write_columns_segment(const struct px_write_rows *r, struct px_write_scratch *s,
                                        struct px_write_columns *out) {
  const struct px_segment_view *v = r->view;
  enum px_status status = sized(&s->labelled, v->traj_n, 0);
  if (!status) status = sized(&s->mask, v->steps_n, 0);
  if (status) return status;
  mark_actions(r, s);
  const bool whole = r->spaces->act_count > 0; /* the file wants its widest elements first */
  px_write_column_add(out, "length", PX_DTYPE_I64, 0, v->traj_n, v->length);
  if (whole) status = add_actions(r, s, out);
  px_write_column_add(out, "observations", PX_DTYPE_F32, r->spaces->obs_dim, v->obs_n,
                      v->observations);
  if (!whole) status = add_actions(r, s, out);
  if (!status) status = add_rewards(r, s, out);
  if (status) return status;
  add_uncertainty(r, out);
  px_write_column_add(out, "labelled", PX_DTYPE_U8, 0, v->traj_n, s->labelled.data);
  px_write_column_add(out, "label_mask", PX_DTYPE_U8, 0, v->steps_n, s->mask.data);
  px_write_column_add(out, "action_source", PX_DTYPE_U8, 0, v->steps_n, r->source);
  px_write_column_add(out, "action_verified", PX_DTYPE_U8, 0, v->steps_n, r->verified);
  px_write_column_add(out, "terminated", PX_DTYPE_U8, 0, v->traj_n, v->terminated);
  px_write_column_add(out, "truncated", PX_DTYPE_U8, 0, v->traj_n, v->truncated);
  px_write_column_add(out, "has_final", PX_DTYPE_U8, 0, v->traj_n, v->has_final);
  return PX_OK;
}
