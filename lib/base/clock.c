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
