/* SPDX-License-Identifier: Apache-2.0 */
/* Later actions as JSON lines, or as one JSON object: see actions.h. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/traj.h"
#include "lib/read/actions_parts.h"
#include "lib/read/json_scan.h"
#include "lib/read/lines.h"
#include "lib/read/names.h"

enum field { TRAJECTORY, STEP, ACTIONS, MASK, FIELDS_N };
static const char *const FIELD_NAMES[FIELDS_N] = { "trajectory", "step", "actions", "action_mask" };

struct object {
  struct px_actions_rows *rows;
  struct px_json_scan s;
  uint64_t line;
  bool seen[FIELDS_N];
  uint64_t number[2]; /* TRAJECTORY, STEP */
  size_t actions_n, mask_n, cap;
  float *actions; /* [cap, A] */
  uint8_t *known; /* [cap] what is not null; */
  uint8_t *mask;  /* [cap] and what action_mask has */
};

static enum px_status fail_syntax(struct object *o, const char *expected, struct px_err *err) {
  char near[32], place[64];
  snprintf(place, sizeof place, "line %" PRIu64 ", column %td", o->line, o->s.p - o->s.begin + 1);
  return px_fail_at(err, PX_E_BAD_DATA, place, "%s: expected %s, but there is: %s", place, expected,
                    px_json_scan_near(&o->s, near));
}

static enum px_status fail_row(const struct object *o, size_t row, const char *what,
                               struct px_err *err) {
  char place[96];
  snprintf(place, sizeof place, "line %" PRIu64 ", actions[%zu]", o->line, row);
  return px_fail_at(err, PX_E_BAD_DATA, place, "%s: %s", place, what);
}

static enum px_status more_room(struct object *o, struct px_err *err) {
  const size_t cap = o->cap ? 2 * o->cap : 64;
  float *actions =
    px_mem_realloc(o->actions, cap, o->rows->r->spaces->act_dim * sizeof *o->actions);
  if (actions) o->actions = actions;
  uint8_t *known = actions ? px_mem_realloc(o->known, cap, 1) : NULL;
  if (known) o->known = known;
  uint8_t *mask = known ? px_mem_realloc(o->mask, cap, 1) : NULL;
  if (!mask) return px_fail(err, PX_E_NO_MEMORY, "no memory for actions");
  o->mask = mask;
  o->cap = cap;
  return PX_OK;
}

static enum px_status read_number(struct object *o, float *out, size_t row, struct px_err *err) {
  const enum px_json_scan_number got = px_json_scan_float(&o->s, out);
  if (got == PX_SCAN_NUMBER) return PX_OK;
  (void)fail_row(o, row,
                 got == PX_SCAN_TOO_LARGE ? "a number is too large for a float32"
                                          : "it must hold finite numbers",
                 err);
  px_fail_hint(err, "A step without an action has null in the place of the whole action.");
  return PX_E_BAD_DATA;
}

/* null, a list of A numbers, or where actions are discrete a number. */
static enum px_status read_action(struct object *o, size_t row, struct px_err *err) {
  const struct px_spaces *spaces = o->rows->r->spaces;
  float *dst = o->actions + row * spaces->act_dim;
  o->known[row] = !px_json_scan_take(&o->s, "null");
  if (!o->known[row]) return PX_OK;
  if (spaces->act_count && px_json_scan_peek(&o->s) != '[') return read_number(o, dst, row, err);
  if (!px_json_scan_take(&o->s, "[")) return fail_syntax(o, "a list of numbers, or null", err);
  uint32_t j = 0;
  for (; !px_json_scan_take(&o->s, "]"); j++) {
    float beyond;
    if (j && !px_json_scan_take(&o->s, ",")) return fail_syntax(o, "',' or ']'", err);
    const enum px_status status = read_number(o, j < spaces->act_dim ? dst + j : &beyond, row, err);
    if (status) return status;
  }
  if (j == spaces->act_dim) return PX_OK;
  char what[96];
  snprintf(what, sizeof what, "it has %u numbers, but the dataset declares %u", j, spaces->act_dim);
  return fail_row(o, row, what, err);
}

static enum px_status read_flag(struct object *o, size_t row, struct px_err *err) {
  const bool set = px_json_scan_take(&o->s, "true") || px_json_scan_take(&o->s, "1");
  o->mask[row] = set;
  return set || px_json_scan_take(&o->s, "false") || px_json_scan_take(&o->s, "0")
           ? PX_OK
           : fail_syntax(o, "true or false", err);
}

static enum px_status read_list(struct object *o, enum field f, struct px_err *err) {
  if (!px_json_scan_take(&o->s, "[")) return fail_syntax(o, "a list", err);
  size_t row = 0;
  for (; !px_json_scan_take(&o->s, "]"); row++) {
    enum px_status status = PX_OK;
    if (row && !px_json_scan_take(&o->s, ",")) return fail_syntax(o, "',' or ']'", err);
    if (row >= PX_STEPS_MAX)
      return fail_row(o, row, "it is beyond what a trajectory may have", err);
    if (row >= o->cap) status = more_room(o, err);
    if (!status) status = f == ACTIONS ? read_action(o, row, err) : read_flag(o, row, err);
    if (status) return status;
  }
  *(f == ACTIONS ? &o->actions_n : &o->mask_n) = row;
  return PX_OK;
}

static enum px_status read_whole(struct object *o, enum field f, struct px_err *err) {
  double value;
  const char *from = o->s.p;
  if (px_json_scan_double(&o->s, &value) == PX_SCAN_NUMBER && value >= 0 && value < 1e15 &&
      trunc(value) == value) {
    o->number[f] = (uint64_t)value;
    return PX_OK;
  }
  o->s.p = from;
  return fail_syntax(o, "a whole number", err);
}

static enum px_status read_field(struct object *o, struct px_err *err) {
  const char *key;
  size_t n;
  if (!px_json_scan_string(&o->s, &key, &n)) return fail_syntax(o, "a field's name", err);
  int f = 0;
  for (; f < FIELDS_N; f++)
    if (f == ACTIONS ? px_names_has(PX_NAME_ACTIONS, key, n)
        : f == MASK  ? px_names_has(PX_NAME_ACTION_MASK, key, n)
                     : strlen(FIELD_NAMES[f]) == n && memcmp(FIELD_NAMES[f], key, n) == 0)
      break;
  char place[32];
  snprintf(place, sizeof place, "line %" PRIu64, o->line);
  if (f == FIELDS_N)
    return px_fail_at(err, PX_E_BAD_DATA, place,
                      "%s: unknown field '%.*s'; the fields are trajectory, step, actions and "
                      "action_mask",
                      place, (int)(n < 64 ? n : 64), key);
  if (o->seen[f])
    return px_fail_at(err, PX_E_BAD_DATA, place, "%s: '%s' is there twice", place, FIELD_NAMES[f]);
  o->seen[f] = true;
  if (!px_json_scan_take(&o->s, ":")) return fail_syntax(o, "':'", err);
  return f < ACTIONS ? read_whole(o, (enum field)f, err) : read_list(o, (enum field)f, err);
}

static enum px_status put_object(struct object *o, struct px_err *err) {
  const struct px_actions_reading *what = o->rows->what;
  char place[32];
  snprintf(place, sizeof place, "line %" PRIu64, o->line);
  if (!o->seen[ACTIONS] || (!o->seen[TRAJECTORY] && !what->steps))
    return px_fail_at(err, PX_E_BAD_DATA, place, "%s: '%s' is missing", place,
                      o->seen[ACTIONS] ? "trajectory" : "actions");
  if (o->seen[MASK] && o->mask_n != o->actions_n)
    return px_fail_at(err, PX_E_BAD_DATA, place,
                      "%s: there are %zu actions, and %zu in action_mask", place, o->actions_n,
                      o->mask_n);
  const uint64_t trajectory = o->seen[TRAJECTORY] ? o->number[TRAJECTORY] : what->trajectory;
  enum px_status status = o->seen[TRAJECTORY] || o->seen[STEP]
                            ? PX_OK
                            : px_actions_rows_whole(o->rows, o->actions_n, err);
  const uint32_t A = o->rows->r->spaces->act_dim;
  for (size_t i = 0; i < o->actions_n && !status; i++) {
    if (o->seen[MASK] && !o->mask[i]) continue;
    if (o->known[i])
      status = px_actions_rows_put(o->rows, trajectory, (o->seen[STEP] ? o->number[STEP] : 0) + i,
                                   o->actions + i * A, err);
    else if (o->seen[MASK]) status = fail_row(o, i, "it is null, but action_mask has it", err);
  }
  return status;
}

static enum px_status read_object(void *ctx, uint64_t number, char *line, size_t n,
                                  struct px_err *err) {
  struct object *o = ctx;
  o->line = number;
  o->s = (struct px_json_scan){ line, line, line + n };
  if (!px_json_scan_peek(&o->s)) return PX_OK; /* an empty line */
  memset(o->seen, 0, sizeof o->seen);
  o->actions_n = o->mask_n = 0;
  if (!px_json_scan_take(&o->s, "{")) return fail_syntax(o, "'{'", err);
  for (bool first = true; !px_json_scan_take(&o->s, "}"); first = false) {
    if (!first && !px_json_scan_take(&o->s, ",")) return fail_syntax(o, "',' or '}'", err);
    const enum px_status status = read_field(o, err);
    if (status) return status;
  }
  if (px_json_scan_peek(&o->s)) return fail_syntax(o, "nothing more", err);
  return put_object(o, err);
}

static enum px_status end(struct object *o, enum px_status status, struct px_err *err) {
  if (!status) status = px_actions_rows_end(o->rows, err);
  free(o->actions);
  free(o->known);
  free(o->mask);
  return status;
}

enum px_status px_actions_lines(struct px_actions_rows *rows, struct px_err *err) {
  struct object o = { .rows = rows };
  const enum px_status status =
    px_lines_read(rows->r->fd, px_reader_max_bytes(rows->r), read_object, &o, err);
  return end(&o, status, err);
}

enum px_status px_actions_object(struct px_actions_rows *rows, const void *bytes, size_t n,
                                 struct px_err *err) {
  struct object o = { .rows = rows };
  if (n > PX_LINES_MAX_BYTES)
    return px_fail(err, PX_E_TOO_LARGE, "the object is over %d bytes", PX_LINES_MAX_BYTES);
  char *text = px_mem_calloc(n + 1, 1);
  if (!text) return px_fail(err, PX_E_NO_MEMORY, "no memory for actions");
  memcpy(text, bytes, n);
  /* The scanner's text is a line. */
  for (size_t i = 0; i < n; i++)
    if (text[i] == '\n' || text[i] == '\r') text[i] = ' ';
  enum px_status status = strlen(text) == n
                            ? read_object(&o, 1, text, n, err)
                            : px_fail(err, PX_E_BAD_DATA, "the object holds a NUL byte");
  free(text);
  return end(&o, status, err);
}
