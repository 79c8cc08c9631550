/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flat layout of D4RL, in HDF5 and npz: every array holds all steps.
 * Episodes end where a flag says so, and where `next_observations` does not
 * lead to the following row (flat_jumps.h).
 *
 * All arrays are read once, block by block, into a window that begins with the
 * episode not yet finished.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"
#include "lib/read/column.h"
#include "lib/read/flat_jumps.h"
#include "lib/read/names.h"
#include "lib/read/reader.h"
#include "lib/read/traj_buffer.h"

/* The arrays of names.def. EPISODE_TERMINALS flags every end, and TERMINALS the true ones among
 * them. DONES: an end too, and a true terminal where there is no TERMINALS. */
enum member {
  OBSERVATIONS = PX_NAME_OBSERVATIONS,
  ACTIONS = PX_NAME_ACTIONS,
  REWARDS = PX_NAME_REWARDS,
  TERMINALS = PX_NAME_TERMINALS,
  TIMEOUTS = PX_NAME_TIMEOUTS,
  DONES = PX_NAME_DONES,
  ENDS = PX_NAME_EPISODE_TERMINALS,
  NEXT_OBSERVATIONS = PX_NAME_NEXT_OBSERVATIONS,
  ACTION_MASK = PX_NAME_ACTION_MASK,
  ACTION_SOURCE = PX_NAME_ACTION_SOURCE,
  NEXT_KNOWN = PX_NAME_NEXT_KNOWN,
  MEMBERS_N = PX_NAMES_N
};
enum { BLOCK_BYTES = 4 << 20, BLOCK_STEPS = 16384 };
/* compared rows from which on a shuffled file is told; at the end of it */
enum { JUDGED_EARLY_N = 10000, JUDGED_N = 8 };

struct flat {
  struct px_reader *r;
  struct px_column columns[MEMBERS_N];
  struct px_traj_buffer room;
  /* steps in the window, looked at, and where the open episode begins */
  size_t window_n, scanned_n, cut;
  size_t block;            /* steps in a block, at most */
  float *flags[MEMBERS_N]; /* [block] the one-column members but rewards */
  /* [1 + block, O] next observations; row 0 is that of the step before the block */
  float *next;
  bool next_known;   /* of the step before the one looked at */
  bool next_is_copy; /* then it is as if there were no next observations */
  bool ogbench;      /* the row with an end's flag is the state after the last action */
  struct px_flat_jumps jumps;
};

static bool has(const struct flat *f, enum member m) { return f->columns[m].next; }

/* By which name the member is there; NULL when it is not. */
static enum px_status find_name(const struct px_flat_source *source, enum member m,
                                const char **name, struct px_err *err) {
  const char *word;
  *name = NULL;
  for (unsigned i = 0; (word = px_names_at((enum px_name)m, i)); i++) {
    if (!source->has(source->ctx, word)) continue;
    if (*name) return px_reader_fail_twice(*name, word, err);
    *name = word;
  }
  return PX_OK;
}

static enum px_status open_member(struct flat *f, const struct px_flat_source *source,
                                  enum member m, struct px_err *err) {
  const char *name, *done = NULL;
  enum px_status status = find_name(source, m, &name, err);
  if (!status && m == TERMINALS && !name) status = find_name(source, DONES, &done, err);
  if (status) return status;
  const bool needed = m == OBSERVATIONS || (m == TERMINALS && !done);
  if (!name && !needed) return PX_OK;
  status =
    source->open(source->ctx, name ? name : px_names_at((enum px_name)m, 0), &f->columns[m], err);
  if (status && !name && m == TERMINALS)
    px_fail_hint(err, "Its flag is 1 where an episode ended for good. It may be called "
                      "terminations or terminated; 'dones' is taken "
                      "in its place.");
  return status;
}

static enum px_status open_members(struct flat *f, const struct px_flat_source *source,
                                   struct px_err *err) {
  const struct px_spaces *spaces = f->r->spaces;
  for (int m = 0; m < MEMBERS_N; m++) {
    const bool unwanted =
      f->r->options->ignore_actions && (m == ACTIONS || m == ACTION_MASK || m == ACTION_SOURCE);
    if (unwanted) continue;
    enum px_status status = open_member(f, source, (enum member)m, err);
    if (status) return status;
    if (!has(f, (enum member)m)) continue;
    const struct px_column *c = &f->columns[m], *first = &f->columns[OBSERVATIONS];
    status = m == OBSERVATIONS || m == NEXT_OBSERVATIONS
               ? px_column_expect(c, spaces->obs_dim, "the dataset declares observations of", err)
             : m == ACTIONS ? px_reader_expect_actions(f->r, c, err)
                            : px_column_expect(c, 1, "there must be", err);
    if (status) return status;
    if (c->rows != first->rows)
      return px_fail_at(err, PX_E_BAD_DATA, c->name,
                        "'%s' has %" PRIu64 " rows, but '%s' %" PRIu64
                        "; every array must have one row per step",
                        c->name, c->rows, first->name, first->rows);
  }
  if (!f->columns[OBSERVATIONS].rows)
    return px_fail(err, PX_E_BAD_DATA, "there are no steps in it");
  return PX_OK;
}

/* OGBench's files: no rewards, and every trajectory ends with the row of its last state, flagged in
 * `terminals` (ogbench.utils.load_dataset). The simulator's whole state stands beside. */
static bool is_ogbench(const struct flat *f, const struct px_flat_source *source) {
  static const enum member OTHERS[] = { REWARDS, TIMEOUTS, DONES, ENDS, NEXT_OBSERVATIONS };
  bool only_terminals = has(f, TERMINALS);
  for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS; i++) only_terminals &= !has(f, OTHERS[i]);
  return only_terminals && source->has(source->ctx, "qpos") && source->has(source->ctx, "qvel");
}

static enum px_status take_memory(struct flat *f, struct px_err *err) {
  const size_t row_bytes = sizeof(float) * f->r->spaces->obs_dim;
  f->block = BLOCK_BYTES / row_bytes < BLOCK_STEPS ? BLOCK_BYTES / row_bytes : BLOCK_STEPS;
  for (int m = TERMINALS; m < MEMBERS_N; m++)
    if (m != NEXT_OBSERVATIONS && has(f, m) &&
        !(f->flags[m] = px_mem_calloc(f->block, sizeof(float))))
      return px_fail(err, PX_E_NO_MEMORY, "no memory for a block of steps");
  if (!has(f, NEXT_OBSERVATIONS)) return PX_OK;
  if (!(f->next = px_mem_calloc(f->block + 1, row_bytes)))
    return px_fail(err, PX_E_NO_MEMORY, "no memory for a block of steps");
  return px_flat_jumps_init(&f->jumps, f->r->spaces->obs_dim, err);
}

/* Appends the next n steps to the window. */
static enum px_status read_block(struct flat *f, size_t n, struct px_err *err) {
  const size_t O = f->r->spaces->obs_dim, A = f->r->spaces->act_dim;
  enum px_status status = px_traj_buffer_steps(&f->room, f->window_n + n, err);
  for (int m = 0; m < MEMBERS_N && !status; m++) {
    if (!has(f, m)) continue;
    float *dst = m == OBSERVATIONS        ? f->room.observations + f->window_n * O
                 : m == ACTIONS           ? f->room.actions + f->window_n * A
                 : m == REWARDS           ? f->room.rewards + f->window_n
                 : m == NEXT_OBSERVATIONS ? f->next + O
                                          : f->flags[m];
    status = f->columns[m].next(f->columns[m].ctx, n, dst, err);
  }
  if (!status) f->window_n += n;
  return status;
}

/* The member's flag at step i of the block; absent members are 0. */
static enum px_status flag_at(const struct flat *f, enum member m, size_t i, bool *out,
                              struct px_err *err) {
  const float value = has(f, m) ? f->flags[m][i] : 0;
  *out = value != 0;
  if (value == 0 || value == 1) return PX_OK;
  return px_reader_fail(f->r, f->scanned_n - f->cut, f->columns[m].name, err,
                        "is %g; it must be 0 or 1", (double)value);
}

static enum px_status mark_label(struct flat *f, size_t i, struct px_err *err) {
  const size_t A = f->r->spaces->act_dim;
  float *action = f->room.actions + f->scanned_n * A;
  bool known = true;
  if (!has(f, ACTION_MASK) && !has(f, ACTION_SOURCE)) {
    f->room.labelled[f->scanned_n] = !px_reader_take_nan(f->r, action);
    return PX_OK;
  }
  if (has(f, ACTION_MASK)) {
    const enum px_status status = flag_at(f, ACTION_MASK, i, &known, err);
    if (status) return status;
  }
  if (!has(f, ACTIONS))
    return known ? px_reader_fail(f->r, f->scanned_n - f->cut, f->columns[ACTION_MASK].name, err,
                                  "is 1, but there are no 'actions'")
                 : PX_OK;
  if (has(f, ACTION_SOURCE)) known = known && f->flags[ACTION_SOURCE][i] == 1;
  f->room.labelled[f->scanned_n] = known;
  /* Whatever stands at an unlabelled step, even NaN, is not an action. */
  if (!known) memset(action, 0, A * sizeof *action);
  return PX_OK;
}

/* Puts the episode [cut, scanned]; `next` is its last next observation or NULL. */
static enum px_status put_episode(struct flat *f, bool terminated, bool truncated,
                                  const float *next, struct px_err *err) {
  const size_t O = f->r->spaces->obs_dim, A = f->r->spaces->act_dim,
               steps = f->scanned_n + 1 - f->cut;
  if (steps > PX_STEPS_MAX)
    return px_fail_at(err, PX_E_BAD_DATA, "timeouts",
                      "trajectory %" PRIu64 " has more than %d steps: neither 'terminals' "
                      "nor 'timeouts' nor a jump of 'next_observations' ends it",
                      f->r->report->trajectories_n, PX_STEPS_MAX);
  float *after = f->room.observations + (f->scanned_n + 1) * O;
  const uint8_t *known = f->room.labelled + f->cut;
  const bool masked = has(f, ACTION_MASK) || has(f, ACTION_SOURCE);
  /* the next episode's first observation stands where the final one must */
  float keep[PX_OBS_MAX];
  if (next && next != after) {
    memcpy(keep, after, O * sizeof *keep);
    memcpy(after, next, O * sizeof *keep);
  }
  const struct px_traj traj = {
    .steps = (uint32_t)steps,
    .observations = f->room.observations + f->cut * O,
    .actions = has(f, ACTIONS) ? f->room.actions + f->cut * A : NULL,
    .labelled = has(f, ACTIONS) && (masked || memchr(known, 0, steps)) ? known : NULL,
    .rewards = has(f, REWARDS) ? f->room.rewards + f->cut : NULL,
    .terminated = terminated,
    .truncated = truncated,
    .has_final = next,
  };
  const enum px_status status = px_reader_put(f->r, &traj, err);
  if (next && next != after) memcpy(after, keep, O * sizeof *keep);
  f->cut = f->scanned_n + 1;
  return status;
}

/* The next observation of step i of the block, or NULL when it is unknown. */
static enum px_status next_of(const struct flat *f, size_t i, const float **next,
                              struct px_err *err) {
  bool known = true;
  const enum px_status status = has(f, NEXT_KNOWN) ? flag_at(f, NEXT_KNOWN, i, &known, err) : PX_OK;
  if (!status) *next = f->next && known ? f->next + (i + 1) * f->r->spaces->obs_dim : NULL;
  return status;
}

/* Ends the open episode before the step scanned, which is row i of the block, if it does not follow
 * from the one before. */
static enum px_status cut_at_jump(struct flat *f, size_t i, struct px_err *err) {
  const size_t O = f->r->spaces->obs_dim;
  if (!f->next || !f->next_known || f->scanned_n == f->cut) return PX_OK;
  const float *next = f->next + i * O; /* row 0 is the step before the block */
  if (!px_flat_jumps_between(&f->jumps, next, f->room.observations + f->scanned_n * O))
    return PX_OK;
  if (f->jumps.jumps_n == 1) {
    f->jumps.first_trajectory = f->r->report->trajectories_n;
    f->jumps.first_step = f->scanned_n - 1 - f->cut;
  }
  f->scanned_n--;
  const enum px_status status = put_episode(f, false, true, next, err);
  f->scanned_n++;
  return status;
}

/* The row scanned is the state after the action before it. */
static enum px_status end_with_state(struct flat *f, struct px_err *err) {
  if (f->scanned_n == f->cut)
    return px_reader_fail(f->r, 0, f->columns[TERMINALS].name, err,
                          "is 1 at the first row of a trajectory, which so has no action");
  f->scanned_n--;
  const enum px_status status =
    put_episode(f, false, true, f->room.observations + (f->scanned_n + 1) * f->r->spaces->obs_dim,
                err);
  f->scanned_n++;
  f->cut = f->scanned_n + 1;
  return status;
}

static enum px_status scan_step(struct flat *f, size_t i, struct px_err *err) {
  bool terminal, timeout, end, done;
  const float *next = NULL;
  enum px_status status = cut_at_jump(f, i, err);
  if (!status) status = flag_at(f, TERMINALS, i, &terminal, err);
  if (!status) status = flag_at(f, TIMEOUTS, i, &timeout, err);
  if (!status) status = flag_at(f, ENDS, i, &end, err);
  if (!status) status = flag_at(f, DONES, i, &done, err);
  if (!status && (has(f, ACTIONS) || has(f, ACTION_MASK))) status = mark_label(f, i, err);
  if (!status) status = next_of(f, i, &next, err);
  f->next_known = next;
  if (status || (!terminal && !timeout && !end && !done)) return status;
  if (f->ogbench) return end_with_state(f, err);
  if (!has(f, TERMINALS)) terminal = done && !timeout;
  return put_episode(f, terminal, timeout || !terminal, next, err);
}

static enum px_status scan_block(struct flat *f, size_t n, struct px_err *err) {
  const size_t O = f->r->spaces->obs_dim;
  const float *obs = f->room.observations + f->scanned_n * O;
  if (f->next && !f->jumps.obs.n &&
      px_flat_jumps_is_copy(obs, f->next + O, n, f->r->spaces->obs_dim)) {
    f->next_is_copy = true;
    px_column_close(&f->columns[NEXT_OBSERVATIONS]);
    free(f->next);
    f->next = NULL;
  }
  if (f->next) px_flat_jumps_learn(&f->jumps, obs, f->next + O, n);
  enum px_status status = PX_OK;
  for (size_t i = 0; i < n && !status; i++, f->scanned_n++) status = scan_step(f, i, err);
  if (status || !f->next) return status;
  memcpy(f->next, f->next + n * O, O * sizeof(float));
  return px_flat_jumps_judge(&f->jumps, JUDGED_EARLY_N, err);
}

/* Moves the unfinished episode to the window's start. */
static void slide(struct flat *f) {
  const size_t O = f->r->spaces->obs_dim, A = f->r->spaces->act_dim, n = f->window_n - f->cut;
  if (!f->cut) return;
  memmove(f->room.observations, f->room.observations + f->cut * O, n * O * sizeof(float));
  memmove(f->room.actions, f->room.actions + f->cut * A, n * A * sizeof(float));
  memmove(f->room.rewards, f->room.rewards + f->cut, n * sizeof(float));
  memmove(f->room.labelled, f->room.labelled + f->cut, n);
  f->window_n = f->scanned_n = n;
  f->cut = 0;
}

static enum px_status read_all(struct flat *f, struct px_err *err) {
  enum px_status status = PX_OK;
  size_t n = 0;
  for (uint64_t left = f->columns[OBSERVATIONS].rows; left && !status; left -= n) {
    slide(f);
    n = left < f->block ? left : f->block;
    status = read_block(f, n, err);
    if (!status) status = scan_block(f, n, err);
    if (!status && f->window_n - f->cut > PX_STEPS_MAX) {
      f->scanned_n--;
      status = put_episode(f, false, true, NULL, err); /* refuses it */
    }
  }
  if (!status) status = px_flat_jumps_judge(&f->jumps, JUDGED_N, err);
  if (status || f->cut == f->window_n) return status;
  f->scanned_n = f->window_n - 1;
  const float *next;
  status = next_of(f, n - 1, &next, err);
  if (status) return status;
  px_reader_note(f->r,
                 "trajectory %" PRIu64
                 ", the last, neither terminated nor timed out: kept as truncated",
                 f->r->report->trajectories_n);
  return put_episode(f, false, true, next, err);
}

static void note_ends(struct flat *f) {
  const char *done = f->columns[DONES].name, *timeout = f->columns[TIMEOUTS].name;
  if (has(f, DONES) && has(f, TERMINALS))
    px_reader_note(f->r,
                   "'%s' ends trajectories too: those that '%s' does not flag count as truncated",
                   done, f->columns[TERMINALS].name);
  else if (has(f, DONES) && has(f, TIMEOUTS))
    px_reader_note(
      f->r,
      "there is no 'terminals': where '%s' is 1 and '%s' is 0, trajectories count as terminated",
      done, timeout);
  else if (has(f, DONES))
    px_reader_note(f->r,
                   "there are no 'terminals' and no 'timeouts': where '%s' is 1 trajectories count "
                   "as terminated, even if it was "
                   "a time limit",
                   done);
  else if (!has(f, TIMEOUTS) && !has(f, ENDS) && !f->jumps.jumps_n)
    px_reader_note(f->r, "there is no 'timeouts': episodes end at '%s' only",
                   f->columns[TERMINALS].name);
}

static void note_findings(struct flat *f) {
  const struct px_flat_jumps *j = &f->jumps;
  if (f->ogbench) {
    px_reader_note(f->r,
                   "read as OGBench's layout: the row flagged in 'terminals' is the state after "
                   "the last action, and trajectories count as truncated");
    return;
  }
  note_ends(f);
  if (f->next_is_copy)
    px_reader_note(f->r, "'next_observations' is a copy of 'observations' and was left out: the "
                         "state after each trajectory's last "
                         "step is unknown");
  else if (!has(f, NEXT_OBSERVATIONS))
    px_reader_note(
      f->r,
      "there is no 'next_observations': the state after each trajectory's last step is unknown");
  if (j->jumps_n)
    px_reader_note(
      f->r,
      "at %" PRIu64
      " steps without an end flag 'next_observations' is not the following row: trajectories were "
      "cut there and count as truncated (first: trajectory %" PRIu64 ", step %" PRIu64 ")",
      j->jumps_n, j->first_trajectory, j->first_step);
}

enum px_status px_read_flat(struct px_reader *r, const struct px_flat_source *source,
                            struct px_err *err) {
  struct flat f = { .r = r };
  px_traj_buffer_init(&f.room, r->spaces);
  enum px_status status = px_reader_no_keys(r, err);
  if (!status) status = px_reader_no_split(r, err);
  if (!status) status = open_members(&f, source, err);
  if (!status && (f.ogbench = is_ogbench(&f, source))) memcpy(r->report->layout, "ogbench", 8);
  if (!status) status = take_memory(&f, err);
  if (!status) status = read_all(&f, err);
  if (!status) note_findings(&f);
  for (int m = 0; m < MEMBERS_N; m++) {
    px_column_close(&f.columns[m]);
    free(f.flags[m]);
  }
  free(f.next);
  px_flat_jumps_free(&f.jumps);
  px_traj_buffer_free(&f.room);
  return status;
}
