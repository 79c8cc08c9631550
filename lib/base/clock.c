/* SPDX-License-Identifier: Apache-2.0 */
/* Time: see clock.h. */
#include "lib/base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t now_ms(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t px_clock_ms(void) { return now_ms(CLOCK_MONOTONIC); }
int64_t px_clock_wall_ms(void) { return now_ms(CLOCK_REALTIME); }

double px_clock_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void px_clock_rfc3339(int64_t wall_ms, char text[25]) {
  const time_t seconds = (time_t)(wall_ms / 1000);
  struct tm t;
  gmtime_r(&seconds, &t);
  const size_t n = strftime(text, 25, "%Y-%m-%dT%H:%M:%S", &t);
  snprintf(text + n, 25 - n, ".%03dZ", (int)(wall_ms % 1000));
}

void px_clock_cond_init(pthread_cond_t *cond) {
  pthread_condattr_t monotonic;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init(cond, &monotonic);
  pthread_condattr_destroy(&monotonic);
}

void px_clock_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t ms) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  const int64_t ns = until.tv_nsec + ms % 1000 * 1000000;
  until.tv_sec += ms / 1000 + ns / 1000000000;
  until.tv_nsec = ns % 1000000000;
  pthread_cond_timedwait(cond, lock, &until);
}
