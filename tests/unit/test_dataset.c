/* SPDX-License-Identifier: Apache-2.0 */
/* Dataset snapshots: loading, statistics, hiding actions. */
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/data/dataset.h"
#include "lib/data/mask.h"
#include "lib/data/traj.h"
#include "lib/read/read.h"
#include "tests/support/cu.h"
#include "tests/support/trajs.h"

static struct px_dataset *loaded(const struct segments *segments) {
  struct px_err err = { 0 };
  struct px_dataset *ds = NULL;
  struct px_dataset_builder *b = px_dataset_builder_new(&segments->spaces);
  for (size_t i = 0; i < segments->n; i++)
    CU_OK(px_dataset_builder_segment(b, segments->items[i].bytes, segments->items[i].size, &err),
          err);
  CU_OK(px_dataset_builder_end(b, &ds, &err), err);
  return ds;
}

static void made(struct trajs *list, struct segments *segments, struct px_dataset **ds) {
  *list = (struct trajs){ .spaces = trajs_spaces(5, 2) };
  *segments = (struct segments){ 0 };
  trajs_fill(list, 800, 700, 3);
  CU_ASSERT_EQUAL_FATAL(segments_pack(segments, list), PX_OK);
  CU_ASSERT_TRUE(segments->n > 2);
  *ds = loaded(segments);
}

static void let_go(struct trajs *list, struct segments *segments, struct px_dataset *ds) {
  px_dataset_free(ds);
  trajs_free(list);
  segments_free(segments);
}

static void a_loaded_dataset_holds_every_trajectory(void) {
  struct trajs list;
  struct segments segments;
  struct px_dataset *ds;
  made(&list, &segments, &ds);
  CU_ASSERT_EQUAL_FATAL(ds->traj_n, list.n);
  struct trajs back = { .spaces = list.spaces };
  const struct px_traj_sink sink = trajs_sink(&back);
  for (uint32_t i = 0; i < ds->traj_n; i++) {
    const uint64_t step = ds->step_start[i];
    const struct px_traj traj = {
      .steps = (uint32_t)(ds->step_start[i + 1] - step),
      .observations = ds->observations + ds->obs_start[i] * 5,
      .actions = ds->actions + step * 2,
      .labelled = ds->labelled + step,
      .rewards = ds->rewards + step,
      .terminated = ds->terminated[i],
      .truncated = ds->truncated[i],
      .has_final = ds->has_final[i],
    };
    CU_ASSERT_EQUAL(sink.put(sink.ctx, &traj, NULL), PX_OK);
    CU_ASSERT_EQUAL(ds->obs_start[i + 1] - ds->obs_start[i], traj.steps + (uint64_t)traj.has_final);
    for (uint64_t k = 0; k < traj.steps * 2ull; k++)
      if (!traj.labelled[k / 2]) CU_ASSERT_EQUAL(traj.actions[k], 0.0f);
  }
  CU_ASSERT_STRING_EQUAL(trajs_differ(&list, &back), "");
  uint32_t at = 0;
  CU_ASSERT_EQUAL_FATAL(ds->segments_n, segments.n);
  for (uint32_t i = 0; i < ds->segments_n; i++) {
    CU_ASSERT_EQUAL(ds->segment_traj[i], at);
    at += segments.items[i].info.traj_n;
  }
  CU_ASSERT_EQUAL(ds->segment_traj[ds->segments_n], at);
  trajs_free(&back);
  let_go(&list, &segments, ds);
}

static void steps_find_their_trajectory_and_know_their_next_state(void) {
  struct trajs list;
  struct segments segments;
  struct px_dataset *ds;
  made(&list, &segments, &ds);
  for (uint32_t i = 0; i < ds->traj_n; i++) {
    const uint64_t first = ds->step_start[i], last = ds->step_start[i + 1] - 1;
    CU_ASSERT_EQUAL(px_dataset_traj_of_step(ds, first), i);
    CU_ASSERT_EQUAL(px_dataset_traj_of_step(ds, last), i);
    CU_ASSERT_EQUAL(px_dataset_next_known(ds, i, last - first), (bool)ds->has_final[i]);
    if (last > first) CU_ASSERT_TRUE(px_dataset_next_known(ds, i, last - first - 1));
  }
  let_go(&list, &segments, ds);
}

static void statistics_are_those_of_all_observation_rows(void) {
  struct trajs list;
  struct segments segments;
  struct px_dataset *ds;
  made(&list, &segments, &ds);
  double mean[5], std[5];
  px_dataset_obs_stats(ds, mean, std);
  for (int j = 0; j < 5; j++) {
    double sum = 0, square = 0;
    for (uint64_t r = 0; r < ds->obs_n; r++) sum += (double)ds->observations[r * 5 + j];
    sum /= (double)ds->obs_n;
    for (uint64_t r = 0; r < ds->obs_n; r++)
      square += pow((double)ds->observations[r * 5 + j] - sum, 2);
    CU_ASSERT_DOUBLE_EQUAL(mean[j], sum, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(std[j], sqrt(square / (double)ds->obs_n), 1e-12);
  }
  CU_ASSERT_EQUAL(px_dataset_return(ds, 3), segments.items[0].info.rows[3].ret);
  let_go(&list, &segments, ds);
}

static void a_segment_that_does_not_parse_leaves_the_builder_as_it_was(void) {
  struct trajs list;
  struct segments segments;
  struct px_dataset *whole, *ds = NULL;
  made(&list, &segments, &whole);
  struct px_err err = { 0 };
  struct px_dataset_builder *b = px_dataset_builder_new(&list.spaces);
  for (size_t i = 0; i < segments.n; i++) {
    CU_ASSERT_EQUAL(px_dataset_builder_segment(b, segments.items[i].bytes,
                                               segments.items[i].size - 1, &err),
                    PX_E_BAD_DATA);
    CU_OK(px_dataset_builder_segment(b, segments.items[i].bytes, segments.items[i].size, &err),
          err);
  }
  CU_OK(px_dataset_builder_end(b, &ds, &err), err);
  CU_ASSERT_EQUAL(ds->steps_n, whole->steps_n);
  CU_ASSERT_EQUAL(memcmp(ds->observations, whole->observations, ds->obs_n * 5 * sizeof(float)), 0);
  px_dataset_free(ds);
  let_go(&list, &segments, whole);
}

static void an_empty_dataset_is_a_dataset(void) {
  struct segments none = { .spaces = trajs_spaces(5, 2) };
  struct px_dataset *ds = loaded(&none);
  CU_ASSERT_EQUAL(ds->traj_n, 0);
  CU_ASSERT_EQUAL(ds->step_start[0], 0);
  px_dataset_free(ds);
}

static void hidden_actions_are_gone_and_others_stay(void) {
  struct trajs list;
  struct segments segments;
  struct px_dataset *ds, *before;
  made(&list, &segments, &ds);
  before = loaded(&segments);
  uint8_t *keep = calloc(ds->traj_n, 1);
  for (uint32_t i = 0; i < ds->traj_n; i++) keep[i] = i % 3 == 0;
  px_dataset_hide(ds, keep);
  for (uint64_t t = 0; t < ds->steps_n; t++) {
    const bool kept = keep[px_dataset_traj_of_step(ds, t)];
    CU_ASSERT_EQUAL(ds->labelled[t], kept ? before->labelled[t] : 0);
    CU_ASSERT_EQUAL(ds->actions[2 * t], kept ? before->actions[2 * t] : 0.0f);
    CU_ASSERT_EQUAL(ds->actions[2 * t + 1], kept ? before->actions[2 * t + 1] : 0.0f);
  }
  free(keep);
  px_dataset_free(before);
  let_go(&list, &segments, ds);
}

static void the_demo_dataset_is_what_its_readme_says(void) {
  struct trajs list = {
    .spaces = { .obs_dim = 11, .act_dim = 3, .act_low = { -1, -1, -1 }, .act_high = { 1, 1, 1 } }
  };
  struct segments segments = { 0 };
  struct px_read_report report;
  struct px_err err = { 0 };
  const struct px_traj_sink sink = trajs_sink(&list);
  const int fd = open("deploy/demo/hopper-demo.hdf5", O_RDONLY | O_CLOEXEC);
  CU_ASSERT_TRUE_FATAL(fd >= 0);
  CU_OK(px_read_file(fd, PX_FORMAT_HDF5, "hopper-demo.hdf5", NULL, &list.spaces, &sink, &report,
                     &err),
        err);
  close(fd);
  CU_ASSERT_EQUAL_FATAL(segments_pack(&segments, &list), PX_OK);
  struct px_dataset *ds = loaded(&segments);
  CU_ASSERT_EQUAL(ds->traj_n, 88);
  CU_ASSERT_EQUAL(ds->steps_n, 58204);
  double low = INFINITY, high = -INFINITY;
  uint32_t falls = 0;
  for (uint32_t i = 0; i < ds->traj_n; i++) {
    low = fmin(low, px_dataset_return(ds, i));
    high = fmax(high, px_dataset_return(ds, i));
    falls += ds->terminated[i];
    CU_ASSERT_TRUE(ds->has_final[i]);
  }
  CU_ASSERT_EQUAL(falls, 70);
  CU_ASSERT_DOUBLE_EQUAL(low, 996.179, 1e-3);
  CU_ASSERT_DOUBLE_EQUAL(high, 3699.754, 1e-3);
  let_go(&list, &segments, ds);
}

enum { N = 100 };

/* Returns 99, 98, ... 0; every tenth has no labels. Gives how many are kept. */
static uint32_t masked(double p, double q, uint64_t seed, uint8_t keep[N]) {
  double returns[N];
  uint8_t has[N];
  for (int i = 0; i < N; i++) {
    returns[i] = N - 1 - i;
    has[i] = i % 10 != 0;
  }
  struct px_err err = { 0 };
  const struct px_mask mask = { PX_MASK_COUPLED, p, q, seed };
  CU_OK(px_mask_choose(&mask, returns, has, N, keep, &err), err);
  uint32_t kept = 0;
  for (int i = 0; i < N; i++) {
    CU_ASSERT_TRUE(keep[i] <= has[i]);
    kept += keep[i];
  }
  return kept;
}

static void the_coupled_mask_keeps_a_share_from_the_bottom(void) {
  uint8_t keep[N];
  CU_ASSERT_EQUAL(masked(0.1, 0.5, 1, keep), 9); /* of 90 labelled */
  /* the lower half by return */
  for (int i = 0; i < N; i++)
    if (keep[i]) CU_ASSERT_TRUE(i >= 50);
  CU_ASSERT_EQUAL(masked(0.8, 0.3, 1, keep), 27); /* never more than the bottom */
  for (int i = 0; i < N; i++)
    if (keep[i]) CU_ASSERT_TRUE(i >= 70);
  CU_ASSERT_EQUAL(masked(1, 1, 1, keep), 90);
  CU_ASSERT_EQUAL(masked(0.001, 0.001, 1, keep), 1);
  CU_ASSERT_EQUAL(keep[99], 1);
  CU_ASSERT_EQUAL(masked(0.7, 0.7, 1, keep), 63); /* 90 * 0.7 is 62.999... in binary */
}

static void a_mask_is_a_function_of_its_seed(void) {
  uint8_t a[N], b[N], c[N];
  masked(0.1, 0.9, 5, a);
  masked(0.1, 0.9, 5, b);
  masked(0.1, 0.9, 6, c);
  CU_ASSERT_EQUAL(memcmp(a, b, N), 0);
  CU_ASSERT_NOT_EQUAL(memcmp(a, c, N), 0);
  uint32_t times[N] = { 0 };
  for (uint64_t seed = 0; seed < 2000; seed++) {
    masked(0.1, 0.5, seed, a);
    for (int i = 0; i < N; i++) times[i] += a[i];
  }
  for (int i = 50; i < N; i++) /* 9 of 45: 400 times each, sigma 18 */
    if (i % 10) CU_ASSERT_TRUE(times[i] > 310 && times[i] < 490);
}

static void equal_returns_are_drawn_from_by_the_seed(void) {
  double returns[N] = { 0 };
  uint8_t has[N], keep[N];
  uint32_t times[N] = { 0 };
  struct px_err err = { 0 };
  memset(has, 1, N);
  for (uint64_t seed = 0; seed < 2000; seed++) {
    const struct px_mask mask = { PX_MASK_COUPLED, 0.1, 0.1, seed };
    CU_OK(px_mask_choose(&mask, returns, has, N, keep, &err), err);
    for (int i = 0; i < N; i++) times[i] += keep[i];
  }
  /* 200 times each, sigma 13 */
  for (int i = 0; i < N; i++) CU_ASSERT_TRUE(times[i] > 130 && times[i] < 270);
}

static void masks_out_of_range_or_without_labels_are_refused(void) {
  const double returns[2] = { 1, 2 };
  const uint8_t none[2] = { 0 }, all[2] = { 1, 1 };
  uint8_t keep[2];
  struct px_err err = { 0 };
  struct px_mask mask = { PX_MASK_COUPLED, 0.5, 0.5, 1 };
  CU_ASSERT_EQUAL(px_mask_choose(&mask, returns, none, 2, keep, &err), PX_E_NO_LABELS);
  mask.p = 0;
  CU_ASSERT_EQUAL(px_mask_choose(&mask, returns, all, 2, keep, &err), PX_E_BAD_FIELD);
  mask.p = NAN;
  CU_ASSERT_EQUAL(px_mask_choose(&mask, returns, all, 2, keep, &err), PX_E_BAD_FIELD);
  mask = (struct px_mask){ PX_MASK_COUPLED, 0.5, 1.5, 1 };
  CU_ASSERT_EQUAL(px_mask_choose(&mask, returns, all, 2, keep, &err), PX_E_BAD_FIELD);
  mask.protocol = PX_MASK_NONE;
  CU_OK(px_mask_choose(&mask, returns, all, 2, keep, &err), err);
  CU_ASSERT_TRUE(keep[0] && keep[1]);
}

CU_MAIN("dataset", T(a_loaded_dataset_holds_every_trajectory),
        T(steps_find_their_trajectory_and_know_their_next_state),
        T(statistics_are_those_of_all_observation_rows),
        T(a_segment_that_does_not_parse_leaves_the_builder_as_it_was),
        T(an_empty_dataset_is_a_dataset), T(hidden_actions_are_gone_and_others_stay),
        T(the_demo_dataset_is_what_its_readme_says),
        T(the_coupled_mask_keeps_a_share_from_the_bottom), T(a_mask_is_a_function_of_its_seed),
        T(equal_returns_are_drawn_from_by_the_seed),
        T(masks_out_of_range_or_without_labels_are_refused))
