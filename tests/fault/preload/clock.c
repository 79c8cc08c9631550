/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A wall clock that is PX_CLOCK_OFF_S seconds off, for a program under test: loaded in front of it
 * with LD_PRELOAD, links nothing of the project. Time that only goes on (CLOCK_MONOTONIC) is as
 * ever, as on a machine whose clock is set wrongly.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static time_t off(void) {
  const char *given = getenv("PX_CLOCK_OFF_S");
  return given ? (time_t)strtol(given, NULL, 10) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *t) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real)
    real = (int (*)(clockid_t, struct timespec *))(uintptr_t)dlsym(RTLD_NEXT, "clock_gettime");
  const int rc = real(clock, t);
  if (rc == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) t->tv_sec += off();
  return rc;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone) {
  struct timespec now;
  (void)zone;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
  *t = (struct timeval){ now.tv_sec, now.tv_nsec / 1000 };
  return 0;
}

time_t time(time_t *out) {
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
  if (out) *out = now.tv_sec;
  return now.tv_sec;
}
