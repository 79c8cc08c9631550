/* SPDX-License-Identifier: Apache-2.0 */
/* What people call their arrays, layouts that are told by their arrays, and parts of a file. */
#include <stdio.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/read/names.h"
#include "tests/support/cu.h"
#include "tests/support/samples.h"

/* --- other names --- */

static const char *from, *to; /* of the member that the file calls otherwise */
static void rename_member(hid_t f, const char *before) {
  char old_name[64], new_name[64];
  snprintf(old_name, sizeof old_name, "%s%s", before, from);
  snprintf(new_name, sizeof new_name, "%s%s", before, to);
  if (strcmp(from, to) != 0 && H5Lexists(f, old_name, H5P_DEFAULT) > 0)
    CU_ASSERT(H5Lmove(f, old_name, f, new_name, H5P_DEFAULT, H5P_DEFAULT) >= 0);
}
static void fill_flat(hid_t f) {
  samples_d4rl(f);
  rename_member(f, "");
}
static void fill_minari(hid_t f) {
  samples_minari_episode(f, 0, 0, 2);
  samples_minari_episode(f, 1, 10, 3);
  rename_member(f, "episode_0/");
  rename_member(f, "episode_1/");
}

static void same_under(void (*fill)(hid_t), const char *own, const char *word) {
  struct trajs plain = { .spaces = trajs_spaces(2, 1) }, other = { .spaces = plain.spaces };
  struct px_err err;
  from = to = own;
  CU_OK(samples_read(fill, NULL, &plain, NULL, &err), err);
  to = word;
  CU_OK(samples_read(fill, NULL, &other, NULL, &err), err);
  const char *differ = trajs_differ(&plain, &other);
  if (*differ) printf("\n  %s for %s: %s\n", word, own, differ);
  CU_ASSERT_STRING_EQUAL(differ, "");
  CU_ASSERT(plain.n >= 2);
  trajs_free(&plain);
  trajs_free(&other);
}

static void arrays_go_by_any_of_their_names(void) {
  static const struct {
    enum px_name name;
    const char *minari; /* in its layout; NULL: none */
  } CASES[] = { { PX_NAME_OBSERVATIONS, "observations" }, { PX_NAME_ACTIONS, "actions" },
                { PX_NAME_REWARDS, "rewards" },           { PX_NAME_TERMINALS, "terminations" },
                { PX_NAME_TIMEOUTS, "truncations" },      { PX_NAME_NEXT_OBSERVATIONS, NULL } };
  for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
    for (unsigned k = 0; px_names_at(CASES[i].name, k); k++) {
      same_under(fill_flat, px_names_at(CASES[i].name, 0), px_names_at(CASES[i].name, k));
      if (CASES[i].minari) same_under(fill_minari, CASES[i].minari, px_names_at(CASES[i].name, k));
    }
}

static void no_word_has_two_meanings(void) {
  for (int name = 0; name < PX_NAMES_N; name++)
    for (unsigned i = 0; px_names_at((enum px_name)name, i); i++) {
      const char *word = px_names_at((enum px_name)name, i);
      CU_ASSERT_EQUAL(px_names_find(word, strlen(word)), (enum px_name)name);
    }
  CU_ASSERT_EQUAL(px_names_find("torque", 6), PX_NAMES_N);
  CU_ASSERT_EQUAL(px_names_find("obs", 2), PX_NAMES_N);
}

static void fill_both(hid_t f) {
  samples_d4rl(f);
  uploads_floats(f, "obs", 5, 2, samples_obs);
}
static void fill_both_in_an_episode(hid_t f) {
  samples_minari_episode(f, 0, 0, 2);
  uploads_floats(f, "episode_0/acts", 2, 1, samples_act);
}
static void two_names_at_once_are_refused(void) {
  CU_ASSERT(samples_refused(fill_both, PX_E_BAD_DATA, "obs", "mean the same"));
  CU_ASSERT(
    samples_refused(fill_both_in_an_episode, PX_E_BAD_DATA, "episode_0/acts", "mean the same"));
}

/* --- JSON lines --- */

static void read_text(const char *text, struct trajs *out) {
  struct px_err err;
  *out = (struct trajs){ .spaces = trajs_spaces(2, 1) };
  CU_OK(uploads_read(uploads_text(text), PX_FORMAT_JSONL, NULL, out, NULL, &err), err);
}

static void lines_take_other_names_and_flags_of_steps(void) {
#define LINE(obs, act, rew, end) \
  "{\"" obs "\":[[1,2],[3,4]],\"" act "\":[[0],[1]],\"" rew "\":[1,2]," end "}"
  static const char *const SAME[] = {
    LINE("obs", "acts", "rews", "\"dones\":true,\"timeouts\":true"),
    LINE("observations", "action", "reward", "\"terminals\":[0,0],\"truncations\":[false,true]"),
    LINE("observations", "actions", "rewards", "\"ends\":[0,1],\"timeout\":1"),
  };
  struct trajs plain, other;
  read_text(LINE("observations", "actions", "rewards", "\"terminated\":false,\"truncated\":true"),
            &plain);
  for (size_t i = 0; i < sizeof SAME / sizeof *SAME; i++) {
    read_text(SAME[i], &other);
    CU_ASSERT_STRING_EQUAL(trajs_differ(&plain, &other), "");
    trajs_free(&other);
  }
  trajs_free(&plain);
  read_text(LINE("obs", "acts", "rews", "\"done\":[false,true]"), &plain);
  CU_ASSERT_FATAL(plain.n == 1);
  CU_ASSERT(plain.items[0].terminated && !plain.items[0].truncated);
  trajs_free(&plain);
  static const struct {
    const char *text, *place, *words;
  } BAD[] = {
    { LINE("obs", "acts", "rews", "\"dones\":[1,0]"), "step 0, dones", "before the last step" },
    { LINE("obs", "acts", "rews", "\"dones\":[0,1,0]"), "step 1, dones", "before the last step" },
    { LINE("obs", "acts", "rews", "\"dones\":[0,0,1]"), "dones", "has 3 rows" },
    { LINE("obs", "acts", "rews", "\"dones\":[0,2]"), "column", "expected true or false" },
    { LINE("obs", "observations", "rews", "\"dones\":1"), "observations", "is there twice" },
    { LINE("obs", "acts", "rews", "\"truncated\":true"), "terminated", "is missing" },
  };
  const struct px_spaces spaces = trajs_spaces(2, 1);
  for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
    CU_ASSERT(uploads_refused(uploads_text(BAD[i].text), PX_FORMAT_JSONL, &spaces, NULL,
                              PX_E_BAD_DATA, BAD[i].place, BAD[i].words));
}

/* --- OGBench --- */

static const float ends_at_2_and_4[5] = { 0, 0, 1, 0, 1 };
static void fill_ogbench(hid_t f) {
  uploads_floats(f, "observations", 5, 2, samples_obs);
  uploads_floats(f, "actions", 5, 1, samples_act);
  uploads_floats(f, "terminals", 5, 0, ends_at_2_and_4);
  uploads_floats(f, "qpos", 5, 2, samples_obs);
  uploads_floats(f, "qvel", 5, 2, samples_obs);
}
static void fill_ogbench_with_a_lone_end(hid_t f) {
  static const float ends[5] = { 0, 1, 1, 0, 1 };
  fill_ogbench(f);
  CU_ASSERT(H5Ldelete(f, "terminals", H5P_DEFAULT) >= 0);
  uploads_floats(f, "terminals", 5, 0, ends);
}
static void ogbench_ends_with_the_state_after_the_last_action(void) {
  struct trajs list = { .spaces = trajs_spaces(2, 1) };
  struct px_read_report report;
  struct px_err err;
  CU_OK(samples_read(fill_ogbench, NULL, &list, &report, &err), err);
  CU_ASSERT_STRING_EQUAL(report.layout, "ogbench");
  CU_ASSERT(report.notes_n >= 1 && strstr(report.notes[0], "OGBench"));
  CU_ASSERT_EQUAL_FATAL(list.n, 2);
  const struct px_traj *t = list.items;
  CU_ASSERT(t[0].steps == 2 && t[1].steps == 1);
  CU_ASSERT(t[0].has_final && t[1].has_final && t[0].truncated && !t[0].terminated);
  CU_ASSERT(!memcmp(t[0].observations, samples_obs, 6 * sizeof(float)));
  CU_ASSERT(!memcmp(t[1].observations, samples_obs + 6, 4 * sizeof(float)));
  CU_ASSERT(t[0].actions[1] == samples_act[1] && t[1].actions[0] == samples_act[3]);
  CU_ASSERT_PTR_NULL(t[0].rewards);
  trajs_free(&list);
  CU_ASSERT(samples_refused(fill_ogbench_with_a_lone_end, PX_E_BAD_DATA,
                            "trajectory 1, step 0, terminals", "has no action"));
}

/* --- actions of several parts --- */

static void fill_tuple(hid_t f) {
  static const float parts[3][2] = { { .1f, .2f }, { .3f, .4f }, { .5f, .6f } };
  samples_minari_episode(f, 0, 0, 2);
  samples_minari_episode(f, 2, 10, 3); /* its actions are not there */
  CU_ASSERT(H5Ldelete(f, "episode_0/actions", H5P_DEFAULT) >= 0);
  uploads_group(f, "episode_0/actions");
  uploads_floats(f, "episode_0/actions/_index_10", 2, 0, parts[2]);
  uploads_floats(f, "episode_0/actions/_index_2", 2, 0, parts[1]);
  uploads_floats(f, "episode_0/actions/_index_0", 2, 0, parts[0]);
}
static void fill_classes(hid_t f) {
  static const uint8_t classes[2] = { 0, 1 };
  fill_tuple(f);
  CU_ASSERT(H5Ldelete(f, "episode_0/actions/_index_2", H5P_DEFAULT) >= 0);
  uploads_put(f, "episode_0/actions/_index_2", H5T_STD_I64LE, H5T_NATIVE_UINT8, 2, 0, classes,
              H5P_DEFAULT);
}
static void tuples_of_actions_lie_side_by_side(void) {
  static const float rows[6] = { .1f, .3f, .5f, .2f, .4f, .6f };
  struct trajs list = { .spaces = trajs_spaces(2, 3) };
  struct px_read_report report;
  struct px_err err;
  CU_OK(samples_read(fill_tuple, NULL, &list, &report, &err), err);
  CU_ASSERT_EQUAL_FATAL(list.n, 2);
  CU_ASSERT(!memcmp(list.items[0].actions, rows, sizeof rows) && !list.items[1].actions);
  CU_ASSERT(report.notes_n >= 1 && strstr(report.notes[0], "_index_0, _index_2, _index_10"));
  trajs_free(&list);
  const struct px_spaces two = trajs_spaces(2, 2);
  struct px_spaces usual = trajs_spaces(2, 3);
  for (int j = 0; j < 3; j++) usual.act_low[j] = -1, usual.act_high[j] = 1;
  CU_ASSERT(uploads_refused(uploads_hdf5(fill_tuple), PX_FORMAT_HDF5, &two, NULL, PX_E_BAD_DATA,
                            "episode_0/actions", "have 3 numbers, but the dataset declares 2"));
  CU_ASSERT(uploads_refused(uploads_hdf5(fill_classes), PX_FORMAT_HDF5, &usual, NULL, PX_E_BAD_DATA,
                            "episode_0/actions/_index_2", "integers"));
}

/* --- robomimic's splits --- */

static void put_texts(hid_t f, const char *name, const char *texts, hsize_t n, size_t bytes) {
  const hid_t type = H5Tcopy(H5T_C_S1);
  CU_ASSERT(H5Tset_size(type, bytes ? bytes : H5T_VARIABLE) >= 0);
  CU_ASSERT(H5Tset_strpad(type, H5T_STR_NULLPAD) >= 0);
  const char *variable[] = { texts };
  uploads_put(f, name, type, type, n, 0, bytes ? (const void *)texts : variable, H5P_DEFAULT);
  H5Tclose(type);
}
static void fill_splits(hid_t f) {
  uploads_group(f, "data");
  for (int i = 0; i < 12; i++) {
    char path[64];
    const float obs[4] = { (float)i, 0, (float)i, 1 };
    snprintf(path, sizeof path, "data/demo_%d", i);
    uploads_group(f, path);
    snprintf(path, sizeof path, "data/demo_%d/obs", i);
    uploads_floats(f, path, 2, 2, obs);
    snprintf(path, sizeof path, "data/demo_%d/actions", i);
    uploads_floats(f, path, 2, 1, samples_act);
  }
  uploads_group(f, "mask");
  put_texts(f, "mask/valid", "demo_11demo_2\0demo_7", 3, 7);
  put_texts(f, "mask/gone", "demo_2\0demo_99", 2, 7);
  put_texts(f, "mask/vlen", "demo_2", 1, 0);
  uploads_floats(f, "mask/numbers", 2, 0, samples_act);
}
static bool split_refused(const char *split, const char *place, const char *words) {
  const struct px_spaces spaces = trajs_spaces(2, 1);
  struct px_read_options options = { .max_idle_s = 0 };
  snprintf(options.split, sizeof options.split, "%s", split);
  return uploads_refused(uploads_hdf5(fill_splits), PX_FORMAT_HDF5, &spaces, &options,
                         PX_E_BAD_DATA, place, words);
}
static void a_split_is_the_demonstrations_that_its_mask_lists(void) {
  const struct px_read_options valid = { .split = "valid" };
  struct trajs list = { .spaces = trajs_spaces(2, 1) };
  struct px_read_report report;
  struct px_err err;
  CU_OK(samples_read(fill_splits, &valid, &list, &report, &err), err);
  CU_ASSERT_EQUAL_FATAL(list.n, 3);
  CU_ASSERT(list.items[0].observations[0] == 2 && list.items[1].observations[0] == 7 &&
            list.items[2].observations[0] == 11);
  CU_ASSERT(report.notes_n >= 1 && strstr(report.notes[0], "'valid': 3 of 12"));
  trajs_free(&list);
  CU_ASSERT(split_refused("train", "mask/train", "no split"));
  CU_ASSERT(split_refused("gone", "mask/gone", "names 2 demonstrations, of which 1"));
  CU_ASSERT(split_refused("vlen", "mask/vlen", "fixed length"));
  CU_ASSERT(split_refused("numbers", "mask/numbers", "fixed length"));
  const struct px_spaces spaces = trajs_spaces(2, 1);
  CU_ASSERT(uploads_refused(uploads_hdf5(samples_d4rl), PX_FORMAT_HDF5, &spaces, &valid,
                            PX_E_BAD_DATA, "split", "no splits"));
}

CU_MAIN("read_names", T(arrays_go_by_any_of_their_names), T(no_word_has_two_meanings),
        T(two_names_at_once_are_refused), T(lines_take_other_names_and_flags_of_steps),
        T(ogbench_ends_with_the_state_after_the_last_action), T(tuples_of_actions_lie_side_by_side),
        T(a_split_is_the_demonstrations_that_its_mask_lists))
