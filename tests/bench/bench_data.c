/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast the storage formats go: building segments, loading them, reading
 * them as an upload, and exporting, against memcpy and SHA-256 on the same
 * bytes. Prints and appends CSV: what, MB/s median, lowest, highest, and the
 * median by processor time, which a busy machine disturbs less.
 * Usage: bench_data [FILE.csv [WHAT]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/fail.h"
#include "lib/data/dataset.h"
#include "lib/data/traj.h"
#include "lib/read/read_safetensors.h"
#include "lib/write/write.h"
#include "tests/bench/bench.h"
#include "tests/support/trajs.h"

enum { REPEATS = 7, TRAJ_N = 2000, STEPS = 1000, O = 17, A = 6 };

static struct trajs list;
static struct segments packed;
static uint64_t bytes_n;
static char *copy;

static enum px_status count(void *ctx, const struct px_segment *segment, struct px_err *err) {
  (void)err;
  *(uint64_t *)ctx += segment->size;
  return PX_OK;
}

static void build(void) {
  struct px_err err = { 0 };
  uint64_t total = 0;
  struct px_segment_builder *b =
    px_segment_builder_new(&list.spaces, (struct px_segment_sink){ &total, count });
  const struct px_traj_sink sink = px_segment_builder_traj_sink(b);
  for (size_t i = 0; i < list.n; i++)
    bench_need(sink.put(sink.ctx, &list.items[i], &err) == PX_OK, "a step", NULL);
  bench_need(px_segment_builder_end(b, &err) == PX_OK && total == bytes_n, "a step", NULL);
  px_segment_builder_free(b);
}

static void load(void) {
  struct px_err err = { 0 };
  struct px_dataset *ds = NULL;
  struct px_dataset_builder *b = px_dataset_builder_new(&list.spaces);
  for (size_t i = 0; i < packed.n; i++)
    bench_need(px_dataset_builder_segment(b, packed.items[i].bytes, packed.items[i].size, &err) ==
                 PX_OK,
               "a step", NULL);
  bench_need(px_dataset_builder_end(b, &ds, &err) == PX_OK && ds->traj_n == list.n, "a step", NULL);
  px_dataset_free(ds);
}

static enum px_status ignore(void *ctx, const struct px_traj *traj, struct px_err *err) {
  (void)err;
  *(uint64_t *)ctx += traj->steps;
  return PX_OK;
}

static void upload(void) {
  struct px_err err = { 0 };
  uint64_t steps = 0;
  const struct px_traj_sink sink = { &steps, ignore };
  for (size_t i = 0; i < packed.n; i++)
    bench_need(px_read_safetensors_bytes(packed.items[i].bytes, packed.items[i].size, &list.spaces,
                                         &sink, &err) == PX_OK,
               "a step", NULL);
}

static void digest(void) {
  uint8_t out[PX_SHA256_BYTES];
  for (size_t i = 0; i < packed.n; i++)
    px_digest_sha256(packed.items[i].bytes, packed.items[i].size, out);
}

static void plain_copy(void) {
  for (size_t i = 0, at = 0; i < packed.n; at += packed.items[i++].size)
    memcpy(copy + at, packed.items[i].bytes, packed.items[i].size);
}

static void export_as(enum px_write_format format) {
  struct px_err err = { 0 };
  struct px_write *e = NULL;
  char path[] = "/tmp/proxact-bench-XXXXXX";
  const int fd = mkstemp(path);
  bench_need(fd >= 0 && close(fd) == 0, "a step", NULL);
  bench_need(px_write_new(format, PX_WRITE_TRUE, &list.spaces, path, &e, &err) == PX_OK, "a step",
             NULL);
  for (size_t i = 0; i < packed.n; i++)
    bench_need(px_write_segment(e, packed.items[i].bytes, packed.items[i].size, NULL, 0, &err) ==
                 PX_OK,
               "a step", NULL);
  bench_need(px_write_end(e, &err) == PX_OK, "a step", NULL);
  px_write_free(e);
  unlink(path);
}
static void export_hdf5(void) { export_as(PX_WRITE_HDF5); }
static void export_npz(void) { export_as(PX_WRITE_NPZ); }
static void export_safetensors(void) { export_as(PX_WRITE_SAFETENSORS); }
static void export_jsonl(void) { export_as(PX_WRITE_JSONL); }

static int by_value(const void *a, const void *b) {
  return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

static FILE *csv;
static const char *only; /* NULL: everything */

static void measure(const char *what, void (*run)(void), int repeats) {
  double rate[REPEATS], cpu[REPEATS];
  if (only && strcmp(only, what) != 0) return;
  for (int i = 0; i < repeats; i++) {
    const double start = px_clock_s(), cpu_start = bench_process_cpu_s();
    run();
    rate[i] = (double)bytes_n / 1e6 / (px_clock_s() - start);
    cpu[i] = (double)bytes_n / 1e6 / (bench_process_cpu_s() - cpu_start);
  }
  qsort(rate, (size_t)repeats, sizeof *rate, by_value);
  qsort(cpu, (size_t)repeats, sizeof *cpu, by_value);
  const double median = rate[repeats / 2], low = rate[0], high = rate[repeats - 1],
               busy = cpu[repeats / 2];
  printf("%-20s %8.0f MB/s   (%.0f to %.0f)   %8.0f by processor time\n", what, median, low, high,
         busy);
  if (csv) fprintf(csv, "%s,%.1f,%.1f,%.1f,%.1f\n", what, median, low, high, busy);
}

int main(int argc, char **argv) {
  list.spaces = trajs_spaces(O, A);
  for (uint64_t i = 0; i < TRAJ_N; i++)
    trajs_add(&list, STEPS, i % 10 == 0 ? TRAJS_ALL : TRAJS_NONE, i);
  bench_need(segments_pack(&packed, &list) == PX_OK, "a step", NULL);
  for (size_t i = 0; i < packed.n; i++) bytes_n += packed.items[i].size;
  copy = malloc(bytes_n);
  bench_need(copy != NULL, "a step", NULL);
  plain_copy(); /* its pages exist from here on */
  printf("%zu segments, %.0f MB\n", packed.n, (double)bytes_n / 1e6);
  csv = argc > 1 ? fopen(argv[1], "a") : NULL;
  only = argc > 2 ? argv[2] : NULL;
  measure("memcpy", plain_copy, REPEATS);
  measure("sha256", digest, REPEATS);
  measure("segment_build", build, REPEATS);
  measure("dataset_load", load, REPEATS);
  measure("upload_safetensors", upload, REPEATS);
  measure("export_safetensors", export_safetensors, 3);
  measure("export_hdf5", export_hdf5, 3);
  measure("export_npz", export_npz, 3);
  measure("export_jsonl", export_jsonl, 1);
  if (csv) fclose(csv);
  trajs_free(&list);
  segments_free(&packed);
  free(copy);
  return 0;
}
