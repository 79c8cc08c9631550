/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real datasets: the cuts in tests/data, and the whole files where PROXACT_DATA names a folder that
 * has them. Expected counts were made with h5py.
 */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"
#include "tests/support/cu.h"
#include "tests/support/uploads.h"

struct real {
  const char *file;
  uint32_t obs_dim, act_dim;
  uint64_t trajectories, steps, terminals, timeouts;
  double return_mean, return_min, return_max; /* NAN: not stated */
};
static const struct real cuts[] = {
  { "hopper-medium.hdf5", 11, 3, 4, 1932, 3, 1, 1560, 972, 3254 },
  { "hopper-medium.npz", 11, 3, 4, 1932, 3, 1, 1560, 972, 3254 },
  { "halfcheetah-medium.hdf5", 17, 6, 1, 1000, 0, 1, 4651, 4651, 4651 },
  { "real-door-human.hdf5", 39, 28, 2, 446, 0, 2, 947, 655, 1239 },
  { "real-panda-human.hdf5", 18, 7, 2, 671, 0, 2, 1, 1, 1 },
  { "real-panda-human.npz", 18, 7, 2, 671, 0, 2, 1, 1, 1 },
  { "minari/hopper-medium-v0/data/main_data.hdf5", 11, 3, 4, 1932, 3, 1, 1560, 972, 3254 },
}, wholes[] = {
  { "hopper-medium.hdf5", 11, 3, 188, 100406, 181, 7, 1765, 972, 3254 },
  { "hopper-medium-replay.hdf5", 11, 3, 550, 100463, 531, 19, 493, 7, 3264 },
  { "hopper-medium-replay.npz", 11, 3, 550, 100463, 531, 19, 493, 7, 3264 },
  { "hopper-medium-expert.hdf5", 11, 3, 302, 200888, 233, 69, 2318, 972, 3706 },
  { "halfcheetah-medium.hdf5", 17, 6, 100, 100000, 0, 100, 4725, 4428, 5037 },
  { "halfcheetah-medium-replay.hdf5", 17, 6, 100, 100000, 0, 100, 3332, -438, 5986 },
  { "halfcheetah-medium-expert.hdf5", 17, 6, 200, 200000, 0, 200, 8083, 4428, 11927 },
  { "real-door-human.hdf5", 39, 28, 25, 6704, 0, 25, 784, 220, 1476 },
  { "real-panda-human.hdf5", 18, 7, 5, 3718, 0, 5, NAN, NAN, NAN },
  { "real-panda-human.npz", 18, 7, 5, 3718, 0, 5, NAN, NAN, NAN },
  { "minari/hopper-medium-v0/data/main_data.hdf5", 11, 3, 188, 100406, 181, 7, 1765, 972, 3254 },
};

static const char CUTS[] = "tests/data";

static struct px_spaces unit_spaces(uint32_t obs_dim, uint32_t act_dim) {
  struct px_spaces spaces = { .obs_dim = obs_dim, .act_dim = act_dim };
  for (uint32_t j = 0; j < act_dim; j++) {
    spaces.act_low[j] = -1;
    spaces.act_high[j] = 1;
  }
  return spaces;
}

static void load(const char *folder, const char *file, struct trajs *list,
                 struct px_read_report *report) {
  char path[512];
  enum px_read_format format = PX_FORMAT_HDF5;
  struct px_err err = { 0 };
  snprintf(path, sizeof path, "%s/%s", folder, file);
  CU_OK(px_read_format_from_name(file, &format, &err), err);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  CU_ASSERT_FATAL(fd >= 0);
  CU_OK(uploads_read(fd, format, NULL, list, report, &err), err);
}

static double return_of(const struct px_traj *t) {
  double sum = 0;
  for (uint32_t i = 0; i < t->steps; i++) sum += (double)t->rewards[i];
  return sum;
}

static void check_counts(const char *folder, const struct real *files, size_t n) {
  for (size_t i = 0; i < n; i++) {
    const struct real *f = &files[i];
    struct trajs list = { .spaces = unit_spaces(f->obs_dim, f->act_dim) };
    struct px_read_report report;
    load(folder, f->file, &list, &report);
    uint64_t terminals = 0, timeouts = 0, finals = 0;
    double sum = 0, least = INFINITY, most = -INFINITY;
    for (size_t k = 0; k < list.n; k++) {
      const double ret = return_of(&list.items[k]);
      terminals += list.items[k].terminated;
      timeouts += list.items[k].truncated;
      finals += list.items[k].has_final;
      sum += ret;
      least = fmin(least, ret);
      most = fmax(most, ret);
    }
    CU_ASSERT_EQUAL(report.trajectories_n, f->trajectories);
    CU_ASSERT_EQUAL(list.n, f->trajectories);
    CU_ASSERT_EQUAL(report.steps_n, f->steps);
    CU_ASSERT_EQUAL(report.labelled_n, f->steps);
    CU_ASSERT_EQUAL(terminals, f->terminals);
    CU_ASSERT_EQUAL(timeouts, f->timeouts);
    CU_ASSERT_EQUAL(finals, f->trajectories);
    CU_ASSERT_EQUAL(report.notes_n, 0);
    if (!isnan(f->return_mean)) { /* the table has whole numbers */
      CU_ASSERT_DOUBLE_EQUAL(sum / (double)list.n, f->return_mean, 0.51);
      CU_ASSERT_DOUBLE_EQUAL(least, f->return_min, 0.51);
      CU_ASSERT_DOUBLE_EQUAL(most, f->return_max, 0.51);
    }
    trajs_free(&list);
  }
}

static void counts_and_returns_are_those_of_the_table(void) {
  check_counts(CUTS, cuts, sizeof cuts / sizeof *cuts);
}

static void whole_files_are_read_where_they_are(void) {
  const char *folder = getenv("PROXACT_DATA");
  if (folder && *folder) check_counts(folder, wholes, sizeof wholes / sizeof *wholes);
}

static void npz_and_hdf5_of_the_same_data_read_alike(void) {
  static const char *const pairs[][2] = { { "hopper-medium.hdf5", "hopper-medium.npz" },
                                          { "real-panda-human.hdf5", "real-panda-human.npz" } };
  static const uint32_t dims[][2] = { { 11, 3 }, { 18, 7 } };
  for (size_t i = 0; i < 2; i++) {
    struct trajs a = { .spaces = unit_spaces(dims[i][0], dims[i][1]) }, b = a;
    load(CUTS, pairs[i][0], &a, NULL);
    load(CUTS, pairs[i][1], &b, NULL);
    CU_ASSERT_STRING_EQUAL(trajs_differ(&a, &b), "");
    trajs_free(&a);
    trajs_free(&b);
  }
}

static void minari_and_d4rl_of_the_same_data_read_alike(void) {
  struct trajs a = { .spaces = unit_spaces(11, 3) }, b = a;
  load(CUTS, "hopper-medium.hdf5", &a, NULL);
  load(CUTS, "minari/hopper-medium-v0/data/main_data.hdf5", &b, NULL);
  CU_ASSERT_STRING_EQUAL(trajs_differ(&a, &b), "");
  trajs_free(&a);
  trajs_free(&b);
}

CU_MAIN("read_real", T(counts_and_returns_are_those_of_the_table),
        T(whole_files_are_read_where_they_are), T(npz_and_hdf5_of_the_same_data_read_alike),
        T(minari_and_d4rl_of_the_same_data_read_alike))
