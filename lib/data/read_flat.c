/*
 * The flat layout of D4RL, in HDF5 and npz: every array holds all steps, and
 * episodes end where `terminals` or `timeouts` say so.
 *
 * All arrays are read once, block by block, into a window that begins with the
 * episode not yet finished.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/data/reading.h"

enum member {
  OBSERVATIONS, ACTIONS, REWARDS, TERMINALS, TIMEOUTS, NEXT_OBSERVATIONS, ACTION_MASK, ACTION_SOURCE, NEXT_KNOWN,
  MEMBERS_N
};
static const char *const member_names[MEMBERS_N] = {
  "observations", "actions", "rewards", "terminals", "timeouts", "next_observations", "action_mask", "action_source",
  "next_known"
};
enum { BLOCK_BYTES = 4 << 20, BLOCK_STEPS = 16384 };

struct flat {
  struct px_reading *r;
  struct px_column columns[MEMBERS_N];
  struct px_room room;
  size_t window_n, scanned_n, cut; /* steps in the window, looked at, and where the open episode begins */
  size_t block;                    /* steps in a block, at most */
  float *flags[MEMBERS_N];         /* [block] the one-column members but rewards */
  float *next;                     /* [1 + block, O] next observations; row 0 is that of the step before the block */
  uint64_t jumps_n;
};

static bool has(const struct flat *f, enum member m) { return f->columns[m].next; }

static enum px_status open_members(struct flat *f, const struct px_flat_source *source, struct px_err *err) {
  const struct px_spaces *spaces = f->r->spaces;
  for (int m = 0; m < MEMBERS_N; m++) {
    const bool needed = m == OBSERVATIONS || m == REWARDS || m == TERMINALS;
    const bool unwanted = f->r->options->ignore_actions && (m == ACTIONS || m == ACTION_MASK || m == ACTION_SOURCE);
    if (unwanted || (!needed && !source->has(source->ctx, member_names[m]))) continue;
    enum px_status status = source->open(source->ctx, member_names[m], &f->columns[m], err);
    if (status) return status;
    const struct px_column *c = &f->columns[m], *first = &f->columns[OBSERVATIONS];
    status = m == OBSERVATIONS || m == NEXT_OBSERVATIONS
               ? px_column_expect(c, spaces->obs_dim, "the dataset declares observations of", err)
             : m == ACTIONS ? px_column_expect_actions(f->r, c, err)
                            : px_column_expect(c, 1, "there must be", err);
    if (status) return status;
    if (c->rows != first->rows)
      return px_fail_at(err, PX_E_BAD_DATA, c->name, "'%s' has %" PRIu64 " rows, but '%s' %" PRIu64
                        "; every array must have one row per step", c->name, c->rows, first->name, first->rows);
  }
  if (!f->columns[OBSERVATIONS].rows) return px_fail(err, PX_E_BAD_DATA, "there are no steps in it");
  return PX_OK;
}

static enum px_status take_memory(struct flat *f, struct px_err *err) {
  const size_t row_bytes = sizeof(float) * f->r->spaces->obs_dim;
  f->block = BLOCK_BYTES / row_bytes < BLOCK_STEPS ? BLOCK_BYTES / row_bytes : BLOCK_STEPS;
  for (int m = TERMINALS; m < MEMBERS_N; m++)
    if (m != NEXT_OBSERVATIONS && has(f, m) && !(f->flags[m] = px_calloc(f->block, sizeof(float))))
      return px_fail(err, PX_E_NO_MEMORY, "no memory for a block of steps");
  if (has(f, NEXT_OBSERVATIONS) && !(f->next = px_calloc(f->block + 1, row_bytes)))
    return px_fail(err, PX_E_NO_MEMORY, "no memory for a block of steps");
  return PX_OK;
}

/* Appends the next n steps to the window. */
static enum px_status read_block(struct flat *f, size_t n, struct px_err *err) {
  const size_t O = f->r->spaces->obs_dim, A = f->r->spaces->act_dim;
  enum px_status status = px_room_steps(&f->room, f->window_n + n, err);
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
static enum px_status flag_at(const struct flat *f, enum member m, size_t i, bool *out, struct px_err *err) {
  const float value = has(f, m) ? f->flags[m][i] : 0;
  *out = value != 0;
  if (value == 0 || value == 1) return PX_OK;
  return px_reading_fail(f->r, f->scanned_n - f->cut, member_names[m], err, "is %g; it must be 0 or 1", (double)value);
}

static enum px_status mark_label(struct flat *f, size_t i, struct px_err *err) {
  bool known = true;
  if (has(f, ACTION_MASK)) {
    const enum px_status status = flag_at(f, ACTION_MASK, i, &known, err);
    if (status) return status;
  }
  if (has(f, ACTION_SOURCE)) known = known && f->flags[ACTION_SOURCE][i] == 1;
  f->room.labelled[f->scanned_n] = known;
  /* Whatever stands at an unlabelled step, even NaN, is not an action. */
  const size_t A = f->r->spaces->act_dim;
  if (!known) memset(f->room.actions + f->scanned_n * A, 0, A * sizeof(float));
  return PX_OK;
}

/* Puts the episode [cut, scanned]; `next` is its last next observation or NULL. */
static enum px_status put_episode(struct flat *f, bool terminated, bool truncated, const float *next,
                                  struct px_err *err) {
  const size_t O = f->r->spaces->obs_dim, A = f->r->spaces->act_dim, steps = f->scanned_n + 1 - f->cut;
  if (steps > PX_STEPS_MAX)
    return px_fail_at(err, PX_E_BAD_DATA, "timeouts", "trajectory %" PRIu64 " has more than %d steps: neither 'terminals' "
                      "nor 'timeouts' ends it", f->r->report->trajectories_n, PX_STEPS_MAX);
  float *after = f->room.observations + (f->scanned_n + 1) * O;
  float keep[PX_OBS_MAX]; /* the next episode's first observation stands where the final one must */
  const bool masked = has(f, ACTION_MASK) || has(f, ACTION_SOURCE);
  if (next) {
    memcpy(keep, after, O * sizeof *keep);
    memcpy(after, next, O * sizeof *keep);
  }
  const struct px_traj traj = {
    .steps = (uint32_t)steps,
    .observations = f->room.observations + f->cut * O,
    .actions = has(f, ACTIONS) ? f->room.actions + f->cut * A : NULL,
    .labelled = has(f, ACTIONS) && masked ? f->room.labelled + f->cut : NULL,
    .rewards = f->room.rewards + f->cut,
    .terminated = terminated, .truncated = truncated, .has_final = next,
  };
  const enum px_status status = px_reading_put(f->r, &traj, err);
  if (next) memcpy(after, keep, O * sizeof *keep);
  f->cut = f->scanned_n + 1;
  return status;
}

/* The next observation of step i of the block, or NULL when it is unknown. */
static enum px_status next_of(const struct flat *f, size_t i, const float **next, struct px_err *err) {
  bool known = true;
  const enum px_status status = has(f, NEXT_KNOWN) ? flag_at(f, NEXT_KNOWN, i, &known, err) : PX_OK;
  if (!status) *next = f->next && known ? f->next + (i + 1) * f->r->spaces->obs_dim : NULL;
  return status;
}

static bool same(const float *a, const float *b, size_t n) {
  if (!memcmp(a, b, n * sizeof *a)) return true;
  for (size_t j = 0; j < n; j++)
    if (a[j] != b[j] && !(isnan(a[j]) && isnan(b[j]))) return false;
  return true;
}

static enum px_status scan_block(struct flat *f, size_t n, struct px_err *err) {
  const size_t O = f->r->spaces->obs_dim;
  for (size_t i = 0; i < n; i++, f->scanned_n++) {
    bool terminal, timeout;
    const float *next;
    enum px_status status = flag_at(f, TERMINALS, i, &terminal, err);
    if (!status) status = flag_at(f, TIMEOUTS, i, &timeout, err);
    if (!status && has(f, ACTIONS) && (has(f, ACTION_MASK) || has(f, ACTION_SOURCE))) status = mark_label(f, i, err);
    if (status) return status;
    /* Within an episode the next observation must be the following row. */
    if (f->next && f->scanned_n > f->cut)
      f->jumps_n += !same(f->next + i * O, f->room.observations + f->scanned_n * O, O);
    if (!terminal && !timeout) continue;
    status = next_of(f, i, &next, err);
    if (!status) status = put_episode(f, terminal, timeout, next, err);
    if (status) return status;
  }
  if (f->next) memcpy(f->next, f->next + n * O, O * sizeof(float));
  return PX_OK;
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
  if (status || f->cut == f->window_n) return status;
  f->scanned_n = f->window_n - 1;
  const float *next;
  status = next_of(f, n - 1, &next, err);
  if (status) return status;
  px_reading_note(f->r, "trajectory %" PRIu64 ", the last, neither terminated nor timed out: kept as truncated",
                  f->r->report->trajectories_n);
  return put_episode(f, false, true, next, err);
}

static void note_findings(struct flat *f) {
  if (!has(f, TIMEOUTS)) px_reading_note(f->r, "there is no 'timeouts': episodes end at 'terminals' only");
  if (!has(f, NEXT_OBSERVATIONS))
    px_reading_note(f->r, "there is no 'next_observations': the state after each trajectory's last step is unknown");
  if (f->jumps_n)
    px_reading_note(f->r, "at %" PRIu64 " steps inside trajectories 'next_observations' is not the following observation",
                    f->jumps_n);
}

enum px_status px_read_flat(struct px_reading *r, const struct px_flat_source *source, struct px_err *err) {
  struct flat f = { .r = r };
  px_room_init(&f.room, r->spaces);
  enum px_status status = open_members(&f, source, err);
  if (!status) status = take_memory(&f, err);
  if (!status) status = read_all(&f, err);
  if (!status) note_findings(&f);
  for (int m = 0; m < MEMBERS_N; m++) {
    px_column_close(&f.columns[m]);
    free(f.flags[m]);
  }
  free(f.next);
  px_room_free(&f.room);
  return status;
}
