/* SPDX-License-Identifier: Apache-2.0 */
/* Processes at the same time: see learning.h. */
#include "tests/bench/learning/learning.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double wall_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Warms up, waits until nobody holds the other end of `gate`, works, tells its rate. */
static void child(const struct learning_work *w, void *state, double seconds, int gate,
                  int result) {
  char nothing;
  for (double start = wall_s(); wall_s() - start < 0.3;) w->run(state);
  if (read(gate, &nothing, 1) != 0) _exit(1);
  double units = 0, took;
  const double start = wall_s();
  do {
    w->run(state);
    units += w->units;
  } while ((took = wall_s() - start) < seconds);
  const double rate = units / took;
  _exit(write(result, &rate, sizeof rate) == sizeof rate ? 0 : 1);
}

double learning_rate_of(const struct learning_work *w, void *state, int n, double seconds) {
  int gate[2], result[2];
  double sum = 0;
  if (pipe(gate) || pipe(result)) exit(1);
  fflush(NULL);
  for (int i = 0; i < n; i++) {
    const pid_t pid = fork();
    if (pid < 0) exit(1);
    if (pid > 0) continue;
    close(gate[1]);
    child(w, state, seconds, gate[0], result[1]);
  }
  nanosleep(&(struct timespec){ .tv_nsec = 500000000 }, NULL);
  close(gate[1]);
  close(result[1]);
  for (int i = 0; i < n; i++) {
    double rate;
    if (read(result[0], &rate, sizeof rate) != sizeof rate) exit(1);
    sum += rate;
  }
  while (n-- > 0) wait(NULL);
  close(gate[0]);
  close(result[0]);
  return sum;
}
