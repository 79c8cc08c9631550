/* SPDX-License-Identifier: Apache-2.0 */
/* Exports for tests: see exports.h. */
#include "tests/support/exports.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/data/labels.h"
#include "lib/data/spaces.h"

static void need(enum px_status status, const struct px_err *err) {
  if (status == PX_OK) return;
  fprintf(stderr, "exports: %s\n", err->message);
  abort();
}

static void make_labels(struct exported *x, size_t i) {
  const struct px_spaces *spaces = &x->list.spaces;
  const uint64_t n = x->segments.items[i].info.steps_n, a = spaces->act_dim;
  float *actions = px_mem_calloc(n * a, 4), *std = px_mem_calloc(n * a, 4),
        *epistemic = px_mem_calloc(n * a, 4), *score = px_mem_calloc(n, 4);
  float *residual = px_mem_calloc(n, 4);
  uint8_t *known = px_mem_calloc(n, 1), *verified = px_mem_calloc(n, 1),
          *origin = px_mem_calloc(n, 1);
  struct px_rng rng = px_rng_at(i, 0, 0);
  for (uint64_t k = 0; k < n * a; k++) {
    known[k / a] = (k / a) % 5 != 0;
    if (!known[k / a]) continue;
    actions[k] =
      spaces->act_count ? (float)px_rng_below(&rng, spaces->act_count) : px_rng_float(&rng) - 0.5f;
    std[k] = px_rng_float(&rng) / 2;
    epistemic[k] = px_rng_float(&rng) / 2;
  }
  px_label_scores(spaces, std, epistemic, known, n, score);
  /* a simulator took part in the odd segments, and gave every other label */
  for (uint64_t t = 0; t < n; t++) {
    if (!known[t] || t % 2) continue;
    residual[t] = px_rng_float(&rng);
    origin[t] = PX_ORIGIN_SIMULATOR;
    verified[t] = residual[t] < 0.5f;
  }
  struct px_label_rows rows = { .steps_n = n,
                                .actions = actions,
                                .std = std,
                                .epistemic = epistemic,
                                .score = score,
                                .known = known };
  if (i % 2) rows.residual = residual, rows.verified = verified, rows.origin = origin;
  struct px_err err = { 0 };
  x->labels[i] = PX_BUF(PX_SEGMENT_MAX_BYTES);
  need(px_label_write(spaces, &rows, &x->labels[i], &err), &err);
  free(actions);
  free(std);
  free(epistemic);
  free(score);
  free(residual);
  free(known);
  free(verified);
  free(origin);
}

void exports_make(struct exported *x) { exports_make_of(x, trajs_spaces(4, 2)); }

void exports_make_of(struct exported *x, struct px_spaces spaces) {
  struct px_err err = { .message = "a directory or memory" };
  *x = (struct exported){ .list.spaces = spaces, .dir = "/tmp/proxact-export-XXXXXX" };
  trajs_fill(&x->list, 800, 400, 21);
  need(segments_pack(&x->segments, &x->list), &err);
  x->labels = calloc(x->segments.n, sizeof *x->labels);
  need(x->labels && x->segments.n > 1 && mkdtemp(x->dir) ? PX_OK : PX_E_IO, &err);
  for (size_t i = 0; i < x->segments.n; i++) make_labels(x, i);
}

char *exports_write(const struct exported *x, enum px_write_format format,
                    enum px_write_which which, const char *name) {
  struct px_err err = { 0 };
  struct px_write *e = NULL;
  char *path = NULL;
  if (asprintf(&path, "%s/%s%s", x->dir, name, px_write_suffix(format)) < 0) abort();
  static const struct px_write_fact FACTS[] = { { "dataset", "an \"export\" of \xc3\xa4" },
                                                { "act_low", "[-1.0,-1.0]" } };
  need(px_write_new(format, which, &x->list.spaces, path, &e, &err), &err);
  px_write_about(e, FACTS, 2);
  for (size_t i = 0; i < x->segments.n; i++)
    need(px_write_segment(e, x->segments.items[i].bytes, x->segments.items[i].size,
                          x->labels[i].data, x->labels[i].len, &err),
         &err);
  need(px_write_end(e, &err), &err);
  px_write_free(e);
  return path;
}

void exports_free(struct exported *x) {
  DIR *dir = opendir(x->dir);
  for (const struct dirent *entry; dir && (entry = readdir(dir));)
    unlinkat(dirfd(dir), entry->d_name, 0);
  if (dir) closedir(dir);
  rmdir(x->dir);
  for (size_t i = 0; i < x->segments.n; i++) px_buf_free(&x->labels[i]);
  free(x->labels);
  trajs_free(&x->list);
  segments_free(&x->segments);
}
