/* SPDX-License-Identifier: Apache-2.0 */
/* What float32 loses: see precision.h. */
#include "lib/read/precision.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/running_stats.h"

/* From here on neighbouring float32 are an eighth apart: what moves by less is no noise about a
 * place of rest. */
static const double large = 1 << 20;
static const double own_rounding = 1e-13;

bool px_precision_matters(struct px_array_dtype type) {
  return type.bytes == 8 || (type.bytes == 4 && type.kind != PX_DTYPE_FLOAT);
}

enum px_status px_precision_init(struct px_precision *p, uint32_t cols) {
  *p = (struct px_precision){ .cols = cols,
                              .columns = px_mem_calloc(cols ? cols : 1, sizeof *p->columns) };
  return p->columns ? PX_OK : PX_E_NO_MEMORY;
}

void px_precision_free(struct px_precision *p) {
  free(p->columns);
  *p = (struct px_precision){ 0 };
}

static void see(struct px_precision_column *c, double value) {
  const double size = fabs(value);
  const float kept = (float)value;
  if (!isfinite(value)) return; /* refused elsewhere, or the mark of an unlabelled step */
  if (!c->rows || kept < c->low) c->low = kept;
  if (!c->rows || kept > c->high) c->high = kept;
  if (c->rows++ && fabs(value - c->last) > own_rounding * size) {
    c->changes++;
    c->lost += kept == (float)c->last;
  }
  c->last = value;
  if (size > c->largest) c->largest = size;
}

void px_precision_see(struct px_precision *p, uint32_t col, const double *values, size_t n) {
  for (size_t i = 0; p->columns && p->cols && i < n; i++) {
    see(&p->columns[col == PX_PRECISION_ROWS ? p->next : col], values[i]);
    if (col == PX_PRECISION_ROWS) p->next = p->next + 1 < p->cols ? p->next + 1 : 0;
  }
}

static enum px_precision_loss loss_of_column(const struct px_precision_column *c) {
  if (!c->lost) return PX_PRECISION_KEPT;
  if (c->largest < large)
    return 10 * c->lost >= 9 * c->changes ? PX_PRECISION_NOTED : PX_PRECISION_KEPT;
  if (px_running_stats_scale((double)c->high - (double)c->low, c->largest) <= 0)
    return PX_PRECISION_NOTED;
  return 4 * c->lost >= c->changes ? PX_PRECISION_REFUSED : PX_PRECISION_KEPT;
}

enum px_precision_loss px_precision_judge(const struct px_precision *p, uint32_t *col) {
  enum px_precision_loss worst = PX_PRECISION_KEPT;
  for (uint32_t j = 0; p->columns && j < p->cols; j++) {
    const struct px_precision_column *c = &p->columns[j];
    const enum px_precision_loss loss = loss_of_column(c);
    if (loss <= worst) continue;
    worst = loss;
    *col = j;
  }
  return worst;
}

enum px_status px_precision_fail(const struct px_precision *p, const char *name, uint32_t col,
                                 struct px_err *err) {
  const struct px_precision_column *c = &p->columns[col];
  char place[96];
  (void)snprintf(place, sizeof place, "%.80s[%u]", name, col);
  px_fail_at(
    err, PX_E_BAD_DATA, place,
    "%s reaches %.10g, and numbers are kept as float32: %.3g%% of its changes from row to row "
    "would be lost",
    place, c->largest, 100 * (double)c->lost / (double)c->changes);
  px_fail_hint(
    err, "Subtract its first value (of a time, the episode's beginning), or leave the column out.");
  return PX_E_BAD_DATA;
}
