/*
 * Real datasets, if they are at hand: folder PROXACT_DATA, by default
 * ../shared/data. Expected counts are those of its README, made with h5py.
 */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/cu.h"
#include "tests/support/uploads.h"

static const struct real {
  const char *file;
  uint32_t obs_dim, act_dim;
  uint64_t trajectories, steps, terminals, timeouts;
  double return_mean, return_min, return_max; /* NAN: not stated */
} files[] = {
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

static const char *folder;

static struct px_spaces unit_spaces(uint32_t obs_dim, uint32_t act_dim) {
  struct px_spaces spaces = { .obs_dim = obs_dim, .act_dim = act_dim };
  for (uint32_t j = 0; j < act_dim; j++) {
    spaces.act_low[j] = -1;
    spaces.act_high[j] = 1;
  }
  return spaces;
}

static void load(const char *file, struct trajs *list, struct px_read_report *report) {
  char path[512];
  enum px_format format = PX_FORMAT_HDF5;
  struct px_err err = { 0 };
  snprintf(path, sizeof path, "%s/%s", folder, file);
  CU_OK(px_format_from_name(file, &format, &err), err);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  CU_ASSERT_FATAL(fd >= 0);
  CU_OK(uploads_read(fd, format, NULL, list, report, &err), err);
}

static double return_of(const struct px_traj *t) {
  double sum = 0;
  for (uint32_t i = 0; i < t->steps; i++) sum += (double)t->rewards[i];
  return sum;
}

static void counts_and_returns_are_those_of_the_table(void) {
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    const struct real *f = &files[i];
    struct trajs list = { .spaces = unit_spaces(f->obs_dim, f->act_dim) };
    struct px_read_report report;
    load(f->file, &list, &report);
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

static void npz_and_hdf5_of_the_same_data_read_alike(void) {
  static const char *const pairs[][2] = { { "hopper-medium-replay.hdf5", "hopper-medium-replay.npz" },
                                          { "real-panda-human.hdf5", "real-panda-human.npz" } };
  static const uint32_t dims[][2] = { { 11, 3 }, { 18, 7 } };
  for (size_t i = 0; i < 2; i++) {
    struct trajs a = { .spaces = unit_spaces(dims[i][0], dims[i][1]) }, b = a;
    load(pairs[i][0], &a, NULL);
    load(pairs[i][1], &b, NULL);
    CU_ASSERT_STRING_EQUAL(trajs_differ(&a, &b), "");
    trajs_free(&a);
    trajs_free(&b);
  }
}

static void minari_and_d4rl_of_the_same_data_read_alike(void) {
  struct trajs a = { .spaces = unit_spaces(11, 3) }, b = a;
  load("hopper-medium.hdf5", &a, NULL);
  load("minari/hopper-medium-v0/data/main_data.hdf5", &b, NULL);
  CU_ASSERT_STRING_EQUAL(trajs_differ(&a, &b), "");
  trajs_free(&a);
  trajs_free(&b);
}

int main(int argc, char **argv) {
  static const struct cu_test tests[] = { T(counts_and_returns_are_those_of_the_table),
                                          T(npz_and_hdf5_of_the_same_data_read_alike),
                                          T(minari_and_d4rl_of_the_same_data_read_alike) };
  folder = getenv("PROXACT_DATA");
  if (!folder || !*folder) folder = "../shared/data";
  if (argc < 2 && access(folder, R_OK)) {
    printf("SKIP test_read_real: no folder %s with the real datasets\n", folder);
    return 0;
  }
  return cu_run("read_real", tests, sizeof tests / sizeof *tests, argc, argv);
}
