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
#include "lib/read/traj_buffer.h"

enum {
  EPISODES_MAX = 10000000,
  LEAVES_MAX = 64,
  LEAF_BYTES = 64,
  NAMES_MAX = 256,
  DEPTH_MAX = 4,
  PATH_BYTES = 128
};

/* The path of a member is: before, the episode's number, after. */
struct place {
  const char *before, *after;
};
struct layout {
  const char *name, *group, *stem; /* episodes are <group>/<stem><i> */
  /* known: action_mask, by either name */
  struct place observations, next, actions, known[2], rewards, terminated, truncated;
  /* robomimic: cloning needs no ends, so files may lack them; and success may be flagged before the
   * last step. */
  bool loose_end;
  bool one_flag; /* d3rlpy: terminated is of the whole trajectory */
};
static const struct layout layouts[PX_EPISODES_LAYOUTS_N] = {
  [PX_EPISODES_MINARI] = { "minari",
                           "",
                           "episode_",
                           { "episode_", "/observations" },
                           { NULL, NULL },
                           { "episode_", "/actions" },
                           { { "episode_", "/action_mask" }, { "episode_", "/label_mask" } },
                           { "episode_", "/rewards" },
                           { "episode_", "/terminations" },
                           { "episode_", "/truncations" },
                           false,
                           false },
  [PX_EPISODES_ROBOMIMIC] = { "robomimic",
                              "data",
                              "demo_",
                              { "data/demo_", "/obs" },
                              { "data/demo_", "/next_obs" },
                              { "data/demo_", "/actions" },
                              { { "data/demo_", "/action_mask" }, { "data/demo_", "/label_mask" } },
                              { "data/demo_", "/rewards" },
                              { "data/demo_", "/dones" },
                              { NULL, NULL },
                              true,
                              false },
  [PX_EPISODES_D3RLPY] = { "d3rlpy",
                           "",
                           "observations_",
                           { "observations_", "" },
                           { NULL, NULL },
                           { "actions_", "" },
                           { { "action_mask_", "" }, { "label_mask_", "" } },
                           { "rewards_", "" },
                           { "terminated_", "" },
                           { NULL, NULL },
                           false,
                           true },
};

struct number {
  uint64_t value;
  int digits;
}; /* digits: "demo_007" keeps its zeros */

struct reader {
  struct px_reader *r;
  hid_t file;
  const struct layout *layout;
  struct number *numbers;
  size_t numbers_n, numbers_cap;
  /* Dict observations: datasets below the group, in order */
  char leaves[LEAVES_MAX][LEAF_BYTES];
  uint32_t leaves_n; /* 0: observations are one dataset */
  struct px_traj_buffer room;
  char counted[PATH_BYTES + LEAF_BYTES]; /* which array's rows are the open trajectory's steps */
  /* [rows, O] one leaf, before it is laid beside the others */
  float *scratch;
  size_t scratch_n;
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
  struct reader *e = ctx;
  struct number number;
  if (!parse_number(name, e->layout->stem, &number)) return PX_OK;
  if (e->numbers_n == e->numbers_cap) {
    const size_t cap = e->numbers_cap ? e->numbers_cap * 2 : 1024;
    struct number *numbers =
      cap > EPISODES_MAX ? NULL : px_mem_realloc(e->numbers, cap, sizeof *numbers);
    if (!numbers) return PX_E_TOO_LARGE;
    e->numbers = numbers;
    e->numbers_cap = cap;
  }
  e->numbers[e->numbers_n++] = number;
  return PX_OK;
}

static int by_value(const void *a, const void *b) {
  const struct number *x = a, *y = b;
  return x->value != y->value ? (x->value > y->value) - (x->value < y->value)
                              : x->digits - y->digits;
}

static void path_of(const struct place *place, struct number number, char path[PATH_BYTES]) {
  snprintf(path, PATH_BYTES, "%s%0*" PRIu64 "%s", place->before, number.digits, number.value,
           place->after);
}

struct keys {
  char names[NAMES_MAX][LEAF_BYTES];
  size_t n;
};
static enum px_status add_key(void *ctx, const char *name) {
  struct keys *keys = ctx;
  if (keys->n == NAMES_MAX || strlen(name) >= LEAF_BYTES) return PX_E_TOO_LARGE;
  snprintf(keys->names[keys->n++], LEAF_BYTES, "%s", name);
  return PX_OK;
}
static int by_name(const void *a, const void *b) { return strcmp(a, b); }

/* Adds the datasets at or below root/key to the leaves, sorted at each level. */
static enum px_status add_leaves(struct reader *e, const char *root, const char *key, int depth,
                                 struct px_err *err) {
  char path[PATH_BYTES];
  enum px_h5_kind kind;
  if (depth > DEPTH_MAX || snprintf(path, sizeof path, "%s/%s", root, key) >= PATH_BYTES ||
      strlen(key) >= LEAF_BYTES)
    return px_fail_at(err, PX_E_BAD_DATA, root, "the observations in '%s' are nested too deeply",
                      root);
  if (!*key) snprintf(path, sizeof path, "%s", root);
  enum px_status status = px_h5_kind(e->file, path, &kind, err);
  if (status) return status;
  if (kind == PX_H5_NONE) return px_fail_at(err, PX_E_BAD_DATA, path, "'%s' is missing", path);
  if (kind == PX_H5_DATASET) {
    if (e->leaves_n == LEAVES_MAX)
      return px_fail_at(err, PX_E_BAD_DATA, root,
                        "'%s' has more than %d arrays; name the keys to use", root, LEAVES_MAX);
    snprintf(e->leaves[e->leaves_n++], LEAF_BYTES, "%s", key);
    return PX_OK;
  }
  struct keys *keys = calloc(1, sizeof *keys);
  if (!keys) return px_fail(err, PX_E_NO_MEMORY, "no memory to list '%s'", path);
  status = px_h5_names(e->file, path, add_key, keys, err);
  if (!status) qsort(keys->names, keys->n, LEAF_BYTES, by_name);
  for (size_t i = 0; i < keys->n && !status; i++) {
    char below[2 * LEAF_BYTES];
    snprintf(below, sizeof below, "%s%s%s", key, *key ? "/" : "", keys->names[i]);
    status = add_leaves(e, root, below, depth + 1, err);
  }
  free(keys);
  return status;
}

/* The first episode decides which arrays make the observations. */
static enum px_status choose_leaves(struct reader *e, struct px_err *err) {
  char root[PATH_BYTES];
  enum px_h5_kind kind;
  path_of(&e->layout->observations, e->numbers[0], root);
  enum px_status status = px_h5_kind(e->file, root, &kind, err);
  if (status) return status;
  if (kind != PX_H5_GROUP) return px_reader_no_keys(e->r, err);
  const struct px_read_options *o = e->r->options;
  if (!o->obs_keys_n) status = add_leaves(e, root, "", 0, err);
  for (uint32_t i = 0; i < o->obs_keys_n && !status; i++)
    status = add_leaves(e, root, o->obs_keys[i], 0, err);
  if (!status && !e->leaves_n) return px_fail_at(err, PX_E_BAD_DATA, root, "'%s' is empty", root);
  if (!status && !o->obs_keys_n && e->leaves_n > 1) {
    char list[200] = "";
    for (uint32_t i = 0, n = 0; i < e->leaves_n && n < sizeof list; i++)
      n += (uint32_t)snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "", e->leaves[i]);
    px_reader_note(e->r, "observations were laid side by side in this order: %s", list);
  }
  return status;
}

static void leaf_path(const struct reader *e, const char *root, uint32_t i,
                      char path[PATH_BYTES + LEAF_BYTES]) {
  snprintf(path, PATH_BYTES + LEAF_BYTES, "%s%s%s", root, e->leaves_n && *e->leaves[i] ? "/" : "",
           e->leaves_n ? e->leaves[i] : "");
}

static enum px_status open_leaf(struct reader *e, const char *root, uint32_t i,
                                struct px_column *out, struct px_err *err) {
  char path[PATH_BYTES + LEAF_BYTES];
  leaf_path(e, root, i, path);
  return px_h5_column(e->r, e->file, path, out, err);
}

/* Reads `take` rows, after `skip`, of all leaves below root side by side into
 * dst [take, O]. take 0: as many rows as there are, which must be T or T + 1. */
static enum px_status read_observations(struct reader *e, const char *root, size_t T, size_t skip,
                                        size_t take, float *dst, size_t *rows, struct px_err *err) {
  const uint32_t O = e->r->spaces->obs_dim, n = e->leaves_n ? e->leaves_n : 1;
  uint64_t at = 0, expected = 0;
  enum px_status status = PX_OK;
  for (uint32_t i = 0; i < n && !status; i++) {
    struct px_column c = { 0 };
    status = open_leaf(e, root, i, &c, err);
    if (status) break;
    if (i == 0) expected = c.rows;
    const size_t count = take ? take : (size_t)c.rows;
    if (c.rows != expected || (take ? c.rows != T : c.rows != T && c.rows != T + 1))
      status = px_fail_at(err, PX_E_BAD_DATA, c.name, "'%s' has %" PRIu64 " rows, but '%s' %zu",
                          c.name, c.rows, e->counted, T);
    else if (c.cols > O - at || (i + 1 == n && at + c.cols != O))
      status = px_fail_at(err, PX_E_BAD_DATA, c.name,
                          "the observations in '%s' have %s%" PRIu64 " numbers, but the dataset "
                          "declares observations of %u",
                          root, i + 1 == n ? "" : "at least ", at + c.cols, O);
    else if (n == 1) {
      px_h5_skip(&c, skip);
      status = c.next(c.ctx, count, dst, err);
    } else {
      if (count * c.cols > e->scratch_n) {
        float *bigger = px_mem_realloc(e->scratch, count * O, sizeof *bigger);
        if (!bigger) status = px_fail(err, PX_E_NO_MEMORY, "no memory to read '%s'", c.name);
        else e->scratch = bigger, e->scratch_n = count * O;
      }
      px_h5_skip(&c, skip);
      if (!status) status = c.next(c.ctx, count, e->scratch, err);
      for (size_t t = 0; t < count && !status; t++)
        memcpy(dst + t * O + at, e->scratch + t * c.cols, c.cols * sizeof *dst);
    }
    at += c.cols;
    *rows = count;
    px_column_close(&c);
  }
  return status;
}

/* Whether the flag is up at the last step. d3rlpy keeps one flag per episode. */
static enum px_status read_end(struct reader *e, const struct place *place, struct number number,
                               size_t T, bool *end, struct px_err *err) {
  char path[PATH_BYTES];
  struct px_column c = { 0 };
  *end = false;
  if (!place->before) return PX_OK;
  path_of(place, number, path);
  enum px_h5_kind kind;
  enum px_status status = px_h5_kind(e->file, path, &kind, err);
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
  char *counted = e->counted;
  const struct place *const counting[] = { &l->rewards, &l->actions,
                                           l->one_flag ? NULL : &l->terminated };
  enum px_status status = PX_OK;
  *T = 0;
  for (int i = 0; i < 3 && !*T && !status; i++) {
    if (!counting[i]) continue;
    path_of(counting[i], number, counted);
    status = rows_at(e, counted, T, err);
  }
  if (!status && !*T) {
    char root[PATH_BYTES];
    path_of(&l->observations, number, root);
    leaf_path(e, root, 0, counted);
    status = rows_at(e, counted, T, err);
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
  path_of(&e->layout->rewards, number, path);
  enum px_status status = px_h5_kind(e->file, path, &kind, err);
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
  char path[2][PATH_BYTES];
  enum px_h5_kind kind[2] = { PX_H5_NONE, PX_H5_NONE };
  enum px_status status = PX_OK;
  for (int i = 0; i < 2 && !status; i++) {
    path_of(&e->layout->known[i], number, path[i]);
    status = px_h5_kind(e->file, path[i], &kind[i], err);
  }
  const bool first = kind[0] != PX_H5_NONE, second = kind[1] != PX_H5_NONE;
  if (!status && first && second) status = px_reader_fail_twice(path[0], path[1], err);
  if (!status && (first || second)) status = mark_by_mask(e, path[second], T, err);
  for (size_t t = 0; t < T && !first && !second && !status; t++)
    e->room.labelled[t] = !px_reader_take_nan(e->r, e->room.actions + t * e->r->spaces->act_dim);
  *partly = !status && memchr(e->room.labelled, 0, T);
  return status;
}

static enum px_status read_actions(struct reader *e, struct number number, size_t T, bool *labelled,
                                   struct px_err *err) {
  char path[PATH_BYTES];
  enum px_h5_kind kind = PX_H5_NONE;
  path_of(&e->layout->actions, number, path);
  if (!e->r->options->ignore_actions) {
    const enum px_status status = px_h5_kind(e->file, path, &kind, err);
    if (status) return status;
  }
  *labelled = kind != PX_H5_NONE;
  if (!*labelled) return PX_OK;
  struct px_column c = { 0 };
  enum px_status status = px_h5_column(e->r, e->file, path, &c, err);
  if (!status) status = px_reader_expect_actions(e->r, &c, err);
  if (!status && c.rows != T)
    status = px_fail_at(err, PX_E_BAD_DATA, path, "'%s' has %" PRIu64 " rows, but '%s' %zu", path,
                        c.rows, e->counted, T);
  if (!status) status = c.next(c.ctx, T, e->room.actions, err);
  px_column_close(&c);
  return status;
}

/* The state after the last step, from next observations, when they are there. */
static enum px_status read_final(struct reader *e, struct number number, size_t T, bool *has_final,
                                 struct px_err *err) {
  char path[PATH_BYTES];
  enum px_h5_kind kind;
  size_t rows;
  if (!e->layout->next.before) return PX_OK;
  path_of(&e->layout->next, number, path);
  enum px_status status = px_h5_kind(e->file, path, &kind, err);
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
  path_of(&e->layout->observations, number, path);
  enum px_status status = count_steps(e, number, &T, err);
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
  *e = (struct reader){ .r = r, .file = file, .layout = &layouts[layout] };
  px_traj_buffer_init(&e->room, r->spaces);
  snprintf(r->report->layout, sizeof r->report->layout, "%s", e->layout->name);
  enum px_h5_kind kind;
  enum px_status status = px_h5_kind(file, e->layout->group, &kind, err);
  if (!status && kind != PX_H5_GROUP)
    status =
      px_fail_at(err, PX_E_BAD_DATA, e->layout->group, "'%s' is not a group", e->layout->group);
  if (!status) status = px_h5_names(file, e->layout->group, add_number, e, err);
  if (!status && !e->numbers_n)
    status = px_fail(err, PX_E_BAD_DATA, "there is no '%s%s%s<i>' in it", e->layout->group,
                     *e->layout->group ? "/" : "", e->layout->stem);
  if (!status) {
    qsort(e->numbers, e->numbers_n, sizeof *e->numbers, by_value);
    status = choose_leaves(e, err);
  }
  for (size_t i = 0; i < e->numbers_n && !status; i++) status = read_episode(e, e->numbers[i], err);
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
  free(e->scratch);
  free(e->numbers);
  free(e);
  return status;
}
