/* HDF5 uploads: the four layouts, their pitfalls, and what is refused. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/data/h5.h"
#include "tests/support/cu.h"
#include "tests/support/uploads.h"

/* Five steps of 2 numbers and 1 action: an episode that terminates at step 1,
 * one that times out at step 3, and one left open. */
static const float obs[5 * 2] = { 0, 1, 2, 3, 10, 11, 12, 13, 20, 21 };
static const float next_obs[5 * 2] = { 2, 3, 4, 5, 12, 13, 14, 15, 22, 23 };
static const float act[5] = { .1f, .2f, .3f, .4f, .5f }, rew[5] = { 1, 2, 3, 4, 5 };
static const uint8_t term[5] = { 0, 1, 0, 0, 0 }, tmo[5] = { 0, 0, 0, 1, 0 };

static void fill_base(hid_t f) {
  uploads_floats(f, "observations", 5, 2, obs);
  uploads_floats(f, "rewards", 5, 0, rew);
  uploads_bools(f, "terminals", 5, term);
  uploads_bools(f, "timeouts", 5, tmo);
}
static void fill_d4rl(hid_t f) {
  fill_base(f);
  uploads_floats(f, "next_observations", 5, 2, next_obs);
  uploads_floats(f, "actions", 5, 1, act);
  uploads_group(f, "infos");
}
static void fill_no_next(hid_t f) {
  fill_base(f);
  uploads_floats(f, "actions", 5, 1, act);
}

static enum px_status read_as(void (*fill)(hid_t), const struct px_read_options *options, struct trajs *list,
                              struct px_read_report *report, struct px_err *err) {
  return uploads_read(uploads_hdf5(fill), PX_FORMAT_HDF5, options, list, report, err);
}

static void d4rl_splits_on_terminals_and_timeouts(void) {
  struct trajs list = { .spaces = trajs_spaces(2, 1) };
  struct px_read_report report;
  struct px_err err;
  CU_OK(read_as(fill_d4rl, NULL, &list, &report, &err), err);
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
  CU_ASSERT(report.notes_n == 1 && strstr(report.notes[0], "trajectory 2") && strstr(report.notes[0], "truncated"));
  trajs_free(&list);
}

static void without_next_observations_the_final_state_is_unknown(void) {
  struct trajs list = { .spaces = trajs_spaces(2, 1) };
  struct px_err err;
  CU_OK(read_as(fill_no_next, NULL, &list, NULL, &err), err);
  CU_ASSERT_EQUAL_FATAL(list.n, 3);
  for (size_t i = 0; i < list.n; i++) CU_ASSERT_FALSE(list.items[i].has_final);
  trajs_free(&list);
}

static void fill_next_known(hid_t f) {
  const uint8_t known[5] = { 1, 0, 1, 1, 1 };
  fill_d4rl(f);
  uploads_put(f, "next_known", H5T_STD_U8LE, H5T_NATIVE_UINT8, 5, 0, known, H5P_DEFAULT);
}
static void next_known_withdraws_a_next_observation(void) {
  struct trajs list = { .spaces = trajs_spaces(2, 1) };
  struct px_err err;
  CU_OK(read_as(fill_next_known, NULL, &list, NULL, &err), err);
  CU_ASSERT_FALSE(list.items[0].has_final);
  CU_ASSERT_TRUE(list.items[1].has_final);
  trajs_free(&list);
}

/* Everything in another type: big endian doubles, halves, columns of one, floats and bytes as flags. */
static void fill_types(hid_t f) {
  const float flags[5] = { 0, 1, 0, 0, 0 };
  const hid_t half = H5Tcopy(H5T_IEEE_F32LE);
  H5Tset_fields(half, 15, 10, 5, 0, 10);
  H5Tset_size(half, 2);
  H5Tset_ebias(half, 15);
  uploads_put(f, "observations", H5T_IEEE_F64BE, H5T_NATIVE_FLOAT, 5, 2, obs, H5P_DEFAULT);
  uploads_put(f, "next_observations", half, H5T_NATIVE_FLOAT, 5, 2, next_obs, H5P_DEFAULT);
  uploads_floats(f, "actions", 5, 0, act);
  uploads_put(f, "rewards", H5T_STD_I16BE, H5T_NATIVE_FLOAT, 5, 1, rew, H5P_DEFAULT);
  uploads_floats(f, "terminals", 5, 1, flags);
  uploads_put(f, "timeouts", H5T_STD_U8LE, H5T_NATIVE_UINT8, 5, 0, tmo, H5P_DEFAULT);
  H5Tclose(half);
}
/* Gymnasium's words, and the mask's other name. */
static void fill_other_names(hid_t f) {
  fill_d4rl(f);
  H5Lmove(f, "terminals", f, "terminations", H5P_DEFAULT, H5P_DEFAULT);
  H5Lmove(f, "timeouts", f, "truncations", H5P_DEFAULT, H5P_DEFAULT);
}
static const uint8_t told[5] = { 1, 0, 1, 1, 0 };
static void fill_label_mask(hid_t f) {
  fill_d4rl(f);
  uploads_bools(f, "label_mask", 5, told);
}
static void fill_both_masks(hid_t f) {
  fill_label_mask(f);
  uploads_bools(f, "action_mask", 5, told);
}
static void fill_both_ends(hid_t f) {
  fill_d4rl(f);
  uploads_bools(f, "terminations", 5, term);
}
static void fill_mask_alone(hid_t f) {
  fill_base(f);
  uploads_bools(f, "label_mask", 5, told);
}
static void members_go_by_other_names_too(void) {
  struct trajs a = { .spaces = trajs_spaces(2, 1) }, b = { .spaces = trajs_spaces(2, 1) }, c = { .spaces = trajs_spaces(2, 1) };
  struct px_read_report report;
  struct px_err err;
  CU_OK(read_as(fill_d4rl, NULL, &a, NULL, &err), err);
  CU_OK(read_as(fill_other_names, NULL, &b, &report, &err), err);
  CU_ASSERT_STRING_EQUAL(trajs_differ(&a, &b), "");
  CU_ASSERT_EQUAL(report.notes_n, 1);
  CU_OK(read_as(fill_label_mask, NULL, &c, &report, &err), err);
  CU_ASSERT_EQUAL(report.labelled_n, 3);
  CU_ASSERT(c.items[0].labelled && c.items[0].labelled[0] == 1 && c.items[0].labelled[1] == 0 && c.items[0].actions[1] == 0);
  const struct px_spaces spaces = trajs_spaces(2, 1);
  CU_ASSERT(uploads_refused(uploads_hdf5(fill_both_masks), PX_FORMAT_HDF5, &spaces, NULL, PX_E_BAD_DATA, "label_mask", "mean the same"));
  CU_ASSERT(uploads_refused(uploads_hdf5(fill_both_ends), PX_FORMAT_HDF5, &spaces, NULL, PX_E_BAD_DATA, "terminations", "mean the same"));
  CU_ASSERT(uploads_refused(uploads_hdf5(fill_mask_alone), PX_FORMAT_HDF5, &spaces, NULL, PX_E_BAD_DATA,
                            "trajectory 0, step 0, label_mask", "there are no 'actions'"));
  trajs_free(&a);
  trajs_free(&b);
  trajs_free(&c);
}

static const uint8_t dones[5] = { 0, 1, 0, 1, 0 };
static void fill_dones(hid_t f) {
  fill_d4rl(f);
  H5Ldelete(f, "terminals", H5P_DEFAULT);
  H5Ldelete(f, "timeouts", H5P_DEFAULT);
  uploads_bools(f, "dones", 5, dones);
}
static void fill_dones_and_timeouts(hid_t f) {
  fill_d4rl(f);
  H5Ldelete(f, "terminals", H5P_DEFAULT);
  uploads_bools(f, "dones", 5, dones);
}
static void fill_dones_and_terminals(hid_t f) {
  fill_d4rl(f);
  H5Ldelete(f, "timeouts", H5P_DEFAULT);
  uploads_bools(f, "dones", 5, dones);
}
static void fill_no_ends(hid_t f) {
  fill_d4rl(f);
  H5Ldelete(f, "terminals", H5P_DEFAULT);
}
static void dones_end_trajectories(void) {
  static const struct { void (*fill)(hid_t); bool second_terminated; const char *note; } files[] = {
    { fill_dones, true, "where 'dones' is 1 trajectories count as terminated" },
    { fill_dones_and_timeouts, false, "where 'dones' is 1 and 'timeouts' is 0" },
    { fill_dones_and_terminals, false, "'terminals' does not flag count as truncated" },
  };
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    struct trajs list = { .spaces = trajs_spaces(2, 1) };
    struct px_read_report report;
    struct px_err err;
    bool noted = false;
    CU_OK(read_as(files[i].fill, NULL, &list, &report, &err), err);
    CU_ASSERT_EQUAL_FATAL(list.n, 3);
    CU_ASSERT(list.items[0].steps == 2 && list.items[0].terminated && !list.items[0].truncated);
    CU_ASSERT(list.items[1].steps == 2 && list.items[1].terminated == files[i].second_terminated);
    CU_ASSERT(list.items[1].truncated == !files[i].second_terminated && !list.items[2].terminated);
    for (uint32_t k = 0; k < report.notes_n; k++) noted = noted || strstr(report.notes[k], files[i].note);
    CU_ASSERT(noted);
    trajs_free(&list);
  }
  struct trajs list = { .spaces = trajs_spaces(2, 1) };
  struct px_err err;
  CU_ASSERT_EQUAL(read_as(fill_no_ends, NULL, &list, NULL, &err), PX_E_BAD_DATA);
  CU_ASSERT(strstr(err.message, "'terminals' is missing") && strstr(err.hint, "terminations") && strstr(err.hint, "'dones'"));
  trajs_free(&list);
}

static void number_types_make_no_difference(void) {
  struct trajs a = { .spaces = trajs_spaces(2, 1) }, b = { .spaces = trajs_spaces(2, 1) };
  struct px_err err;
  CU_OK(read_as(fill_d4rl, NULL, &a, NULL, &err), err);
  CU_OK(read_as(fill_types, NULL, &b, NULL, &err), err);
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
  uploads_put(f, "observations", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 5, 2, obs, p);
  uploads_put(f, "next_observations", H5T_IEEE_F64LE, H5T_NATIVE_FLOAT, 5, 2, next_obs, p);
  uploads_put(f, "actions", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 5, 1, act, p);
  uploads_floats(f, "rewards", 5, 0, rew);
  uploads_bools(f, "terminals", 5, term);
  uploads_bools(f, "timeouts", 5, tmo);
  H5Pclose(p);
}
static void gzip_shuffle_and_checksums_are_read(void) {
  struct trajs a = { .spaces = trajs_spaces(2, 1) }, b = { .spaces = trajs_spaces(2, 1) };
  struct px_err err;
  CU_OK(read_as(fill_d4rl, NULL, &a, NULL, &err), err);
  CU_OK(read_as(fill_packed, NULL, &b, NULL, &err), err);
  CU_ASSERT_STRING_EQUAL(trajs_differ(&a, &b), "");
  trajs_free(&a);
  trajs_free(&b);
}

static void fill_mask(hid_t f) {
  const uint8_t mask[5] = { 1, 0, 0, 0, 1 };
  const float holes[5] = { .1f, NAN, 7, NAN, .5f };
  fill_base(f);
  uploads_floats(f, "actions", 5, 1, holes);
  uploads_bools(f, "action_mask", 5, mask);
}
static void action_mask_leaves_steps_unlabelled(void) {
  struct trajs list = { .spaces = trajs_spaces(2, 1) };
  struct px_read_report report;
  struct px_err err;
  CU_OK(read_as(fill_mask, NULL, &list, &report, &err), err);
  CU_ASSERT_EQUAL(report.labelled_n, 2);
  CU_ASSERT(list.items[0].labelled[0] == 1 && list.items[0].labelled[1] == 0);
  CU_ASSERT(list.items[0].actions[1] == 0 && list.items[1].labelled[0] == 0 && list.items[2].labelled[0] == 1);
  trajs_free(&list);
}

static void fill_source(hid_t f) {
  const uint8_t source[5] = { 1, 2, 0, 1, 2 };
  fill_no_next(f);
  uploads_put(f, "action_source", H5T_STD_U8LE, H5T_NATIVE_UINT8, 5, 0, source, H5P_DEFAULT);
}
static void exported_proxy_actions_do_not_come_back_as_true_ones(void) {
  struct trajs list = { .spaces = trajs_spaces(2, 1) };
  struct px_read_report report;
  struct px_err err;
  CU_OK(read_as(fill_source, NULL, &list, &report, &err), err);
  CU_ASSERT_EQUAL(report.labelled_n, 2);
  CU_ASSERT(list.items[0].labelled[0] == 1 && list.items[0].labelled[1] == 0 && list.items[1].labelled[1] == 1);
  trajs_free(&list);
}

static void actions_are_optional_and_can_be_ignored(void) {
  struct trajs list = { .spaces = trajs_spaces(2, 1) };
  const struct px_read_options ignore = { .ignore_actions = true };
  struct px_err err;
  CU_OK(read_as(fill_base, NULL, &list, NULL, &err), err);
  CU_ASSERT(list.n == 3 && !list.items[0].actions);
  trajs_free(&list);
  CU_OK(read_as(fill_d4rl, &ignore, &list, NULL, &err), err);
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
  CU_ASSERT(uploads_refused(uploads_hdf5(fill_endless), PX_FORMAT_HDF5, &spaces, NULL, PX_E_BAD_DATA, "timeouts",
                            "more than 100000 steps"));
}

static void minari_episode(hid_t f, int i, float first, int steps) {
  char name[64];
  float rows[8];
  const uint8_t no[4] = { 0 }, end[4] = { [1] = steps == 2, [2] = steps == 3 };
  for (int k = 0; k < 8; k++) rows[k] = first + (float)k;
  snprintf(name, sizeof name, "episode_%d", i);
  uploads_group(f, name);
  snprintf(name, sizeof name, "episode_%d/observations", i);
  uploads_put(f, name, H5T_IEEE_F64LE, H5T_NATIVE_FLOAT, (hsize_t)steps + 1, 2, rows, H5P_DEFAULT);
  if (i != 2) {
    snprintf(name, sizeof name, "episode_%d/actions", i);
    uploads_floats(f, name, (hsize_t)steps, 1, act);
  }
  snprintf(name, sizeof name, "episode_%d/rewards", i);
  uploads_floats(f, name, (hsize_t)steps, 0, rew);
  snprintf(name, sizeof name, "episode_%d/terminations", i);
  uploads_bools(f, name, (hsize_t)steps, i == 10 ? no : end);
  snprintf(name, sizeof name, "episode_%d/truncations", i);
  uploads_bools(f, name, (hsize_t)steps, i == 10 ? end : no);
}
static void fill_minari(hid_t f) {
  minari_episode(f, 0, 0, 2);
  minari_episode(f, 10, 100, 3);
  minari_episode(f, 2, 20, 2);
}
static void minari_episodes_come_in_numeric_order(void) {
  struct trajs list = { .spaces = trajs_spaces(2, 1) };
  struct px_read_report report;
  struct px_err err;
  CU_OK(read_as(fill_minari, NULL, &list, &report, &err), err);
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
  uploads_floats(f, "episode_0/actions", 2, 1, act);
  uploads_floats(f, "episode_0/rewards", 2, 0, rew);
  uploads_bools(f, "episode_0/terminations", 2, no);
  uploads_bools(f, "episode_0/truncations", 2, end);
}
static void dict_observations_lie_side_by_side(void) {
  struct trajs list = { .spaces = trajs_spaces(3, 1) };
  struct px_read_options swapped = { .obs_keys_n = 2, .obs_keys = { "zeta", "goal" } };
  struct px_read_report report;
  struct px_err err;
  CU_OK(read_as(fill_dict, NULL, &list, &report, &err), err);
  const float sorted[9] = { 10, 11, 1, 20, 21, 2, 30, 31, 3 }, asked[9] = { 1, 10, 11, 2, 20, 21, 3, 30, 31 };
  CU_ASSERT(!memcmp(list.items[0].observations, sorted, sizeof sorted));
  CU_ASSERT(report.notes_n == 1 && strstr(report.notes[0], "goal/pos, zeta"));
  trajs_free(&list);
  CU_OK(read_as(fill_dict, &swapped, &list, NULL, &err), err);
  CU_ASSERT(!memcmp(list.items[0].observations, asked, sizeof asked));
  trajs_free(&list);
}

static void fill_robomimic(hid_t f) {
  const uint8_t done[5] = { 0, 0, 0, 1, 1 };
  uploads_group(f, "data");
  uploads_group(f, "data/demo_0");
  uploads_group(f, "data/demo_0/obs");
  uploads_group(f, "data/demo_0/next_obs");
  uploads_floats(f, "data/demo_0/obs/eef", 5, 2, obs);
  uploads_floats(f, "data/demo_0/next_obs/eef", 5, 2, next_obs);
  uploads_put(f, "data/demo_0/actions", H5T_IEEE_F64LE, H5T_NATIVE_FLOAT, 5, 1, act, H5P_DEFAULT);
  uploads_floats(f, "data/demo_0/rewards", 5, 0, rew);
  uploads_put(f, "data/demo_0/dones", H5T_STD_I64LE, H5T_NATIVE_UINT8, 5, 0, done, H5P_DEFAULT);
  uploads_group(f, "mask");
}
static void robomimic_takes_the_last_next_observation(void) {
  struct trajs list = { .spaces = trajs_spaces(2, 1) };
  struct px_read_report report;
  struct px_err err;
  CU_OK(read_as(fill_robomimic, NULL, &list, &report, &err), err);
  CU_ASSERT_STRING_EQUAL(report.layout, "robomimic");
  CU_ASSERT(list.n == 1 && list.items[0].steps == 5 && list.items[0].has_final && list.items[0].terminated);
  CU_ASSERT(list.items[0].observations[10] == 22 && list.items[0].observations[11] == 23);
  CU_ASSERT(report.notes_n == 1 && strstr(report.notes[0], "before their last step"));
  trajs_free(&list);
}

static void fill_d3rlpy(hid_t f) {
  const uint8_t yes = 1, no = 0;
  uploads_floats(f, "observations_0", 3, 2, obs);
  uploads_floats(f, "actions_0", 3, 1, act);
  uploads_floats(f, "rewards_0", 3, 1, rew);
  uploads_bools(f, "terminated_0", 1, &no);
  uploads_floats(f, "observations_1", 2, 2, obs + 6);
  uploads_floats(f, "actions_1", 2, 1, act);
  uploads_floats(f, "rewards_1", 2, 1, rew);
  const hid_t scalar = H5Screate(H5S_SCALAR);
  const hid_t flag = H5Dcreate2(f, "terminated_1", H5T_STD_U8LE, scalar, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
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
  CU_OK(read_as(fill_nan_actions, NULL, &list, &report, &err), err);
  CU_ASSERT_EQUAL_FATAL(list.n, 3);
  CU_ASSERT(list.items[0].labelled[0] == 0 && list.items[0].labelled[1] == 1 && list.items[0].actions[1] == .5f);
  CU_ASSERT(report.notes_n == 1 && strstr(report.notes[0], "NaN") != NULL);
  trajs_free(&list);
}

static void d3rlpy_keeps_one_flag_per_episode(void) {
  struct trajs list = { .spaces = trajs_spaces(2, 1) };
  struct px_read_report report;
  struct px_err err;
  CU_OK(read_as(fill_d3rlpy, NULL, &list, &report, &err), err);
  CU_ASSERT_STRING_EQUAL(report.layout, "d3rlpy");
  CU_ASSERT_EQUAL_FATAL(list.n, 2);
  CU_ASSERT(list.items[0].truncated && !list.items[0].terminated && list.items[1].terminated);
  CU_ASSERT(!list.items[0].has_final && list.items[0].steps == 3 && list.items[1].observations[0] == 12);
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
  uploads_put(f, "data/demo_0/action_mask", H5T_STD_I64LE, H5T_NATIVE_UINT8, 5, 0, mask, H5P_DEFAULT);
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
  static const struct { void (*fill)(hid_t file); uint64_t labelled_n; uint32_t traj; uint8_t known[5]; } files[] = {
    { fill_masked_minari, 3, 0, { 0, 1 } },
    { fill_masked_minari, 3, 2, { 1, 0, 1 } },
    { fill_masked_robomimic, 3, 0, { 0, 1, 1, 1, 0 } },
    { fill_masked_d3rlpy, 4, 0, { 1, 0, 1 } }, /* 2 of 3, and 2 of the next episode */
  };
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    struct trajs list = { .spaces = trajs_spaces(2, 1) };
    struct px_read_report report;
    struct px_err err;
    CU_OK(read_as(files[i].fill, NULL, &list, &report, &err), err);
    CU_ASSERT_EQUAL(report.labelled_n, files[i].labelled_n);
    const struct px_traj *traj = &list.items[files[i].traj];
    for (uint32_t t = 0; t < traj->steps; t++) {
      CU_ASSERT_EQUAL(traj->labelled[t], files[i].known[t]);
      CU_ASSERT_EQUAL(traj->actions[t], files[i].known[t] ? act[t] : 0);
    }
    trajs_free(&list);
  }
}

static void fill_mask_of_two(hid_t f) {
  const uint8_t mask[5] = { 0, 2, 1, 1, 0 };
  fill_robomimic(f);
  uploads_put(f, "data/demo_0/action_mask", H5T_STD_U8LE, H5T_NATIVE_UINT8, 5, 0, mask, H5P_DEFAULT);
}
static void fill_short_mask(hid_t f) {
  const uint8_t mask[2] = { 0, 1 };
  fill_robomimic(f);
  uploads_bools(f, "data/demo_0/action_mask", 2, mask);
}
static void masks_of_episodes_are_checked_by_place(void) {
  const struct px_spaces spaces = trajs_spaces(2, 1);
  CU_ASSERT(uploads_refused(uploads_hdf5(fill_mask_of_two), PX_FORMAT_HDF5, &spaces, NULL, PX_E_BAD_DATA,
                            "trajectory 0, step 1, data/demo_0/action_mask", "is 2; it must be 0 or 1"));
  CU_ASSERT(uploads_refused(uploads_hdf5(fill_short_mask), PX_FORMAT_HDF5, &spaces, NULL, PX_E_BAD_DATA, "data/demo_0/action_mask",
                            "has 2 rows, but there are 5 rewards"));
  CU_ASSERT(uploads_refused(uploads_hdf5(fill_twice_masked), PX_FORMAT_HDF5, &spaces, NULL, PX_E_BAD_DATA, "data/demo_0/label_mask",
                            "mean the same"));
}

static bool refused(void (*fill)(hid_t), enum px_status status, const char *place, const char *words) {
  const struct px_spaces spaces = trajs_spaces(2, 1);
  return uploads_refused(uploads_hdf5(fill), PX_FORMAT_HDF5, &spaces, NULL, status, place, words);
}

static void fill_nan(hid_t f) {
  float bad[10];
  memcpy(bad, obs, sizeof bad);
  bad[7] = NAN;
  uploads_floats(f, "observations", 5, 2, bad);
  uploads_floats(f, "rewards", 5, 0, rew);
  uploads_bools(f, "terminals", 5, term);
}
static void fill_far_action(hid_t f) {
  const float far[5] = { 0, 0, 0, -1.5f, 0 };
  fill_base(f);
  uploads_floats(f, "actions", 5, 1, far);
}
static void fill_half_flag(hid_t f) {
  const float flags[5] = { 0, 0, .5f, 0, 0 };
  uploads_floats(f, "observations", 5, 2, obs);
  uploads_floats(f, "rewards", 5, 0, rew);
  uploads_floats(f, "terminals", 5, 0, flags);
}
static void bad_numbers_are_named_by_place(void) {
  CU_ASSERT(refused(fill_nan, PX_E_BAD_DATA, "trajectory 1, step 1, observations[1]", "nan"));
  CU_ASSERT(refused(fill_far_action, PX_E_BAD_DATA, "trajectory 1, step 1, actions[0]", "-1.5"));
  CU_ASSERT(refused(fill_half_flag, PX_E_BAD_DATA, "trajectory 0, step 2, terminals", "0.5"));
}

static void fill_wide(hid_t f) { uploads_floats(f, "observations", 2, 5, obs); }
static void fill_ragged(hid_t f) {
  uploads_floats(f, "observations", 5, 2, obs);
  uploads_floats(f, "rewards", 4, 0, rew);
  uploads_bools(f, "terminals", 5, term);
}
static void fill_no_rewards(hid_t f) {
  uploads_floats(f, "observations", 5, 2, obs);
  uploads_bools(f, "terminals", 5, term);
}
static void fill_empty(hid_t f) {
  uploads_floats(f, "observations", 0, 2, NULL);
  uploads_floats(f, "rewards", 0, 0, NULL);
  uploads_put(f, "terminals", H5T_STD_U8LE, H5T_NATIVE_UINT8, 0, 0, NULL, H5P_DEFAULT);
}
static void fill_empty_episode(hid_t f) {
  uploads_group(f, "episode_7");
  uploads_floats(f, "episode_7/observations", 1, 2, obs);
  uploads_floats(f, "episode_7/rewards", 0, 0, NULL);
}
static void fill_ragged_episode(hid_t f) {
  minari_episode(f, 0, 0, 2);
  H5Ldelete(f, "episode_0/observations", H5P_DEFAULT);
  uploads_floats(f, "episode_0/observations", 4, 2, obs);
}
static void fill_image(hid_t f) {
  const hsize_t dims[3] = { 2, 2, 2 };
  const hid_t space = H5Screate_simple(3, dims, NULL);
  H5Dclose(H5Dcreate2(f, "observations", H5T_STD_U8LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  H5Sclose(space);
}
static void fill_unknown(hid_t f) { uploads_floats(f, "states", 5, 2, obs); }
static void bad_shapes_are_named(void) {
  CU_ASSERT(refused(fill_wide, PX_E_BAD_DATA, "observations", "has 5 columns, but the dataset declares observations of 2"));
  CU_ASSERT(refused(fill_ragged, PX_E_BAD_DATA, "rewards", "'rewards' has 4 rows, but 'observations' 5"));
  CU_ASSERT(refused(fill_no_rewards, PX_E_BAD_DATA, "rewards", "'rewards' is missing"));
  CU_ASSERT(refused(fill_empty, PX_E_BAD_DATA, "", "there are no steps"));
  CU_ASSERT(refused(fill_empty_episode, PX_E_BAD_DATA, "episode_7/rewards", "has 0 steps"));
  CU_ASSERT(refused(fill_ragged_episode, PX_E_BAD_DATA, "episode_0/observations", "has 4 rows, but there are 2 rewards"));
  CU_ASSERT(refused(fill_image, PX_E_BAD_DATA, "observations", "3 dimensions"));
  CU_ASSERT(refused(fill_unknown, PX_E_BAD_DATA, "", "no layout that is known"));
}

static void fill_external_link(hid_t f) {
  fill_base(f);
  H5Lcreate_external("/etc/passwd", "/x", f, "actions", H5P_DEFAULT, H5P_DEFAULT);
}
static void fill_soft_link(hid_t f) {
  fill_base(f);
  H5Lcreate_soft("/observations", f, "next_observations", H5P_DEFAULT, H5P_DEFAULT);
}
static void fill_linked_group(hid_t f) {
  minari_episode(f, 0, 0, 2);
  H5Lcreate_external("/tmp/other.h5", "/episode_0", f, "episode_1", H5P_DEFAULT, H5P_DEFAULT);
}
static void fill_external_storage(hid_t f) {
  const hid_t p = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_external(p, "/etc/hostname", 0, 40);
  uploads_put(f, "observations", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 5, 2, NULL, p);
  H5Pclose(p);
}
static void fill_virtual(hid_t f) {
  const hsize_t dims[2] = { 5, 2 };
  const hid_t p = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(2, dims, NULL);
  H5Pset_virtual(p, space, "/tmp/other.h5", "/observations", space);
  uploads_put(f, "observations", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 5, 2, NULL, p);
  H5Sclose(space);
  H5Pclose(p);
}
static hid_t packed; /* how the observations are packed */
static void fill_filtered(hid_t f) {
  uploads_put(f, "observations", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 5, 2, obs, packed);
  uploads_floats(f, "rewards", 5, 0, rew);
  uploads_bools(f, "terminals", 5, term);
}
static hid_t chunked(void) {
  const hsize_t chunk[2] = { 3, 2 };
  const hid_t p = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_chunk(p, 2, chunk);
  return p;
}
static bool packed_is_read(void) {
  struct trajs list = { .spaces = trajs_spaces(2, 1) };
  struct px_err err;
  const enum px_status status = read_as(fill_filtered, NULL, &list, NULL, &err);
  const bool same = !status && list.n == 2 && !memcmp(list.items[0].observations, obs, 4 * sizeof *obs);
  trajs_free(&list);
  H5Pclose(packed);
  return same;
}
enum { LZF = 32000, LZF_ROWS = 512 };
static float lzf_obs[LZF_ROWS][2];
static hsize_t lzf_stored_bytes;
static void fill_lzf(hid_t f) {
  static const float rewards[LZF_ROWS];
  static const uint8_t none[LZF_ROWS];
  const hsize_t chunk[2] = { LZF_ROWS, 2 };
  const hid_t p = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_chunk(p, 2, chunk);
  H5Pset_filter(p, LZF, H5Z_FLAG_MANDATORY, 0, NULL);
  uploads_put(f, "observations", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, LZF_ROWS, 2, lzf_obs, p);
  H5Pclose(p);
  const hid_t set = H5Dopen2(f, "observations", H5P_DEFAULT);
  H5Dflush(set);
  lzf_stored_bytes = H5Dget_storage_size(set);
  H5Dclose(set);
  uploads_floats(f, "rewards", LZF_ROWS, 0, rewards);
  uploads_bools(f, "terminals", LZF_ROWS, none);
}
static void lzf_is_read(void) {
  struct trajs list = { .spaces = trajs_spaces(2, 1) };
  struct px_err err = { 0 };
  for (int i = 0; i < LZF_ROWS; i++) lzf_obs[i][0] = (float)(i / 16), lzf_obs[i][1] = -1;
  px_h5_prepare();
  if (H5Zfilter_avail(LZF) <= 0) CU_FAIL_FATAL("the plugin of lzf is missing: deploy/install-deps.sh installs it");
  CU_OK(read_as(fill_lzf, NULL, &list, NULL, &err), err);
  CU_ASSERT(lzf_stored_bytes > 0 && lzf_stored_bytes < sizeof lzf_obs / 2); /* so it was packed */
  CU_ASSERT_EQUAL_FATAL(list.n, 1);
  CU_ASSERT(!memcmp(list.items[0].observations, lzf_obs, sizeof lzf_obs));
  trajs_free(&list);
}
static void without_its_plugin_lzf_is_refused_with_a_way_out(void) {
  struct trajs list = { .spaces = trajs_spaces(2, 1) };
  const struct px_traj_sink sink = trajs_sink(&list);
  const struct px_read_options defaults = { 0 };
  struct px_read_report report = { 0 };
  struct px_err err = { 0 };
  size_t n;
  px_h5_prepare();
  const int fd = uploads_hdf5(fill_lzf);
  char *bytes = uploads_contents(fd, &n);
  close(fd);
  CU_ASSERT_FATAL(H5Zunregister(LZF) >= 0); /* so it is read here, not in a helper, which would load it again */
  struct px_reading r = { .options = &defaults, .spaces = &list.spaces, .sink = &sink, .report = &report, .file_bytes = n };
  CU_ASSERT_EQUAL(px_read_hdf5(&r, bytes, n, &err), PX_E_BAD_DATA);
  CU_ASSERT(strstr(err.message, "(lzf)") && strstr(err.hint, "h5repack"));
  free(bytes);
  trajs_free(&list);
}
static void other_filters_are_read(void) {
  packed = chunked();
  H5Pset_scaleoffset(packed, H5Z_SO_FLOAT_DSCALE, 3);
  CU_ASSERT(packed_is_read());
  packed = chunked();
  H5Pset_szip(packed, H5_SZIP_NN_OPTION_MASK, 2);
  CU_ASSERT(packed_is_read());
}
static void fill_filter(hid_t f) {
  const hid_t p = H5Pcreate(H5P_DATASET_CREATE);
  const hsize_t chunk[2] = { 5, 2 };
  H5Pset_chunk(p, 2, chunk);
  H5Pset_nbit(p);
  uploads_put(f, "observations", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 5, 2, obs, p);
  H5Pclose(p);
}
static void fill_strings(hid_t f) {
  const hid_t type = H5Tcopy(H5T_C_S1);
  H5Tset_size(type, H5T_VARIABLE);
  uploads_put(f, "observations", type, type, 5, 2, NULL, H5P_DEFAULT);
  H5Tclose(type);
}
static void fill_references(hid_t f) {
  uploads_put(f, "observations", H5T_STD_REF_OBJ, H5T_STD_REF_OBJ, 5, 2, NULL, H5P_DEFAULT);
}
static void what_leaves_the_file_is_refused_before_reading(void) {
  CU_ASSERT(refused(fill_external_link, PX_E_BAD_DATA, "actions", "an external link"));
  CU_ASSERT(refused(fill_soft_link, PX_E_BAD_DATA, "next_observations", "a soft link"));
  CU_ASSERT(refused(fill_linked_group, PX_E_BAD_DATA, "episode_1", "an external link"));
  CU_ASSERT(refused(fill_external_storage, PX_E_BAD_DATA, "observations", "in another file"));
  CU_ASSERT(refused(fill_virtual, PX_E_BAD_DATA, "observations", "virtual dataset"));
  CU_ASSERT(refused(fill_filter, PX_E_BAD_DATA, "observations", "HDF5 filter 5"));
  CU_ASSERT(refused(fill_strings, PX_E_BAD_DATA, "observations", "plain numbers"));
  CU_ASSERT(refused(fill_references, PX_E_BAD_DATA, "observations", "plain numbers"));
}

static void fill_bomb(hid_t f) {
  const hid_t p = H5Pcreate(H5P_DATASET_CREATE);
  const hsize_t chunk[2] = { 100000, 2 };
  H5Pset_chunk(p, 2, chunk);
  uploads_put(f, "observations", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 2000000, 2, NULL, p);
  H5Pclose(p);
}
static void fill_giant_chunk(hid_t f) {
  const hid_t p = H5Pcreate(H5P_DATASET_CREATE);
  const hsize_t chunk[2] = { 100000000, 2 }, most[2] = { H5S_UNLIMITED, 2 }, dims[2] = { 5, 2 };
  H5Pset_chunk(p, 2, chunk);
  const hid_t space = H5Screate_simple(2, dims, most);
  H5Dclose(H5Dcreate2(f, "observations", H5T_IEEE_F32LE, space, H5P_DEFAULT, p, H5P_DEFAULT));
  H5Sclose(space);
  H5Pclose(p);
}
static void fill_wide_row(hid_t f) { uploads_put(f, "observations", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 1, 5000, NULL, H5P_DEFAULT); }
static void sizes_are_limited_before_reading(void) {
  const struct px_spaces spaces = trajs_spaces(2, 1);
  const struct px_read_options small = { .max_logical_bytes = 50 };
  CU_ASSERT(refused(fill_bomb, PX_E_TOO_LARGE, "observations", "more than 100 times"));
  CU_ASSERT(refused(fill_giant_chunk, PX_E_TOO_LARGE, "observations", "chunks of more than"));
  CU_ASSERT(refused(fill_wide_row, PX_E_BAD_DATA, "observations", "5000 columns"));
  CU_ASSERT(uploads_refused(uploads_hdf5(fill_d4rl), PX_FORMAT_HDF5, &spaces, &small, PX_E_TOO_LARGE, "actions",
                            "more than 50 bytes"));
}

/* A column of zeros in one gzip chunk. */
static void put_one_chunk(hid_t f, const char *name, hid_t type, hsize_t rows, hsize_t chunk_rows, bool twice) {
  const hid_t p = H5Pcreate(H5P_DATASET_CREATE);
  const hsize_t chunk[1] = { chunk_rows }, most[1] = { H5S_UNLIMITED };
  H5Pset_chunk(p, 1, chunk);
  H5Pset_deflate(p, 1);
  if (twice) H5Pset_deflate(p, 1);
  const hid_t space = H5Screate_simple(1, &rows, most), set = H5Dcreate2(f, name, type, space, H5P_DEFAULT, p, H5P_DEFAULT);
  void *zeros = calloc(rows, 8);
  H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, zeros);
  free(zeros);
  H5Dclose(set);
  H5Sclose(space);
  H5Pclose(p);
}
enum { LONG_ROWS = 9 << 20 }; /* 72 MiB of observations, unpacked */
static void fill_huge_chunks(hid_t f) {
  put_one_chunk(f, "observations", H5T_IEEE_F64LE, LONG_ROWS, LONG_ROWS, false);
  put_one_chunk(f, "rewards", H5T_IEEE_F32LE, LONG_ROWS, LONG_ROWS, false);
  uint8_t *ends = calloc(LONG_ROWS, 1);
  for (int i = 65535; i < LONG_ROWS; i += 65536) ends[i] = 1;
  uploads_bools(f, "terminals", LONG_ROWS, ends);
  free(ends);
}

/* Unpacked again for every 256 KiB that are read of it, each chunk would take a hundred times the helper's time. */
static void a_chunk_is_unpacked_once_whatever_its_size(void) {
  struct trajs list = { .spaces = trajs_spaces(1, 1) };
  struct px_err err;
  CU_OK(read_as(fill_huge_chunks, NULL, &list, NULL, &err), err);
  CU_ASSERT_EQUAL(list.n, LONG_ROWS / 65536);
  trajs_free(&list);
}

static void fill_far_chunk(hid_t f) {
  put_one_chunk(f, "observations", H5T_IEEE_F64LE, 10, 20 << 20, false);
  uploads_floats(f, "rewards", 5, 0, rew);
  uploads_bools(f, "terminals", 5, term);
}
static void fill_twice_packed(hid_t f) {
  put_one_chunk(f, "observations", H5T_IEEE_F64LE, 10, 10, true);
  uploads_floats(f, "rewards", 5, 0, rew);
  uploads_bools(f, "terminals", 5, term);
}
/* Nothing of it is written, so the file is small. */
static void put_bare(hid_t f, const char *name, hsize_t cols) {
  const hid_t p = H5Pcreate(H5P_DATASET_CREATE);
  const hsize_t dims[2] = { 1 << 20, cols }, chunk[2] = { 1 << 20, 1 };
  H5Pset_chunk(p, 2, chunk);
  const hid_t space = H5Screate_simple(2, dims, NULL);
  H5Dclose(H5Dcreate2(f, name, H5T_IEEE_F32LE, space, H5P_DEFAULT, p, H5P_DEFAULT));
  H5Sclose(space);
  H5Pclose(p);
}
static void fill_many_huge_chunks(hid_t f) {
  put_bare(f, "observations", 200);
  put_bare(f, "next_observations", 200);
  put_bare(f, "rewards", 1);
  put_bare(f, "terminals", 1);
}

static void chunks_that_cost_more_than_the_array_are_limited(void) {
  const struct px_spaces one = trajs_spaces(1, 1), wide = trajs_spaces(200, 1);
  const struct px_read_options any_ratio = { .max_ratio = UINT32_MAX };
  CU_ASSERT_TRUE(uploads_refused(uploads_hdf5(fill_far_chunk), PX_FORMAT_HDF5, &one, NULL, PX_E_TOO_LARGE, "observations",
                                 "with the chunks of 'observations' the arrays unpack to more than 100 times"));
  CU_ASSERT_TRUE(uploads_refused(uploads_hdf5(fill_twice_packed), PX_FORMAT_HDF5, &one, NULL, PX_E_BAD_DATA, "observations",
                                 "packed with HDF5 filter 1 twice"));
  CU_ASSERT_TRUE(uploads_refused(uploads_hdf5(fill_many_huge_chunks), PX_FORMAT_HDF5, &wide, &any_ratio, PX_E_TOO_LARGE,
                                 "next_observations", "chunks so large that more than 1024 MiB"));
}

/* A million trajectories of one step each, in a few kB. */
static void fill_one_step_each(hid_t f) {
  enum { N = 1000000 };
  put_one_chunk(f, "observations", H5T_IEEE_F32LE, N, N, false);
  put_one_chunk(f, "rewards", H5T_IEEE_F32LE, N, N, false);
  const hid_t p = H5Pcreate(H5P_DATASET_CREATE);
  const hsize_t chunk[1] = { N };
  H5Pset_chunk(p, 1, chunk);
  H5Pset_deflate(p, 1);
  uint8_t *ends = malloc(N);
  memset(ends, 1, N);
  uploads_put(f, "terminals", H5T_STD_U8LE, H5T_NATIVE_UINT8, N, 0, ends, p);
  free(ends);
  H5Pclose(p);
}

static void a_trajectory_has_its_cost_however_short(void) {
  const struct px_spaces one = trajs_spaces(1, 1);
  CU_ASSERT_TRUE(uploads_refused(uploads_hdf5(fill_one_step_each), PX_FORMAT_HDF5, &one, NULL, PX_E_TOO_LARGE, "trajectory ",
                                 "each counting as 256 bytes, the arrays unpack to more than 100 times"));
}

static void a_cut_file_is_refused(void) {
  const struct px_spaces spaces = trajs_spaces(2, 1);
  const int fd = uploads_hdf5(fill_d4rl);
  size_t n;
  char *bytes = uploads_contents(fd, &n);
  close(fd);
  for (size_t keep = 8; keep < n; keep = keep * 2 + 1)
    CU_ASSERT(uploads_refused(uploads_bytes(bytes, keep), PX_FORMAT_HDF5, &spaces, NULL, PX_E_BAD_DATA, "", "HDF5"));
  CU_ASSERT(uploads_refused(uploads_text("not HDF5"), PX_FORMAT_HDF5, &spaces, NULL, PX_E_BAD_DATA, "", "not a complete HDF5"));
  CU_ASSERT(uploads_refused(uploads_text(""), PX_FORMAT_HDF5, &spaces, NULL, PX_E_BAD_DATA, "", "empty"));
  free(bytes);
}

CU_MAIN("read_hdf5", T(other_filters_are_read), T(lzf_is_read), T(without_its_plugin_lzf_is_refused_with_a_way_out),
        T(d4rl_splits_on_terminals_and_timeouts), T(without_next_observations_the_final_state_is_unknown),
        T(next_known_withdraws_a_next_observation), T(members_go_by_other_names_too), T(dones_end_trajectories), T(number_types_make_no_difference), T(gzip_shuffle_and_checksums_are_read),
        T(action_mask_leaves_steps_unlabelled), T(exported_proxy_actions_do_not_come_back_as_true_ones),
        T(actions_are_optional_and_can_be_ignored), T(an_episode_without_end_is_refused),
        T(minari_episodes_come_in_numeric_order), T(dict_observations_lie_side_by_side),
        T(robomimic_takes_the_last_next_observation), T(a_row_of_nan_in_an_episode_is_an_unlabelled_step), T(d3rlpy_keeps_one_flag_per_episode),
        T(episodes_have_masks_of_their_own), T(masks_of_episodes_are_checked_by_place), T(bad_numbers_are_named_by_place),
        T(bad_shapes_are_named), T(what_leaves_the_file_is_refused_before_reading), T(sizes_are_limited_before_reading),
        T(a_chunk_is_unpacked_once_whatever_its_size), T(chunks_that_cost_more_than_the_array_are_limited),
        T(a_trajectory_has_its_cost_however_short), T(a_cut_file_is_refused))
