/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HDF5 layouts with numbered episodes; one table says where each keeps what.
 * Sources: Minari's, robomimic's and d3rlpy's dataset documentation.
 */
#include "lib/read/read_episodes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/traj.h"
#include "lib/read/column.h"
#include "lib/read/leaves.h"
#include "lib/read/names.h"
#include "lib/read/traj_buffer.h"

enum { EPISODES_MAX = 10000000, PATH_BYTES = 128 };

/* A member: the word that the layout has for it, and the array whose other names are taken too. No
 * word: the layout has no such thing. */
struct place {
  const char *word;
  enum px_name array;
};
struct layout {
  const char *name, *group, *stem; /* episodes are <group>/<stem><i> */
  /* of a member: <before><i>/<word>, or without before <word>_<i> */
  const char *before;
  struct place observations, next, actions, rewards, terminated, truncated;
  /* robomimic: cloning needs no ends, so files may lack them; and success may be flagged before the
   * last step. */
  bool loose_end;
  const char *splits; /* the group of lists of episodes; NULL for none */
  bool one_flag;      /* d3rlpy: terminated is of the whole trajectory */
};
static const struct layout layouts[PX_EPISODES_LAYOUTS_N] = {
  [PX_EPISODES_MINARI] = { .name = "minari",
                           .group = "",
                           .stem = "episode_",
                           .before = "episode_",
                           .observations = { "observations", PX_NAME_OBSERVATIONS },
                           .actions = { "actions", PX_NAME_ACTIONS },
                           .rewards = { "rewards", PX_NAME_REWARDS },
                           .terminated = { "terminations", PX_NAME_TERMINALS },
                           .truncated = { "truncations", PX_NAME_TIMEOUTS } },
  [PX_EPISODES_ROBOMIMIC] = { .name = "robomimic",
                              .group = "data",
                              .stem = "demo_",
                              .before = "data/demo_",
                              .observations = { "obs", PX_NAME_OBSERVATIONS },
                              .next = { "next_obs", PX_NAME_NEXT_OBSERVATIONS },
                              .actions = { "actions", PX_NAME_ACTIONS },
                              .rewards = { "rewards", PX_NAME_REWARDS },
                              .terminated = { "dones", PX_NAME_DONES },
                              .loose_end = true,
                              .splits = "mask" },
  [PX_EPISODES_D3RLPY] = { .name = "d3rlpy",
                           .group = "",
                           .stem = "observations_",
                           .observations = { "observations", PX_NAME_OBSERVATIONS },
                           .actions = { "actions", PX_NAME_ACTIONS },
                           .rewards = { "rewards", PX_NAME_REWARDS },
                           .terminated = { "terminated", PX_NAME_TERMINALS },
                           .one_flag = true },
};
static const struct place MASK = { "action_mask", PX_NAME_ACTION_MASK };

struct number {
  uint64_t value;
  int digits;
}; /* digits: "demo_007" keeps its zeros */

struct numbers {
  const char *stem;
  struct number *all; /* [n], owned */
  size_t n, cap;
};

struct reader {
  struct px_reader *r;
  hid_t file;
  const struct layout *layout;
  struct numbers episodes;
  struct px_leaves observations, actions; /* of groups: Dict and Tuple spaces */
  struct px_traj_buffer room;
  char counted[PX_H5_PATH_BYTES]; /* which array's rows are the open trajectory's steps */
  /* trajectories flagged before their last step; without a flag */
  uint64_t early_n, endless_n;
};

/* The number after the stem; false when the name is another. */
static bool parse_number(const char *name, const char *stem, struct number *out) {
  const size_t n = strlen(stem);
  if (strncmp(name, stem, n)) return false;
  const char *p = name + n;
  *out = (struct number){ 0 };
  for (; *p >= '0' && *p <= '9' && out->digits < 18; p++, out->digits++)
    out->value = out->value * 10 + (uint64_t)(*p - '0');
  return out->digits && !*p;
}

bool px_read_episodes_recognises(enum px_episodes_layout layout, const char *name) {
  struct number number;
  return *layouts[layout].group ? !strcmp(name, layouts[layout].group)
                                : parse_number(name, layouts[layout].stem, &number);
}

static enum px_status add_number(void *ctx, const char *name) {
  struct numbers *list = ctx;
  struct number number;
  if (!parse_number(name, list->stem, &number)) return PX_OK;
  if (list->n == list->cap) {
    const size_t cap = list->cap ? list->cap * 2 : 1024;
    struct number *all = cap > EPISODES_MAX ? NULL : px_mem_realloc(list->all, cap, sizeof *all);
    if (!all) return PX_E_TOO_LARGE;
    list->all = all;
    list->cap = cap;
  }
  list->all[list->n++] = number;
  return PX_OK;
}

static int by_value(const void *a, const void *b) {
  const struct number *x = a, *y = b;
  return x->value != y->value ? (x->value > y->value) - (x->value < y->value)
                              : x->digits - y->digits;
}

static void path_of(const struct layout *layout, const char *word, struct number number,
                    char path[PATH_BYTES]) {
  if (layout->before)
    snprintf(path, PATH_BYTES, "%s%0*" PRIu64 "/%s", layout->before, number.digits, number.value,
             word);
  else snprintf(path, PATH_BYTES, "%s_%0*" PRIu64, word, number.digits, number.value);
}

/* Where the member of that episode is, by whichever name; its own where it is not there. */
static enum px_status find(const struct reader *e, const struct place *place, struct number number,
                           char path[PATH_BYTES], enum px_h5_kind *kind, struct px_err *err) {
  char other[PATH_BYTES];
  enum px_h5_kind found;
  const char *word;
  *kind = PX_H5_NONE;
  if (!place->word) return PX_OK;
  path_of(e->layout, place->word, number, path);
  enum px_status status = px_h5_kind(e->file, path, kind, err);
  for (unsigned i = 0; !status && (word = px_names_at(place->array, i)); i++) {
    if (strcmp(word, place->word) == 0) continue;
    path_of(e->layout, word, number, other);
    status = px_h5_kind(e->file, other, &found, err);
    if (status || found == PX_H5_NONE) continue;
    if (*kind != PX_H5_NONE) return px_reader_fail_twice(path, other, err);
    memcpy(path, other, PATH_BYTES);
    *kind = found;
  }
  return status;
}

/* The first episode decides which arrays make the observations. */
static enum px_status choose_leaves(struct reader *e, struct px_err *err) {
  char root[PATH_BYTES], list[200];
  enum px_h5_kind kind;
  const struct px_read_options *o = e->r->options;
  enum px_status status = find(e, &e->layout->observations, e->episodes.all[0], root, &kind, err);
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
static enum px_status find_actions(struct reader *e, struct number number, char path[PATH_BYTES],
                                   enum px_h5_kind *kind, struct px_err *err) {
  char list[200];
  enum px_status status = find(e, &e->layout->actions, number, path, kind, err);
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
static enum px_status read_end(struct reader *e, const struct place *place, struct number number,
                               size_t T, bool *end, struct px_err *err) {
  char path[PATH_BYTES];
  struct px_column c = { 0 };
  *end = false;
  if (!place->word) return PX_OK;
  enum px_h5_kind kind;
  enum px_status status = find(e, place, number, path, &kind, err);
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
static enum px_status count_steps(struct reader *e, struct number number, size_t *T,
                                  struct px_err *err) {
  const struct layout *l = e->layout;
  static const struct px_leaves NONE = { .n = 0 };
  char *counted = e->counted;
  const struct place *const counting[] = { &l->rewards, &l->actions,
                                           l->one_flag ? NULL : &l->terminated };
  enum px_status status = PX_OK;
  *T = 0;
  for (int i = 0; i < 3 && !*T && !status; i++) {
    char path[PATH_BYTES];
    enum px_h5_kind kind;
    if (!counting[i]) continue;
    status = i == 1 ? find_actions(e, number, path, &kind, err)
                    : find(e, counting[i], number, path, &kind, err);
    if (kind == PX_H5_NONE) continue;
    px_leaves_path(i == 1 ? &e->actions : &NONE, path, 0, counted);
    if (!status) status = rows_at(e, counted, T, err);
  }
  if (!status && !*T) {
    char root[PATH_BYTES];
    enum px_h5_kind kind;
    status = find(e, &l->observations, number, root, &kind, err);
    px_leaves_path(&e->observations, root, 0, counted);
    if (!status) status = rows_at(e, counted, T, err);
  }
  if (!status && (*T == 0 || *T > PX_STEPS_MAX))
    status = px_fail_at(err, PX_E_BAD_DATA, counted, "'%s' has %zu steps; a trajectory has 1 to %d",
                        counted, *T, PX_STEPS_MAX);
  return status ? status : px_traj_buffer_steps(&e->room, *T, err);
}

static enum px_status read_rewards(struct reader *e, struct number number, size_t T, bool *rewarded,
                                   struct px_err *err) {
  char path[PATH_BYTES];
  struct px_column c = { 0 };
  enum px_h5_kind kind = PX_H5_NONE;
  enum px_status status = find(e, &e->layout->rewards, number, path, &kind, err);
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
static enum px_status mark_labels(struct reader *e, struct number number, size_t T, bool *partly,
                                  struct px_err *err) {
  char path[PATH_BYTES];
  enum px_h5_kind kind = PX_H5_NONE;
  enum px_status status = find(e, &MASK, number, path, &kind, err);
  if (!status && kind != PX_H5_NONE) status = mark_by_mask(e, path, T, err);
  for (size_t t = 0; t < T && kind == PX_H5_NONE && !status; t++)
    e->room.labelled[t] = !px_reader_take_nan(e->r, e->room.actions + t * e->r->spaces->act_dim);
  *partly = !status && memchr(e->room.labelled, 0, T);
  return status;
}

static enum px_status read_actions(struct reader *e, struct number number, size_t T, bool *labelled,
                                   struct px_err *err) {
  char path[PATH_BYTES];
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
static enum px_status read_final(struct reader *e, struct number number, size_t T, bool *has_final,
                                 struct px_err *err) {
  char path[PATH_BYTES];
  enum px_h5_kind kind;
  size_t rows;
  enum px_status status = find(e, &e->layout->next, number, path, &kind, err);
  if (status || kind == PX_H5_NONE) return status;
  status = read_observations(e, path, T, T - 1, 1, e->room.observations + T * e->r->spaces->obs_dim,
                             &rows, err);
  if (!status) *has_final = true;
  return status;
}

static enum px_status read_episode(struct reader *e, struct number number, struct px_err *err) {
  char path[PATH_BYTES];
  size_t T, rows;
  bool rewarded = false, labelled = false, partly = false, terminated = false, truncated = false,
       has_final = false;
  enum px_h5_kind kind;
  enum px_status status = find(e, &e->layout->observations, number, path, &kind, err);
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

/* robomimic's filter keys: mask/<split> lists the demonstrations that are kept. */
static enum px_status keep_split(struct reader *e, struct px_err *err) {
  const char *split = e->r->options->split;
  struct numbers named = { .stem = e->layout->stem };
  const size_t all_n = e->episodes.n;
  char path[PATH_BYTES];
  enum px_h5_kind kind;
  if (!*split) return PX_OK;
  if (!e->layout->splits) return px_reader_no_split(e->r, err);
  snprintf(path, sizeof path, "%s/%s", e->layout->splits, split);
  enum px_status status = px_h5_kind(e->file, path, &kind, err);
  if (!status && kind != PX_H5_DATASET)
    status = px_fail_at(err, PX_E_BAD_DATA, path, "there is no split '%s' in the file", path);
  if (!status) status = px_h5_texts(e->r, e->file, path, add_number, &named, err);
  if (!status && named.n) qsort(named.all, named.n, sizeof *named.all, by_value);
  e->episodes.n = 0;
  for (size_t i = 0, k = 0; i < all_n && !status; i++) {
    while (k < named.n && by_value(&named.all[k], &e->episodes.all[i]) < 0) k++;
    if (k < named.n && by_value(&named.all[k], &e->episodes.all[i]) == 0)
      e->episodes.all[e->episodes.n++] = e->episodes.all[i];
  }
  if (!status && (e->episodes.n == 0 || e->episodes.n < named.n))
    status = px_fail_at(err, PX_E_BAD_DATA, path,
                        "'%s' names %zu demonstrations, of which %zu are in the file", path,
                        named.n, e->episodes.n);
  if (!status)
    px_reader_note(e->r, "the split '%s': %zu of %zu demonstrations", split, e->episodes.n, all_n);
  free(named.all);
  return status;
}

enum px_status px_read_episodes(struct px_reader *r, hid_t file, enum px_episodes_layout layout,
                                struct px_err *err) {
  struct reader *e = calloc(1, sizeof *e);
  if (!e) return px_fail(err, PX_E_NO_MEMORY, "no memory to read the episodes");
  *e = (struct reader){
    .r = r, .file = file, .layout = &layouts[layout], .episodes.stem = layouts[layout].stem
  };
  px_traj_buffer_init(&e->room, r->spaces);
  snprintf(r->report->layout, sizeof r->report->layout, "%s", e->layout->name);
  enum px_h5_kind kind;
  enum px_status status = px_h5_kind(file, e->layout->group, &kind, err);
  if (!status && kind != PX_H5_GROUP)
    status =
      px_fail_at(err, PX_E_BAD_DATA, e->layout->group, "'%s' is not a group", e->layout->group);
  if (!status) status = px_h5_names(file, e->layout->group, add_number, &e->episodes, err);
  if (!status && !e->episodes.n)
    status = px_fail(err, PX_E_BAD_DATA, "there is no '%s%s%s<i>' in it", e->layout->group,
                     *e->layout->group ? "/" : "", e->layout->stem);
  if (!status) {
    qsort(e->episodes.all, e->episodes.n, sizeof *e->episodes.all, by_value);
    status = keep_split(e, err);
    if (!status) status = choose_leaves(e, err);
  }
  for (size_t i = 0; i < e->episodes.n && !status; i++)
    status = read_episode(e, e->episodes.all[i], err);
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
  free(e->episodes.all);
  free(e);
  return status;
}
