/* SPDX-License-Identifier: Apache-2.0 */
/* Segments: packing, limits, statistics, and strict opening. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/digest.h"
#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/base/text.h"
#include "lib/data/safetensors.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"
#include "tests/support/cu.h"
#include "tests/support/trajs.h"

static struct trajs filled(uint32_t n, uint32_t longest) {
  struct trajs list = { .spaces = trajs_spaces(11, 3) };
  trajs_fill(&list, n, longest, 7);
  return list;
}

static void packed_trajectories_come_back_in_order(void) {
  struct trajs in = filled(300, 400), out = { 0 };
  struct segments segments = { 0 };
  CU_ASSERT_EQUAL_FATAL(segments_pack(&segments, &in), PX_OK);
  CU_ASSERT_EQUAL_FATAL(segments_unpack(&segments, &out), PX_OK);
  CU_ASSERT_STRING_EQUAL(trajs_differ(&in, &out), "");
  trajs_free(&in);
  trajs_free(&out);
  segments_free(&segments);
}

static void segments_fill_up_to_4_mib_and_never_pass_it(void) {
  struct trajs in = filled(500, 1000);
  struct segments segments = { 0 };
  CU_ASSERT_EQUAL_FATAL(segments_pack(&segments, &in), PX_OK);
  CU_ASSERT_TRUE(segments.n >= 3);
  for (size_t i = 0; i < segments.n; i++) {
    CU_ASSERT_TRUE(segments.items[i].size <= PX_SEGMENT_BYTES);
    if (i + 1 < segments.n) CU_ASSERT_TRUE(segments.items[i].size > PX_SEGMENT_BYTES - 100000);
  }
  trajs_free(&in);
  segments_free(&segments);
}

static void a_long_trajectory_is_not_split(void) {
  struct trajs in = { .spaces = trajs_spaces(40, 2) }, out = { 0 };
  trajs_add(&in, 10, TRAJS_ALL, 1);
  trajs_add(&in, 50000, TRAJS_PART, 2);
  trajs_add(&in, 10, TRAJS_NONE, 3);
  struct segments segments = { 0 };
  CU_ASSERT_EQUAL_FATAL(segments_pack(&segments, &in), PX_OK);
  CU_ASSERT_EQUAL(segments.n, 3);
  CU_ASSERT_EQUAL_FATAL(segments_unpack(&segments, &out), PX_OK);
  CU_ASSERT_STRING_EQUAL(trajs_differ(&in, &out), "");
  trajs_free(&in);
  trajs_free(&out);
  segments_free(&segments);
}

static void a_trajectory_over_the_maximum_is_refused(void) {
  struct trajs in = { .spaces = trajs_spaces(3000, 2) };
  trajs_add(&in, 23000, TRAJS_NONE, 2);
  struct segments segments = { 0 };
  CU_ASSERT_EQUAL(segments_pack(&segments, &in), PX_E_TOO_LARGE);
  trajs_free(&in);
  segments_free(&segments);
}

static void equal_trajectories_give_equal_digests(void) {
  struct trajs in = filled(20, 50);
  struct segments a = { 0 }, b = { 0 };
  CU_ASSERT_EQUAL_FATAL(segments_pack(&a, &in), PX_OK);
  CU_ASSERT_EQUAL_FATAL(segments_pack(&b, &in), PX_OK);
  CU_ASSERT_EQUAL(memcmp(a.items[0].info.digest, b.items[0].info.digest, PX_SHA256_BYTES), 0);
  uint8_t digest[PX_SHA256_BYTES];
  px_digest_sha256(a.items[0].bytes, a.items[0].size, digest);
  CU_ASSERT_EQUAL(memcmp(a.items[0].info.digest, digest, PX_SHA256_BYTES), 0);
  trajs_free(&in);
  segments_free(&a);
  segments_free(&b);
}

static void actions_and_mask_are_stored_only_where_needed(void) {
  static const struct {
    enum trajs_labels kinds[2];
    bool actions, mask;
  } CASES[] = {
    { { TRAJS_NONE, TRAJS_NONE }, false, false },
    { { TRAJS_NONE, TRAJS_ALL }, true, false },
    { { TRAJS_ALL, TRAJS_PART }, true, true },
    { { TRAJS_NONE, TRAJS_PART }, true, true },
  };
  for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
    struct trajs in = { .spaces = trajs_spaces(3, 2) }, out = { 0 };
    trajs_add(&in, 30, CASES[i].kinds[0], 1);
    trajs_add(&in, 30, CASES[i].kinds[1], 2);
    struct segments segments = { 0 };
    CU_ASSERT_EQUAL_FATAL(segments_pack(&segments, &in), PX_OK);
    struct px_segment_view view;
    struct px_err err = { 0 };
    CU_OK(px_segment_open(segments.items[0].bytes, segments.items[0].size, &in.spaces, &view, &err),
          err);
    CU_ASSERT_EQUAL(view.actions != NULL, CASES[i].actions);
    CU_ASSERT_EQUAL(view.label_mask != NULL, CASES[i].mask);
    CU_ASSERT_EQUAL(view.labelled_n, segments.items[0].info.labelled_n);
    px_segment_close(&view);
    CU_ASSERT_EQUAL_FATAL(segments_unpack(&segments, &out), PX_OK);
    CU_ASSERT_STRING_EQUAL(trajs_differ(&in, &out), "");
    trajs_free(&in);
    trajs_free(&out);
    segments_free(&segments);
  }
}

static void rows_and_moments_match_a_plain_computation(void) {
  struct trajs in = filled(600, 500);
  for (size_t i = 0; i < in.n; i++) /* a mean far from 0 shows cancellation */
    for (size_t k = 0; k < (in.items[i].steps + (size_t)in.items[i].has_final) * 11; k++)
      ((float *)(uintptr_t)in.items[i].observations)[k] += 1000.0f;
  struct segments segments = { 0 };
  CU_ASSERT_EQUAL_FATAL(segments_pack(&segments, &in), PX_OK);
  CU_ASSERT_TRUE(segments.n > 1);
  double mean[11] = { 0 }, m2[11] = { 0 }, plain[11] = { 0 }, square[11] = { 0 };
  struct px_running_stats all = { 0, mean, m2 };
  size_t at = 0;
  for (size_t i = 0; i < segments.n; i++) {
    px_running_stats_merge(&all, &segments.items[i].info.obs, 11);
    for (uint32_t k = 0; k < segments.items[i].info.traj_n; k++, at++) {
      const struct px_segment_row *row = &segments.items[i].info.rows[k];
      double ret = 0;
      for (uint32_t t = 0; t < in.items[at].steps; t++) ret += (double)in.items[at].rewards[t];
      CU_ASSERT_EQUAL(row->ret, ret);
      CU_ASSERT_EQUAL(row->steps, in.items[at].steps);
      CU_ASSERT_EQUAL(row->has_final, in.items[at].has_final);
    }
  }
  uint64_t n = 0;
  for (int pass = 0; pass < 2; pass++)
    for (size_t i = 0; i < in.n; i++)
      for (size_t r = 0; r < in.items[i].steps + (size_t)in.items[i].has_final; r++) {
        n += pass == 0;
        for (size_t j = 0; j < 11; j++) {
          const double x = (double)in.items[i].observations[r * 11 + j];
          if (pass == 0) plain[j] += x;
          else square[j] += (x - plain[j] / (double)n) * (x - plain[j] / (double)n);
        }
      }
  CU_ASSERT_EQUAL(all.n, n);
  for (int j = 0; j < 11; j++) {
    CU_ASSERT_DOUBLE_EQUAL(all.mean[j], plain[j] / (double)n, 1e-9);
    CU_ASSERT_DOUBLE_EQUAL(all.m2[j] / square[j], 1.0, 1e-9);
  }
  trajs_free(&in);
  segments_free(&segments);
}

static void bad_trajectories_are_refused_with_their_place(void) {
  const struct px_spaces spaces = trajs_spaces(2, 2);
  float observations[] = { 0, 1, 2, 3, 4, 5 }, actions[] = { 0, 0, 0.5f, 0 }, rewards[] = { 1, 2 };
  uint8_t labelled[] = { 0, 1 };
  struct px_traj traj = { .steps = 2,
                          .observations = observations,
                          .actions = actions,
                          .rewards = rewards,
                          .truncated = true,
                          .has_final = true };
  struct px_err err = { 0 };
  CU_OK(px_traj_check(&spaces, &traj, 4, &err), err);
  observations[5] = NAN;
  CU_ASSERT_EQUAL(px_traj_check(&spaces, &traj, 4, &err), PX_E_BAD_DATA);
  CU_ASSERT_STRING_EQUAL(err.pointer, "trajectory 4, step 2, observations[1]");
  traj.has_final = false; /* then the row is not part of it */
  CU_OK(px_traj_check(&spaces, &traj, 4, &err), err);
  rewards[1] = -INFINITY;
  CU_ASSERT_EQUAL(px_traj_check(&spaces, &traj, 4, &err), PX_E_BAD_DATA);
  CU_ASSERT_STRING_EQUAL(err.pointer, "trajectory 4, step 1, rewards");
  rewards[1] = 0;
  actions[0] = 1.0019f; /* within the tolerance of 0.002 */
  CU_OK(px_traj_check(&spaces, &traj, 4, &err), err);
  actions[0] = 1.0021f;
  CU_ASSERT_EQUAL(px_traj_check(&spaces, &traj, 4, &err), PX_E_BAD_DATA);
  CU_ASSERT_STRING_EQUAL(err.pointer, "trajectory 4, step 0, actions[0]");
  actions[0] = NAN;
  CU_ASSERT_EQUAL(px_traj_check(&spaces, &traj, 4, &err), PX_E_BAD_DATA);
  traj.labelled = labelled; /* what is not labelled is not looked at */
  CU_OK(px_traj_check(&spaces, &traj, 4, &err), err);
  labelled[1] = 2;
  CU_ASSERT_EQUAL(px_traj_check(&spaces, &traj, 4, &err), PX_E_BAD_DATA);
  traj.steps = 0;
  CU_ASSERT_EQUAL(px_traj_check(&spaces, &traj, 4, &err), PX_E_BAD_DATA);
}

static void what_is_no_class_index_is_refused_with_its_place(void) {
  const struct px_spaces spaces = trajs_discrete(1, 4);
  float observations[] = { 0, 1, 2, 3 }, actions[] = { 0, 3, 1, 2 }, rewards[] = { 1, 2, 3, 4 };
  uint8_t labelled[] = { 1, 0, 1, 1 };
  const struct px_traj traj = { .steps = 4,
                                .observations = observations,
                                .actions = actions,
                                .rewards = rewards,
                                .truncated = true };
  struct px_err err = { 0 };
  CU_OK(px_traj_check(&spaces, &traj, 7, &err), err);
  static const float wrong[] = { 0.5f, 3.0001f, 4, -1, -0.001f, 1e30f, NAN, INFINITY };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    actions[1] = wrong[i];
    CU_ASSERT_EQUAL(px_traj_check(&spaces, &traj, 7, &err), PX_E_BAD_DATA);
    CU_ASSERT_STRING_EQUAL(err.pointer, "trajectory 7, step 1, actions");
  }
  struct px_traj part = traj;
  part.labelled = labelled; /* what is not labelled is not looked at */
  CU_OK(px_traj_check(&spaces, &part, 7, &err), err);
}

static void discrete_actions_come_back_as_their_indices(void) {
  struct trajs in = { .spaces = trajs_discrete(5, 7) }, out = { 0 };
  trajs_fill(&in, 200, 300, 3);
  struct segments segments = { 0 };
  CU_ASSERT_EQUAL_FATAL(segments_pack(&segments, &in), PX_OK);
  CU_ASSERT_EQUAL_FATAL(segments_unpack(&segments, &out), PX_OK);
  CU_ASSERT_STRING_EQUAL(trajs_differ(&in, &out), "");
  /* Opened as a dataset of fewer actions, the highest index is none of them. */
  struct px_spaces fewer = trajs_discrete(5, 6);
  struct px_segment_view view;
  struct px_err err = { 0 };
  CU_ASSERT_EQUAL(px_segment_open(segments.items[0].bytes, segments.items[0].size, &fewer, &view,
                                  &err),
                  PX_E_BAD_DATA);
  struct px_safetensors *st = NULL;
  CU_OK(px_safetensors_parse(segments.items[0].bytes, segments.items[0].size, &st, &err), err);
  CU_ASSERT_STRING_EQUAL(px_safetensors_meta(st, "act_count"), "7");
  px_safetensors_free(st);
  trajs_free(&in);
  trajs_free(&out);
  segments_free(&segments);
}

/* Nothing that is added later may change what is stored already, or its digest. */
static void continuous_segments_keep_their_bytes(void) {
  struct trajs in = filled(20, 30);
  struct segments segments = { 0 };
  CU_ASSERT_EQUAL_FATAL(segments_pack(&segments, &in), PX_OK);
  char hex[2 * PX_SHA256_BYTES + 1];
  px_text_hex(segments.items[0].info.digest, PX_SHA256_BYTES, hex);
  CU_ASSERT_STRING_EQUAL(hex, "d25176b51723eca829fa59a52c4a58c3c0a94e956937c51b7bc0e87fd4b152fc");
  trajs_free(&in);
  segments_free(&segments);
}

static void actions_within_the_tolerance_are_clamped(void) {
  struct trajs in = { .spaces = trajs_spaces(2, 1) }, out = { 0 };
  const float observations[] = { 0, 1, 2, 3 }, actions[] = { 1.001f, -1.001f },
              rewards[] = { 1, 2 };
  const struct px_traj traj = {
    .steps = 2, .observations = observations, .actions = actions, .rewards = rewards
  };
  const struct px_traj_sink sink = trajs_sink(&in);
  CU_ASSERT_EQUAL(sink.put(sink.ctx, &traj, NULL), PX_OK);
  struct segments segments = { 0 };
  CU_ASSERT_EQUAL_FATAL(segments_pack(&segments, &in), PX_OK);
  CU_ASSERT_EQUAL_FATAL(segments_unpack(&segments, &out), PX_OK);
  CU_ASSERT_EQUAL(out.items[0].actions[0], 1.0f);
  CU_ASSERT_EQUAL(out.items[0].actions[1], -1.0f);
  CU_ASSERT_TRUE(out.items[0].truncated); /* what did not end was cut */
  trajs_free(&in);
  trajs_free(&out);
  segments_free(&segments);
}

static void segments_open_at_any_address(void) {
  struct trajs in = filled(5, 50);
  struct segments segments = { 0 };
  CU_ASSERT_EQUAL_FATAL(segments_pack(&segments, &in), PX_OK);
  char *shifted = malloc(segments.items[0].size + 1);
  memcpy(shifted + 1, segments.items[0].bytes, segments.items[0].size);
  struct px_segment_view view;
  struct px_err err = { 0 };
  CU_OK(px_segment_open(shifted + 1, segments.items[0].size, &in.spaces, &view, &err), err);
  CU_ASSERT_EQUAL(view.observations[3], in.items[0].observations[3]);
  px_segment_close(&view);
  free(shifted);
  trajs_free(&in);
  segments_free(&segments);
}

/* Writes one value into a tensor of a good segment; it must no longer open. */
static bool refused_with(const struct segments *good, const char *name, size_t at,
                         const void *value, size_t n) {
  const struct sealed *s = &good->items[0];
  char *bytes = px_mem_calloc(s->size, 1);
  memcpy(bytes, s->bytes, s->size);
  struct px_safetensors *st = NULL;
  struct px_err err = { 0 };
  CU_OK(px_safetensors_parse(bytes, s->size, &st, &err), err);
  const struct px_safetensors_tensor *t = px_safetensors_find(st, name);
  CU_ASSERT_PTR_NOT_NULL_FATAL(t);
  memcpy(bytes + ((const char *)t->data - bytes) + at * n, value, n);
  struct px_segment_view view;
  const enum px_status status = px_segment_open(bytes, s->size, &good->spaces, &view, &err);
  if (!status) px_segment_close(&view);
  px_safetensors_free(st);
  free(bytes);
  return status == PX_E_BAD_DATA;
}

static void damaged_segments_are_refused(void) {
  struct trajs in = { .spaces = trajs_spaces(3, 2) };
  trajs_add(&in, 5, TRAJS_NONE, 1);
  trajs_add(&in, 40, TRAJS_PART, 2);
  trajs_add(&in, 5, TRAJS_ALL, 3);
  struct segments good = { 0 };
  CU_ASSERT_EQUAL_FATAL(segments_pack(&good, &in), PX_OK);
  const float nan = NAN, one = 1.0f;
  const int64_t zero = 0, six = 6, huge = INT64_MAX, negative = -5;
  const uint8_t two = 2, yes = 1, no = 0;
  CU_ASSERT_TRUE(refused_with(&good, "observations", 100, &nan, 4));
  CU_ASSERT_TRUE(refused_with(&good, "rewards", 49, &nan, 4));
  CU_ASSERT_TRUE(refused_with(&good, "actions", 99, &nan, 4));
  CU_ASSERT_TRUE(refused_with(&good, "actions", 0, &one, 4)); /* nothing is labelled there */
  CU_ASSERT_TRUE(refused_with(&good, "length", 0, &zero, 8));
  CU_ASSERT_TRUE(refused_with(&good, "length", 0, &six, 8));
  CU_ASSERT_TRUE(refused_with(&good, "length", 1, &huge, 8));
  CU_ASSERT_TRUE(refused_with(&good, "length", 2, &negative, 8));
  CU_ASSERT_TRUE(refused_with(&good, "labelled", 0, &yes, 1));
  CU_ASSERT_TRUE(refused_with(&good, "labelled", 2, &no, 1));
  CU_ASSERT_TRUE(refused_with(&good, "labelled", 1, &two, 1));
  CU_ASSERT_TRUE(refused_with(&good, "label_mask", 0, &yes, 1));
  CU_ASSERT_TRUE(refused_with(&good, "terminated", 1, &two, 1));
  CU_ASSERT_TRUE(refused_with(&good, "has_final", 0, in.items[0].has_final ? &no : &yes, 1));
  struct px_spaces other = good.spaces;
  other.obs_dim = 4;
  struct px_segment_view view;
  struct px_err err = { 0 };
  CU_ASSERT_EQUAL(px_segment_open(good.items[0].bytes, good.items[0].size, &other, &view, &err),
                  PX_E_BAD_DATA);
  trajs_free(&in);
  segments_free(&good);
}

static enum px_status refuse(void *ctx, const struct px_segment *segment, struct px_err *err) {
  (void)ctx;
  return px_fail(err, PX_E_NO_SPACE, "no room for %zu bytes", segment->size);
}

static void a_failure_of_the_segment_sink_reaches_the_reader(void) {
  struct trajs in = filled(400, 1000);
  struct px_err err = { 0 };
  struct px_segment_builder *builder =
    px_segment_builder_new(&in.spaces, (struct px_segment_sink){ NULL, refuse });
  const struct px_traj_sink sink = px_segment_builder_traj_sink(builder);
  enum px_status status = PX_OK;
  for (size_t i = 0; i < in.n && !status; i++) status = sink.put(sink.ctx, &in.items[i], &err);
  CU_ASSERT_EQUAL(status, PX_E_NO_SPACE);
  px_segment_builder_free(builder);
  trajs_free(&in);
}

static void spaces_must_be_finite_and_ordered(void) {
  struct px_err err = { 0 };
  struct px_spaces spaces = trajs_spaces(4, 2);
  CU_OK(px_spaces_check(&spaces, &err), err);
  spaces.act_low[1] = spaces.act_high[1];
  CU_ASSERT_EQUAL(px_spaces_check(&spaces, &err), PX_E_BAD_FIELD);
  spaces = trajs_spaces(0, 2);
  CU_ASSERT_EQUAL(px_spaces_check(&spaces, &err), PX_E_BAD_FIELD);
  spaces = trajs_spaces(2, 1);
  spaces.act_high[0] = INFINITY;
  CU_ASSERT_EQUAL(px_spaces_check(&spaces, &err), PX_E_BAD_FIELD);
  spaces = trajs_discrete(2, PX_ACT_COUNT_MAX);
  CU_OK(px_spaces_check(&spaces, &err), err);
  spaces.act_high[0] = 1;
  CU_ASSERT_EQUAL(px_spaces_check(&spaces, &err), PX_E_BAD_FIELD);
  spaces = trajs_discrete(2, PX_ACT_COUNT_MAX + 1);
  CU_ASSERT_EQUAL(px_spaces_check(&spaces, &err), PX_E_BAD_FIELD);
}

/* Moments of two parts, less those of one, are those of the other. */
static void moments_can_be_taken_back(void) {
  enum { DIMS = 3, ROWS = 500, FIRST = 180 };
  static float x[ROWS * DIMS];
  struct px_rng rng = px_rng_at(3, px_rng_stream("moments", 0), 0);
  for (int i = 0; i < ROWS * DIMS; i++)
    x[i] = (float)(px_rng_double(&rng) * (i % DIMS + 1) + (i < FIRST * DIMS ? 100 : -3));
  double numbers[3][2 * DIMS] = { { 0 } }, scratch[2 * DIMS];
  struct px_running_stats all = { 0, numbers[0], numbers[0] + DIMS },
                          part = { 0, numbers[1], numbers[1] + DIMS },
                          rest = { 0, numbers[2], numbers[2] + DIMS };
  px_running_stats_add(&all, x, ROWS, DIMS, scratch);
  px_running_stats_add(&part, x, FIRST, DIMS, scratch);
  px_running_stats_add(&rest, x + FIRST * DIMS, ROWS - FIRST, DIMS, scratch);
  px_running_stats_remove(&all, &part, DIMS);
  CU_ASSERT_EQUAL(all.n, rest.n);
  for (int j = 0; j < DIMS; j++) {
    CU_ASSERT(fabs(all.mean[j] - rest.mean[j]) < 1e-9);
    CU_ASSERT(fabs(all.m2[j] - rest.m2[j]) < 1e-7 * (1 + rest.m2[j]));
  }
  px_running_stats_remove(&all, &rest, DIMS);
  CU_ASSERT(all.n == 0 && all.mean[0] == 0 && all.m2[DIMS - 1] == 0);
}

CU_MAIN("segment", T(packed_trajectories_come_back_in_order),
        T(segments_fill_up_to_4_mib_and_never_pass_it), T(a_long_trajectory_is_not_split),
        T(a_trajectory_over_the_maximum_is_refused), T(equal_trajectories_give_equal_digests),
        T(actions_and_mask_are_stored_only_where_needed),
        T(rows_and_moments_match_a_plain_computation), T(moments_can_be_taken_back),
        T(bad_trajectories_are_refused_with_their_place),
        T(what_is_no_class_index_is_refused_with_its_place),
        T(discrete_actions_come_back_as_their_indices), T(continuous_segments_keep_their_bytes),
        T(actions_within_the_tolerance_are_clamped), T(segments_open_at_any_address),
        T(damaged_segments_are_refused), T(a_failure_of_the_segment_sink_reaches_the_reader),
        T(spaces_must_be_finite_and_ordered))
