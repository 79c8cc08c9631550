/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast uploads are read, through the same entry as the server's ingest.
 *
 *   bench_read [-n repeats] -o OBS_DIM -a ACT_DIM file...
 *
 * Prints a CSV line per file: format, bytes of the file, trajectories, steps,
 * median and spread of seconds, and MB/s of file bytes and of the float32 data
 * that came out; then the seconds that lint took of one more reading, and a line
 * for each of its findings.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fail.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"
#include "lib/read/lint.h"
#include "lib/read/read.h"
#include "tests/support/helpers.h"

enum { REPEATS_MAX = 100 };

struct sum {
  const struct px_spaces *spaces;
  uint64_t bytes;
};

static enum px_status count(void *ctx, const struct px_traj *traj, struct px_err *err) {
  (void)err;
  struct sum *sum = ctx;
  const uint64_t T = traj->steps;
  sum->bytes += 4 * ((T + traj->has_final) * sum->spaces->obs_dim + T +
                     (traj->actions ? T * sum->spaces->act_dim : 0));
  return PX_OK;
}

struct linted {
  struct px_lint *lint;
  double seconds;
};

static enum px_status lint(void *ctx, const struct px_traj *traj, struct px_err *err) {
  (void)err;
  struct linted *linted = ctx;
  const double begin = px_clock_s();
  px_lint_put(linted->lint, traj);
  linted->seconds += px_clock_s() - begin;
  return PX_OK;
}

static enum px_status measure_lint(int fd, enum px_read_format format, const char *path,
                                   const struct px_spaces *spaces, struct px_err *err) {
  struct linted linted = { .seconds = 0 };
  const struct px_traj_sink sink = { &linted, lint };
  struct px_read_report report;
  static struct px_lint_finding found[PX_LINT_FINDINGS_MAX];
  enum px_status status = px_lint_new(spaces, &linted.lint, err);
  if (!status) status = px_read_file(fd, format, path, NULL, spaces, &sink, &report, err);
  const double begin = px_clock_s();
  const uint32_t n = status ? 0 : px_lint_findings(linted.lint, found);
  if (!status) printf(",%.4f,%u\n", linted.seconds + px_clock_s() - begin, n);
  for (uint32_t i = 0; i < n; i++)
    printf("# %s: %s\n", px_lint_name(found[i].code), found[i].message);
  px_lint_free(linted.lint);
  return status;
}

static int by_size(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static enum px_status measure(const char *path, const struct px_spaces *spaces, int repeats,
                              struct px_err *err) {
  double seconds[REPEATS_MAX];
  struct px_read_report report;
  struct sum sum = { spaces, 0 };
  const struct px_traj_sink sink = { &sum, count };
  enum px_read_format format;
  struct stat st = { 0 };
  enum px_status status = px_read_format_from_name(path, &format, err);
  const int fd = status ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (!status && (fd < 0 || fstat(fd, &st))) status = px_fail_errno(err, "cannot open %s", path);
  for (int i = -1; i < repeats && !status; i++) { /* the first is the warm-up */
    sum.bytes = 0;
    const double begin = px_clock_s();
    status = px_read_file(fd, format, path, NULL, spaces, &sink, &report, err);
    if (i >= 0) seconds[i] = px_clock_s() - begin;
  }
  if (status) {
    if (fd >= 0) close(fd);
    return status;
  }
  qsort(seconds, (size_t)repeats, sizeof *seconds, by_size);
  const double median = seconds[repeats / 2];
  printf("%s,%s,%lld,%" PRIu64 ",%" PRIu64 ",%.4f,%.4f,%.4f,%.1f,%.1f", path, report.layout,
         (long long)st.st_size, report.trajectories_n, report.steps_n, median, seconds[0],
         seconds[repeats - 1], (double)st.st_size / median / 1e6, (double)sum.bytes / median / 1e6);
  status = measure_lint(fd, format, path, spaces, err);
  close(fd);
  return status;
}

int main(int argc, char **argv) {
  const int helper = helpers_main(argc, argv);
  if (helper >= 0) return helper;
  static struct px_spaces spaces;
  int repeats = 5;
  for (int option; (option = getopt(argc, argv, "n:o:a:")) != -1;) {
    const uint32_t value = (uint32_t)strtoul(optarg ? optarg : "0", NULL, 10);
    if (option == 'n') repeats = value < 1 ? 1 : value > REPEATS_MAX ? REPEATS_MAX : (int)value;
    else if (option == 'o') spaces.obs_dim = value;
    else if (option == 'a') spaces.act_dim = value < PX_ACT_MAX ? value : PX_ACT_MAX;
    else return 2;
  }
  for (uint32_t j = 0; j < spaces.act_dim; j++) spaces.act_low[j] = -1, spaces.act_high[j] = 1;
  printf("file,layout,bytes,trajectories,steps,median_s,min_s,max_s,file_mb_s,data_mb_s,lint_s,"
         "findings\n");
  for (int i = optind; i < argc; i++) {
    struct px_err err = { 0 };
    if (measure(argv[i], &spaces, repeats, &err)) {
      fprintf(stderr, "%s\n", err.message);
      return 1;
    }
  }
  return 0;
}
