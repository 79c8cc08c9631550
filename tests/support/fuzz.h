/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small mutation fuzzer: every tests/fuzz/fuzz_*.c is a program around one
 * function that takes bytes and must neither crash nor break its invariants.
 *
 *   fuzz_x                      some thousand mutations from a fixed seed, for every test run
 *   fuzz_x --runs N [--seed S]  more, for hours if wanted
 *   fuzz_x FILE...              replays files
 *
 * The input ends at a guard page, so that a read past it faults in a plain
 * build too. A finding is written to ./fuzz-crash before it is tried, and kept
 * there. Single threaded.
 */
#ifndef PX_TESTS_SUPPORT_FUZZ_H
#define PX_TESTS_SUPPORT_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "lib/read/reader.h"

enum { FUZZ_BYTES_MAX = 64 * 1024, FUZZ_SEEDS_MAX = 32 };

/* Ends the program, naming the place, when an invariant does not hold. */
#define FUZZ_HOLDS(condition) ((condition) ? (void)0 : fuzz_broken(#condition, __FILE__, __LINE__))
_Noreturn void fuzz_broken(const char *condition, const char *file, int line);

struct fuzz_seed {
  const void *bytes;
  size_t n;
}; /* n <= FUZZ_BYTES_MAX */

/* Bytes for a reader: it takes them or says why not. Each trajectory goes to `take`, with a pointer
 * to `spaces`. `fd` is for readers that read from a file. */
typedef enum px_status fuzz_reader(struct px_reader *, const void *, size_t, struct px_err *);
typedef enum px_status fuzz_taker(void *spaces, const struct px_traj *, struct px_err *);
void fuzz_read(fuzz_reader *read, fuzz_taker *take, const struct px_read_options *options,
               const struct px_spaces *spaces, int fd, const uint8_t *bytes, size_t n);
/* Takes a trajectory as an upload does, which refuses what is not of these spaces. */
fuzz_taker fuzz_take;

/* `runs` is the number of mutations without arguments. Returns the exit status. */
int fuzz_run(int argc, char **argv, void (*one)(const uint8_t *bytes, size_t n),
             const struct fuzz_seed *seeds, size_t seeds_n, uint64_t runs);

#endif
