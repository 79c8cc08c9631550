/* SPDX-License-Identifier: Apache-2.0 */
/* Later actions in arrays: see actions.h. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/traj.h"
#include "lib/read/actions_parts.h"
#include "lib/read/column.h"
#include "lib/read/names.h"

enum { BLOCK_ROWS = 4096, NUMBER_MAX = 1 << 24 };

enum member { ACTIONS, MASK, TRAJECTORY, STEP, MEMBERS_N };
static const char *const MEMBER_NAMES[MEMBERS_N] = { "actions", "action_mask", "trajectory",
                                                     "step" };

struct flat {
  struct px_actions_rows *rows;
  struct px_column columns[MEMBERS_N];
  float *block[MEMBERS_N]; /* [BLOCK_ROWS, cols] */
};

static enum px_status find_name(const struct px_flat_source *source, enum member m,
                                const char **name, struct px_err *err) {
  const enum px_name array = m == ACTIONS ? PX_NAME_ACTIONS : PX_NAME_ACTION_MASK;
  const char *word = MEMBER_NAMES[m];
  *name = NULL;
  for (unsigned i = 0; word; i++) {
    if (m < TRAJECTORY && !(word = px_names_at(array, i))) break;
    if (source->has(source->ctx, word) && *name) return px_reader_fail_twice(*name, word, err);
    if (source->has(source->ctx, word)) *name = word;
    if (m >= TRAJECTORY) break;
  }
  return PX_OK;
}

static enum px_status open_member(struct flat *f, const struct px_flat_source *source,
                                  enum member m, struct px_err *err) {
  const struct px_actions_rows *rows = f->rows;
  struct px_column *column = &f->columns[m];
  const char *name;
  enum px_status status = find_name(source, m, &name, err);
  const bool needed = m == ACTIONS || (m == TRAJECTORY && !rows->what->steps) ||
                      (m == STEP && f->columns[TRAJECTORY].next);
  if (!status && !name && needed)
    status =
      px_fail_at(err, PX_E_BAD_DATA, MEMBER_NAMES[m], "there is no array '%s'", MEMBER_NAMES[m]);
  if (status || !name) return status;
  status = source->open(source->ctx, name, column, err);
  if (!status && m == ACTIONS) status = px_reader_expect_actions(rows->r, column, err);
  else if (!status) status = px_column_expect(column, 1, "it should have", err);
  if (!status && column->rows != f->columns[ACTIONS].rows)
    status = px_fail_at(err, PX_E_BAD_DATA, column->name,
                        "'%s' has %" PRIu64 " rows, and there are %" PRIu64 " actions",
                        column->name, column->rows, f->columns[ACTIONS].rows);
  f->block[m] = status ? NULL : px_mem_calloc((size_t)BLOCK_ROWS * column->cols, sizeof(float));
  return status || f->block[m] ? status : px_fail(err, PX_E_NO_MEMORY, "no memory for actions");
}

/* A whole number of column m in row i, below `max`. */
static enum px_status whole_number(const struct flat *f, enum member m, uint64_t i, uint64_t row,
                                   uint64_t max, uint64_t *out, struct px_err *err) {
  const float value = f->block[m][i];
  char place[64];
  if (value >= 0 && value < (float)max && truncf(value) == value) {
    *out = (uint64_t)value;
    return PX_OK;
  }
  snprintf(place, sizeof place, "%s[%" PRIu64 "]", MEMBER_NAMES[m], row);
  return px_fail_at(err, PX_E_BAD_DATA, place,
                    "%s is %.9g: it must be a whole number from 0 to %" PRIu64, place,
                    (double)value, max - 1);
}

static enum px_status put_row(struct flat *f, uint64_t i, uint64_t row, struct px_err *err) {
  struct px_actions_rows *rows = f->rows;
  float *action = f->block[ACTIONS] + i * rows->r->spaces->act_dim;
  uint64_t trajectory = rows->what->trajectory, step = row;
  enum px_status status = PX_OK;
  if (f->columns[TRAJECTORY].next)
    status = whole_number(f, TRAJECTORY, i, row, NUMBER_MAX, &trajectory, err);
  if (!status && f->columns[STEP].next)
    status = whole_number(f, STEP, i, row, PX_STEPS_MAX, &step, err);
  if (status) return status;
  const bool masked = f->columns[MASK].next != NULL;
  if (masked ? f->block[MASK][i] == 0 : px_reader_take_nan(rows->r, action)) return PX_OK;
  return px_actions_rows_put(rows, trajectory, step, action, err);
}

static enum px_status read_rows(struct flat *f, struct px_err *err) {
  const uint64_t all = f->columns[ACTIONS].rows;
  enum px_status status = f->columns[STEP].next ? PX_OK : px_actions_rows_whole(f->rows, all, err);
  for (uint64_t row = 0; !status && row < all;) {
    const size_t n = all - row < BLOCK_ROWS ? (size_t)(all - row) : BLOCK_ROWS;
    for (int m = 0; m < MEMBERS_N && !status; m++)
      if (f->columns[m].next) status = f->columns[m].next(f->columns[m].ctx, n, f->block[m], err);
    for (size_t i = 0; i < n && !status; i++, row++) status = put_row(f, i, row, err);
  }
  return status ? status : px_actions_rows_end(f->rows, err);
}

enum px_status px_actions_flat(struct px_actions_rows *rows, const struct px_flat_source *source,
                               struct px_err *err) {
  struct flat f = { .rows = rows };
  enum px_status status = PX_OK;
  for (int m = 0; m < MEMBERS_N && !status; m++)
    status = open_member(&f, source, (enum member)m, err);
  if (!status) status = read_rows(&f, err);
  for (int m = 0; m < MEMBERS_N; m++) {
    px_column_close(&f.columns[m]);
    free(f.block[m]);
  }
  return status;
}
