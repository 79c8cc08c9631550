/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast the store goes, beside the disk under it: 100 MB of segments in by
 * 4 MiB blobs on one and two connections, and out again; jobs claimed and
 * finished a second with one and four clients. The database must sync
 * (deploy/stack.sh start without --throwaway), and the folder given be on its disk.
 * Usage: PROXACT_DB_URL=... bench_store FOLDER [FILE.csv]
 * Prints and appends CSV: what, median, lowest, highest, unit.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fail.h"
#include "lib/base/rng.h"
#include "lib/store/blob.h"
#include "lib/store/jobs.h"
#include "lib/store/store.h"
#include "tests/bench/bench.h"

enum { REPEATS = 5, PIECES = 24, PIECE_BYTES = 4 << 20, CLIENTS_MAX = 4, JOBS = 2000 };
static const double MB = (double)PIECES * PIECE_BYTES / 1e6;

static char *bytes; /* one blob of noise */
static const char *url, *folder;
static int64_t made[PIECES];
static FILE *csv;

static int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Runs once to warm up, then REPEATS times; `amount` over the seconds taken. */
static double measure(const char *what, const char *unit, double amount, void (*before)(void),
                      void (*run)(int), int arg) {
  double rate[REPEATS];
  for (int i = -1; i < REPEATS; i++) {
    if (before) before();
    const double start = px_clock_s();
    run(arg);
    if (i >= 0) rate[i] = amount / (px_clock_s() - start);
  }
  qsort(rate, REPEATS, sizeof *rate, ascending);
  printf("%-28s %9.0f  (%.0f to %.0f) %s\n", what, rate[REPEATS / 2], rate[0], rate[REPEATS - 1],
         unit);
  if (csv)
    fprintf(csv, "%s,%.0f,%.0f,%.0f,%s\n", what, rate[REPEATS / 2], rate[0], rate[REPEATS - 1],
            unit);
  return rate[REPEATS / 2];
}

static struct store *connect_to(void) {
  struct store *store;
  struct px_err err;
  bench_need(!store_open(url, "bench_store", &store, &err), "connecting", &err);
  return store;
}

/* The baseline: what `dd conv=fsync` does. */
static void raw_write(int arg) {
  (void)arg;
  char path[512];
  snprintf(path, sizeof path, "%s/bench_store.raw", folder);
  const int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
  bench_need(fd >= 0, "opening a file in the folder", NULL);
  for (int i = 0; i < PIECES; i++)
    bench_need(write(fd, bytes, PIECE_BYTES) == PIECE_BYTES, "writing", NULL);
  bench_need(fsync(fd) == 0, "fsync", NULL);
  close(fd);
  unlink(path);
}

struct part {
  struct store *store;
  int first, step;
};
static void *write_part(void *arg) {
  const struct part *part = arg;
  const uint8_t digest[32] = { 0 }; /* the segment builder has it already */
  for (int i = part->first; i < PIECES; i += part->step) {
    struct store_blob blob;
    struct px_err err;
    bench_need(!store_blob_put(part->store, bytes, PIECE_BYTES, digest, &blob, &err), "storing",
               &err);
    made[i] = blob.id;
  }
  return NULL;
}

static struct store *stores[CLIENTS_MAX];
static void write_blobs(int connections) {
  pthread_t thread[CLIENTS_MAX];
  struct part part[CLIENTS_MAX];
  for (int i = 0; i < connections; i++) {
    part[i] = (struct part){ stores[i], i, connections };
    bench_need(pthread_create(&thread[i], NULL, write_part, &part[i]) == 0, "a thread", NULL);
  }
  for (int i = 0; i < connections; i++) pthread_join(thread[i], NULL);
}

static enum px_status count(void *ctx, const void *chunk, size_t n, struct px_err *err) {
  (void)chunk;
  (void)err;
  *(size_t *)ctx += n;
  return PX_OK;
}
static void read_blobs(int arg) {
  (void)arg;
  size_t n = 0;
  struct px_err err;
  for (int i = 0; i < PIECES; i++)
    bench_need(!store_blob_get(stores[0], made[i], count, &n, &err), "reading", &err);
  bench_need(n == (size_t)PIECES * PIECE_BYTES, "reading all", NULL);
}

static void submit_jobs(void) {
  static struct store_job_draft drafts[JOBS];
  static char ids[JOBS][STORE_ID_MAX];
  struct px_err err;
  for (int i = 0; i < JOBS; i++) {
    store_job_new_id(ids[i]);
    drafts[i] = (struct store_job_draft){
      .id = ids[i], .kind = "evaluate", .name = "bench", .spec_json = "{}"
    };
  }
  bench_need(!store_jobs_submit(stores[0], drafts, JOBS, &err), "submitting", &err);
}

static void *finish_jobs(void *arg) {
  const char *kind = "evaluate";
  for (;;) {
    struct store_job *job;
    struct px_err err;
    bench_need(!store_job_claim(arg, "bench", &kind, 1, 30000, 0, &job, &err), "claiming", &err);
    if (!job) return NULL;
    bench_need(!store_job_succeed(arg, &job->hold, "{}", &err), "finishing", &err);
    store_job_free(job);
  }
}
static void work_off(int clients) {
  pthread_t thread[CLIENTS_MAX];
  for (int i = 0; i < clients; i++)
    bench_need(pthread_create(&thread[i], NULL, finish_jobs, stores[i]) == 0, "a thread", NULL);
  for (int i = 0; i < clients; i++) pthread_join(thread[i], NULL);
}

int main(int argc, char **argv) {
  url = getenv("PROXACT_DB_URL");
  if (argc < 2 || !url) {
    fprintf(stderr, "usage: PROXACT_DB_URL=... bench_store FOLDER [FILE.csv]\n");
    return 2;
  }
  folder = argv[1];
  if (argc > 2) bench_need((csv = fopen(argv[2], "a")) != NULL, "opening the CSV file", NULL);
  bytes = malloc(PIECE_BYTES);
  bench_need(bytes != NULL, "memory", NULL);
  struct px_rng rng = px_rng_at(1, 0, 0);
  for (size_t i = 0; i < PIECE_BYTES; i += 4) {
    const uint32_t word = px_rng_u32(&rng);
    memcpy(bytes + i, &word, 4);
  }
  for (int i = 0; i < CLIENTS_MAX; i++) stores[i] = connect_to();
  struct px_err err;
  bench_need(!store_migrate(stores[0], NULL, &err), "migrating", &err);
  const double disk = measure("write and fsync", "MB/s", MB, NULL, raw_write, 0);
  const double one = measure("blobs in, 1 connection", "MB/s", MB, NULL, write_blobs, 1);
  const double two = measure("blobs in, 2 connections", "MB/s", MB, NULL, write_blobs, 2);
  printf("%-28s %8.0f%%  (1 connection)  %.0f%% (2)\n", "of write and fsync", 100 * one / disk,
         100 * two / disk);
  measure("blobs out", "MB/s", MB, NULL, read_blobs, 0);
  measure("claim and finish, 1 client", "jobs/s", JOBS, submit_jobs, work_off, 1);
  measure("claim and finish, 4 clients", "jobs/s", JOBS, submit_jobs, work_off, 4);
  for (int i = 0; i < CLIENTS_MAX; i++) store_close(stores[i]);
  free(bytes);
  if (csv) fclose(csv);
  return 0;
}
