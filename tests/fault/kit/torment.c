/* Which call fails: see torment.h. */
#include "tests/fault/kit/torment.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/rng.h"

struct failing *torment_open(const char *path) {
  const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || ftruncate(fd, sizeof(struct failing)) < 0) return NULL;
  void *map = mmap(NULL, sizeof(struct failing), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  return map != MAP_FAILED && setenv("PX_FAILING", path, 1) == 0 ? map : NULL;
}

void torment_arm(struct failing *failing, enum failing_part part, long at) {
  atomic_store(&failing->part, FAILING_NONE);
  atomic_store(&failing->count, 0);
  atomic_store(&failing->at, at);
  atomic_store(&failing->fired, 0);
  atomic_store(&failing->part, part);
}

long torment_disarm(struct failing *failing) {
  atomic_store(&failing->part, FAILING_NONE);
  return atomic_load(&failing->count);
}

const char *torment_where(const struct failing *failing) {
  static char line[FAILING_NAME + FAILING_FRAMES * 100];
  if (!atomic_load(&failing->fired)) return "(no call failed)";
  int n = snprintf(line, sizeof line, "%s", failing->call);
  for (int i = 0; i < failing->frames_n; i++) n += snprintf(line + n, sizeof line - (size_t)n, " < %s", failing->where[i]);
  return line;
}

/* Each of the numbers still to be looked at is taken with the chance that is left. */
long *torment_sample(uint64_t seed, const char *name, long of, long *n) {
  struct px_rng rng = px_rng_at(seed, px_rng_stream(name, 0), 0);
  if (*n > of) *n = of;
  long *sample = calloc((size_t)(*n ? *n : 1), sizeof *sample), taken = 0;
  for (long i = 1; sample && i <= of && taken < *n; i++)
    if (px_rng_double(&rng) * (double)(of - i + 1) < (double)(*n - taken)) sample[taken++] = i;
  return sample;
}
