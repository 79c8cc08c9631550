/* SPDX-License-Identifier: Apache-2.0 */
/* CSV (RFC 4180): a step a row. See write.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/fail.h"
#include "lib/data/actions_merged.h"
#include "lib/write/write_parts.h"

enum { BUFFER_BYTES = 1 << 20 };

struct csv {
  FILE *file;
  uint64_t episodes_n; /* written so far */
};

static void csv_free(void *writer) {
  struct csv *csv = writer;
  if (!csv) return;
  if (csv->file) fclose(csv->file);
  free(csv);
}

static enum px_status csv_open(const char *path, void **writer, struct px_err *err) {
  struct csv *csv = calloc(1, sizeof *csv);
  if (!csv) return px_fail(err, PX_E_NO_MEMORY, "no memory for the export");
  csv->file = fopen(path, "we");
  if (!csv->file) {
    csv_free(csv);
    return px_fail_errno(err, "creating the export");
  }
  setvbuf(csv->file, NULL, _IOFBF, BUFFER_BYTES); /* slower without, but right */
  *writer = csv;
  return PX_OK;
}

static void put_names(FILE *f, const char *name, uint32_t n) {
  for (uint32_t j = 0; j < n; j++) fprintf(f, ",%s_%u", name, j);
}

static void put_header(FILE *f, const struct px_spaces *spaces) {
  fputs("episode,step", f);
  put_names(f, "obs", spaces->obs_dim);
  put_names(f, "act", spaces->act_dim);
  fputs(",reward,terminated,truncated,action_source", f);
  put_names(f, "action_std", spaces->act_dim);
  put_names(f, "action_epistemic", spaces->act_dim);
  fputs(",action_score,action_residual,action_verified\r\n", f);
}

/* Nine digits give every float32 back exactly. */
static void put_numbers(FILE *f, const float *x, uint32_t n) {
  for (uint32_t j = 0; j < n; j++) fprintf(f, ",%.9g", (double)x[j]);
}

/* Where the step has none, its cells are empty. */
static void put_some(FILE *f, const float *x, uint32_t n, bool some) {
  if (some) put_numbers(f, x, n);
  else
    for (uint32_t j = 0; j < n; j++) fputc(',', f);
}

static void put_step(FILE *f, const struct px_write_rows *r, uint64_t step) {
  const uint32_t a = r->spaces->act_dim;
  const bool proxy = r->source[step] >= PX_SOURCE_PROXY;
  put_some(f, r->std + step * a, a, proxy);
  put_some(f, r->epistemic + step * a, a, proxy);
  put_some(f, r->score + step, 1, proxy);
  put_some(f, r->residual + step, 1, proxy && r->simulated);
  fputs(!proxy || !r->simulated ? ",\r\n" : r->verified[step] ? ",1\r\n" : ",0\r\n", f);
}

static void put_trajectory(struct csv *csv, const struct px_write_rows *r, uint32_t i,
                           uint64_t first, const float *obs) {
  const struct px_segment_view *v = r->view;
  const uint32_t o = r->spaces->obs_dim, a = r->spaces->act_dim;
  const uint64_t steps = (uint64_t)v->length[i];
  FILE *f = csv->file;
  for (uint64_t t = 0; t < steps + v->has_final[i]; t++) {
    const uint64_t step = first + t;
    fprintf(f, "%" PRIu64 ",%" PRIu64, csv->episodes_n, t);
    put_numbers(f, obs + t * o, o);
    if (t == steps) { /* the final state: nothing was done in it */
      for (uint32_t j = 0; j < 3 * a + 7; j++) fputc(',', f);
      fputs("\r\n", f);
      break;
    }
    put_some(f, r->actions + step * a, a, r->source[step] >= PX_SOURCE_TRUE);
    put_some(f, v->rewards ? v->rewards + step : NULL, 1, v->rewards);
    fprintf(f, ",%d,%d,%d", t + 1 == steps && v->terminated[i], t + 1 == steps && v->truncated[i],
            r->source[step]);
    put_step(f, r, step);
  }
  csv->episodes_n++;
}

static enum px_status csv_put(void *writer, const struct px_write_rows *rows,
                              const struct px_write_columns *columns, struct px_err *err) {
  (void)columns;
  struct csv *csv = writer;
  uint64_t step = 0, obs = 0;
  if (!csv->episodes_n) put_header(csv->file, rows->spaces);
  for (uint32_t i = 0; i < rows->view->traj_n; i++) {
    put_trajectory(csv, rows, i, step, rows->view->observations + obs * rows->spaces->obs_dim);
    step += (uint64_t)rows->view->length[i];
    obs += (uint64_t)rows->view->length[i] + rows->view->has_final[i];
  }
  return ferror(csv->file) ? px_fail_errno(err, "writing the export") : PX_OK;
}

static enum px_status csv_end(void *writer, const struct px_write_facts *facts,
                              struct px_err *err) {
  (void)facts;
  struct csv *csv = writer;
  return fflush(csv->file) != 0 || ferror(csv->file) ? px_fail_errno(err, "writing the export")
                                                     : PX_OK;
}

const struct px_write_writer px_write_csv = { NULL, csv_open, csv_put, csv_end, csv_free };
