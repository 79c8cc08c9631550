/* SPDX-License-Identifier: Apache-2.0 */
/* The parse helper: what it is locked into, what its death looks like, and that the parent outlives
 * all of it. */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"
#include "tests/support/cu.h"
#include "tests/support/uploads.h"

#if PX_SANITIZED
enum { SECCOMP_MODE = 0 }; /* see sandbox.h */
#else
enum { SECCOMP_MODE = 2 };
#endif

/* More trajectories than the pipe holds, so that the helper is alive during the first. */
enum { BIG_STEPS = 400000 };
static void fill_big(hid_t f) {
  float *zeros = calloc(BIG_STEPS * 2, sizeof *zeros);
  uint8_t *ends = calloc(BIG_STEPS, 1);
  for (int i = 999; i < BIG_STEPS; i += 1000) ends[i] = 1;
  uploads_floats(f, "observations", BIG_STEPS, 2, zeros);
  uploads_floats(f, "rewards", BIG_STEPS, 0, zeros);
  uploads_bools(f, "terminals", BIG_STEPS, ends);
  free(zeros);
  free(ends);
}

static void fill_small(hid_t f) {
  static const float x[22] = { 1, 2, 3 };
  static const uint8_t end[10] = { [4] = 1, [9] = 1 };
  const hid_t p = H5Pcreate(H5P_DATASET_CREATE);
  const hsize_t chunk[2] = { 4, 2 };
  H5Pset_chunk(p, 2, chunk);
  H5Pset_deflate(p, 6);
  H5Pset_shuffle(p);
  uploads_put(f, "observations", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 10, 2, x, p);
  uploads_put(f, "next_observations", H5T_IEEE_F64LE, H5T_NATIVE_FLOAT, 10, 2, x + 2, p);
  uploads_floats(f, "rewards", 10, 0, x);
  uploads_bools(f, "terminals", 10, end);
  uploads_group(f, "infos");
  H5Pclose(p);
}

/* The helper that this thread has started, from /proc. */
static pid_t find_helper(void) {
  pid_t found = 0;
  DIR *tasks = opendir("/proc/self/task");
  for (struct dirent *task; tasks && (task = readdir(tasks));) {
    char path[300];
    snprintf(path, sizeof path, "/proc/self/task/%s/children", task->d_name);
    FILE *children = task->d_name[0] == '.' ? NULL : fopen(path, "re");
    int pid;
    if (children && fscanf(children, "%d", &pid) == 1) found = pid;
    if (children) fclose(children);
  }
  if (tasks) closedir(tasks);
  return found;
}

struct watch {
  int signal, seccomp, no_new_privs;
  uint64_t put_n;
};

static enum px_status look_and_signal(void *ctx, const struct px_traj *traj, struct px_err *err) {
  struct watch *watch = ctx;
  (void)traj, (void)err;
  if (watch->put_n++) return PX_OK;
  const pid_t pid = find_helper();
  CU_ASSERT_FATAL(pid > 1);
  char path[64], line[256];
  snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
  FILE *status = fopen(path, "re");
  CU_ASSERT_PTR_NOT_NULL_FATAL(status);
  while (fgets(line, sizeof line, status)) {
    if (!strncmp(line, "Seccomp:", 8)) watch->seccomp = (int)strtol(line + 8, NULL, 10);
    if (!strncmp(line, "NoNewPrivs:", 11)) watch->no_new_privs = (int)strtol(line + 11, NULL, 10);
  }
  fclose(status);
  if (watch->signal) kill(pid, watch->signal);
  return PX_OK;
}

static enum px_status read_watched(struct watch *watch, const struct px_read_options *options,
                                   struct px_err *err) {
  const struct px_spaces spaces = trajs_spaces(2, 1);
  const struct px_traj_sink sink = { watch, look_and_signal };
  struct px_read_report report;
  const int fd = uploads_hdf5(fill_big);
  const enum px_status status =
    px_read_file(fd, PX_FORMAT_HDF5, "big", options, &spaces, &sink, &report, err);
  close(fd);
  return status;
}

static void the_helper_is_locked_up(void) {
  struct watch watch = { 0 };
  struct px_err err;
  CU_OK(read_watched(&watch, NULL, &err), err);
  CU_ASSERT_EQUAL(watch.seccomp, SECCOMP_MODE);
  CU_ASSERT_EQUAL(watch.no_new_privs, 1);
  CU_ASSERT_EQUAL(watch.put_n, BIG_STEPS / 1000);
  CU_ASSERT_EQUAL(find_helper(), 0);
}

static void a_helpers_death_is_bad_data_with_its_reason(void) {
  static const struct {
    int signal;
    const char *words;
  } deaths[] = {
    { SIGABRT, "died of signal 6" },    { SIGSYS, "refused a system call" },
    { SIGXCPU, "ran out of time" },     { SIGKILL, "ran out of time or memory" },
    { SIGSTOP, "no progress for 1 s" },
  };
  const struct px_read_options options = { .max_idle_s = 1 };
  for (size_t i = 0; i < sizeof deaths / sizeof *deaths; i++) {
    struct watch watch = { .signal = deaths[i].signal };
    struct px_err err = { 0 };
    /* only the one that stands still is waited for: a slow machine's helper is not taken for it */
    const bool still = deaths[i].signal == SIGSTOP;
    CU_ASSERT_EQUAL(read_watched(&watch, still ? &options : NULL, &err), PX_E_BAD_DATA);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.message, deaths[i].words));
    if (!strstr(err.message, deaths[i].words)) printf("\n  %s\n", err.message);
    CU_ASSERT_EQUAL(find_helper(), 0); /* none is left behind, not even a zombie */
  }
}

static enum px_status full(void *ctx, const struct px_traj *traj, struct px_err *err) {
  (void)ctx, (void)traj;
  return px_fail(err, PX_E_NO_SPACE, "the disk is full");
}

static void a_sinks_failure_is_passed_on_as_it_is(void) {
  const struct px_spaces spaces = trajs_spaces(2, 1);
  const struct px_traj_sink sink = { NULL, full };
  struct px_read_report report;
  struct px_err err;
  const int fd = uploads_hdf5(fill_big);
  CU_ASSERT_EQUAL(px_read_file(fd, PX_FORMAT_HDF5, "big", NULL, &spaces, &sink, &report, &err),
                  PX_E_NO_SPACE);
  CU_ASSERT_STRING_EQUAL(err.message, "the disk is full");
  CU_ASSERT_EQUAL(find_helper(), 0);
  close(fd);
}

/* Threads that allocate without pause, so that a fork would often happen with the allocator's lock
 * held. */
static atomic_bool churning;
static void *churn(void *unused) {
  (void)unused;
  void *volatile block; /* so that the compiler keeps both calls */
  while (atomic_load(&churning)) {
    // cppcheck-suppress unusedAllocatedMemory
    block = malloc(100000);
    free(block);
  }
  return NULL;
}
static void *read_some(void *fd) {
  size_t good = 0;
  for (int i = 0; i < 8; i++) {
    struct trajs list = { .spaces = trajs_spaces(2, 1) };
    struct px_err err;
    good += uploads_read(dup(*(int *)fd), PX_FORMAT_HDF5, NULL, &list, NULL, &err) == PX_OK &&
            list.n == 2;
    trajs_free(&list);
  }
  return (void *)good;
}
static void many_threads_may_read_at_once(void) {
  int fd = uploads_hdf5(fill_small);
  pthread_t churner, readers[4];
  atomic_store(&churning, true);
  pthread_create(&churner, NULL, churn, NULL);
  for (int i = 0; i < 4; i++) pthread_create(&readers[i], NULL, read_some, &fd);
  for (int i = 0; i < 4; i++) {
    void *good;
    pthread_join(readers[i], &good);
    CU_ASSERT_EQUAL((size_t)good, 8);
  }
  atomic_store(&churning, false);
  pthread_join(churner, NULL);
  close(fd);
}

/* The library crashes on some of these; the reading process must not. */
static void mutated_files_never_reach_the_parent(void) {
  enum { MUTANTS = 250 };
  const int fd = uploads_hdf5(fill_small);
  size_t n, accepted = 0, refused = 0;
  char *bytes = uploads_contents(fd, &n);
  char *mutant = malloc(n);
  close(fd);
  for (uint64_t i = 0; i < MUTANTS; i++) {
    struct px_rng rng = px_rng_at(2026, px_rng_stream("mutant", 0), i << 16);
    memcpy(mutant, bytes, n);
    for (uint32_t k = 1 + px_rng_below(&rng, 8); k; k--) {
      const uint32_t at = px_rng_below(&rng, (uint32_t)n);
      if (px_rng_below(&rng, 3)) mutant[at] = (char)px_rng_below(&rng, 256);
      else mutant[at] = (char)(bytes[at] ^ (1 << px_rng_below(&rng, 8)));
    }
    const struct px_read_options options = { .max_cpu_s = 2, .max_idle_s = 5 };
    struct trajs list = { .spaces = trajs_spaces(2, 1) };
    struct px_err err = { 0 };
    const enum px_status status =
      uploads_read(uploads_bytes(mutant, n), PX_FORMAT_HDF5, &options, &list, NULL, &err);
    if (status == PX_OK) accepted++;
    else refused += (status == PX_E_BAD_DATA || status == PX_E_TOO_LARGE) && err.message[0];
    if (status && status != PX_E_BAD_DATA && status != PX_E_TOO_LARGE)
      printf("\n  mutant %d: %s: %s\n", (int)i, px_status_slug(status), err.message);
    trajs_free(&list);
  }
  CU_ASSERT_EQUAL(accepted + refused, MUTANTS);
  CU_ASSERT(refused > MUTANTS / 10); /* the mutations do reach the structure */
  free(bytes);
  free(mutant);
}

static void formats_are_known_by_name_and_type(void) {
  enum px_read_format f;
  struct px_err err;
  CU_ASSERT(px_read_format_from_media_type("application/X-HDF5; charset=binary", &f, &err) ==
              PX_OK &&
            f == PX_FORMAT_HDF5);
  CU_ASSERT(px_read_format_from_media_type("application/x-ndjson", &f, &err) == PX_OK &&
            f == PX_FORMAT_JSONL);
  CU_ASSERT_EQUAL(px_read_format_from_media_type("hdf5", &f, &err), PX_E_UNSUPPORTED_MEDIA);
  CU_ASSERT_EQUAL(px_read_format_from_media_type(NULL, &f, &err), PX_E_UNSUPPORTED_MEDIA);
  CU_ASSERT(px_read_format_from_name("a.b/x.H5", &f, &err) == PX_OK && f == PX_FORMAT_HDF5);
  CU_ASSERT(px_read_format_from_name("npz", &f, &err) == PX_OK && f == PX_FORMAT_NPZ);
  CU_ASSERT_EQUAL(px_read_format_from_name("x.pkl", &f, &err), PX_E_UNSUPPORTED_MEDIA);
  for (int i = 0; i < PX_FORMAT_N; i++) {
    CU_ASSERT(px_read_format_from_media_type(px_read_format_media_type((enum px_read_format)i), &f,
                                             &err) == PX_OK &&
              f == (enum px_read_format)i);
    CU_ASSERT(px_read_format_from_name(px_read_format_name((enum px_read_format)i), &f, &err) ==
                PX_OK &&
              f == (enum px_read_format)i);
  }
}

CU_MAIN("sandbox", T(the_helper_is_locked_up), T(a_helpers_death_is_bad_data_with_its_reason),
        T(a_sinks_failure_is_passed_on_as_it_is), T(many_threads_may_read_at_once),
        T(mutated_files_never_reach_the_parent), T(formats_are_known_by_name_and_type))
