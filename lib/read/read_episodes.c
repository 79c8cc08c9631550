/* SPDX-License-Identifier: Apache-2.0 */
/* Reading numbered episodes: see read_episodes.h. */
#include "lib/read/read_episodes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/traj.h"
#include "lib/read/column.h"
#include "lib/read/episodes.h"
#include "lib/read/leaves.h"
#include "lib/read/traj_buffer.h"

struct reader {
  struct px_reader *r;
  hid_t file;
  struct px_episodes list;
  const struct px_episodes_form *layout;  /* the list's */
  struct px_leaves observations, actions; /* of groups: Dict and Tuple spaces */
  struct px_traj_buffer room;
  char counted[PX_H5_PATH_BYTES]; /* which array's rows are the open trajectory's steps */
  /* trajectories flagged before their last step; without a flag */
  uint64_t early_n, endless_n;
};

/* The first episode decides which arrays make the observations. */
static enum px_status choose_leaves(struct reader *e, struct px_err *err) {
  char root[PX_EPISODES_PATH_BYTES], list[200];
  enum px_h5_kind kind;
  const struct px_read_options *o = e->r->options;
  enum px_status status =
    px_episodes_find(&e->list, &e->layout->observations, e->list.all[0], root, &kind, err);
  if (!status && kind != PX_H5_GROUP) status = px_reader_no_keys(e->r, err);
  else if (!status && !o->obs_keys_n)
    status = px_leaves_add_all(&e->observations, e->file, root, err);
  for (uint32_t i = 0; i < o->obs_keys_n && !status; i++)
    status = px_leaves_add(&e->observations, e->file, root, o->obs_keys[i], err);
  if (!status && !o->obs_keys_n && e->observations.n > 1) {
    px_leaves_list(&e->observations, list, sizeof list);
    px_reader_note(e->r, "observations were laid side by side in this order: %s", list);
  }
  return status;
}

/* Where the episode's actions are. The first that are a group decide which arrays make actions. */
static enum px_status find_actions(struct reader *e, struct px_episodes_number number,
                                   char path[PX_EPISODES_PATH_BYTES], enum px_h5_kind *kind,
                                   struct px_err *err) {
  char list[200];
  enum px_status status = px_episodes_find(&e->list, &e->layout->actions, number, path, kind, err);
  if (status || *kind != PX_H5_GROUP || e->actions.n) return status;
  status = px_leaves_add_all(&e->actions, e->file, path, err);
  if (!status && e->actions.n > 1) {
    px_leaves_list(&e->actions, list, sizeof list);
    px_reader_note(e->r, "actions were laid side by side in this order: %s", list);
  }
  return status;
}

/* Rows of the observations below root; with take 0 all that there are, T or T + 1. */
static enum px_status read_observations(struct reader *e, const char *root, size_t T, size_t skip,
                                        size_t take, float *dst, size_t *rows, struct px_err *err) {
  const struct px_leaves_rows wanted = {
    "observations", e->counted, e->r->spaces->obs_dim, false, T, skip, take
  };
  return px_leaves_read(&e->observations, e->r, e->file, root, &wanted, dst, rows, err);
}

/* Whether the flag is up at the last step. d3rlpy keeps one flag per episode. */
static enum px_status read_end(struct reader *e, const struct px_episodes_place *place,
                               struct px_episodes_number number, size_t T, bool *end,
                               struct px_err *err) {
  char path[PX_EPISODES_PATH_BYTES];
  struct px_column c = { 0 };
  *end = false;
  if (!place->word) return PX_OK;
  enum px_h5_kind kind;
  enum px_status status = px_episodes_find(&e->list, place, number, path, &kind, err);
  if (!status && kind == PX_H5_NONE && e->layout->loose_end) {
    e->endless_n++;
    return PX_OK;
  }
  if (!status) status = px_h5_column(e->r, e->file, path, &c, err);
  if (status) return status;
  status = px_column_expect(&c, 1, "there must be", err);
  float *flags = status ? NULL : px_mem_calloc(T + 1, sizeof *flags);
  if (!status && !flags) status = px_fail(err, PX_E_NO_MEMORY, "no memory to read '%s'", path);
  if (!status && c.rows != T && c.rows != 1)
    status = px_fail_at(err, PX_E_BAD_DATA, path, "'%s' has %" PRIu64 " rows, but '%s' %zu", path,
                        c.rows, e->counted, T);
  if (!status) status = c.next(c.ctx, (size_t)c.rows, flags, err);
  bool early = false;
  for (size_t t = 0; t < c.rows && !status; t++) {
    if (flags[t] != 0 && flags[t] != 1)
      status = px_reader_fail(e->r, t, path, err, "is %g; it must be 0 or 1", (double)flags[t]);
    else if (flags[t] != 0 && t + 1 < c.rows) {
      early = true;
      if (!e->layout->loose_end)
        status = px_reader_fail(e->r, t, path, err,
                                "is set before the last step, where the trajectory must end");
    }
  }
  if (!status) *end = flags[c.rows - 1] != 0;
  e->early_n += early;
  free(flags);
  px_column_close(&c);
  return status;
}

/* How many rows there are at the path; 0 where it is not there. It is not charged: whoever reads it
 * does that. */
static enum px_status rows_at(struct reader *e, const char *path, size_t *rows,
                              struct px_err *err) {
  const uint64_t charged = e->r->logical_bytes;
  struct px_column c = { 0 };
  enum px_h5_kind kind;
  enum px_status status = px_h5_kind(e->file, path, &kind, err);
  if (!status && kind != PX_H5_NONE) status = px_h5_column(e->r, e->file, path, &c, err);
  *rows = (size_t)c.rows;
  px_column_close(&c);
  e->r->logical_bytes = charged;
  return status;
}

/* The first that is there of rewards, actions, flags and observations says how many steps there
 * are. e->counted is its path. */
static enum px_status count_steps(struct reader *e, struct px_episodes_number number, size_t *T,
                                  struct px_err *err) {
  const struct px_episodes_form *l = e->layout;
  static const struct px_leaves NONE = { .n = 0 };
  char *counted = e->counted;
  const struct px_episodes_place *const counting[] = { &l->rewards, &l->actions,
                                                       l->one_flag ? NULL : &l->terminated };
  enum px_status status = PX_OK;
  *T = 0;
  for (int i = 0; i < 3 && !*T && !status; i++) {
    char root[PX_EPISODES_PATH_BYTES];
    enum px_h5_kind kind;
    if (!counting[i]) continue;
    status = i == 1 ? find_actions(e, number, root, &kind, err)
                    : px_episodes_find(&e->list, counting[i], number, root, &kind, err);
    if (kind == PX_H5_NONE) continue;
    px_leaves_path(i == 1 ? &e->actions : &NONE, root, 0, counted);
    if (!status) status = rows_at(e, counted, T, err);
  }
  if (!status && !*T) {
    char root[PX_EPISODES_PATH_BYTES];
    enum px_h5_kind kind;
    status = px_episodes_find(&e->list, &l->observations, number, root, &kind, err);
    px_leaves_path(&e->observations, root, 0, counted);
    if (!status) status = rows_at(e, counted, T, err);
  }
  if (!status && (*T == 0 || *T > PX_STEPS_MAX))
    status = px_fail_at(err, PX_E_BAD_DATA, counted, "'%s' has %zu steps; a trajectory has 1 to %d",
                        counted, *T, PX_STEPS_MAX);
  return status ? status : px_traj_buffer_steps(&e->room, *T, err);
}

static enum px_status read_rewards(struct reader *e, struct px_episodes_number number, size_t T,
                                   bool *rewarded, struct px_err *err) {
  char path[PX_EPISODES_PATH_BYTES];
  struct px_column c = { 0 };
  enum px_h5_kind kind = PX_H5_NONE;
  enum px_status status = px_episodes_find(&e->list, &e->layout->rewards, number, path, &kind, err);
  *rewarded = kind != PX_H5_NONE;
  if (status || !*rewarded) return status;
  status = px_h5_column(e->r, e->file, path, &c, err);
  if (!status) status = px_column_expect(&c, 1, "there must be", err);
  if (!status && c.rows != T)
    status = px_fail_at(err, PX_E_BAD_DATA, path, "'%s' has %" PRIu64 " rows, but '%s' %zu", path,
                        c.rows, e->counted, T);
  if (!status) status = c.next(c.ctx, T, e->room.rewards, err);
  px_column_close(&c);
  return status;
}

/* Sets room.labelled as action_mask says. */
static enum px_status mark_by_mask(struct reader *e, const char *path, size_t T,
                                   struct px_err *err) {
  const size_t width = e->r->spaces->act_dim * sizeof *e->room.actions;
  struct px_column c = { 0 };
  float *flags = px_mem_calloc(T, sizeof *flags);
  enum px_status status = flags ? px_h5_column(e->r, e->file, path, &c, err)
                                : px_fail(err, PX_E_NO_MEMORY, "no memory to read '%s'", path);
  if (!status) status = px_column_expect(&c, 1, "there must be", err);
  if (!status && c.rows != T)
    status = px_fail_at(err, PX_E_BAD_DATA, path, "'%s' has %" PRIu64 " rows, but '%s' %zu", path,
                        c.rows, e->counted, T);
  if (!status) status = c.next(c.ctx, T, flags, err);
  for (size_t t = 0; t < T && !status; t++) {
    e->room.labelled[t] = flags[t] != 0;
    /* whatever stood there */
    if (flags[t] == 0) memset((char *)e->room.actions + t * width, 0, width);
    else if (flags[t] != 1)
      status = px_reader_fail(e->r, t, path, err, "is %g; it must be 0 or 1", (double)flags[t]);
  }
  px_column_close(&c);
  free(flags);
  return status;
}

/* Sets room.labelled; *partly when some step has no action. */
static enum px_status mark_labels(struct reader *e, struct px_episodes_number number, size_t T,
                                  bool *partly, struct px_err *err) {
  char path[PX_EPISODES_PATH_BYTES];
  enum px_h5_kind kind = PX_H5_NONE;
  enum px_status status = px_episodes_find(&e->list, &px_episodes_mask, number, path, &kind, err);
  if (!status && kind != PX_H5_NONE) status = mark_by_mask(e, path, T, err);
  for (size_t t = 0; t < T && kind == PX_H5_NONE && !status; t++)
    e->room.labelled[t] = !px_reader_take_nan(e->r, e->room.actions + t * e->r->spaces->act_dim);
  *partly = !status && memchr(e->room.labelled, 0, T);
  return status;
}

static enum px_status read_actions(struct reader *e, struct px_episodes_number number, size_t T,
                                   bool *labelled, struct px_err *err) {
  char path[PX_EPISODES_PATH_BYTES];
  enum px_h5_kind kind = PX_H5_NONE;
  const struct px_leaves_rows wanted = {
    "actions", e->counted, e->r->spaces->act_dim, true, T, 0, 0
  };
  size_t rows;
  if (!e->r->options->ignore_actions) {
    const enum px_status status = find_actions(e, number, path, &kind, err);
    if (status) return status;
  }
  *labelled = kind != PX_H5_NONE;
  if (!*labelled) return PX_OK;
  return px_leaves_read(&e->actions, e->r, e->file, path, &wanted, e->room.actions, &rows, err);
}

/* The state after the last step, from next observations, when they are there. */
static enum px_status read_final(struct reader *e, struct px_episodes_number number, size_t T,
                                 bool *has_final, struct px_err *err) {
  char path[PX_EPISODES_PATH_BYTES];
  enum px_h5_kind kind;
  size_t rows;
  enum px_status status = px_episodes_find(&e->list, &e->layout->next, number, path, &kind, err);
  if (status || kind == PX_H5_NONE) return status;
  status = read_observations(e, path, T, T - 1, 1, e->room.observations + T * e->r->spaces->obs_dim,
                             &rows, err);
  if (!status) *has_final = true;
  return status;
}

static enum px_status read_episode(struct reader *e, struct px_episodes_number number,
                                   struct px_err *err) {
  char path[PX_EPISODES_PATH_BYTES];
  size_t T, rows;
  bool rewarded = false, labelled = false, partly = false, terminated = false, truncated = false,
       has_final = false;
  enum px_h5_kind kind;
  enum px_status status =
    px_episodes_find(&e->list, &e->layout->observations, number, path, &kind, err);
  if (!status) status = count_steps(e, number, &T, err);
  if (!status) status = read_rewards(e, number, T, &rewarded, err);
  if (!status) status = read_observations(e, path, T, 0, 0, e->room.observations, &rows, err);
  if (!status) has_final = rows == T + 1;
  if (!status && !has_final) status = read_final(e, number, T, &has_final, err);
  if (!status) status = read_actions(e, number, T, &labelled, err);
  if (!status) status = read_end(e, &e->layout->terminated, number, T, &terminated, err);
  if (!status) status = read_end(e, &e->layout->truncated, number, T, &truncated, err);
  if (!status && labelled) status = mark_labels(e, number, T, &partly, err);
  if (status) return status;
  const struct px_traj traj = {
    .steps = (uint32_t)T,
    .observations = e->room.observations,
    .actions = labelled ? e->room.actions : NULL,
    .labelled = partly ? e->room.labelled : NULL,
    .rewards = rewarded ? e->room.rewards : NULL,
    .terminated = terminated,
    .truncated = truncated || !terminated,
    .has_final = has_final,
  };
  return px_reader_put(e->r, &traj, err);
}

enum px_status px_read_episodes(struct px_reader *r, hid_t file, enum px_episodes_layout layout,
                                struct px_err *err) {
  struct reader *e = calloc(1, sizeof *e);
  if (!e) return px_fail(err, PX_E_NO_MEMORY, "no memory to read the episodes");
  e->r = r;
  e->file = file;
  px_traj_buffer_init(&e->room, r->spaces);
  enum px_status status = px_episodes_open(&e->list, r, file, layout, err);
  e->layout = e->list.form;
  if (!status) status = choose_leaves(e, err);
  for (size_t i = 0; i < e->list.n && !status; i++) status = read_episode(e, e->list.all[i], err);
  if (!status && e->early_n)
    px_reader_note(
      r,
      "%" PRIu64
      " trajectories are flagged as done before their last step; only the last step counts",
      e->early_n);
  if (!status && e->endless_n)
    px_reader_note(r, "%" PRIu64 " trajectories have no 'dones': they count as truncated",
                   e->endless_n);
  px_traj_buffer_free(&e->room);
  px_leaves_free(&e->observations);
  px_leaves_free(&e->actions);
  px_episodes_close(&e->list);
  free(e);
  return status;
}
