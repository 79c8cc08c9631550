/* SPDX-License-Identifier: Apache-2.0 */
/* The flat layout: ends that only next_observations shows, d3rlpy's flags, rows of NaN for missing
 * actions. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/base/rng.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"
#include "tests/support/cu.h"
#include "tests/support/uploads.h"

enum { O = 3, ROWS_MAX = 120000 };

/* The file in the making; one at a time. Members whose array is NULL are left out. */
static struct made {
  size_t n;
  float *obs, *next, *act, *rew, *term, *timeouts, *ends, *known;
} made;

static void clear(void) {
  float **arrays[] = { &made.obs,  &made.next,     &made.act,  &made.rew,
                       &made.term, &made.timeouts, &made.ends, &made.known };
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
    free(*arrays[i]);
    *arrays[i] = NULL;
  }
  made.n = 0;
}

static float *array(size_t n) {
  float *x = calloc(n, sizeof *x);
  CU_ASSERT_PTR_NOT_NULL_FATAL(x);
  return x;
}

/* Random walks: `episodes` of `steps` rows each, and nothing flagged. offset: what column 1 has
 * added. */
static void walk(size_t episodes, size_t steps, float offset) {
  clear();
  struct px_rng rng = px_rng_at(3, px_rng_stream("walk", 0), 0);
  made.n = episodes * steps;
  CU_ASSERT_FATAL(made.n <= ROWS_MAX);
  made.obs = array(made.n * O), made.next = array(made.n * O), made.act = array(made.n),
  made.rew = array(made.n);
  made.term = array(made.n);
  for (size_t i = 0; i < made.n; i++) {
    float *obs = made.obs + i * O, *next = made.next + i * O;
    for (size_t k = 0; k < O; k++) {
      float away;
      px_rng_normal(&rng, &away, 1);
      obs[k] = (i % steps) ? next[(ptrdiff_t)k - O] : away + (k == 1 ? offset : 0);
      next[k] = obs[k] + 0.1f * away;
    }
    made.act[i] = next[0] > obs[0] ? 0.5f : -0.5f;
  }
}

static void fill(hid_t f) {
  const hsize_t n = made.n;
  uploads_floats(f, "observations", n, O, made.obs);
  if (made.next) uploads_floats(f, "next_observations", n, O, made.next);
  if (made.act) uploads_floats(f, "actions", n, 1, made.act);
  uploads_floats(f, "rewards", n, 0, made.rew);
  uploads_floats(f, "terminals", n, 0, made.term);
  if (made.timeouts) uploads_floats(f, "timeouts", n, 0, made.timeouts);
  if (made.ends) uploads_floats(f, "episode_terminals", n, 0, made.ends);
  if (made.known) uploads_floats(f, "next_known", n, 0, made.known);
}

struct member {
  char *bytes;
  size_t n;
};
static struct member npy(const float *data, size_t rows, size_t cols) {
  struct member m = { .n = 0 };
  char shape[48], header[128];
  snprintf(shape, sizeof shape, cols ? "(%zu, %zu)" : "(%zu,)", rows, cols);
  const int text = snprintf(header, sizeof header,
                            "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }\n", shape);
  m.n = 10 + (size_t)text + rows * (cols ? cols : 1) * sizeof *data;
  m.bytes = malloc(m.n);
  CU_ASSERT_PTR_NOT_NULL_FATAL(m.bytes);
  memcpy(m.bytes, "\x93NUMPY\1\0", 8);
  m.bytes[8] = (char)text, m.bytes[9] = 0;
  memcpy(m.bytes + 10, header, (size_t)text);
  memcpy(m.bytes + 10 + text, data, m.n - 10 - (size_t)text);
  return m;
}

static int zip_made(void) {
  const struct {
    const char *name;
    const float *data;
    size_t cols;
  } all[] = {
    { "observations.npy", made.obs, O },
    { "next_observations.npy", made.next, O },
    { "actions.npy", made.act, 1 },
    { "rewards.npy", made.rew, 0 },
    { "terminals.npy", made.term, 0 },
    { "timeouts.npy", made.timeouts, 0 },
    { "episode_terminals.npy", made.ends, 0 },
    { "next_known.npy", made.known, 0 },
  };
  enum { ALL_N = sizeof all / sizeof *all };
  struct member arrays[ALL_N];
  struct uploads_member members[ALL_N];
  size_t n = 0;
  for (size_t i = 0; i < ALL_N; i++) {
    if (!all[i].data) continue;
    arrays[n] = npy(all[i].data, made.n, all[i].cols);
    members[n] = (struct uploads_member){ all[i].name, arrays[n].bytes, arrays[n].n, false };
    n++;
  }
  const int fd = uploads_zip(members, n);
  for (size_t i = 0; i < n; i++) free(arrays[i].bytes);
  return fd;
}

static int file_in(enum px_read_format format) {
  return format == PX_FORMAT_NPZ ? zip_made() : uploads_hdf5(fill);
}

static const struct px_spaces *spaces(void) {
  static struct px_spaces s;
  s = trajs_spaces(O, 1);
  return &s;
}

static void read_made(enum px_read_format format, struct trajs *list,
                      struct px_read_report *report) {
  struct px_err err = { 0 };
  *list = (struct trajs){ .spaces = *spaces() };
  CU_OK(uploads_read(file_in(format), format, NULL, list, report, &err), err);
}

static bool refused(enum px_read_format format, const char *place, const char *words,
                    const char *hint) {
  struct trajs list = { .spaces = *spaces() };
  struct px_err err = { 0 };
  const enum px_status status = uploads_read(file_in(format), format, NULL, &list, NULL, &err);
  trajs_free(&list);
  if (status == PX_E_BAD_DATA && strstr(err.pointer, place) && strstr(err.message, words) &&
      strstr(err.hint, hint))
    return true;
  printf("\n  got %s at '%s': %s (%s)\n", px_status_slug(status), err.pointer, err.message,
         err.hint);
  return false;
}

static bool noted(const struct px_read_report *report, const char *words) {
  for (uint32_t i = 0; i < report->notes_n; i++)
    if (strstr(report->notes[i], words)) return true;
  return false;
}

/* n trajectories of `steps`, each the rows of its episode, and its final state what the last row
 * says comes next. */
static void expect_episodes(const struct trajs *list, size_t n, size_t steps) {
  CU_ASSERT_EQUAL_FATAL(list->n, n);
  for (size_t i = 0; i < n; i++) {
    const struct px_traj *t = &list->items[i];
    const float *obs = made.obs + i * steps * O, *last = made.next + (i * steps + steps - 1) * O;
    CU_ASSERT(t->steps == steps && t->has_final && t->truncated && !t->terminated);
    CU_ASSERT(!memcmp(t->observations, obs, steps * O * sizeof *obs));
    CU_ASSERT(!memcmp(t->observations + steps * O, last, O * sizeof *last));
    CU_ASSERT(!memcmp(t->actions, made.act + i * steps, steps * sizeof *made.act));
  }
}

static void an_end_that_only_next_observations_shows_is_one(void) {
  for (int format = PX_FORMAT_HDF5; format <= PX_FORMAT_NPZ; format++) {
    struct trajs list;
    struct px_read_report report;
    walk(20, 49, 0);
    read_made((enum px_read_format)format, &list, &report);
    expect_episodes(&list, 20, 49);
    CU_ASSERT(noted(&report, "at 19 steps without an end flag") &&
              noted(&report, "trajectory 0, step 48"));
    trajs_free(&list);
  }
}

static void flags_that_miss_some_ends_are_completed(void) {
  struct trajs list;
  struct px_read_report report;
  walk(12, 30, 0);
  made.timeouts = array(made.n);
  /* episodes 0, 3, 6, 9 terminate */
  for (size_t e = 0; e < 12; e += 3) made.term[e * 30 + 29] = 1;
  /* 1, 4, 7, 10 time out; the rest is not flagged */
  for (size_t e = 1; e < 12; e += 3) made.timeouts[e * 30 + 29] = 1;
  read_made(PX_FORMAT_HDF5, &list, &report);
  CU_ASSERT_EQUAL_FATAL(list.n, 12);
  for (size_t e = 0; e < 12; e++) {
    CU_ASSERT_EQUAL(list.items[e].steps, 30);
    CU_ASSERT_EQUAL(list.items[e].terminated, e % 3 == 0);
    CU_ASSERT_EQUAL(list.items[e].truncated, e % 3 != 0);
  }
  CU_ASSERT(noted(&report, "at 3 steps without an end flag") &&
            noted(&report, "trajectory 2, step 29"));
  trajs_free(&list);
}

/* An array rounded to fewer bits of significand, as float16 (13 bits less) or bfloat16 (16) keeps
 * them. */
static void round_off(float *x, size_t n, int bits) {
  for (size_t i = 0; i < n; i++) {
    uint32_t word;
    memcpy(&word, x + i, sizeof word);
    word = (word + (1u << (bits - 1))) & ~((1u << bits) - 1);
    memcpy(x + i, &word, sizeof word);
  }
}

static void expect_ends(size_t episodes, size_t steps) {
  struct trajs list;
  struct px_read_report report;
  read_made(PX_FORMAT_HDF5, &list, &report);
  CU_ASSERT_EQUAL(list.n, episodes);
  for (size_t i = 0; i < list.n; i++) CU_ASSERT_EQUAL(list.items[i].steps, steps);
  trajs_free(&list);
}

static void rounding_of_either_array_is_no_end(void) {
  /* far from 0 a column's rounding is large against its spread */
  static const float offsets[] = { 0, 100, -4000 };
  for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
    for (int bits = 13; bits <= 16; bits += 3) {
      walk(10, 50, offsets[i]);
      round_off(made.next, made.n * O, bits);
      expect_ends(10, 50);
      walk(10, 50, offsets[i]);
      round_off(made.obs, made.n * O, bits);
      expect_ends(10, 50);
      walk(10, 50, offsets[i]);
      round_off(made.obs, made.n * O, bits);
      round_off(made.next, made.n * O, bits);
      expect_ends(10, 50);
    }
    walk(10, 50, offsets[i]); /* normalised and back, in float32 */
    for (size_t k = 0; k < made.n * O; k++)
      made.next[k] = (made.next[k] - 0.7f) / 1.3f * 1.3f + 0.7f;
    expect_ends(10, 50);
  }
}

static void a_number_that_is_not_finite_is_refused_where_it_is(void) {
  walk(4, 30, 0);
  round_off(made.next, made.n * O, 13);
  made.obs[(2 * 30 + 7) * O + 1] = NAN;
  CU_ASSERT(refused(PX_FORMAT_HDF5, "trajectory 2, step 7, observations[1]", "not finite", ""));
}

static void a_small_jump_far_from_zero_is_an_end(void) {
  walk(8, 40, 0);
  /* Position in metres on a map: episodes start where the last one was, 3 m further. The other
   * columns never move. */
  for (size_t i = 0; i < made.n; i++) {
    const float at = 650000.f + 0.25f * (float)(i % 40) + 3 * (float)(i / 40);
    for (size_t k = 0; k < O; k++) made.obs[i * O + k] = made.next[i * O + k] = k == 1 ? at : 1;
    made.next[i * O + 1] = at + 0.25f;
  }
  expect_ends(8, 40);
}

static void a_file_longer_than_a_trajectory_may_be_is_cut(void) {
  struct trajs list;
  struct px_read_report report;
  walk(101, 999, 0);
  read_made(PX_FORMAT_NPZ, &list, &report);
  CU_ASSERT_EQUAL(list.n, 101);
  CU_ASSERT_EQUAL(report.steps_n, 101 * 999);
  trajs_free(&list);
}

static void swap_rows(size_t a, size_t b) {
  for (size_t k = 0; k < O; k++) {
    float *x[2][2] = { { &made.obs[a * O + k], &made.obs[b * O + k] },
                       { &made.next[a * O + k], &made.next[b * O + k] } };
    for (int m = 0; m < 2; m++) {
      const float kept = *x[m][0];
      *x[m][0] = *x[m][1];
      *x[m][1] = kept;
    }
  }
}

static void shuffle(void) {
  struct px_rng rng = px_rng_at(4, px_rng_stream("shuffle", 0), 0);
  for (size_t i = made.n - 1; i; i--) swap_rows(i, px_rng_below(&rng, (uint32_t)i + 1));
}

static void rows_in_no_order_are_refused(void) {
  walk(20, 50, 0);
  shuffle();
  CU_ASSERT(refused(PX_FORMAT_NPZ, "next_observations", "of the 999 steps compared",
                    "before it is shuffled"));
  /* terminals do not make it better */
  for (size_t i = 0; i < made.n; i += 100) made.term[i] = 1;
  CU_ASSERT(refused(PX_FORMAT_HDF5, "next_observations", "not in the order",
                    "parallel environments one by one"));
  walk(30, 1000, 0); /* long enough to be told before it is read to its end */
  shuffle();
  CU_ASSERT(refused(PX_FORMAT_HDF5, "next_observations", "not in the order", "shuffled"));
  /* Rows of parallel environments in turns. */
  walk(2, 500, 0);
  struct made turns = made;
  float *obs = array(made.n * O), *next = array(made.n * O);
  for (size_t i = 0; i < made.n; i++) {
    const size_t from = (i % 2) * 500 + i / 2;
    memcpy(obs + i * O, turns.obs + from * O, O * sizeof *obs);
    memcpy(next + i * O, turns.next + from * O, O * sizeof *next);
  }
  free(made.obs), free(made.next);
  made.obs = obs, made.next = next;
  CU_ASSERT(
    refused(PX_FORMAT_NPZ, "next_observations", "at 999 of the 999", "parallel environments"));
}

static void single_transitions_are_taken_when_each_is_flagged(void) {
  struct trajs list;
  struct px_read_report report;
  walk(20, 50, 0);
  shuffle();
  made.timeouts = array(made.n);
  for (size_t i = 0; i < made.n; i++) made.timeouts[i] = 1;
  read_made(PX_FORMAT_HDF5, &list, &report);
  CU_ASSERT_EQUAL(list.n, 1000);
  trajs_free(&list);
}

static void unknown_next_observations_show_no_end(void) {
  struct trajs list;
  struct px_read_report report;
  walk(4, 25, 0);
  made.known = array(made.n);
  /* whether episode 0 goes on in 1 is not known */
  for (size_t i = 0; i < made.n; i++) made.known[i] = i != 24;
  read_made(PX_FORMAT_HDF5, &list, &report);
  CU_ASSERT_EQUAL_FATAL(list.n, 3);
  CU_ASSERT_EQUAL(list.items[0].steps, 50);
  trajs_free(&list);
}

static void a_copy_of_the_observations_tells_no_ends(void) {
  struct trajs list;
  struct px_read_report report;
  walk(5, 20, 0);
  made.timeouts = array(made.n);
  for (size_t i = 19; i < made.n; i += 20) made.timeouts[i] = 1;
  memcpy(made.next, made.obs, made.n * O * sizeof *made.obs);
  read_made(PX_FORMAT_NPZ, &list, &report);
  CU_ASSERT_EQUAL_FATAL(list.n, 5);
  CU_ASSERT(!list.items[0].has_final && noted(&report, "is a copy of 'observations'"));
  trajs_free(&list);
}

static void the_first_d3rlpy_flags_all_ends_in_episode_terminals(void) {
  for (int format = PX_FORMAT_HDF5; format <= PX_FORMAT_NPZ; format++) {
    struct trajs list;
    struct px_read_report report;
    walk(6, 200, 0);
    free(made.next);
    made.next = NULL;
    made.ends = array(made.n);
    for (size_t e = 0; e < 6; e++) made.ends[e * 200 + 199] = 1;
    made.term[199] = made.term[599] = 1;
    read_made((enum px_read_format)format, &list, &report);
    CU_ASSERT_STRING_EQUAL(report.layout, format == PX_FORMAT_NPZ ? "npz" : "d3rlpy");
    CU_ASSERT_EQUAL_FATAL(list.n, 6);
    for (size_t e = 0; e < 6; e++) {
      CU_ASSERT(list.items[e].steps == 200 && !list.items[e].has_final);
      CU_ASSERT_EQUAL(list.items[e].terminated, e == 0 || e == 2);
      CU_ASSERT_EQUAL(list.items[e].truncated, e != 0 && e != 2);
    }
    trajs_free(&list);
  }
}

static void a_row_of_nan_is_an_unlabelled_step(void) {
  struct trajs list;
  struct px_read_report report;
  walk(3, 10, 0);
  made.act[3] = NAN;
  for (size_t i = 10; i < 20; i++) made.act[i] = NAN;
  read_made(PX_FORMAT_HDF5, &list, &report);
  CU_ASSERT_EQUAL_FATAL(list.n, 3);
  CU_ASSERT_EQUAL(report.labelled_n, 19);
  CU_ASSERT(list.items[0].labelled[2] == 1 && list.items[0].labelled[3] == 0 &&
            !list.items[2].labelled);
  CU_ASSERT(noted(&report, "at 11 steps all numbers of the action are NaN"));
  trajs_free(&list);
  made.act[3] = INFINITY;
  CU_ASSERT(
    refused(PX_FORMAT_NPZ, "trajectory 0, step 3, actions[0]", "not finite", "action_mask"));
}

static void keys_are_for_groups_of_observations(void) {
  const struct px_read_options keys = { .obs_keys_n = 1, .obs_keys = { "position" } };
  walk(1, 5, 0);
  CU_ASSERT(uploads_refused(uploads_hdf5(fill), PX_FORMAT_HDF5, spaces(), &keys, PX_E_BAD_DATA,
                            "obs_keys", "one array"));
  CU_ASSERT(uploads_refused(zip_made(), PX_FORMAT_NPZ, spaces(), &keys, PX_E_BAD_DATA, "obs_keys",
                            "one array"));
  clear();
}

CU_MAIN("read_flat", T(an_end_that_only_next_observations_shows_is_one),
        T(flags_that_miss_some_ends_are_completed), T(rounding_of_either_array_is_no_end),
        T(a_small_jump_far_from_zero_is_an_end),
        T(a_number_that_is_not_finite_is_refused_where_it_is),
        T(a_file_longer_than_a_trajectory_may_be_is_cut), T(rows_in_no_order_are_refused),
        T(single_transitions_are_taken_when_each_is_flagged),
        T(unknown_next_observations_show_no_end), T(a_copy_of_the_observations_tells_no_ends),
        T(the_first_d3rlpy_flags_all_ends_in_episode_terminals),
        T(a_row_of_nan_is_an_unlabelled_step), T(keys_are_for_groups_of_observations))
