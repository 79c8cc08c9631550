/* SPDX-License-Identifier: Apache-2.0 */
/* HDF5 uploads: the layouts, their pitfalls, and what is refused of them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"
#include "tests/support/cu.h"
#include "tests/support/samples.h"

static void d4rl_splits_on_terminals_and_timeouts(void) {
  struct trajs list = { .spaces = trajs_spaces(2, 1) };
  struct px_read_report report;
  struct px_err err;
  CU_OK(samples_read(samples_d4rl, NULL, &list, &report, &err), err);
  CU_ASSERT_EQUAL_FATAL(list.n, 3);
  CU_ASSERT_STRING_EQUAL(report.layout, "d4rl");
  CU_ASSERT_EQUAL(report.trajectories_n, 3);
  CU_ASSERT_EQUAL(report.steps_n, 5);
  CU_ASSERT_EQUAL(report.labelled_n, 5);
  const struct px_traj *t = list.items;
  CU_ASSERT(t[0].terminated && !t[0].truncated && t[0].steps == 2);
  CU_ASSERT(!t[1].terminated && t[1].truncated && t[1].steps == 2);
  CU_ASSERT(!t[2].terminated && t[2].truncated && t[2].steps == 1);
  CU_ASSERT(t[0].has_final && t[0].observations[4] == 4 && t[0].observations[5] == 5);
  CU_ASSERT(t[1].has_final && t[1].observations[0] == 10 && t[1].observations[4] == 14);
  CU_ASSERT(t[2].has_final && t[2].observations[0] == 20 && t[2].observations[2] == 22);
  CU_ASSERT(t[1].actions[1] == .4f && t[1].rewards[0] == 3);
  CU_ASSERT(report.notes_n == 1 && strstr(report.notes[0], "trajectory 2") &&
            strstr(report.notes[0], "truncated"));
  trajs_free(&list);
}

static void without_next_observations_the_final_state_is_unknown(void) {
  struct trajs list = { .spaces = trajs_spaces(2, 1) };
  struct px_err err;
  CU_OK(samples_read(samples_no_next, NULL, &list, NULL, &err), err);
  CU_ASSERT_EQUAL_FATAL(list.n, 3);
  for (size_t i = 0; i < list.n; i++) CU_ASSERT_FALSE(list.items[i].has_final);
  trajs_free(&list);
}

static void fill_next_known(hid_t f) {
  const uint8_t known[5] = { 1, 0, 1, 1, 1 };
  samples_d4rl(f);
  uploads_put(f, "next_known", H5T_STD_U8LE, H5T_NATIVE_UINT8, 5, 0, known, H5P_DEFAULT);
}
static void next_known_withdraws_a_next_observation(void) {
  struct trajs list = { .spaces = trajs_spaces(2, 1) };
  struct px_err err;
  CU_OK(samples_read(fill_next_known, NULL, &list, NULL, &err), err);
  CU_ASSERT_FALSE(list.items[0].has_final);
  CU_ASSERT_TRUE(list.items[1].has_final);
  trajs_free(&list);
}

/* Everything in another type: big endian doubles, halves, columns of one, floats and bytes as
 * flags. */
static void fill_types(hid_t f) {
  const float flags[5] = { 0, 1, 0, 0, 0 };
  const hid_t half = H5Tcopy(H5T_IEEE_F32LE);
  H5Tset_fields(half, 15, 10, 5, 0, 10);
  H5Tset_size(half, 2);
  H5Tset_ebias(half, 15);
  uploads_put(f, "observations", H5T_IEEE_F64BE, H5T_NATIVE_FLOAT, 5, 2, samples_obs, H5P_DEFAULT);
  uploads_put(f, "next_observations", half, H5T_NATIVE_FLOAT, 5, 2, samples_next_obs, H5P_DEFAULT);
  uploads_floats(f, "actions", 5, 0, samples_act);
  uploads_put(f, "rewards", H5T_STD_I16BE, H5T_NATIVE_FLOAT, 5, 1, samples_rew, H5P_DEFAULT);
  uploads_floats(f, "terminals", 5, 1, flags);
  uploads_put(f, "timeouts", H5T_STD_U8LE, H5T_NATIVE_UINT8, 5, 0, samples_tmo, H5P_DEFAULT);
  H5Tclose(half);
}
/* Gymnasium's words, and the mask's other name. */
static void fill_other_names(hid_t f) {
  samples_d4rl(f);
  H5Lmove(f, "terminals", f, "terminations", H5P_DEFAULT, H5P_DEFAULT);
  H5Lmove(f, "timeouts", f, "truncations", H5P_DEFAULT, H5P_DEFAULT);
}
static const uint8_t told[5] = { 1, 0, 1, 1, 0 };
static void fill_label_mask(hid_t f) {
  samples_d4rl(f);
  uploads_bools(f, "label_mask", 5, told);
}
static void fill_both_masks(hid_t f) {
  fill_label_mask(f);
  uploads_bools(f, "action_mask", 5, told);
}
static void fill_both_ends(hid_t f) {
  samples_d4rl(f);
  uploads_bools(f, "terminations", 5, samples_term);
}
static void fill_mask_alone(hid_t f) {
  samples_base(f);
  uploads_bools(f, "label_mask", 5, told);
}
static void members_go_by_other_names_too(void) {
  struct trajs a = { .spaces = trajs_spaces(2, 1) }, b = { .spaces = trajs_spaces(2, 1) },
               c = { .spaces = trajs_spaces(2, 1) };
  struct px_read_report report;
  struct px_err err;
  CU_OK(samples_read(samples_d4rl, NULL, &a, NULL, &err), err);
  CU_OK(samples_read(fill_other_names, NULL, &b, &report, &err), err);
  CU_ASSERT_STRING_EQUAL(trajs_differ(&a, &b), "");
  CU_ASSERT_EQUAL(report.notes_n, 1);
  CU_OK(samples_read(fill_label_mask, NULL, &c, &report, &err), err);
  CU_ASSERT_EQUAL(report.labelled_n, 3);
  CU_ASSERT(c.items[0].labelled && c.items[0].labelled[0] == 1 && c.items[0].labelled[1] == 0 &&
            c.items[0].actions[1] == 0);
  const struct px_spaces spaces = trajs_spaces(2, 1);
  CU_ASSERT(uploads_refused(uploads_hdf5(fill_both_masks), PX_FORMAT_HDF5, &spaces, NULL,
                            PX_E_BAD_DATA, "label_mask", "mean the same"));
  CU_ASSERT(uploads_refused(uploads_hdf5(fill_both_ends), PX_FORMAT_HDF5, &spaces, NULL,
                            PX_E_BAD_DATA, "terminations", "mean the same"));
  CU_ASSERT(uploads_refused(uploads_hdf5(fill_mask_alone), PX_FORMAT_HDF5, &spaces, NULL,
                            PX_E_BAD_DATA, "trajectory 0, step 0, label_mask",
                            "there are no 'actions'"));
  trajs_free(&a);
  trajs_free(&b);
  trajs_free(&c);
}

static const uint8_t dones[5] = { 0, 1, 0, 1, 0 };
static void fill_dones(hid_t f) {
  samples_d4rl(f);
  H5Ldelete(f, "terminals", H5P_DEFAULT);
  H5Ldelete(f, "timeouts", H5P_DEFAULT);
  uploads_bools(f, "dones", 5, dones);
}
static void fill_dones_and_timeouts(hid_t f) {
  samples_d4rl(f);
  H5Ldelete(f, "terminals", H5P_DEFAULT);
  uploads_bools(f, "dones", 5, dones);
}
static void fill_dones_and_terminals(hid_t f) {
  samples_d4rl(f);
  H5Ldelete(f, "timeouts", H5P_DEFAULT);
  uploads_bools(f, "dones", 5, dones);
}
static void fill_no_ends(hid_t f) {
  samples_d4rl(f);
  H5Ldelete(f, "terminals", H5P_DEFAULT);
}
static void dones_end_trajectories(void) {
  static const struct {
    void (*fill)(hid_t);
    bool second_terminated;
    const char *note;
  } files[] = {
    { fill_dones, true, "where 'dones' is 1 trajectories count as terminated" },
    { fill_dones_and_timeouts, false, "where 'dones' is 1 and 'timeouts' is 0" },
    { fill_dones_and_terminals, false, "'terminals' does not flag count as truncated" },
  };
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    struct trajs list = { .spaces = trajs_spaces(2, 1) };
    struct px_read_report report;
    struct px_err err;
    bool noted = false;
    CU_OK(samples_read(files[i].fill, NULL, &list, &report, &err), err);
    CU_ASSERT_EQUAL_FATAL(list.n, 3);
    CU_ASSERT(list.items[0].steps == 2 && list.items[0].terminated && !list.items[0].truncated);
    CU_ASSERT(list.items[1].steps == 2 && list.items[1].terminated == files[i].second_terminated);
    CU_ASSERT(list.items[1].truncated == !files[i].second_terminated && !list.items[2].terminated);
    for (uint32_t k = 0; k < report.notes_n; k++)
      noted = noted || strstr(report.notes[k], files[i].note);
    CU_ASSERT(noted);
    trajs_free(&list);
  }
  struct trajs list = { .spaces = trajs_spaces(2, 1) };
  struct px_err err;
  CU_ASSERT_EQUAL(samples_read(fill_no_ends, NULL, &list, NULL, &err), PX_E_BAD_DATA);
  CU_ASSERT(strstr(err.message, "'terminals' is missing") && strstr(err.hint, "terminations") &&
            strstr(err.hint, "'dones'"));
  trajs_free(&list);
}

static void number_types_make_no_difference(void) {
  struct trajs a = { .spaces = trajs_spaces(2, 1) }, b = { .spaces = trajs_spaces(2, 1) };
  struct px_err err;
  CU_OK(samples_read(samples_d4rl, NULL, &a, NULL, &err), err);
  CU_OK(samples_read(fill_types, NULL, &b, NULL, &err), err);
  CU_ASSERT_STRING_EQUAL(trajs_differ(&a, &b), "");
  trajs_free(&a);
  trajs_free(&b);
}

static void fill_packed(hid_t f) {
  const hid_t p = H5Pcreate(H5P_DATASET_CREATE);
  const hsize_t chunk[2] = { 2, 1 };
  H5Pset_chunk(p, 2, chunk);
  H5Pset_shuffle(p);
  H5Pset_deflate(p, 4);
  H5Pset_fletcher32(p);
  uploads_put(f, "observations", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 5, 2, samples_obs, p);
  uploads_put(f, "next_observations", H5T_IEEE_F64LE, H5T_NATIVE_FLOAT, 5, 2, samples_next_obs, p);
  uploads_put(f, "actions", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 5, 1, samples_act, p);
  uploads_floats(f, "rewards", 5, 0, samples_rew);
  uploads_bools(f, "terminals", 5, samples_term);
  uploads_bools(f, "timeouts", 5, samples_tmo);
  H5Pclose(p);
}
static void gzip_shuffle_and_checksums_are_read(void) {
  struct trajs a = { .spaces = trajs_spaces(2, 1) }, b = { .spaces = trajs_spaces(2, 1) };
  struct px_err err;
  CU_OK(samples_read(samples_d4rl, NULL, &a, NULL, &err), err);
  CU_OK(samples_read(fill_packed, NULL, &b, NULL, &err), err);
  CU_ASSERT_STRING_EQUAL(trajs_differ(&a, &b), "");
  trajs_free(&a);
  trajs_free(&b);
}

static void fill_mask(hid_t f) {
  const uint8_t mask[5] = { 1, 0, 0, 0, 1 };
  const float holes[5] = { .1f, NAN, 7, NAN, .5f };
  samples_base(f);
  uploads_floats(f, "actions", 5, 1, holes);
  uploads_bools(f, "action_mask", 5, mask);
}
static void action_mask_leaves_steps_unlabelled(void) {
  struct trajs list = { .spaces = trajs_spaces(2, 1) };
  struct px_read_report report;
  struct px_err err;
  CU_OK(samples_read(fill_mask, NULL, &list, &report, &err), err);
  CU_ASSERT_EQUAL(report.labelled_n, 2);
  CU_ASSERT(list.items[0].labelled[0] == 1 && list.items[0].labelled[1] == 0);
  CU_ASSERT(list.items[0].actions[1] == 0 && list.items[1].labelled[0] == 0 &&
            list.items[2].labelled[0] == 1);
  trajs_free(&list);
}

static void fill_source(hid_t f) {
  const uint8_t source[5] = { 1, 2, 0, 1, 2 };
  samples_no_next(f);
  uploads_put(f, "action_source", H5T_STD_U8LE, H5T_NATIVE_UINT8, 5, 0, source, H5P_DEFAULT);
}
static void exported_proxy_actions_do_not_come_back_as_true_ones(void) {
  struct trajs list = { .spaces = trajs_spaces(2, 1) };
  struct px_read_report report;
  struct px_err err;
  CU_OK(samples_read(fill_source, NULL, &list, &report, &err), err);
  CU_ASSERT_EQUAL(report.labelled_n, 2);
  CU_ASSERT(list.items[0].labelled[0] == 1 && list.items[0].labelled[1] == 0 &&
            list.items[1].labelled[1] == 1);
  trajs_free(&list);
}

static void actions_are_optional_and_can_be_ignored(void) {
  struct trajs list = { .spaces = trajs_spaces(2, 1) };
  const struct px_read_options ignore = { .ignore_actions = true };
  struct px_err err;
  CU_OK(samples_read(samples_base, NULL, &list, NULL, &err), err);
  CU_ASSERT(list.n == 3 && !list.items[0].actions);
  trajs_free(&list);
  CU_OK(samples_read(samples_d4rl, &ignore, &list, NULL, &err), err);
  CU_ASSERT(list.n == 3 && !list.items[0].actions);
  trajs_free(&list);
}

static void fill_endless(hid_t f) {
  enum { N = 100001 };
  const hid_t p = H5Pcreate(H5P_DATASET_CREATE);
  uploads_put(f, "observations", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, N, 2, NULL, p);
  uploads_put(f, "rewards", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, N, 0, NULL, p);
  uploads_put(f, "terminals", H5T_STD_U8LE, H5T_NATIVE_UINT8, N, 0, NULL, p);
  H5Pclose(p);
}
static void an_episode_without_end_is_refused(void) {
  const struct px_spaces spaces = trajs_spaces(2, 1);
  CU_ASSERT(uploads_refused(uploads_hdf5(fill_endless), PX_FORMAT_HDF5, &spaces, NULL,
                            PX_E_BAD_DATA, "timeouts", "more than 100000 steps"));
}

static void fill_minari(hid_t f) {
  samples_minari_episode(f, 0, 0, 2);
  samples_minari_episode(f, 10, 100, 3);
  samples_minari_episode(f, 2, 20, 2);
}
static void minari_episodes_come_in_numeric_order(void) {
  struct trajs list = { .spaces = trajs_spaces(2, 1) };
  struct px_read_report report;
  struct px_err err;
  CU_OK(samples_read(fill_minari, NULL, &list, &report, &err), err);
  CU_ASSERT_STRING_EQUAL(report.layout, "minari");
  CU_ASSERT_EQUAL_FATAL(list.n, 3);
  const struct px_traj *t = list.items;
  CU_ASSERT(t[0].observations[0] == 0 && t[1].observations[0] == 20 && t[2].observations[0] == 100);
  CU_ASSERT(t[0].has_final && t[2].has_final && t[2].observations[7] == 107);
  CU_ASSERT(t[0].terminated && !t[0].truncated && !t[2].terminated && t[2].truncated);
  CU_ASSERT(t[0].actions && !t[1].actions); /* an episode without actions is unlabelled */
  trajs_free(&list);
}

static void fill_dict(hid_t f) {
  const float b[3] = { 1, 2, 3 }, a[6] = { 10, 11, 20, 21, 30, 31 };
  const uint8_t no[2] = { 0 }, end[2] = { 0, 1 };
  uploads_group(f, "episode_0");
  uploads_group(f, "episode_0/observations");
  uploads_group(f, "episode_0/observations/goal");
  uploads_floats(f, "episode_0/observations/zeta", 3, 0, b);
  uploads_floats(f, "episode_0/observations/goal/pos", 3, 2, a);
  uploads_floats(f, "episode_0/actions", 2, 1, samples_act);
  uploads_floats(f, "episode_0/rewards", 2, 0, samples_rew);
  uploads_bools(f, "episode_0/terminations", 2, no);
  uploads_bools(f, "episode_0/truncations", 2, end);
}
static void dict_observations_lie_side_by_side(void) {
  struct trajs list = { .spaces = trajs_spaces(3, 1) };
  struct px_read_options swapped = { .obs_keys_n = 2, .obs_keys = { "zeta", "goal" } };
  struct px_read_report report;
  struct px_err err;
  CU_OK(samples_read(fill_dict, NULL, &list, &report, &err), err);
  const float sorted[9] = { 10, 11, 1, 20, 21, 2, 30, 31, 3 },
              asked[9] = { 1, 10, 11, 2, 20, 21, 3, 30, 31 };
  CU_ASSERT(!memcmp(list.items[0].observations, sorted, sizeof sorted));
  CU_ASSERT(report.notes_n == 1 && strstr(report.notes[0], "goal/pos, zeta"));
  trajs_free(&list);
  CU_OK(samples_read(fill_dict, &swapped, &list, NULL, &err), err);
  CU_ASSERT(!memcmp(list.items[0].observations, asked, sizeof asked));
  trajs_free(&list);
}

static void fill_robomimic(hid_t f) {
  const uint8_t done[5] = { 0, 0, 0, 1, 1 };
  uploads_group(f, "data");
  uploads_group(f, "data/demo_0");
  uploads_group(f, "data/demo_0/obs");
  uploads_group(f, "data/demo_0/next_obs");
  uploads_floats(f, "data/demo_0/obs/eef", 5, 2, samples_obs);
  uploads_floats(f, "data/demo_0/next_obs/eef", 5, 2, samples_next_obs);
  uploads_put(f, "data/demo_0/actions", H5T_IEEE_F64LE, H5T_NATIVE_FLOAT, 5, 1, samples_act,
              H5P_DEFAULT);
  uploads_floats(f, "data/demo_0/rewards", 5, 0, samples_rew);
  uploads_put(f, "data/demo_0/dones", H5T_STD_I64LE, H5T_NATIVE_UINT8, 5, 0, done, H5P_DEFAULT);
  uploads_group(f, "mask");
}
static void robomimic_takes_the_last_next_observation(void) {
  struct trajs list = { .spaces = trajs_spaces(2, 1) };
  struct px_read_report report;
  struct px_err err;
  CU_OK(samples_read(fill_robomimic, NULL, &list, &report, &err), err);
  CU_ASSERT_STRING_EQUAL(report.layout, "robomimic");
  CU_ASSERT(list.n == 1 && list.items[0].steps == 5 && list.items[0].has_final &&
            list.items[0].terminated);
  CU_ASSERT(list.items[0].observations[10] == 22 && list.items[0].observations[11] == 23);
  CU_ASSERT(report.notes_n == 1 && strstr(report.notes[0], "before their last step"));
  trajs_free(&list);
}

static void fill_robomimic_without_dones(hid_t f) {
  fill_robomimic(f);
  CU_ASSERT(H5Ldelete(f, "data/demo_0/dones", H5P_DEFAULT) >= 0);
}
static void robomimic_without_dones_is_truncated(void) {
  struct trajs list = { .spaces = trajs_spaces(2, 1) };
  struct px_read_report report;
  struct px_err err;
  CU_OK(samples_read(fill_robomimic_without_dones, NULL, &list, &report, &err), err);
  CU_ASSERT(list.n == 1 && !list.items[0].terminated && list.items[0].truncated &&
            list.items[0].has_final);
  CU_ASSERT(report.notes_n == 1 && strstr(report.notes[0], "1 trajectories have no 'dones'"));
  trajs_free(&list);
}

static void fill_d3rlpy(hid_t f) {
  const uint8_t yes = 1, no = 0;
  uploads_floats(f, "observations_0", 3, 2, samples_obs);
  uploads_floats(f, "actions_0", 3, 1, samples_act);
  uploads_floats(f, "rewards_0", 3, 1, samples_rew);
  uploads_bools(f, "terminated_0", 1, &no);
  uploads_floats(f, "observations_1", 2, 2, samples_obs + 6);
  uploads_floats(f, "actions_1", 2, 1, samples_act);
  uploads_floats(f, "rewards_1", 2, 1, samples_rew);
  const hid_t scalar = H5Screate(H5S_SCALAR);
  const hid_t flag =
    H5Dcreate2(f, "terminated_1", H5T_STD_U8LE, scalar, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  H5Dwrite(flag, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, &yes);
  H5Dclose(flag);
  H5Sclose(scalar);
}
static void fill_nan_actions(hid_t f) {
  const float unknown[2] = { NAN, .5f };
  fill_minari(f);
  H5Ldelete(f, "episode_0/actions", H5P_DEFAULT);
  uploads_floats(f, "episode_0/actions", 2, 1, unknown);
}
static void a_row_of_nan_in_an_episode_is_an_unlabelled_step(void) {
  struct trajs list = { .spaces = trajs_spaces(2, 1) };
  struct px_read_report report;
  struct px_err err;
  CU_OK(samples_read(fill_nan_actions, NULL, &list, &report, &err), err);
  CU_ASSERT_EQUAL_FATAL(list.n, 3);
  CU_ASSERT(list.items[0].labelled[0] == 0 && list.items[0].labelled[1] == 1 &&
            list.items[0].actions[1] == .5f);
  CU_ASSERT(report.notes_n == 1 && strstr(report.notes[0], "NaN") != NULL);
  trajs_free(&list);
}

static void d3rlpy_keeps_one_flag_per_episode(void) {
  struct trajs list = { .spaces = trajs_spaces(2, 1) };
  struct px_read_report report;
  struct px_err err;
  CU_OK(samples_read(fill_d3rlpy, NULL, &list, &report, &err), err);
  CU_ASSERT_STRING_EQUAL(report.layout, "d3rlpy");
  CU_ASSERT_EQUAL_FATAL(list.n, 2);
  CU_ASSERT(list.items[0].truncated && !list.items[0].terminated && list.items[1].terminated);
  CU_ASSERT(!list.items[0].has_final && list.items[0].steps == 3 &&
            list.items[1].observations[0] == 12);
  trajs_free(&list);
}

/* The first, the third and whatever follows; where there is no action, anything may stand. */
static void fill_masked_minari(hid_t f) {
  const uint8_t two[2] = { 0, 1 }, three[3] = { 1, 0, 1 };
  fill_minari(f);
  uploads_bools(f, "episode_0/action_mask", 2, two);
  uploads_bools(f, "episode_10/label_mask", 3, three);
}
static void fill_masked_robomimic(hid_t f) {
  const uint8_t mask[5] = { 0, 1, 1, 1, 0 };
  fill_robomimic(f);
  uploads_put(f, "data/demo_0/action_mask", H5T_STD_I64LE, H5T_NATIVE_UINT8, 5, 0, mask,
              H5P_DEFAULT);
}
static void fill_masked_d3rlpy(hid_t f) {
  const uint8_t mask[3] = { 1, 0, 1 };
  fill_d3rlpy(f);
  uploads_bools(f, "label_mask_0", 3, mask);
}
static void fill_twice_masked(hid_t f) {
  const uint8_t mask[5] = { 0, 1, 1, 1, 0 };
  fill_masked_robomimic(f);
  uploads_bools(f, "data/demo_0/label_mask", 5, mask);
}
static void episodes_have_masks_of_their_own(void) {
  static const struct {
    void (*fill)(hid_t file);
    uint64_t labelled_n;
    uint32_t traj;
    uint8_t known[5];
  } files[] = {
    { fill_masked_minari, 3, 0, { 0, 1 } },
    { fill_masked_minari, 3, 2, { 1, 0, 1 } },
    { fill_masked_robomimic, 3, 0, { 0, 1, 1, 1, 0 } },
    { fill_masked_d3rlpy, 4, 0, { 1, 0, 1 } }, /* 2 of 3, and 2 of the next episode */
  };
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    struct trajs list = { .spaces = trajs_spaces(2, 1) };
    struct px_read_report report;
    struct px_err err;
    CU_OK(samples_read(files[i].fill, NULL, &list, &report, &err), err);
    CU_ASSERT_EQUAL(report.labelled_n, files[i].labelled_n);
    const struct px_traj *traj = &list.items[files[i].traj];
    for (uint32_t t = 0; t < traj->steps; t++) {
      CU_ASSERT_EQUAL(traj->labelled[t], files[i].known[t]);
      CU_ASSERT_EQUAL(traj->actions[t], files[i].known[t] ? samples_act[t] : 0);
    }
    trajs_free(&list);
  }
}

static void fill_mask_of_two(hid_t f) {
  const uint8_t mask[5] = { 0, 2, 1, 1, 0 };
  fill_robomimic(f);
  uploads_put(f, "data/demo_0/action_mask", H5T_STD_U8LE, H5T_NATIVE_UINT8, 5, 0, mask,
              H5P_DEFAULT);
}
static void fill_short_mask(hid_t f) {
  const uint8_t mask[2] = { 0, 1 };
  fill_robomimic(f);
  uploads_bools(f, "data/demo_0/action_mask", 2, mask);
}
static void masks_of_episodes_are_checked_by_place(void) {
  const struct px_spaces spaces = trajs_spaces(2, 1);
  CU_ASSERT(uploads_refused(uploads_hdf5(fill_mask_of_two), PX_FORMAT_HDF5, &spaces, NULL,
                            PX_E_BAD_DATA, "trajectory 0, step 1, data/demo_0/action_mask",
                            "is 2; it must be 0 or 1"));
  CU_ASSERT(uploads_refused(uploads_hdf5(fill_short_mask), PX_FORMAT_HDF5, &spaces, NULL,
                            PX_E_BAD_DATA, "data/demo_0/action_mask",
                            "has 2 rows, but 'data/demo_0/rewards' 5"));
  CU_ASSERT(uploads_refused(uploads_hdf5(fill_twice_masked), PX_FORMAT_HDF5, &spaces, NULL,
                            PX_E_BAD_DATA, "data/demo_0/label_mask", "mean the same"));
}

static void fill_nan(hid_t f) {
  float bad[10];
  memcpy(bad, samples_obs, sizeof bad);
  bad[7] = NAN;
  uploads_floats(f, "observations", 5, 2, bad);
  uploads_floats(f, "rewards", 5, 0, samples_rew);
  uploads_bools(f, "terminals", 5, samples_term);
}
static void fill_far_action(hid_t f) {
  const float far[5] = { 0, 0, 0, -1.5f, 0 };
  samples_base(f);
  uploads_floats(f, "actions", 5, 1, far);
}
static void fill_half_flag(hid_t f) {
  const float flags[5] = { 0, 0, .5f, 0, 0 };
  uploads_floats(f, "observations", 5, 2, samples_obs);
  uploads_floats(f, "rewards", 5, 0, samples_rew);
  uploads_floats(f, "terminals", 5, 0, flags);
}
static void bad_numbers_are_named_by_place(void) {
  CU_ASSERT(
    samples_refused(fill_nan, PX_E_BAD_DATA, "trajectory 1, step 1, observations[1]", "nan"));
  CU_ASSERT(
    samples_refused(fill_far_action, PX_E_BAD_DATA, "trajectory 1, step 1, actions[0]", "-1.5"));
  CU_ASSERT(
    samples_refused(fill_half_flag, PX_E_BAD_DATA, "trajectory 0, step 2, terminals", "0.5"));
}

static void fill_wide(hid_t f) { uploads_floats(f, "observations", 2, 5, samples_obs); }
static void fill_ragged(hid_t f) {
  uploads_floats(f, "observations", 5, 2, samples_obs);
  uploads_floats(f, "rewards", 4, 0, samples_rew);
  uploads_bools(f, "terminals", 5, samples_term);
}
static void fill_empty(hid_t f) {
  uploads_floats(f, "observations", 0, 2, NULL);
  uploads_floats(f, "rewards", 0, 0, NULL);
  uploads_put(f, "terminals", H5T_STD_U8LE, H5T_NATIVE_UINT8, 0, 0, NULL, H5P_DEFAULT);
}
static void fill_empty_episode(hid_t f) {
  uploads_group(f, "episode_7");
  uploads_floats(f, "episode_7/observations", 1, 2, samples_obs);
  uploads_floats(f, "episode_7/rewards", 0, 0, NULL);
}
static void fill_ragged_episode(hid_t f) {
  samples_minari_episode(f, 0, 0, 2);
  H5Ldelete(f, "episode_0/observations", H5P_DEFAULT);
  uploads_floats(f, "episode_0/observations", 4, 2, samples_obs);
}
static void fill_image(hid_t f) {
  const hsize_t dims[3] = { 2, 2, 2 };
  const hid_t space = H5Screate_simple(3, dims, NULL);
  H5Dclose(
    H5Dcreate2(f, "observations", H5T_STD_U8LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  H5Sclose(space);
}
static void fill_unknown(hid_t f) { uploads_floats(f, "states", 5, 2, samples_obs); }
static void bad_shapes_are_named(void) {
  CU_ASSERT(samples_refused(fill_wide, PX_E_BAD_DATA, "observations",
                            "has 5 columns, but the dataset declares observations of 2"));
  CU_ASSERT(samples_refused(fill_ragged, PX_E_BAD_DATA, "rewards",
                            "'rewards' has 4 rows, but 'observations' 5"));
  CU_ASSERT(samples_refused(fill_empty, PX_E_BAD_DATA, "", "there are no steps"));
  CU_ASSERT(samples_refused(fill_empty_episode, PX_E_BAD_DATA, "episode_7/rewards", "has 0 rows"));
  CU_ASSERT(samples_refused(fill_ragged_episode, PX_E_BAD_DATA, "episode_0/observations",
                            "has 4 rows, but 'episode_0/rewards' 2"));
  CU_ASSERT(samples_refused(fill_image, PX_E_BAD_DATA, "observations", "3 dimensions"));
  CU_ASSERT(samples_refused(fill_unknown, PX_E_BAD_DATA, "", "no layout that is known"));
}

CU_MAIN("read_hdf5", T(d4rl_splits_on_terminals_and_timeouts),
        T(without_next_observations_the_final_state_is_unknown),
        T(next_known_withdraws_a_next_observation), T(members_go_by_other_names_too),
        T(dones_end_trajectories), T(number_types_make_no_difference),
        T(gzip_shuffle_and_checksums_are_read), T(action_mask_leaves_steps_unlabelled),
        T(exported_proxy_actions_do_not_come_back_as_true_ones),
        T(actions_are_optional_and_can_be_ignored), T(an_episode_without_end_is_refused),
        T(minari_episodes_come_in_numeric_order), T(dict_observations_lie_side_by_side),
        T(robomimic_takes_the_last_next_observation), T(robomimic_without_dones_is_truncated),
        T(a_row_of_nan_in_an_episode_is_an_unlabelled_step), T(d3rlpy_keeps_one_flag_per_episode),
        T(episodes_have_masks_of_their_own), T(masks_of_episodes_are_checked_by_place),
        T(bad_numbers_are_named_by_place), T(bad_shapes_are_named))
