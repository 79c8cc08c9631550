/* SPDX-License-Identifier: Apache-2.0 */
/* JSON lines: a trajectory a line. See write.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/fail.h"
#include "lib/data/actions_merged.h"
#include "lib/write/write_parts.h"

enum { BUFFER_BYTES = 1 << 20 };

static enum px_status jsonl_open(const char *path, void **writer, struct px_err *err) {
  FILE *f = fopen(path, "we");
  if (!f) return px_fail_errno(err, "creating the export");
  setvbuf(f, NULL, _IOFBF, BUFFER_BYTES); /* slower without, but right */
  *writer = f;
  return PX_OK;
}

/* Nine digits give every float32 back exactly. */
static void put_row(FILE *f, const float *x, uint32_t n) {
  for (uint32_t j = 0; j < n; j++) fprintf(f, "%c%.9g", j ? ',' : '[', (double)x[j]);
  fputc(']', f);
}

static void put_matrix(FILE *f, const char *name, const float *x, uint64_t rows, uint32_t width) {
  fprintf(f, "\"%s\":[", name);
  for (uint64_t t = 0; t < rows; t++) {
    if (t) fputc(',', f);
    put_row(f, x + t * width, width);
  }
  fputs("],", f);
}

/* Rows of steps whose source is at least `least`; null for others. Width 0: a number, not a row. */
static void put_some(FILE *f, const char *name, const float *x, uint64_t rows, uint32_t width,
                     const uint8_t *source, int least) {
  fprintf(f, "\"%s\":[", name);
  for (uint64_t t = 0; t < rows; t++) {
    if (t) fputc(',', f);
    if (source[t] < least) fputs("null", f);
    else if (!width) fprintf(f, "%.9g", (double)x[t]);
    else put_row(f, x + t * width, width);
  }
  fputs("],", f);
}

static void put_verified(FILE *f, const struct px_write_rows *r, uint64_t step, uint64_t steps) {
  put_some(f, "action_residual", r->residual + step, steps, 0, r->source + step, PX_SOURCE_PROXY);
  fputs("\"action_verified\":[", f);
  for (uint64_t t = step; t < step + steps; t++)
    fprintf(f, "%s%s", t > step ? "," : "",
            r->source[t] < PX_SOURCE_PROXY ? "null"
            : r->verified[t]               ? "1"
                                           : "0");
  fputs("],", f);
}

static void put_trajectory(FILE *f, const struct px_write_rows *r, uint32_t i, uint64_t step,
                           uint64_t obs) {
  const struct px_segment_view *v = r->view;
  const uint32_t o = r->spaces->obs_dim, a = r->spaces->act_dim,
                 width = r->spaces->act_count ? 0 : a;
  const uint64_t steps = (uint64_t)v->length[i];
  const uint8_t *source = r->source + step;
  fputc('{', f);
  put_matrix(f, "observations", v->observations + obs * o, steps + v->has_final[i], o);
  put_some(f, "actions", r->actions + step * a, steps, width, source, PX_SOURCE_TRUE);
  put_some(f, "action_std", r->std + step * a, steps, width, source, PX_SOURCE_PROXY);
  put_some(f, "action_epistemic", r->epistemic + step * a, steps, width, source, PX_SOURCE_PROXY);
  put_some(f, "action_score", r->score + step, steps, 0, source, PX_SOURCE_PROXY);
  if (r->simulated) put_verified(f, r, step, steps);
  fputs("\"action_source\":", f);
  for (uint64_t t = 0; t < steps; t++) fprintf(f, "%c%d", t ? ',' : '[', source[t]);
  fputs("],\"rewards\":", f);
  if (v->rewards) put_row(f, v->rewards + step, (uint32_t)steps);
  else fputs("null", f);
  fprintf(f, ",\"terminated\":%s,\"truncated\":%s}\n", v->terminated[i] ? "true" : "false",
          v->truncated[i] ? "true" : "false");
}

static enum px_status jsonl_put(void *writer, const struct px_write_rows *rows,
                                const struct px_write_columns *columns, struct px_err *err) {
  (void)columns;
  uint64_t step = 0, obs = 0;
  for (uint32_t i = 0; i < rows->view->traj_n; i++) {
    put_trajectory(writer, rows, i, step, obs);
    step += (uint64_t)rows->view->length[i];
    obs += (uint64_t)rows->view->length[i] + rows->view->has_final[i];
  }
  return ferror((FILE *)writer) ? px_fail_errno(err, "writing the export") : PX_OK;
}

static enum px_status jsonl_end(void *writer, const struct px_write_facts *facts,
                                struct px_err *err) {
  (void)facts;
  return fflush(writer) != 0 || ferror((FILE *)writer) ? px_fail_errno(err, "writing the export")
                                                       : PX_OK;
}

static void jsonl_free(void *writer) {
  if (writer) fclose(writer);
}

const struct px_write_writer px_write_jsonl = { NULL, jsonl_open, jsonl_put, jsonl_end,
                                                jsonl_free };
