/* SPDX-License-Identifier: Apache-2.0 */
/* Which call fails: see fault_inject.h. */
#include "tests/fault/lib/fault_inject.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/rng.h"

struct failing *fault_inject_open(const char *path) {
  const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || ftruncate(fd, sizeof(struct failing)) < 0) return NULL;
  void *map = mmap(NULL, sizeof(struct failing), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  return map != MAP_FAILED && setenv("PX_FAILING", path, 1) == 0 ? map : NULL;
}

void fault_inject_arm(struct failing *failing, enum failing_part part, long at) {
  atomic_store(&failing->part, FAILING_NONE);
  atomic_store(&failing->count, 0);
  atomic_store(&failing->at, at);
  atomic_store(&failing->fired, 0);
  atomic_store(&failing->part, part);
}

long fault_inject_disarm(struct failing *failing) {
  atomic_store(&failing->part, FAILING_NONE);
  return atomic_load(&failing->count);
}

const char *fault_inject_where(const struct failing *failing) {
  static char line[FAILING_NAME + FAILING_FRAMES * 100];
  if (!atomic_load(&failing->fired)) return "(no call failed)";
  int n = snprintf(line, sizeof line, "%s", failing->call);
  for (int i = 0; i < failing->frames_n; i++)
    n += snprintf(line + n, sizeof line - (size_t)n, " < %s", failing->where[i]);
  return line;
}

void fault_inject_note(struct failing *failing, bool noting) {
  atomic_store(&failing->noting, noting);
}

struct drawn {
  uint64_t place, lot;
  long number;
};

static int by_place_and_lot(const void *a, const void *b) {
  const struct drawn *x = a, *y = b;
  if (x->place != y->place) return x->place < y->place ? -1 : 1;
  return (x->lot > y->lot) - (x->lot < y->lot);
}

static int by_number(const void *a, const void *b) {
  const long x = *(const long *)a, y = *(const long *)b;
  return (x > y) - (x < y);
}

long *fault_inject_places(const struct failing *failing, uint64_t seed, const char *name, long of,
                          long *n) {
  struct px_rng rng = px_rng_at(seed, px_rng_stream(name, 0), 0);
  struct drawn *calls = of <= FAILING_NOTED ? calloc((size_t)of + 1, sizeof *calls) : NULL;
  long *places = calls ? calloc((size_t)of + 1, sizeof *places) : NULL;
  for (long i = 0; places && i < of; i++)
    calls[i] = (struct drawn){ failing->place[i], px_rng_u32(&rng), i + 1 };
  *n = 0;
  if (places) qsort(calls, (size_t)of, sizeof *calls, by_place_and_lot);
  for (long i = 0; places && i < of; i++)
    if (i == 0 || calls[i].place != calls[i - 1].place) places[(*n)++] = calls[i].number;
  if (places) qsort(places, (size_t)*n, sizeof *places, by_number);
  free(calls);
  return places;
}

/* Each of the numbers still to be looked at is taken with the chance that is left. */
long *fault_inject_sample(uint64_t seed, const char *name, long of, long *n) {
  struct px_rng rng = px_rng_at(seed, px_rng_stream(name, 0), 0);
  if (*n > of) *n = of;
  long *sample = calloc((size_t)(*n ? *n : 1), sizeof *sample), taken = 0;
  for (long i = 1; sample && i <= of && taken < *n; i++)
    if (px_rng_double(&rng) * (double)(of - i + 1) < (double)(*n - taken)) sample[taken++] = i;
  return sample;
}
