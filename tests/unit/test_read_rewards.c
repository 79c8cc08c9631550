/* SPDX-License-Identifier: Apache-2.0 */
/* Uploads without rewards, in every format; some trajectories without; and back through exports. */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/data/segment.h"
#include "lib/data/traj_digest.h"
#include "lib/write/write.h"
#include "tests/support/cu.h"
#include "tests/support/samples.h"

static void fill_d4rl(hid_t f) {
  samples_d4rl(f);
  H5Ldelete(f, "rewards", H5P_DEFAULT);
}
static void fill_minari(hid_t f) {
  samples_minari_episode(f, 0, 0, 2);
  samples_minari_episode(f, 2, 10, 3); /* has no actions either */
  H5Ldelete(f, "episode_0/rewards", H5P_DEFAULT);
  H5Ldelete(f, "episode_2/rewards", H5P_DEFAULT);
}
static void fill_robomimic(hid_t f) {
  uploads_group(f, "data");
  uploads_group(f, "data/demo_0");
  uploads_group(f, "data/demo_0/obs");
  uploads_floats(f, "data/demo_0/obs/all", 5, 2, samples_obs);
  uploads_floats(f, "data/demo_0/actions", 5, 1, samples_act);
}
static void fill_d3rlpy(hid_t f) {
  static const float end[] = { 1 };
  uploads_floats(f, "observations_0", 5, 2, samples_obs);
  uploads_floats(f, "actions_0", 5, 1, samples_act);
  uploads_floats(f, "terminated_0", 1, 0, end);
}

static void every_layout_may_lack_rewards(void) {
  static const struct {
    void (*fill)(hid_t);
    const char *text; /* or this, in `format` */
    enum px_read_format format;
    uint32_t n, steps[3];
    uint64_t labelled_n;
    bool has_final; /* of the first */
  } CASES[] = {
    { fill_d4rl, NULL, PX_FORMAT_HDF5, 3, { 2, 2, 1 }, 5, true },
    { fill_minari, NULL, PX_FORMAT_HDF5, 2, { 2, 3 }, 2, true },
    { fill_robomimic, NULL, PX_FORMAT_HDF5, 1, { 5 }, 5, false },
    { fill_d3rlpy, NULL, PX_FORMAT_HDF5, 1, { 5 }, 5, false },
    { NULL,
      "{\"observations\":[[1,2],[3,4],[5,6]],\"actions\":[[0],null],\"terminated\":true}\n"
      "{\"observations\":[[1,2],[3,4]],\"rewards\":null,\"terminated\":false}",
      PX_FORMAT_JSONL,
      2,
      { 2, 2 },
      1,
      true },
    { NULL,
      "episode,obs_0,obs_1,act_0,terminated\n0,1,2,0,0\n0,3,4,,0\n0,5,6,,\n1,1,2,0,1\n",
      PX_FORMAT_CSV,
      2,
      { 2, 1 },
      2,
      true },
    { NULL, "episode,obs_0,obs_1,reward\n0,1,2,\n0,3,4,\n", PX_FORMAT_CSV, 1, { 2 }, 0, false },
  };
  for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
    struct trajs list = { .spaces = trajs_spaces(2, 1) };
    struct px_read_report report = { 0 };
    struct px_err err = { 0 };
    const int fd = CASES[i].fill ? uploads_hdf5(CASES[i].fill) : uploads_text(CASES[i].text);
    CU_OK(uploads_read(fd, CASES[i].format, NULL, &list, &report, &err), err);
    CU_ASSERT_EQUAL_FATAL(list.n, CASES[i].n);
    for (size_t k = 0; k < list.n; k++) {
      CU_ASSERT_EQUAL(list.items[k].steps, CASES[i].steps[k]);
      CU_ASSERT_PTR_NULL(list.items[k].rewards);
    }
    CU_ASSERT_EQUAL(list.items[0].has_final, CASES[i].has_final);
    CU_ASSERT_EQUAL(report.labelled_n, CASES[i].labelled_n);
    CU_ASSERT(report.notes_n && strstr(report.notes[report.notes_n - 1], "have no rewards"));
    trajs_free(&list);
  }
}

static const float one_without[] = { NAN, NAN, 3, 4, 5 }, one_partly[] = { 1, NAN, 3, 4, 5 };
static void fill_one_without(hid_t f) {
  fill_d4rl(f);
  uploads_floats(f, "rewards", 5, 0, one_without);
}
static void fill_one_partly(hid_t f) {
  fill_d4rl(f);
  uploads_floats(f, "rewards", 5, 0, one_partly);
}

static void nan_throughout_is_a_trajectory_without_rewards(void) {
  struct trajs list = { .spaces = trajs_spaces(2, 1) };
  struct px_read_report report;
  struct px_err err = { 0 };
  CU_OK(samples_read(fill_one_without, NULL, &list, &report, &err), err);
  CU_ASSERT_EQUAL_FATAL(list.n, 3);
  CU_ASSERT_PTR_NULL(list.items[0].rewards);
  CU_ASSERT(list.items[1].rewards && list.items[1].rewards[1] == 4);
  CU_ASSERT_PTR_NOT_NULL(
    strstr(report.notes[report.notes_n - 1], "1 of the 3 trajectories have no rewards"));
  struct segments segments = { 0 };
  CU_ASSERT_EQUAL_FATAL(segments_pack(&segments, &list), PX_OK);
  CU_ASSERT_EQUAL_FATAL(segments.n, 2); /* one kind each */
  CU_ASSERT(isnan(segments.items[0].info.rows[0].ret) && segments.items[1].info.rows[0].ret == 7);
  segments_free(&segments);
  trajs_free(&list);
}

static void part_of_the_rewards_is_refused_by_its_place(void) {
  struct trajs list = { .spaces = trajs_spaces(2, 1) };
  struct px_err err = { 0 };
  CU_ASSERT_EQUAL(samples_read(fill_one_partly, NULL, &list, NULL, &err), PX_E_BAD_DATA);
  CU_ASSERT_STRING_EQUAL(err.pointer, "trajectory 0, step 1, rewards");
  CU_ASSERT_PTR_NOT_NULL(strstr(err.hint, "at none"));
  trajs_free(&list);
}

static void no_rewards_are_other_data_than_zeros(void) {
  static const float obs[] = { 1, 2 }, zero[] = { 0 };
  const struct px_spaces spaces = trajs_spaces(2, 1);
  struct px_traj traj = { .steps = 1, .observations = obs, .truncated = true };
  struct px_traj_digest without, with;
  struct px_err err;
  CU_OK(px_traj_digest(&spaces, &traj, &without, &err), err);
  traj.rewards = zero;
  CU_OK(px_traj_digest(&spaces, &traj, &with, &err), err);
  CU_ASSERT(memcmp(&without, &with, sizeof with) != 0);
}

static void exports_read_back_as_they_were(void) {
  static const enum px_read_format BACK[PX_WRITE_FORMAT_N] = {
    [PX_WRITE_HDF5] = PX_FORMAT_HDF5,       [PX_WRITE_NPZ] = PX_FORMAT_NPZ,
    [PX_WRITE_JSONL] = PX_FORMAT_JSONL,     [PX_WRITE_CSV] = PX_FORMAT_CSV,
    [PX_WRITE_LEROBOT] = PX_FORMAT_LEROBOT, [PX_WRITE_SAFETENSORS] = PX_FORMAT_SAFETENSORS,
  };
  for (size_t each = 1; each <= 40; each += 39) {
    struct trajs list = { .spaces = trajs_spaces(4, 2) };
    struct segments segments = { 0 };
    trajs_fill(&list, 120, 20, 5);
    for (size_t i = 0; i < list.n; i += each) {
      free((void *)(uintptr_t)list.items[i].rewards);
      list.items[i].rewards = NULL;
    }
    CU_ASSERT_EQUAL_FATAL(segments_pack(&segments, &list), PX_OK);
    for (int f = 0; f < PX_WRITE_FORMAT_N; f++) {
      char path[] = "/tmp/proxact-rewards-XXXXXX";
      struct px_write *e = NULL;
      struct px_err err = { 0 };
      struct trajs back = { .spaces = list.spaces };
      const int fd = mkstemp(path);
      CU_ASSERT_FATAL(fd >= 0);
      close(fd);
      CU_OK(px_write_new((enum px_write_format)f, PX_WRITE_BOTH, &list.spaces, path, &e, &err),
            err);
      if (each == 1) px_write_without_rewards(e);
      for (size_t i = 0; i < segments.n; i++)
        CU_OK(px_write_segment(e, segments.items[i].bytes, segments.items[i].size, NULL, 0, &err),
              err);
      CU_OK(px_write_end(e, &err), err);
      px_write_free(e);
      CU_OK(uploads_read(open(path, O_RDONLY | O_CLOEXEC), BACK[f], NULL, &back, NULL, &err), err);
      const char *differ = trajs_differ(&list, &back);
      CU_ASSERT_STRING_EQUAL(differ, "");
      if (*differ) printf("\n  %s: %s\n", px_read_format_name(BACK[f]), differ);
      trajs_free(&back);
      unlink(path);
    }
    segments_free(&segments);
    trajs_free(&list);
  }
}

CU_MAIN("read_rewards", T(every_layout_may_lack_rewards),
        T(nan_throughout_is_a_trajectory_without_rewards),
        T(part_of_the_rewards_is_refused_by_its_place), T(no_rewards_are_other_data_than_zeros),
        T(exports_read_back_as_they_were))
