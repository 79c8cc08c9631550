/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What benchmarks share: CPU time, and an end for a step that failed, since figures after it would
 * mean nothing. For programs of one file in tests/bench.
 */
#ifndef PX_TESTS_BENCH_BENCH_H
#define PX_TESTS_BENCH_BENCH_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/base/fail.h"

static inline double bench_clock_s(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
/* Seconds of CPU time: of this thread, of the whole process. */
static inline double bench_cpu_s(void) { return bench_clock_s(CLOCK_THREAD_CPUTIME_ID); }
static inline double bench_process_cpu_s(void) { return bench_clock_s(CLOCK_PROCESS_CPUTIME_ID); }

/* These end the program with status 1. */
static inline void bench_must(enum px_status status, const struct px_err *err) {
  if (!status) return;
  fprintf(stderr, "%s: %s %s\n", program_invocation_short_name, err->message, err->pointer);
  exit(1);
}
/* err may be NULL. */
static inline void bench_need(bool good, const char *what, const struct px_err *err) {
  if (good) return;
  fprintf(stderr, "%s: %s failed: %s\n", program_invocation_short_name, what,
          err ? err->message : "");
  exit(1);
}
static inline void bench_die(const char *what) {
  perror(what);
  exit(1);
}

#endif
