/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CSV uploads (RFC 4180): a header that names the columns, then a step a row, trajectory after
 * trajectory. read.h says which columns there are; the table below has their names.
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
#include "lib/read/json_scan.h"
#include "lib/read/lines.h"
#include "lib/read/reader.h"
#include "lib/read/traj_buffer.h"

enum role {
  IGNORED,
  EPISODE,
  STEP,
  OBSERVATION,
  ACTION,
  REWARD,
  TERMINATED,
  TRUNCATED,
  DONE,
  MASK
};
enum { ROLES_N = MASK + 1, COLUMNS_MAX = 8192, NAMES_MAX = 7, TOLD_MAX = 6 };

/* Names of a column without an index, and of columns that have one: obs_0, obs.0 or obs[0]. */
static const char *const ROLE_NAMES[ROLES_N][NAMES_MAX] = {
  [EPISODE] = { "episode", "episode_index", "episode_id", "trajectory" },
  [STEP] = { "step", "frame_index", "timestep" },
  [OBSERVATION] = { "obs", "observation", "observations", "observation.state" },
  [ACTION] = { "act", "action", "actions" },
  [REWARD] = { "reward", "rewards", "next.reward" },
  [TERMINATED] = { "terminated", "terminal", "terminals", "termination", "terminations" },
  [TRUNCATED] = { "truncated", "truncation", "truncations", "timeout", "timeouts" },
  [DONE] = { "done", "dones", "next.done" },
  [MASK] = { "action_mask", "label_mask" },
};

struct column {
  enum role role;
  uint32_t index; /* of an observation or an action */
};

struct cell {
  const char *text; /* ends with a NUL */
  size_t n;
};

struct csv {
  struct px_reader *r;
  char separator;
  struct column *columns; /* [columns_n]; NULL before the header */
  uint32_t columns_n;
  bool has[ROLES_N];
  struct px_traj_buffer room;
  struct px_precision observed, rewarded;
  struct px_traj_digest episode;  /* of the open trajectory's value in its column */
  struct px_traj_digest_set past; /* and of those before */
  uint64_t line;                  /* the present one */
  int64_t step;                   /* the last value in its column */
  size_t steps_n;                 /* of the open trajectory */
  /* of it: its last row has an observation alone, the final one; and a flag has ended it */
  bool final_row, terminated, truncated;
};

/* What a row says, until it is known which trajectory it belongs to. */
struct row {
  struct cell episode;
  int64_t step;
  float *observations, *actions; /* in the room, at the place of the trajectory's next step */
  uint32_t actions_n;            /* how many of its cells hold a number */
  bool has_reward, has_nan, mask, terminated, truncated, done;
  float reward;
};

/* ---- the header */

/* Whether `name` is `base`, or base with an index: *index then. */
static bool is_indexed(const char *name, const char *base, uint32_t *index, bool *indexed) {
  const size_t n = strlen(base);
  if (strncasecmp(name, base, n) != 0) return false;
  *index = 0;
  *indexed = name[n] != '\0';
  if (!*indexed) return true;
  const bool bracket = name[n] == '[';
  if (!bracket && name[n] != '_' && name[n] != '.') return false;
  const char *digits = name + n + 1;
  const size_t digits_n = strspn(digits, "0123456789");
  if (!digits_n || digits_n > 5 || strcmp(digits + digits_n, bracket ? "]" : "") != 0) return false;
  *index = (uint32_t)strtoul(digits, NULL, 10);
  return true;
}

static struct column column_of(const char *name) {
  for (int role = EPISODE; role < ROLES_N; role++)
    for (int i = 0; i < NAMES_MAX && ROLE_NAMES[role][i]; i++) {
      struct column c = { (enum role)role, 0 };
      bool indexed;
      const bool vector = role == OBSERVATION || role == ACTION;
      if (is_indexed(name, ROLE_NAMES[role][i], &c.index, &indexed) && (vector || !indexed))
        return c;
    }
  return (struct column){ IGNORED, 0 };
}

/* Cuts the next cell off *at, in place; its quotes go. NULL in *at after the last one. */
static bool next_cell(char separator, char **at, struct cell *out) {
  char *p = *at, *begin = p, *end;
  if (*p != '"') {
    end = strchr(p, separator);
    if (!end) end = p + strlen(p);
    *at = *end ? end + 1 : NULL;
    while (begin < end && *begin == ' ') begin++;
    while (end > begin && end[-1] == ' ') end--;
  } else {
    char *to = begin = ++p;
    for (; *p && (*p != '"' || p[1] == '"'); p++) *to++ = *p == '"' ? *p++ : *p;
    if (*p != '"' || (p[1] && p[1] != separator)) return false;
    *at = p[1] ? p + 2 : NULL;
    end = to;
  }
  *end = '\0';
  *out = (struct cell){ begin, (size_t)(end - begin) };
  return true;
}

static enum px_status fail_quote(const struct csv *c, struct px_err *err) {
  char place[48];
  snprintf(place, sizeof place, "line %" PRIu64, c->line);
  (void)px_fail_at(err, PX_E_BAD_DATA, place, "%s: a quoted cell does not end where it should",
                   place);
  px_fail_hint(err, "A quote within a quoted cell is doubled; no cell holds the end of a line.");
  return PX_E_BAD_DATA;
}

/* Each index from 0 up to what the dataset declares, once. */
static enum px_status check_indices(struct csv *c, enum role role, uint32_t dims,
                                    struct px_err *err) {
  uint8_t *seen = px_mem_calloc(dims, 1);
  if (!seen) return px_fail(err, PX_E_NO_MEMORY, "no memory for the header");
  enum px_status status = PX_OK;
  const char *what = ROLE_NAMES[role][0];
  for (uint32_t i = 0; i < c->columns_n && !status; i++) {
    const uint32_t index = c->columns[i].index;
    if (c->columns[i].role != role) continue;
    if (index >= dims)
      status = px_fail_at(err, PX_E_BAD_DATA, "header",
                          "the header names %s_%u, but the dataset declares %u: %s_0 to %s_%u",
                          what, index, dims, what, what, dims - 1);
    else if (seen[index]++)
      status =
        px_fail_at(err, PX_E_BAD_DATA, "header", "the header names %s_%u twice", what, index);
  }
  for (uint32_t j = 0; j < dims && !status; j++)
    if (!seen[j])
      status =
        px_fail_at(err, PX_E_BAD_DATA, "header",
                   "there is no column %s_%u; the dataset declares %u of them", what, j, dims);
  free(seen);
  return status;
}

static enum px_status check_header(struct csv *c, struct px_err *err) {
  const struct px_spaces *spaces = c->r->spaces;
  enum px_status status = check_indices(c, OBSERVATION, spaces->obs_dim, err);
  if (!status && c->has[ACTION]) status = check_indices(c, ACTION, spaces->act_dim, err);
  if (status) return status;
  if (!c->has[REWARD]) return px_fail_at(err, PX_E_BAD_DATA, "header", "there is no column reward");
  if (!c->has[EPISODE] && !c->has[STEP] && !c->has[TERMINATED] && !c->has[TRUNCATED] &&
      !c->has[DONE]) {
    (void)px_fail_at(err, PX_E_BAD_DATA, "header", "no column says where a trajectory ends");
    px_fail_hint(err, "Add a column episode, or step, or terminated and truncated.");
    return PX_E_BAD_DATA;
  }
  return PX_OK;
}

/* The separator that the header has most of. */
static char find_separator(const char *header) {
  static const char SEPARATORS[] = ",;\t";
  size_t n[3] = { 0 }, best = 0;
  for (const char *p = header; *p; p++)
    for (size_t i = 0; i < 3; i++) n[i] += *p == SEPARATORS[i];
  for (size_t i = 1; i < 3; i++)
    if (n[i] > n[best]) best = i;
  return SEPARATORS[best];
}

static enum px_status read_header(struct csv *c, char *line, struct px_err *err) {
  char told[160] = "";
  uint32_t ignored_n = 0;
  c->separator = find_separator(line);
  c->columns = px_mem_calloc(COLUMNS_MAX, sizeof *c->columns);
  if (!c->columns) return px_fail(err, PX_E_NO_MEMORY, "no memory for the header");
  for (char *at = line; at;) {
    struct cell cell;
    if (!next_cell(c->separator, &at, &cell)) return fail_quote(c, err);
    if (c->columns_n == COLUMNS_MAX)
      return px_fail_at(err, PX_E_BAD_DATA, "header", "there are more than %d columns",
                        COLUMNS_MAX);
    const struct column column = column_of(cell.text);
    const bool vector = column.role == OBSERVATION || column.role == ACTION;
    if (column.role && !vector && c->has[column.role])
      return px_fail_at(err, PX_E_BAD_DATA, "header", "two columns mean '%s'; one is '%.40s'",
                        ROLE_NAMES[column.role][0], cell.text);
    c->has[column.role] = true;
    c->columns[c->columns_n++] = column;
    if (column.role == IGNORED && ignored_n++ < TOLD_MAX)
      snprintf(told + strlen(told), sizeof told - strlen(told), "%s%.24s", *told ? ", " : "",
               cell.text);
  }
  if (ignored_n)
    px_reader_note(c->r, "%u columns mean nothing here and were left out: %s%s", ignored_n, told,
                   ignored_n > TOLD_MAX ? ", ..." : "");
  if (c->has[DONE] && !c->has[TERMINATED])
    px_reader_note(c->r,
                   "there is no 'terminated': where 'done' is 1%s trajectories count as "
                   "terminated, even if it was a time limit",
                   c->has[TRUNCATED] ? " and 'truncated' is 0," : "");
  if (c->r->options->ignore_actions) c->has[ACTION] = false;
  return check_header(c, err);
}

/* ---- cells */

static enum px_status fail_cell(const struct csv *c, uint32_t column, const char *text,
                                const char *expected, struct px_err *err) {
  const struct column *is = &c->columns[column];
  const bool vector = is->role == OBSERVATION || is->role == ACTION;
  char field[64];
  snprintf(field, sizeof field, "%s", ROLE_NAMES[is->role][0]);
  if (vector) snprintf(field, sizeof field, "%s_%u", ROLE_NAMES[is->role][0], is->index);
  return px_reader_fail(c->r, c->steps_n, field, err, "%s, but line %" PRIu64 " has '%.24s'",
                        expected, c->line, text);
}

/* Spellings that JSON does not have but tables do: 1., .5, +1, nan, inf. */
static bool read_spelling(const char *text, double *out) {
  char *end;
  *out = strtod(text, &end);
  return end != text && !*end && strcspn(text, "xX") == strlen(text);
}

static enum px_status read_number(const struct csv *c, uint32_t column, struct cell cell,
                                  double *out, struct px_err *err) {
  struct px_json_scan s = { cell.text, cell.text, cell.text + cell.n };
  const enum px_json_scan_number got = px_json_scan_double(&s, out);
  if (got == PX_SCAN_TOO_LARGE)
    return fail_cell(c, column, cell.text, "must be a number that float32 can hold", err);
  if ((got == PX_SCAN_NUMBER && s.p == s.end) || read_spelling(cell.text, out)) return PX_OK;
  return fail_cell(c, column, cell.text, "must be a number", err);
}

static bool is_empty(struct cell cell) { return !cell.n || !strcasecmp(cell.text, "null"); }

static enum px_status read_flag(const struct csv *c, uint32_t column, struct cell cell, bool *out,
                                struct px_err *err) {
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

static enum px_status read_step(const struct csv *c, uint32_t column, struct cell cell,
                                struct row *row, struct px_err *err) {
  double value;
  const enum px_status status = read_number(c, column, cell, &value, err);
  if (status) return status;
  if (!(fabs(value) < 9e15) || value > floor(value))
    return fail_cell(c, column, cell.text, "must be a whole number", err);
  row->step = (int64_t)value;
  return PX_OK;
}

/* An observation, an action or a reward. */
static enum px_status read_value(struct csv *c, uint32_t column, struct cell cell, struct row *row,
                                 struct px_err *err) {
  const struct column *is = &c->columns[column];
  double value = NAN;
  const bool empty = is_empty(cell);
  enum px_status status = empty ? PX_OK : read_number(c, column, cell, &value, err);
  if (status) return status;
  if (is->role == OBSERVATION) {
    if (!isfinite(value)) return fail_cell(c, column, cell.text, "must be a finite number", err);
    row->observations[is->index] = (float)value;
    px_precision_see(&c->observed, is->index, &value, 1);
  } else if (is->role == ACTION) {
    row->actions_n += !isnan(value);
    row->has_nan |= !empty && isnan(value);
    row->actions[is->index] = isnan(value) ? 0 : (float)value;
  } else if (!empty) {
    row->has_reward = true;
    row->reward = (float)value;
    if (!isfinite(value)) return fail_cell(c, column, cell.text, "must be a finite number", err);
    px_precision_see(&c->rewarded, 0, &value, 1);
  }
  return PX_OK;
}

static enum px_status read_cell(struct csv *c, uint32_t column, struct cell cell, struct row *row,
                                struct px_err *err) {
  switch (c->columns[column].role) {
    case IGNORED: return PX_OK;
    case EPISODE: row->episode = cell; return PX_OK;
    case STEP: return read_step(c, column, cell, row, err);
    case TERMINATED: return read_flag(c, column, cell, &row->terminated, err);
    case TRUNCATED: return read_flag(c, column, cell, &row->truncated, err);
    case DONE: return read_flag(c, column, cell, &row->done, err);
    case MASK: return read_flag(c, column, cell, &row->mask, err);
    case ACTION:
      if (!c->has[ACTION]) return PX_OK;
      break; /* they are not wanted */
    default: break;
  }
  return read_value(c, column, cell, row, err);
}

/* ---- trajectories */

static enum px_status put(struct csv *c, struct px_err *err) {
  if (!c->steps_n) return PX_OK;
  const bool partly = memchr(c->room.labelled, 0, c->steps_n);
  const struct px_traj traj = {
    .steps = (uint32_t)c->steps_n,
    .observations = c->room.observations,
    .actions = c->has[ACTION] ? c->room.actions : NULL,
    .labelled = c->has[ACTION] && partly ? c->room.labelled : NULL,
    .rewards = c->room.rewards,
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
                                    struct cell text, struct px_err *err) {
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
  if (!c->has[EPISODE] && row->step <= c->step) {
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

/* Whether the row begins a trajectory; what came before is put then. */
static enum px_status place(struct csv *c, struct row *row, struct px_err *err) {
  bool begins = !c->has[EPISODE] && (c->terminated || c->truncated);
  enum px_status status = c->has[EPISODE] ? look_at_episode(c, row, &begins, err) : PX_OK;
  const bool only_final = !row->has_reward && !row->actions_n;
  if (begins && !c->has[EPISODE] && only_final && !c->final_row)
    begins = false; /* its final state */
  if (!status && c->has[STEP]) status = look_at_step(c, row, &begins, err);
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
  status = put(c, err);
  if (status) return status;
  memcpy(c->room.observations, obs, O * sizeof *obs);
  memcpy(c->room.actions, act, A * sizeof *act);
  return PX_OK;
}

static enum px_status add(struct csv *c, const struct row *row, struct px_err *err) {
  const uint32_t A = c->r->spaces->act_dim;
  const size_t t = c->steps_n;
  if (!row->has_reward) {
    if (!row->actions_n && t) {
      c->final_row = true;
      return PX_OK;
    }
    return px_reader_fail(c->r, t, "reward", err, "is empty at line %" PRIu64, c->line);
  }
  if (t == PX_STEPS_MAX)
    return px_reader_fail(c->r, t, "step", err, "is beyond the %d that a trajectory may have",
                          PX_STEPS_MAX);
  if (row->actions_n && row->actions_n != A && row->mask) {
    (void)px_reader_fail(c->r, t, "actions", err,
                         "has %u of %u numbers at line %" PRIu64 "; the others are empty",
                         row->actions_n, A, c->line);
    px_fail_hint(err, "Leave all cells of an unknown action empty.");
    return PX_E_BAD_DATA;
  }
  c->room.labelled[t] = row->mask && row->actions_n == A;
  c->r->nan_actions_n += row->has_nan && row->mask;
  if (!c->room.labelled[t]) memset(c->room.actions + t * A, 0, A * sizeof(float));
  c->room.rewards[t] = row->reward;
  c->steps_n++;
  c->truncated = row->truncated;
  c->terminated = row->terminated || (row->done && !c->has[TERMINATED] && !row->truncated);
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
                     .mask = true };
  uint32_t n = 0;
  for (char *p = line; p && !status; n++) {
    struct cell cell;
    if (!next_cell(c->separator, &p, &cell)) return fail_quote(c, err);
    if (n < c->columns_n) status = read_cell(c, n, cell, &row, err);
  }
  if (status) return status;
  if (n != c->columns_n) {
    char where[48];
    snprintf(where, sizeof where, "line %" PRIu64, c->line);
    return px_fail_at(err, PX_E_BAD_DATA, where, "%s has %u cells, but the header has %u", where, n,
                      c->columns_n);
  }
  status = place(c, &row, err);
  return status ? status : add(c, &row, err);
}

static enum px_status read_line(void *ctx, uint64_t number, char *line, size_t n,
                                struct px_err *err) {
  struct csv *c = ctx;
  c->line = number;
  if (!n) return PX_OK;
  return c->columns ? read_row(c, line, err) : read_header(c, line, err);
}

static enum px_status finish(struct csv *c, struct px_err *err) {
  const bool open = c->steps_n && !c->has[EPISODE] && !c->terminated && !c->truncated;
  if (open)
    px_reader_note(c->r,
                   "trajectory %" PRIu64
                   ", the last, neither terminated nor truncated: kept as truncated",
                   c->r->report->trajectories_n);
  enum px_status status = put(c, err);
  px_reader_note_counts(c->r);
  if (!status) status = px_reader_check_precision(c->r, "obs", &c->observed, err);
  if (!status) status = px_reader_check_precision(c->r, "reward", &c->rewarded, err);
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
    px_precision_init(&c.observed, r->spaces->obs_dim) || px_precision_init(&c.rewarded, 1)
      ? px_fail(err, PX_E_NO_MEMORY, "no memory to read it")
      : px_lines_read(r->fd, px_reader_max_bytes(r), read_line, &c, err);
  if (!status) status = finish(&c, err);
  px_traj_buffer_free(&c.room);
  px_traj_digest_set_free(&c.past);
  px_precision_free(&c.observed);
  px_precision_free(&c.rewarded);
  free(c.columns);
  return status;
}
