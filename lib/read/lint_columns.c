/* SPDX-License-Identifier: Apache-2.0 */
/* Lint of single dimensions: see lint_parts.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/read/lint_parts.h"

enum {
  VALUES_MAX =
    32, /* distinct values that are told apart; with more a column counts as continuous */
  SAMPLE_MAX = 256, /* sizes of steps that are kept; when full, every other one goes */
  TOP_MAX = 4,
  ROWS_MIN = 200, /* fewer say nothing */
  STAND_MIN = 20, /* steps without a change that count as frozen */
};
/* A step is a jump when it is so many times as large as 99 of 100 steps of its dimension. */
static const double JUMP = 30;
/* Shares of the steps from which on a dimension counts as clipped or saturated; and as one that
 * stands still now and then, so that a longer stand tells nothing. */
static const double CLIPPED = 0.02, SATURATED = 0.5, STILL = 0.5;

struct step_at {
  float size;
  int64_t trajectory, step;
};
/* Steps in a row without a change: those up to now, and the longest so far with its begin. */
struct stand {
  uint64_t now, longest, all; /* all: in any stand */
  int64_t trajectory, step;
  float value; /* of the longest */
};
struct dim {
  float least, most;
  uint64_t least_n, most_n; /* rows with exactly these */
  float values[VALUES_MAX];
  uint32_t values_n; /* VALUES_MAX: at least so many */
  float sample[SAMPLE_MAX];
  struct step_at top[TOP_MAX]; /* the largest steps, largest first */
  struct stand stand;
};
struct px_lint_columns {
  uint32_t dims, sample_n;
  uint64_t rows_n, steps_n, stride; /* rows, moves between rows; every stride-th move is kept */
  struct stand stand;               /* of all dimensions at once */
  struct dim dim[];
};

struct px_lint_columns *px_lint_columns_new(uint32_t dims) {
  size_t bytes;
  if (!px_mem_mul(dims, sizeof(struct dim), &bytes)) return NULL;
  struct px_lint_columns *c = px_mem_calloc(1, sizeof *c + bytes);
  if (!c) return NULL;
  c->dims = dims;
  c->stride = 1;
  return c;
}

void px_lint_columns_free(struct px_lint_columns *c) { free(c); }

static void see_value(struct dim *d, float x, bool first) {
  if (first || x < d->least) d->least = x, d->least_n = 0;
  if (first || x > d->most) d->most = x, d->most_n = 0;
  d->least_n += x == d->least;
  d->most_n += x == d->most;
  if (d->values_n == VALUES_MAX) return;
  uint32_t i = 0;
  while (i < d->values_n && d->values[i] != x) i++;
  if (i == d->values_n) d->values[d->values_n++] = x;
}

static void see_move(struct dim *d, float size, int64_t trajectory, int64_t step) {
  if (size <= d->top[TOP_MAX - 1].size) return;
  int i = TOP_MAX - 1;
  for (; i > 0 && d->top[i - 1].size < size; i--) d->top[i] = d->top[i - 1];
  d->top[i] = (struct step_at){ size, trajectory, step };
}

static void see_stand(struct stand *s, bool same, int64_t trajectory, int64_t step, float value) {
  s->now = same ? s->now + 1 : 0;
  s->all += same;
  if (s->now <= s->longest) return;
  s->longest = s->now;
  s->trajectory = trajectory;
  s->step = step - (int64_t)s->now + 1;
  s->value = value;
}

/* Makes room for more: keeps every other one. */
static void thin(struct px_lint_columns *c) {
  for (uint32_t j = 0; j < c->dims; j++)
    for (uint32_t i = 0; i < SAMPLE_MAX / 2; i++) c->dim[j].sample[i] = c->dim[j].sample[2 * i];
  c->sample_n = SAMPLE_MAX / 2;
  c->stride *= 2;
}

static void see_moves(struct px_lint_columns *c, int64_t trajectory, const float *row, int64_t t) {
  const float *before = row - c->dims;
  const bool kept = c->steps_n % c->stride == 0;
  bool same = true;
  if (kept && c->sample_n == SAMPLE_MAX) thin(c);
  for (uint32_t j = 0; j < c->dims; j++) {
    const float size = fabsf(row[j] - before[j]);
    same = same && size == 0;
    see_move(&c->dim[j], size, trajectory, t);
    see_stand(&c->dim[j].stand, size == 0, trajectory, t, row[j]);
    if (kept) c->dim[j].sample[c->sample_n] = size;
  }
  c->sample_n += kept;
  see_stand(&c->stand, same, trajectory, t, 0);
  c->steps_n++;
}

void px_lint_columns_put(struct px_lint_columns *c, int64_t trajectory, const float *rows,
                         uint32_t n, const uint8_t *known) {
  c->stand.now = 0;
  for (uint32_t j = 0; j < c->dims; j++) c->dim[j].stand.now = 0;
  for (uint32_t t = 0; t < n; t++) {
    const float *row = rows + (size_t)t * c->dims;
    if (known && !known[t]) continue;
    for (uint32_t j = 0; j < c->dims; j++) see_value(&c->dim[j], row[j], c->rows_n == 0);
    c->rows_n++;
    if (t && (!known || known[t - 1])) see_moves(c, trajectory, row, t);
  }
}

static int by_size(const void *a, const void *b) {
  const float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

/* What 99 of 100 moves of the dimension do not exceed; of those that move it at all. */
static float usual_most(const struct px_lint_columns *c, uint32_t j) {
  float sizes[SAMPLE_MAX];
  uint32_t n = 0;
  for (uint32_t i = 0; i < c->sample_n; i++)
    if (c->dim[j].sample[i] > 0) sizes[n++] = c->dim[j].sample[i];
  if (n < SAMPLE_MAX / 4) return 0;
  qsort(sizes, n, sizeof *sizes, by_size);
  return sizes[(n - 1) * 99 / 100];
}

static void tell_jump(const struct px_lint_columns *c, uint32_t j, const char *field,
                      struct px_lint_list *list) {
  const struct step_at *top = &c->dim[j].top[0];
  const double usual = (double)usual_most(c, j), size = (double)top->size;
  if (usual <= 0 || size <= JUMP * usual) return;
  struct px_lint_finding *found =
    px_lint_add(list, PX_LINT_JUMP, field, size / usual,
                "changes by %.4g in one step, %.0f times as much as 99 of 100 steps do", size,
                size / usual);
  if (!found) return;
  found->trajectory = top->trajectory;
  found->step = top->step;
}

/* `least`: shorter stands are not told. */
static void tell_stand(const struct px_lint_columns *c, const struct stand *s,
                       enum px_lint_code code, const char *field, uint64_t least,
                       struct px_lint_list *list) {
  if (s->longest < least || (double)s->all > STILL * (double)c->steps_n) return;
  struct px_lint_finding *found =
    px_lint_add(list, code, field, (double)s->longest, "%s not change for %.0f steps in a row",
                code == PX_LINT_FROZEN ? "do" : "does", (double)s->longest);
  if (!found) return;
  found->trajectory = s->trajectory;
  found->step = s->step;
}

void px_lint_columns_observed(const struct px_lint_columns *c, struct px_lint_list *list) {
  const double rows = (double)c->rows_n;
  if (c->rows_n >= ROWS_MIN)
    tell_stand(c, &c->stand, PX_LINT_FROZEN, "observations", STAND_MIN, list);
  for (uint32_t j = 0; j < c->dims && c->rows_n >= ROWS_MIN; j++) {
    const struct dim *d = &c->dim[j];
    char field[32];
    snprintf(field, sizeof field, "observations[%u]", j);
    const uint64_t ends = d->least_n > d->most_n ? d->least_n : d->most_n;
    if (d->least == d->most)
      (void)px_lint_add(list, PX_LINT_CONSTANT_OBSERVATION, field, (double)d->least,
                        "is %.6g at every step", (double)d->least);
    else if (d->values_n == VALUES_MAX && (double)ends >= CLIPPED * rows)
      (void)px_lint_add(list, PX_LINT_CLIPPED_OBSERVATION, field, (double)ends / rows,
                        "is exactly %.6g, its %s, at %.3g%% of the steps",
                        (double)(ends == d->most_n ? d->most : d->least),
                        ends == d->most_n ? "largest" : "smallest", 100 * (double)ends / rows);
    else {
      tell_jump(c, j, field, list);
      /* what stands at an end is clipped rather; and what all do was told above */
      if (d->values_n == VALUES_MAX && d->stand.value != d->least && d->stand.value != d->most)
        tell_stand(c, &d->stand, PX_LINT_STILL_OBSERVATION, field, c->stand.longest + STAND_MIN,
                   list);
    }
  }
}

void px_lint_columns_acted(const struct px_lint_columns *c, const struct px_spaces *spaces,
                           struct px_lint_list *list) {
  const double rows = (double)c->rows_n;
  for (uint32_t j = 0; j < c->dims && c->rows_n >= ROWS_MIN; j++) {
    const struct dim *d = &c->dim[j];
    char field[32];
    snprintf(field, sizeof field, "actions[%u]", j);
    const uint64_t bounds = (d->least == spaces->act_low[j] ? d->least_n : 0) +
                            (d->most == spaces->act_high[j] ? d->most_n : 0);
    if (d->least == d->most)
      (void)px_lint_add(list, PX_LINT_CONSTANT_ACTION, field, (double)d->least,
                        "is %.6g at every step", (double)d->least);
    else if ((double)bounds >= SATURATED * rows)
      (void)px_lint_add(list, PX_LINT_SATURATED_ACTION, field, (double)bounds / rows,
                        "is at a bound of its range at %.3g%% of the steps",
                        100 * (double)bounds / rows);
    else if (d->values_n < VALUES_MAX && rows >= 10.0 * VALUES_MAX)
      (void)px_lint_add(list, PX_LINT_QUANTISED_ACTION, field, d->values_n,
                        "takes only %u values in %.0f steps", d->values_n, rows);
  }
}
