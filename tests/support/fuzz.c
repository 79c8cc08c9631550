/* SPDX-License-Identifier: Apache-2.0 */
/* A small mutation fuzzer: see fuzz.h. */
#include "tests/support/fuzz.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/base/rng.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"

static struct {
  const uint8_t *bytes;
  size_t n;
} current; /* for the handler of a crash */

/* Only calls that are safe in a signal handler. */
static void keep_finding(void) {
  const int fd = open("fuzz-crash", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return;
  if (write(fd, current.bytes, current.n) < 0) { /* nothing more can be done */
  }
  close(fd);
}

static void on_crash(int sig) {
  static const char TEXT[] = "fuzz: crashed; the input is in ./fuzz-crash\n";
  keep_finding();
  if (write(2, TEXT, sizeof TEXT - 1) < 0) { /* nothing more can be done */
  }
  signal(sig, SIG_DFL);
  raise(sig);
}

void fuzz_broken(const char *condition, const char *file, int line) {
  keep_finding();
  fprintf(stderr, "%s:%d: does not hold: %s; the input is in ./fuzz-crash\n", file, line,
          condition);
  _exit(1);
}

static size_t below(struct px_rng *rng, size_t n) { return px_rng_below(rng, (uint32_t)n); }

/* One change in place. Lengths and numbers in text are what parsers trust. */
static size_t mutate(struct px_rng *rng, uint8_t *x, size_t n) {
  static const uint64_t EDGES[] = { 0,     1,     2,         127,        128,       255,       256,
                                    65535, 65536, INT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX };
  const size_t at = n ? below(rng, n) : 0;
  switch (px_rng_below(rng, 8)) {
    case 0:
      if (n) x[at] ^= (uint8_t)(1u << px_rng_below(rng, 8));
      break;
    case 1:
      if (n) x[at] = (uint8_t)px_rng_u32(rng);
      break;
    case 2: { /* an edge value of 1 to 8 bytes */
      const uint64_t edge = EDGES[below(rng, sizeof EDGES / sizeof *EDGES)];
      const size_t width = (size_t)1 << px_rng_below(rng, 4);
      if (n - at >= width) memcpy(x + at, &edge, width);
      break;
    }
    case 3: return n - (n ? below(rng, n < 16 ? n : 16) : 0);
    case 4: { /* a piece repeated somewhere else, overwriting */
      const size_t to = n ? below(rng, n) : 0, most = n - (at > to ? at : to);
      if (most) memmove(x + to, x + at, 1 + below(rng, most));
      break;
    }
    case 5: { /* a piece inserted or removed */
      const size_t width = 1 + below(rng, 8);
      if (px_rng_below(rng, 2) && n - at >= width) {
        memmove(x + at, x + at + width, n - at - width);
        return n - width;
      }
      if (n + width > FUZZ_BYTES_MAX) return n;
      memmove(x + at + width, x + at, n - at);
      return n + width;
    }
    default: { /* a digit of a number in text: the next one from here on */
      size_t i = at;
      while (i < n && (x[i] < '0' || x[i] > '9')) i++;
      if (i < n) x[i] = (uint8_t)('0' + px_rng_below(rng, 10));
      break;
    }
  }
  return n;
}

/* Pages for the input, and one behind them that may not be touched. */
static uint8_t *guarded(void) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE),
               room = (FUZZ_BYTES_MAX + page - 1) / page * page;
  uint8_t *p = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED || mprotect(p + room, page, PROT_NONE) != 0) {
    perror("fuzz: mmap");
    exit(1);
  }
  return p + room; /* the end */
}

static int replay(char **files, int files_n, void (*one)(const uint8_t *, size_t), uint8_t *end) {
  static uint8_t work[FUZZ_BYTES_MAX];
  for (int i = 0; i < files_n; i++) {
    FILE *f = fopen(files[i], "rb");
    if (!f) {
      perror(files[i]);
      return 1;
    }
    current.n = fread(work, 1, sizeof work, f);
    fclose(f);
    current.bytes = memcpy(end - current.n, work, current.n);
    one(current.bytes, current.n);
    printf("%s: held\n", files[i]);
  }
  return 0;
}

enum px_status fuzz_take(void *spaces, const struct px_traj *traj, struct px_err *err) {
  FUZZ_HOLDS(traj->steps >= 1 && traj->steps <= PX_STEPS_MAX);
  return px_traj_check(spaces, traj, 0, err);
}

void fuzz_read(fuzz_reader *read, fuzz_taker *take, const struct px_read_options *options,
               const struct px_spaces *spaces, int fd, const uint8_t *bytes, size_t n) {
  struct px_spaces declared = *spaces;
  const struct px_traj_sink sink = { &declared, take };
  struct px_read_report report = { 0 };
  struct px_reader r = { .options = options,
                         .spaces = &declared,
                         .sink = &sink,
                         .report = &report,
                         .file_bytes = n,
                         .fd = fd };
  struct px_err err = { 0 };
  const enum px_status status = read(&r, bytes, n, &err);
  FUZZ_HOLDS(status == PX_OK ||
             ((status == PX_E_BAD_DATA || status == PX_E_TOO_LARGE) && err.message[0]));
  FUZZ_HOLDS(status != PX_OK || report.trajectories_n > 0);
}

int fuzz_run(int argc, char **argv, void (*one)(const uint8_t *bytes, size_t n),
             const struct fuzz_seed *seeds, size_t seeds_n, uint64_t runs) {
  static uint8_t work[FUZZ_BYTES_MAX];
  static const int SIGNALS[] = { SIGSEGV, SIGBUS, SIGFPE, SIGABRT, SIGILL };
  uint8_t *end = guarded();
  uint64_t seed = 1;
  int i = 1;
  for (; i + 1 < argc && argv[i][0] == '-'; i += 2) {
    if (strcmp(argv[i], "--runs") == 0) runs = strtoull(argv[i + 1], NULL, 10);
    else if (strcmp(argv[i], "--seed") == 0) seed = strtoull(argv[i + 1], NULL, 10);
  }
  for (size_t k = 0; k < sizeof SIGNALS / sizeof *SIGNALS; k++) signal(SIGNALS[k], on_crash);
  if (i < argc) return replay(argv + i, argc - i, one, end);
  for (uint64_t run = 0; run < runs; run++) {
    struct px_rng rng = px_rng_at(seed, px_rng_stream("fuzz", run), 0);
    const struct fuzz_seed *from =
      &seeds[run < seeds_n ? run : px_rng_below(&rng, (uint32_t)seeds_n)];
    size_t n = from->n;
    memcpy(work, from->bytes, n);
    /* The seeds themselves first. */
    for (uint32_t changes = run < seeds_n ? 0 : 1 + px_rng_below(&rng, 4); changes > 0; changes--)
      n = mutate(&rng, work, n);
    current.n = n;
    current.bytes = memcpy(end - n, work, n);
    one(current.bytes, n);
  }
  printf("%" PRIu64 " mutations of %zu seeds held\n", runs, seeds_n);
  return 0;
}
