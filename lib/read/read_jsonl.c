/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON lines uploads: one trajectory a line, read as a stream. A field that is
 * not known is refused by name, before its value is looked at.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"
#include "lib/read/json_scan.h"
#include "lib/read/lines.h"
#include "lib/read/names.h"
#include "lib/read/reader.h"
#include "lib/read/traj_buffer.h"

enum field {
  OBSERVATIONS,
  REWARDS,
  ACTIONS,
  TERMINATED,
  TRUNCATED,
  DONES,
  ACTION_SOURCE,
  ACTION_STD,
  ACTION_EPISTEMIC,
  ACTION_SCORE,
  ACTION_RESIDUAL,
  ACTION_VERIFIED,
  FIELDS_N
};
static const char *const field_names[FIELDS_N] = {
  "observations",     "rewards",      "actions",         "terminated",
  "truncated",        "dones",        "action_source",   "action_std",
  "action_epistemic", "action_score", "action_residual", "action_verified"
};
/* The fields from the first on that have other names too. */
static const enum px_name ARRAYS[] = { PX_NAME_OBSERVATIONS, PX_NAME_REWARDS,  PX_NAME_ACTIONS,
                                       PX_NAME_TERMINALS,    PX_NAME_TIMEOUTS, PX_NAME_DONES };

struct jsonl {
  struct px_reader *r;
  struct px_json_scan s;
  uint64_t line;
  struct px_traj_buffer room;
  struct px_precision observed, rewarded; /* over all lines */
  uint8_t *source;                        /* [source_cap] action_source of this line */
  size_t source_cap;
  bool seen[FIELDS_N], filled[FIELDS_N]; /* the field is there; and it is not null */
  size_t rows[FIELDS_N];                 /* of the arrays seen */
  enum field counted;                    /* the one whose rows are the steps */
  bool end[FIELDS_N]; /* of TERMINATED, TRUNCATED and DONES: the flag at the last step */
  bool partly;
};

static enum px_status fail_syntax(struct jsonl *j, const char *expected, struct px_err *err) {
  char near[32], place[96];
  snprintf(place, sizeof place, "trajectory %" PRIu64 ", line %" PRIu64 ", column %td",
           j->r->report->trajectories_n, j->line, j->s.p - j->s.begin + 1);
  return px_fail_at(err, PX_E_BAD_DATA, place, "%s: expected %s, but there is: %s", place, expected,
                    px_json_scan_near(&j->s, near));
}

static enum px_status fail_number(struct jsonl *j, enum px_json_scan_number why, size_t step,
                                  const char *place, struct px_err *err) {
  char near[32];
  (void)px_reader_fail(j->r, step, place, err, "%s: %s",
                       why == PX_SCAN_TOO_LARGE ? "is too large for a float32"
                                                : "must be a finite number, but there is",
                       px_json_scan_near(&j->s, near));
  if (!strncmp(place, field_names[ACTIONS], strlen(field_names[ACTIONS])))
    px_fail_hint(err, "A step without an action has null in the place of the whole action.");
  return PX_E_BAD_DATA;
}

/* [x, y, ...] of exactly n numbers; errors name the step and the number. */
static enum px_status read_row(struct jsonl *j, enum field field, size_t step, uint32_t n,
                               float *dst, struct px_err *err) {
  if (!px_json_scan_take(&j->s, "[")) return fail_syntax(j, "a list of numbers", err);
  uint32_t i = 0;
  for (; !px_json_scan_take(&j->s, "]") && i <= PX_OBS_MAX; i++) {
    double value = 0;
    if (i && !px_json_scan_take(&j->s, ",")) return fail_syntax(j, "',' or ']'", err);
    const enum px_json_scan_number got = px_json_scan_double(&j->s, &value);
    if (got != PX_SCAN_NUMBER) {
      char place[48];
      snprintf(place, sizeof place, "%s[%u]", field_names[field], i);
      return fail_number(j, got, step, place, err);
    }
    if (i >= n) continue;
    dst[i] = (float)value;
    if (field == OBSERVATIONS) px_precision_see(&j->observed, i, &value, 1);
  }
  return i == n ? PX_OK
                : px_reader_fail(j->r, step, field_names[field], err,
                                 "has %u numbers, but the dataset declares %u", i, n);
}

/* Makes room for one more row and says where it goes. */
static enum px_status more_room(struct jsonl *j, enum field field, size_t row, struct px_err *err) {
  if (row > PX_STEPS_MAX)
    return px_reader_fail(j->r, row, field_names[field], err,
                          "is beyond the %d steps a trajectory may have", PX_STEPS_MAX);
  enum px_status status = px_traj_buffer_steps(&j->room, row + 1, err);
  if (!status && field == ACTION_SOURCE && row >= j->source_cap) {
    const size_t cap = j->room.cap;
    uint8_t *bigger = px_mem_realloc(j->source, cap, 1);
    if (!bigger) return px_fail(err, PX_E_NO_MEMORY, "no memory for a trajectory");
    j->source = bigger;
    j->source_cap = cap;
  }
  return status;
}

static enum px_status read_scalar(struct jsonl *j, enum field field, size_t row,
                                  struct px_err *err) {
  double value;
  const enum px_json_scan_number got = px_json_scan_double(&j->s, &value);
  if (got != PX_SCAN_NUMBER) return fail_number(j, got, row, field_names[field], err);
  if (field == REWARDS) {
    j->room.rewards[row] = (float)value;
    px_precision_see(&j->rewarded, 0, &value, 1);
    return PX_OK;
  }
  if (value != 0 && value != 1 && value != 2 && value != 3)
    return px_reader_fail(j->r, row, field_names[field], err,
                          "must be 0 (absent), 1 (true), 2 (proxy) or 3 (simulator)");
  j->source[row] = (uint8_t)value;
  return PX_OK;
}

/* A list of A numbers. A class needs no list. */
static enum px_status read_action_row(struct jsonl *j, enum field field, size_t row, float *dst,
                                      struct px_err *err) {
  const struct px_spaces *spaces = j->r->spaces;
  if (px_json_scan_peek(&j->s) == '[') return read_row(j, field, row, spaces->act_dim, dst, err);
  if (spaces->act_count) {
    const enum px_json_scan_number got = px_json_scan_float(&j->s, dst);
    return got == PX_SCAN_NUMBER ? PX_OK : fail_number(j, got, row, field_names[field], err);
  }
  (void)fail_syntax(j, "a list of numbers", err);
  float value;
  if (px_json_scan_float(&j->s, &value) == PX_SCAN_NUMBER)
    px_fail_hint(err, "%s", px_spaces_discrete_hint);
  return PX_E_BAD_DATA;
}

static enum px_status read_action(struct jsonl *j, size_t row, struct px_err *err) {
  const uint32_t A = j->r->spaces->act_dim;
  float *dst = j->room.actions + row * A;
  j->room.labelled[row] = !px_json_scan_take(&j->s, "null");
  if (j->room.labelled[row]) return read_action_row(j, ACTIONS, row, dst, err);
  j->partly = true;
  memset(dst, 0, A * sizeof *dst);
  return PX_OK;
}

/* How certain a proxy is: of no use to us, but our own export writes it. */
static enum px_status skip_uncertainty(struct jsonl *j, enum field field, size_t row,
                                       struct px_err *err) {
  float unused[PX_ACT_MAX];
  if (px_json_scan_take(&j->s, "null")) return PX_OK;
  if (field < ACTION_SCORE) return read_action_row(j, field, row, unused, err);
  const enum px_json_scan_number got = px_json_scan_float(&j->s, unused);
  return got == PX_SCAN_NUMBER ? PX_OK : fail_number(j, got, row, field_names[field], err);
}

static enum px_status read_array(struct jsonl *j, enum field field, struct px_err *err) {
  if (!px_json_scan_take(&j->s, "[")) return fail_syntax(j, "a list", err);
  size_t row = 0;
  while (!px_json_scan_take(&j->s, "]")) {
    if (row && !px_json_scan_take(&j->s, ",")) return fail_syntax(j, "',' or ']'", err);
    enum px_status status = more_room(j, field, row, err);
    if (status) return status;
    const uint32_t O = j->r->spaces->obs_dim;
    status = field == OBSERVATIONS ? read_row(j, field, row, O, j->room.observations + row * O, err)
             : field == ACTIONS    ? read_action(j, row, err)
             : field >= ACTION_STD ? skip_uncertainty(j, field, row, err)
                                   : read_scalar(j, field, row, err);
    if (status) return status;
    row++;
  }
  j->rows[field] = row;
  return PX_OK;
}

static bool take_flag(struct jsonl *j, bool *out) {
  *out = px_json_scan_take(&j->s, "true");
  return *out || px_json_scan_take(&j->s, "false");
}

/* Under other names 1 and 0 do as well, as arrays of flags are often written. */
static bool take_step_flag(struct jsonl *j, bool *out) {
  if (take_flag(j, out)) return true;
  *out = px_json_scan_take(&j->s, "1");
  return *out || px_json_scan_take(&j->s, "0");
}

/* One flag for each step, of which only the last may be set. */
static enum px_status read_step_ends(struct jsonl *j, enum field field, struct px_err *err) {
  bool *end = &j->end[field];
  size_t row = 0;
  for (; !px_json_scan_take(&j->s, "]"); row++) {
    if (row && !px_json_scan_take(&j->s, ",")) return fail_syntax(j, "',' or ']'", err);
    if (*end)
      return px_reader_fail(j->r, row - 1, field_names[field], err,
                            "is set before the last step, where the trajectory must end");
    if (!take_step_flag(j, end)) return fail_syntax(j, "true or false", err);
  }
  j->filled[field] = true;
  j->rows[field] = row;
  return PX_OK;
}

/* One flag for the trajectory. The names in the plural, or those of an end of either kind, may
 * also have one for each step. */
static enum px_status read_end(struct jsonl *j, enum field field, const char *key, size_t n,
                               struct px_err *err) {
  const char *own = field_names[field];
  const bool single = field != DONES && strlen(own) == n && memcmp(own, key, n) == 0;
  j->end[field] = false;
  if (!single && px_json_scan_take(&j->s, "[")) return read_step_ends(j, field, err);
  if (single ? take_flag(j, &j->end[field]) : take_step_flag(j, &j->end[field])) return PX_OK;
  (void)fail_syntax(j, "true or false", err);
  if (single)
    px_fail_hint(err, "It is one flag for the whole trajectory. Flags of each step are called %s.",
                 field == TERMINATED ? "terminations" : "truncations");
  return PX_E_BAD_DATA;
}

/* Which field the key names; FIELDS_N for none. */
static enum field field_of(const char *key, size_t n) {
  for (int f = 0; f < FIELDS_N; f++) {
    const bool has_others = f < (int)(sizeof ARRAYS / sizeof *ARRAYS);
    if (has_others ? px_names_has(ARRAYS[f], key, n)
                   : strlen(field_names[f]) == n && memcmp(field_names[f], key, n) == 0)
      return (enum field)f;
  }
  return FIELDS_N;
}

static enum px_status read_field(struct jsonl *j, struct px_err *err) {
  const char *key;
  size_t n;
  if (!px_json_scan_string(&j->s, &key, &n)) return fail_syntax(j, "a field's name", err);
  const enum field f = field_of(key, n);
  if (f == FIELDS_N) {
    char place[64];
    snprintf(place, sizeof place, "trajectory %" PRIu64 ", line %" PRIu64,
             j->r->report->trajectories_n, j->line);
    return px_fail_at(err, PX_E_BAD_DATA, place,
                      "%s: unknown field '%.*s'; the fields are observations, rewards, actions, "
                      "terminated and truncated",
                      place, (int)(n < 64 ? n : 64), key);
  }
  if (j->seen[f]) return px_reader_fail(j->r, 0, field_names[f], err, "is there twice");
  j->seen[f] = true;
  if (!px_json_scan_take(&j->s, ":")) return fail_syntax(j, "':'", err);
  if (f == TERMINATED || f == TRUNCATED || f == DONES) return read_end(j, f, key, n, err);
  if (f != OBSERVATIONS && px_json_scan_take(&j->s, "null")) return PX_OK;
  j->filled[f] = true;
  return read_array(j, f, err);
}

static enum px_status check_lengths(struct jsonl *j, struct px_err *err) {
  static const enum field counting[] = { REWARDS, ACTIONS, ACTION_SOURCE, OBSERVATIONS };
  const bool has_end = j->seen[TERMINATED] || j->seen[DONES];
  if (!j->seen[OBSERVATIONS] || !has_end)
    return px_reader_fail(j->r, 0, field_names[j->seen[OBSERVATIONS] ? TERMINATED : OBSERVATIONS],
                          err, "is missing (line %" PRIu64 ")", j->line);
  int by = 0;
  while (!j->filled[counting[by]]) by++;
  j->counted = counting[by];
  const char *steps = field_names[j->counted];
  const size_t T = j->rows[j->counted];
  if (!T || T > PX_STEPS_MAX)
    return px_reader_fail(j->r, 0, steps, err, "has %zu steps; a trajectory has 1 to %d", T,
                          PX_STEPS_MAX);
  if (j->rows[OBSERVATIONS] != T && j->rows[OBSERVATIONS] != T + 1)
    return px_reader_fail(j->r, 0, "observations", err,
                          "has %zu rows; with %zu %s it must have as many, or one more",
                          j->rows[OBSERVATIONS], T, steps);
  for (int f = ACTIONS; f < FIELDS_N; f++) {
    if (!j->filled[f] || j->rows[f] == T) continue;
    (void)px_reader_fail(j->r, 0, field_names[f], err, "has %zu rows, but there are %zu %s",
                         j->rows[f], T, steps);
    if (f == ACTIONS)
      px_fail_hint(err, "Write null where an action is unknown, such as the last one's.");
    return PX_E_BAD_DATA;
  }
  return PX_OK;
}

static enum px_status emit_trajectory(struct jsonl *j, struct px_err *err) {
  const size_t T = j->rows[j->counted], A = j->r->spaces->act_dim;
  const bool actions = j->filled[ACTIONS] && !j->r->options->ignore_actions;
  for (size_t t = 0; actions && j->filled[ACTION_SOURCE] && t < T; t++)
    if (j->source[t] != 1 && j->room.labelled[t]) {
      j->partly = true;
      j->room.labelled[t] = 0;
      memset(j->room.actions + t * A, 0, A * sizeof(float));
    }
  const bool terminated =
    j->seen[TERMINATED] ? j->end[TERMINATED] : j->end[DONES] && !j->end[TRUNCATED];
  const struct px_traj traj = {
    .steps = (uint32_t)T,
    .observations = j->room.observations,
    .actions = actions ? j->room.actions : NULL,
    .labelled = actions && j->partly ? j->room.labelled : NULL,
    .rewards = j->filled[REWARDS] ? j->room.rewards : NULL,
    .terminated = terminated,
    .truncated = j->end[TRUNCATED] || !terminated,
    .has_final = j->rows[OBSERVATIONS] == T + 1,
  };
  return px_reader_put(j->r, &traj, err);
}

static enum px_status read_line(void *ctx, uint64_t number, char *line, size_t n,
                                struct px_err *err) {
  struct jsonl *j = ctx;
  j->line = number;
  j->s = (struct px_json_scan){ line, line, line + n };
  if (!px_json_scan_peek(&j->s)) return PX_OK; /* an empty line */
  memset(j->seen, 0, sizeof j->seen);
  memset(j->filled, 0, sizeof j->filled);
  memset(j->rows, 0, sizeof j->rows);
  memset(j->end, 0, sizeof j->end);
  j->partly = false;
  if (!px_json_scan_take(&j->s, "{")) return fail_syntax(j, "'{'", err);
  for (bool first = true; !px_json_scan_take(&j->s, "}"); first = false) {
    if (!first && !px_json_scan_take(&j->s, ",")) return fail_syntax(j, "',' or '}'", err);
    const enum px_status status = read_field(j, err);
    if (status) return status;
  }
  if (px_json_scan_peek(&j->s)) return fail_syntax(j, "the end of the line", err);
  const enum px_status status = check_lengths(j, err);
  return status ? status : emit_trajectory(j, err);
}

enum px_status px_read_jsonl(struct px_reader *r, const void *bytes, size_t n, struct px_err *err) {
  (void)bytes, (void)n; /* lines may be read as a stream, without a second copy of them */
  struct jsonl j = { .r = r };
  px_traj_buffer_init(&j.room, r->spaces);
  memcpy(r->report->layout, "jsonl", 6);
  enum px_status status =
    px_precision_init(&j.observed, r->spaces->obs_dim) || px_precision_init(&j.rewarded, 1)
      ? px_fail(err, PX_E_NO_MEMORY, "no memory to read it")
      : px_lines_read(r->fd, px_reader_max_bytes(r), read_line, &j, err);
  if (!status) status = px_reader_check_precision(r, field_names[OBSERVATIONS], &j.observed, err);
  if (!status) status = px_reader_check_precision(r, field_names[REWARDS], &j.rewarded, err);
  if (!status) px_reader_note_counts(r);
  if (!status && !r->report->trajectories_n)
    status = px_fail(err, PX_E_BAD_DATA, "there are no trajectories in it");
  px_traj_buffer_free(&j.room);
  px_precision_free(&j.observed);
  px_precision_free(&j.rewarded);
  free(j.source);
  return status;
}
