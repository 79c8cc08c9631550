/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CSV uploads (RFC 4180): a header that names the columns, then a step a row, trajectory after
 * trajectory. read.h says which columns there are, csv_header.c has their names.
 *
 * A row is parsed in place, and a trajectory is put when the next one begins. Two passes over a
 * cell are avoided: the header says what each column means.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/digest.h"
#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"
#include "lib/data/traj_digest.h"
#include "lib/read/csv_header.h"
#include "lib/read/json_scan.h"
#include "lib/read/lines.h"
#include "lib/read/reader.h"
#include "lib/read/traj_buffer.h"

struct csv {
  struct px_reader *r;
  struct px_csv_header header;
  struct px_traj_buffer room;
  struct px_precision observed, rewards;
  struct px_traj_digest episode;  /* of the open trajectory's value in its column */
  struct px_traj_digest_set past; /* and of those before */
  uint64_t line;                  /* the present one */
  int64_t step;                   /* the last value in its column */
  size_t steps_n;                 /* of the open trajectory */
  /* of it: its last row has an observation alone, the final one; a flag has ended it; and its steps
   * have rewards */
  bool final_row, terminated, truncated, rewarded;
};

/* What a row says, until it is known which trajectory it belongs to. */
struct row {
  struct px_csv_cell episode;
  int64_t step;
  float *observations, *actions; /* in the room, at the place of the trajectory's next step */
  uint32_t actions_n;            /* how many of its cells hold a number */
  bool has_reward, has_flag, has_nan, mask, is_true, terminated, truncated, done;
  float reward;
};

/* ---- cells */

static enum px_status fail_cell(const struct csv *c, uint32_t column, const char *text,
                                const char *expected, struct px_err *err) {
  const struct px_csv_column *is = &c->header.columns[column];
  const bool vector = is->role == PX_CSV_OBSERVATION || is->role == PX_CSV_ACTION;
  char field[64];
  snprintf(field, sizeof field, "%s", px_csv_header_name(is->role));
  if (vector) snprintf(field, sizeof field, "%s_%u", px_csv_header_name(is->role), is->index);
  return px_reader_fail(c->r, c->steps_n, field, err, "%s, but line %" PRIu64 " has '%.24s'",
                        expected, c->line, text);
}

/* Spellings that JSON does not have but tables do: 1., .5, +1, nan, inf. */
static bool read_spelling(const char *text, double *out) {
  char *end;
  *out = strtod(text, &end);
  return end != text && !*end && strcspn(text, "xX") == strlen(text);
}

static enum px_status read_number(const struct csv *c, uint32_t column, struct px_csv_cell cell,
                                  double *out, struct px_err *err) {
  struct px_json_scan s = { cell.text, cell.text, cell.text + cell.n };
  const enum px_json_scan_number got = px_json_scan_double(&s, out);
  const bool whole = got == PX_SCAN_NUMBER && s.p == s.end;
  if (got == PX_SCAN_NOT_A_NUMBER || !whole) {
    if (!read_spelling(cell.text, out))
      return fail_cell(c, column, cell.text, "must be a number", err);
  }
  if (isfinite(*out) && !isfinite((float)*out))
    return fail_cell(c, column, cell.text, "must be a number that float32 can hold", err);
  return PX_OK;
}

static bool is_empty(struct px_csv_cell cell) { return !cell.n || !strcasecmp(cell.text, "null"); }

static enum px_status read_flag(const struct csv *c, uint32_t column, struct px_csv_cell cell,
                                bool *out, struct px_err *err) {
  double value = 0;
  *out = !strcasecmp(cell.text, "true");
  if (*out || is_empty(cell) || !strcasecmp(cell.text, "false")) return PX_OK;
  const enum px_status status = read_number(c, column, cell, &value, err);
  if (status) return status;
  *out = value > 0;
  if (value > 0 ? value < 1 || value > 1 : value < 0 || isnan(value))
    return fail_cell(c, column, cell.text, "must be 0 or 1, true or false", err);
  return PX_OK;
}

static enum px_status read_end(const struct csv *c, uint32_t column, struct px_csv_cell cell,
                               struct row *row, bool *out, struct px_err *err) {
  row->has_flag |= !is_empty(cell);
  return read_flag(c, column, cell, out, err);
}

static enum px_status read_step(const struct csv *c, uint32_t column, struct px_csv_cell cell,
                                struct row *row, struct px_err *err) {
  double value;
  const enum px_status status = read_number(c, column, cell, &value, err);
  if (status) return status;
  if (!(fabs(value) < 9e15) || value > floor(value))
    return fail_cell(c, column, cell.text, "must be a whole number", err);
  row->step = (int64_t)value;
  return PX_OK;
}

/* 1: a true action; 0, 2 and 3: none, or a proxy, which is no truth. */
static enum px_status read_source(const struct csv *c, uint32_t column, struct px_csv_cell cell,
                                  struct row *row, struct px_err *err) {
  if (is_empty(cell)) return PX_OK;
  if (cell.n != 1 || cell.text[0] < '0' || cell.text[0] > '3')
    return fail_cell(c, column, cell.text, "must be 0, 1, 2 or 3", err);
  row->is_true = cell.text[0] == '1';
  return PX_OK;
}

/* An observation, an action or a reward. */
static enum px_status read_value(struct csv *c, uint32_t column, struct px_csv_cell cell,
                                 struct row *row, struct px_err *err) {
  const struct px_csv_column *is = &c->header.columns[column];
  double value = NAN;
  const bool empty = is_empty(cell);
  enum px_status status = empty ? PX_OK : read_number(c, column, cell, &value, err);
  if (status) return status;
  if (is->role == PX_CSV_OBSERVATION) {
    if (!isfinite(value)) return fail_cell(c, column, cell.text, "must be a finite number", err);
    row->observations[is->index] = (float)value;
    px_precision_see(&c->observed, is->index, &value, 1);
  } else if (is->role == PX_CSV_ACTION) {
    if (isinf(value)) return fail_cell(c, column, cell.text, "must be a finite number", err);
    row->actions_n += !isnan(value);
    row->has_nan |= !empty && isnan(value);
    row->actions[is->index] = isnan(value) ? 0 : (float)value;
  } else if (!empty) {
    row->reward = (float)value;
    row->has_reward = !isnan(value);
    if (isinf(value)) return fail_cell(c, column, cell.text, "must be a finite number", err);
    if (row->has_reward) px_precision_see(&c->rewards, 0, &value, 1);
  }
  return PX_OK;
}

static enum px_status read_cell(struct csv *c, uint32_t column, struct px_csv_cell cell,
                                struct row *row, struct px_err *err) {
  switch (c->header.columns[column].role) {
    case PX_CSV_IGNORED:
    case PX_CSV_UNCERTAINTY: return PX_OK;
    case PX_CSV_SOURCE: return read_source(c, column, cell, row, err);
    case PX_CSV_EPISODE: row->episode = cell; return PX_OK;
    case PX_CSV_STEP: return read_step(c, column, cell, row, err);
    case PX_CSV_TERMINATED: return read_end(c, column, cell, row, &row->terminated, err);
    case PX_CSV_TRUNCATED: return read_end(c, column, cell, row, &row->truncated, err);
    case PX_CSV_DONE: return read_end(c, column, cell, row, &row->done, err);
    case PX_CSV_MASK: return read_flag(c, column, cell, &row->mask, err);
    case PX_CSV_ACTION:
      if (!c->header.has[PX_CSV_ACTION]) return PX_OK;
      break; /* they are not wanted */
    default: break;
  }
  return read_value(c, column, cell, row, err);
}

/* ---- trajectories */

static enum px_status emit_trajectory(struct csv *c, struct px_err *err) {
  if (!c->steps_n) return PX_OK;
  const bool partly = memchr(c->room.labelled, 0, c->steps_n);
  const struct px_traj traj = {
    .steps = (uint32_t)c->steps_n,
    .observations = c->room.observations,
    .actions = c->header.has[PX_CSV_ACTION] ? c->room.actions : NULL,
    .labelled = c->header.has[PX_CSV_ACTION] && partly ? c->room.labelled : NULL,
    .rewards = c->rewarded ? c->room.rewards : NULL,
    .terminated = c->terminated,
    .truncated = c->truncated || !c->terminated,
    .has_final = c->final_row,
  };
  c->steps_n = 0;
  c->final_row = c->terminated = c->truncated = false;
  return px_reader_put(c->r, &traj, err);
}

/* A value that was in its column before, with others between, is a mistake of the file. */
static enum px_status begin_episode(struct csv *c, const struct px_traj_digest *id,
                                    struct px_csv_cell text, struct px_err *err) {
  const uint64_t *line = px_traj_digest_set_find(&c->past, id);
  if (line) {
    (void)px_reader_fail(c->r, 0, "episode", err,
                         "is '%.40s' at line %" PRIu64 ", as from line %" PRIu64
                         " on: the rows of a trajectory must follow each other",
                         text.text, c->line, *line);
    px_fail_hint(err, "Sort the rows by episode and step.");
    return PX_E_BAD_DATA;
  }
  c->episode = *id;
  return px_traj_digest_set_put(&c->past, id, c->line, err);
}

static enum px_status look_at_episode(struct csv *c, const struct row *row, bool *begins,
                                      struct px_err *err) {
  struct px_traj_digest id;
  uint8_t digest[PX_SHA256_BYTES];
  px_digest_sha256(row->episode.text, row->episode.n, digest);
  memcpy(id.bytes, digest, sizeof id.bytes);
  if (c->past.n && memcmp(&id, &c->episode, sizeof id) == 0) return PX_OK;
  *begins = true;
  return begin_episode(c, &id, row->episode, err);
}

/* Steps count up by one; without a column episode, a trajectory begins where they do not grow. */
static enum px_status look_at_step(struct csv *c, const struct row *row, bool *begins,
                                   struct px_err *err) {
  if (*begins || !c->steps_n || row->step == c->step + 1) return PX_OK;
  if (!c->header.has[PX_CSV_EPISODE] && row->step <= c->step) {
    *begins = true;
    return PX_OK;
  }
  (void)px_reader_fail(c->r, c->steps_n, "step", err,
                       "is %" PRId64 " at line %" PRIu64 ", after %" PRId64, row->step, c->line,
                       c->step);
  px_fail_hint(err, "Rows of a trajectory are in order, and none is missing. Begin another episode "
                    "where frames were lost.");
  return PX_E_BAD_DATA;
}

/* Whether nothing but an observation is there. Without rewards a step may be so too, but not where
 * flags are said at each step. */
static bool may_be_final(const struct csv *c, const struct row *row) {
  const struct px_csv_header *h = &c->header;
  const bool flags = h->has[PX_CSV_TERMINATED] || h->has[PX_CSV_TRUNCATED] || h->has[PX_CSV_DONE];
  if (row->has_reward || row->actions_n) return false;
  return c->rewarded || (flags && !row->has_flag);
}

/* Whether the row begins a trajectory; what came before is put then. */
static enum px_status place(struct csv *c, struct row *row, struct px_err *err) {
  bool begins = !c->header.has[PX_CSV_EPISODE] && (c->terminated || c->truncated);
  enum px_status status =
    c->header.has[PX_CSV_EPISODE] ? look_at_episode(c, row, &begins, err) : PX_OK;
  const bool only_final = may_be_final(c, row);
  if (begins && !c->header.has[PX_CSV_EPISODE] && only_final && !c->final_row)
    begins = false; /* its final state */
  if (!status && c->header.has[PX_CSV_STEP]) status = look_at_step(c, row, &begins, err);
  if (status) return status;
  c->step = row->step;
  if (!begins) {
    if (c->final_row || ((c->terminated || c->truncated) && !only_final))
      return px_reader_fail(c->r, c->steps_n, "episode", err,
                            "goes on at line %" PRIu64 ", but it has ended before", c->line);
    return PX_OK;
  }
  /* The row was read behind the open trajectory; it is the first of another. */
  const size_t O = c->r->spaces->obs_dim, A = c->r->spaces->act_dim;
  float obs[PX_OBS_MAX], act[PX_ACT_MAX];
  memcpy(obs, row->observations, O * sizeof *obs);
  memcpy(act, row->actions, A * sizeof *act);
  status = emit_trajectory(c, err);
  if (status) return status;
  memcpy(c->room.observations, obs, O * sizeof *obs);
  memcpy(c->room.actions, act, A * sizeof *act);
  return PX_OK;
}

static enum px_status add(struct csv *c, const struct row *row, struct px_err *err) {
  const uint32_t A = c->r->spaces->act_dim;
  const size_t t = c->steps_n;
  if (t && may_be_final(c, row)) {
    c->final_row = true;
    return PX_OK;
  }
  if (t && c->rewarded != row->has_reward) {
    (void)px_reader_fail(c->r, t, "reward", err, "is %s at line %" PRIu64 ", unlike those before",
                         row->has_reward ? "given" : "empty", c->line);
    px_fail_hint(err, "A trajectory has a reward at each step, or at none.");
    return PX_E_BAD_DATA;
  }
  c->rewarded = row->has_reward;
  if (t == PX_STEPS_MAX)
    return px_reader_fail(c->r, t, "step", err, "is beyond the %d that a trajectory may have",
                          PX_STEPS_MAX);
  if (row->actions_n && row->actions_n != A && row->mask && row->is_true) {
    (void)px_reader_fail(c->r, t, "actions", err,
                         "has %u of %u numbers at line %" PRIu64 "; the others are empty",
                         row->actions_n, A, c->line);
    px_fail_hint(err, "Leave all cells of an unknown action empty.");
    return PX_E_BAD_DATA;
  }
  c->room.labelled[t] = row->mask && row->is_true && row->actions_n == A;
  c->r->nan_actions_n += row->has_nan && row->mask && row->is_true;
  if (!c->room.labelled[t]) memset(c->room.actions + t * A, 0, A * sizeof(float));
  c->room.rewards[t] = row->reward;
  c->steps_n++;
  c->truncated = row->truncated;
  c->terminated =
    row->terminated || (row->done && !c->header.has[PX_CSV_TERMINATED] && !row->truncated);
  if (row->done && !c->terminated) c->truncated = true;
  return PX_OK;
}

static enum px_status read_row(struct csv *c, char *line, struct px_err *err) {
  const size_t O = c->r->spaces->obs_dim, A = c->r->spaces->act_dim;
  const size_t at = c->steps_n + c->final_row; /* behind the final state, should it be there */
  enum px_status status = px_traj_buffer_steps(&c->room, at + 1, err);
  if (status) return status;
  struct row row = { .observations = c->room.observations + at * O,
                     .actions = c->room.actions + at * A,
                     .mask = true,
                     .is_true = true };
  uint32_t n = 0;
  for (char *p = line; p; n++) {
    struct px_csv_cell cell;
    struct px_err cut_err;
    const enum px_status cut =
      px_csv_header_next_cell(c->header.separator, c->line, &p, &cell, &cut_err);
    if (cut) return *err = cut_err, cut;
    if (!status && n < c->header.n) status = read_cell(c, n, cell, &row, err);
  }
  if (n != c->header.n) { /* then cells stand in wrong columns, too */
    char where[48];
    snprintf(where, sizeof where, "line %" PRIu64, c->line);
    return px_fail_at(err, PX_E_BAD_DATA, where, "%s has %u cells, but the header has %u", where, n,
                      c->header.n);
  }
  if (!status) status = place(c, &row, err);
  return status ? status : add(c, &row, err);
}

static enum px_status read_line(void *ctx, uint64_t number, char *line, size_t n,
                                struct px_err *err) {
  struct csv *c = ctx;
  c->line = number;
  if (!n) return PX_OK;
  return c->header.columns ? read_row(c, line, err)
                           : px_csv_header_read(c->r, line, &c->header, err);
}

static enum px_status finish(struct csv *c, struct px_err *err) {
  const bool open = c->steps_n && !c->header.has[PX_CSV_EPISODE] && !c->terminated && !c->truncated;
  if (open)
    px_reader_note(c->r,
                   "trajectory %" PRIu64
                   ", the last, neither terminated nor truncated: kept as truncated",
                   c->r->report->trajectories_n);
  enum px_status status = emit_trajectory(c, err);
  px_reader_note_counts(c->r);
  if (!status) status = px_reader_check_precision(c->r, "obs", &c->observed, err);
  if (!status) status = px_reader_check_precision(c->r, "reward", &c->rewards, err);
  if (!status && !c->r->report->trajectories_n)
    status = px_fail(err, PX_E_BAD_DATA, "there are no trajectories in it");
  return status;
}

enum px_status px_read_csv(struct px_reader *r, const void *bytes, size_t n, struct px_err *err) {
  (void)bytes, (void)n; /* read as a stream */
  struct csv c = { .r = r };
  px_traj_buffer_init(&c.room, r->spaces);
  memcpy(r->report->layout, "csv", 4);
  enum px_status status =
    px_precision_init(&c.observed, r->spaces->obs_dim) || px_precision_init(&c.rewards, 1)
      ? px_fail(err, PX_E_NO_MEMORY, "no memory to read it")
      : px_lines_read(r->fd, px_reader_max_bytes(r), read_line, &c, err);
  if (!status) status = finish(&c, err);
  px_traj_buffer_free(&c.room);
  px_traj_digest_set_free(&c.past);
  px_precision_free(&c.observed);
  px_precision_free(&c.rewards);
  px_csv_header_free(&c.header);
  return status;
}
