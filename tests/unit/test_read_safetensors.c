/* SPDX-License-Identifier: Apache-2.0 */
/* Uploads in safetensors, as our own tools and as Python users write them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/data/safetensors.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"
#include "lib/read/read_safetensors.h"
#include "tests/support/cu.h"
#include "tests/support/uploads.h"

static struct px_spaces spaces;

static enum px_status read_into(struct trajs *out, const void *bytes, size_t n,
                                struct px_err *err) {
  *out = (struct trajs){ .spaces = spaces };
  const struct px_traj_sink sink = trajs_sink(out);
  return px_read_safetensors_bytes(bytes, n, &spaces, &sink, err);
}

static void a_segment_is_an_upload(void) {
  spaces = trajs_spaces(11, 3);
  struct trajs in = { .spaces = spaces }, out;
  struct segments segments = { 0 };
  trajs_fill(&in, 60, 100, 4);
  CU_ASSERT_EQUAL_FATAL(segments_pack(&segments, &in), PX_OK);
  CU_ASSERT_EQUAL_FATAL(segments.n, 1);
  struct px_err err = { 0 };
  CU_OK(read_into(&out, segments.items[0].bytes, segments.items[0].size, &err), err);
  CU_ASSERT_STRING_EQUAL(trajs_differ(&in, &out), "");
  trajs_free(&in);
  trajs_free(&out);
  segments_free(&segments);
}

/* Two trajectories, of 2 and 1 steps, with their final observations. */
static const double OBS[] = { 0, 1, 2, 3, 4 };
static const float ACT[] = { 0.5f, -0.5f, 0.25f }, REW[] = { 1, 2, 3 };
static const int32_t LEN[] = { 2, 1 };
static const uint8_t TERM[] = { 1, 0 }, MASK[] = { 1, 0, 1 }, SOURCE[] = { 2, 1, 0 };

static struct px_safetensors_tensor obs_f64(uint64_t rows) {
  return (struct px_safetensors_tensor){ "observations", PX_DTYPE_F64, 2, { rows, 1 }, OBS, 0, 0 };
}
static struct px_safetensors_tensor actions(void) {
  return (struct px_safetensors_tensor){ "actions", PX_DTYPE_F32, 1, { 3 }, ACT, 0, 0 };
}
static struct px_safetensors_tensor rewards(void) {
  return (struct px_safetensors_tensor){ "rewards", PX_DTYPE_F32, 2, { 3, 1 }, REW, 0, 0 };
}
static struct px_safetensors_tensor length(void) {
  return (struct px_safetensors_tensor){ "length", PX_DTYPE_I32, 1, { 2 }, LEN, 0, 0 };
}
static struct px_safetensors_tensor terminated(void) {
  return (struct px_safetensors_tensor){ "terminated", PX_DTYPE_BOOL, 1, { 2 }, TERM, 0, 0 };
}
static struct px_safetensors_tensor steps_u8(const char *name, const uint8_t *x) {
  return (struct px_safetensors_tensor){ name, PX_DTYPE_U8, 1, { 3 }, x, 0, 0 };
}

static enum px_status read_tensors(struct px_safetensors_tensor *tensors, size_t n,
                                   struct trajs *out, struct px_err *err) {
  struct px_buf file = PX_BUF(1 << 20);
  spaces = trajs_spaces(1, 1);
  CU_OK(px_safetensors_write(tensors, n, NULL, 0, &file, err), *err);
  const enum px_status status = read_into(out, file.data, file.len, err);
  px_buf_free(&file);
  return status;
}

static void what_is_left_out_is_deduced(void) {
  struct px_err err = { 0 };
  struct trajs out;
  CU_OK(read_tensors((struct px_safetensors_tensor[]){ obs_f64(5), actions(), rewards(), length(),
                                                       terminated() },
                     5, &out, &err),
        err);
  CU_ASSERT_EQUAL_FATAL(out.n, 2);
  CU_ASSERT_TRUE(out.items[0].has_final && out.items[1].has_final);
  CU_ASSERT_TRUE(out.items[0].terminated && !out.items[0].truncated);
  CU_ASSERT_TRUE(!out.items[1].terminated && out.items[1].truncated);
  CU_ASSERT_EQUAL(out.items[1].observations[1], 4.0f);
  CU_ASSERT_PTR_NULL(out.items[0].labelled);
  CU_ASSERT_EQUAL(out.items[1].actions[0], 0.25f);
  trajs_free(&out);
  CU_OK(read_tensors((struct px_safetensors_tensor[]){ obs_f64(3), rewards(), length(),
                                                       terminated() },
                     4, &out, &err),
        err);
  CU_ASSERT_FALSE(out.items[0].has_final);
  CU_ASSERT_PTR_NULL(out.items[0].actions);
  trajs_free(&out);
}

static void masks_and_sources_say_what_is_labelled(void) {
  struct px_err err = { 0 };
  struct trajs out;
  CU_OK(read_tensors((struct px_safetensors_tensor[]){ obs_f64(5), actions(), rewards(), length(),
                                                       terminated(), steps_u8("label_mask", MASK) },
                     6, &out, &err),
        err);
  CU_ASSERT_TRUE(out.items[0].labelled[0] == 1 && out.items[0].labelled[1] == 0 &&
                 out.items[1].labelled[0] == 1);
  trajs_free(&out);
  /* Proxy actions that come back do not become true ones. */
  CU_OK(read_tensors((struct px_safetensors_tensor[]){ obs_f64(5), actions(), rewards(), length(),
                                                       terminated(),
                                                       steps_u8("action_source", SOURCE) },
                     6, &out, &err),
        err);
  CU_ASSERT_TRUE(out.items[0].labelled[0] == 0 && out.items[0].labelled[1] == 1 &&
                 out.items[1].labelled[0] == 0);
  trajs_free(&out);
}

static void refused(struct px_safetensors_tensor *tensors, size_t n, const char *pointer) {
  struct px_err err = { 0 };
  struct trajs out;
  CU_ASSERT_EQUAL(read_tensors(tensors, n, &out, &err), PX_E_BAD_DATA);
  CU_ASSERT_STRING_EQUAL(err.pointer, pointer);
  trajs_free(&out);
}

static void faults_name_their_place(void) {
  static const double nan_obs[] = { 0, 1, 2, NAN, 4 };
  static const float far[] = { 0, 0, 1.1f }, huge[] = { 1, INFINITY, 3 };
  static const int32_t none[] = { 3, 0 }, many[] = { 2, 3 };
  struct px_safetensors_tensor bad_obs = obs_f64(5), bad_act = actions(), bad_rew = rewards(),
                               bad_len = length(), long_len = length();
  bad_obs.data = nan_obs;
  bad_act.data = far;
  bad_rew.data = huge;
  bad_len.data = none;
  long_len.data = many;
  refused((struct px_safetensors_tensor[]){ bad_obs, actions(), rewards(), length(), terminated() },
          5, "trajectory 1, step 0, observations[0]");
  refused((struct px_safetensors_tensor[]){ obs_f64(5), bad_act, rewards(), length(),
                                            terminated() },
          5, "trajectory 1, step 0, actions[0]");
  refused((struct px_safetensors_tensor[]){ obs_f64(5), actions(), bad_rew, length(),
                                            terminated() },
          5, "trajectory 0, step 1, rewards");
  refused((struct px_safetensors_tensor[]){ obs_f64(5), actions(), rewards(), bad_len,
                                            terminated() },
          5, "trajectory 1, length");
  refused((struct px_safetensors_tensor[]){ obs_f64(5), actions(), rewards(), long_len,
                                            terminated() },
          5, "actions");
  refused((struct px_safetensors_tensor[]){ obs_f64(4), actions(), rewards(), length(),
                                            terminated() },
          5, "observations");
  refused((struct px_safetensors_tensor[]){ obs_f64(5), rewards(), length(), terminated(),
                                            steps_u8("label_mask", MASK) },
          5, "label_mask");
  refused((struct px_safetensors_tensor[]){ obs_f64(5), rewards(), length(), terminated(),
                                            steps_u8("lables", MASK) },
          5, "");
  static const uint8_t odd[] = { 0, 2, 1 };
  static const float half_length[] = { 2, 1 };
  refused((struct px_safetensors_tensor[]){ obs_f64(5), actions(), rewards(), length(),
                                            terminated(), steps_u8("action_mask", odd) },
          6, "action_mask");
  refused((struct px_safetensors_tensor[]){ obs_f64(5), actions(), rewards(), length(),
                                            terminated(), steps_u8("action_mask", MASK),
                                            steps_u8("label_mask", MASK) },
          7, "label_mask");
  refused((struct px_safetensors_tensor[]){ obs_f64(5), rewards(), length(), terminated(),
                                            steps_u8("action_mask", MASK) },
          5, "action_mask");
  refused((struct px_safetensors_tensor[]){ obs_f64(5),
                                            actions(),
                                            rewards(),
                                            { "length", PX_DTYPE_F32, 1, { 2 }, half_length, 0, 0 },
                                            terminated() },
          5, "length");
}

/* 1, 0 and 2 in every type; what is read is the same whichever it is. */
static void number_types_make_no_difference(void) {
  static const uint16_t f16[] = { 0x3c00, 0, 0x4000 }, bf16[] = { 0x3f80, 0, 0x4000 },
                        u16[] = { 1, 0, 2 };
  static const float f32[] = { 1, 0, 2 };
  static const double f64[] = { 1, 0, 2 };
  static const uint8_t u8[] = { 1, 0, 2 };
  static const uint32_t u32[] = { 1, 0, 2 };
  static const uint64_t u64[] = { 1, 0, 2 };
  const struct {
    enum px_dtype dtype;
    const void *data;
  } types[] = {
    { PX_DTYPE_F16, f16 },   { PX_DTYPE_BF16, bf16 }, { PX_DTYPE_F32, f32 }, { PX_DTYPE_F64, f64 },
    { PX_DTYPE_I8, u8 },     { PX_DTYPE_U8, u8 },     { PX_DTYPE_I16, u16 }, { PX_DTYPE_U16, u16 },
    { PX_DTYPE_I32, u32 },   { PX_DTYPE_U32, u32 },   { PX_DTYPE_I64, u64 }, { PX_DTYPE_U64, u64 },
    { PX_DTYPE_BOOL, NULL },
  };
  CU_ASSERT_EQUAL(sizeof types / sizeof *types, PX_DTYPE_N);
  for (size_t i = 0; i < PX_DTYPE_N; i++) {
    const bool flag = types[i].dtype == PX_DTYPE_BOOL;
    const void *data = flag ? MASK : types[i].data; /* 1, 0, 1 as bools */
    const enum px_dtype d = types[i].dtype;
    struct px_safetensors_tensor tensors[] = {
      { "observations", d, 2, { 3, 1 }, data, 0, 0 }, { "actions", d, 1, { 3 }, data, 0, 0 },
      { "rewards", d, 1, { 3 }, data, 0, 0 },         length(),
      { "terminated", d, 1, { 2 }, data, 0, 0 },      { "label_mask", d, 1, { 3 }, data, 0, 0 },
    };
    struct px_buf file = PX_BUF(1 << 20);
    struct px_err err = { 0 };
    struct trajs out;
    if (!flag) tensors[5].name = "action_source"; /* 2: a proxy */
    CU_OK(px_safetensors_write(tensors, 6, NULL, 0, &file, &err), err);
    spaces = trajs_discrete(1, 3);
    CU_OK(read_into(&out, file.data, file.len, &err), err);
    CU_ASSERT_EQUAL_FATAL(out.n, 2);
    const float last = flag ? 1 : 2;
    CU_ASSERT(out.items[0].observations[0] == 1 && out.items[0].observations[1] == 0 &&
              out.items[1].observations[0] == last);
    CU_ASSERT(out.items[0].rewards[0] == 1 && out.items[1].rewards[0] == last &&
              out.items[0].actions[0] == 1);
    CU_ASSERT(out.items[0].terminated && !out.items[1].terminated &&
              out.items[0].labelled[0] == 1 && out.items[0].labelled[1] == 0);
    CU_ASSERT_EQUAL(out.items[1].labelled[0], flag);
    trajs_free(&out);
    px_buf_free(&file);
  }
}

static void lengths_are_integers_of_any_size(void) {
  static const uint8_t narrow[] = { 2, 1 };
  static const uint16_t small[] = { 2, 1 };
  static const uint64_t wide[] = { 2, 1 }, beyond[] = { 2, UINT64_MAX };
  const struct {
    enum px_dtype dtype;
    const void *data;
  } types[] = {
    { PX_DTYPE_U8, narrow }, { PX_DTYPE_I8, narrow }, { PX_DTYPE_U16, small },
    { PX_DTYPE_I16, small }, { PX_DTYPE_U64, wide },
  };
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    struct px_err err = { 0 };
    struct trajs out;
    const struct px_safetensors_tensor l = {
      "length", types[i].dtype, 1, { 2 }, types[i].data, 0, 0
    };
    CU_OK(read_tensors((struct px_safetensors_tensor[]){ obs_f64(5), actions(), rewards(), l,
                                                         terminated() },
                       5, &out, &err),
          err);
    CU_ASSERT_EQUAL(out.n, 2);
    trajs_free(&out);
  }
  refused((struct px_safetensors_tensor[]){ obs_f64(5),
                                            actions(),
                                            rewards(),
                                            { "length", PX_DTYPE_U64, 1, { 2 }, beyond, 0, 0 },
                                            terminated() },
          5, "trajectory 1, length");
}

static void integers_are_actions_only_where_they_may_be(void) {
  static const int16_t whole[] = { 1, 0, 1 };
  struct px_safetensors_tensor tensors[] = { obs_f64(5),
                                             { "actions", PX_DTYPE_I16, 1, { 3 }, whole, 0, 0 },
                                             rewards(),
                                             length(),
                                             terminated() };
  refused(tensors, 5, "actions");
  struct px_buf file = PX_BUF(1 << 20);
  struct px_err err = { 0 };
  struct trajs out;
  CU_OK(px_safetensors_write(tensors, 5, NULL, 0, &file, &err), err);
  spaces = trajs_spaces(1, 1);
  spaces.act_low[0] = 0, spaces.act_high[0] = 5;
  CU_OK(read_into(&out, file.data, file.len, &err), err);
  CU_ASSERT_EQUAL(out.items[0].actions[0], 1);
  trajs_free(&out);
  px_buf_free(&file);
}

static bool noted(const struct px_read_report *report, const char *words) {
  for (uint32_t i = 0; i < report->notes_n; i++)
    if (strstr(report->notes[i], words)) return true;
  return false;
}

static void nan_and_the_masks_other_name_mark_unlabelled_steps(void) {
  static const float marked[] = { 0.5f, NAN, 0.25f }, broken[] = { 0.5f, INFINITY, 0.25f };
  struct px_safetensors_tensor act = actions();
  struct px_read_report report;
  struct px_err err = { 0 };
  struct trajs out;
  act.data = marked;
  struct px_safetensors_tensor tensors[] = {
    obs_f64(5), act, rewards(), length(), terminated(), steps_u8("action_mask", MASK)
  };
  struct px_buf file = PX_BUF(1 << 20);
  const struct px_read_options none = { .ignore_actions = true };
  for (size_t n = 5; n <= 6; n++) { /* without the mask, and with it */
    file.len = 0;
    CU_OK(px_safetensors_write(tensors, n, NULL, 0, &file, &err), err);
    out = (struct trajs){ .spaces = trajs_spaces(1, 1) };
    CU_OK(uploads_read(uploads_bytes(file.data, file.len), PX_FORMAT_SAFETENSORS, NULL, &out,
                       &report, &err),
          err);
    CU_ASSERT_EQUAL(report.labelled_n, 2);
    CU_ASSERT(out.items[0].labelled[0] == 1 && out.items[0].labelled[1] == 0 &&
              out.items[0].actions[1] == 0);
    CU_ASSERT_EQUAL(out.items[1].actions[0], 0.25f);
    CU_ASSERT_EQUAL(noted(&report, "at 1 steps all numbers of the action are NaN"), n == 5);
    trajs_free(&out);
    out = (struct trajs){ .spaces = trajs_spaces(1, 1) };
    CU_OK(uploads_read(uploads_bytes(file.data, file.len), PX_FORMAT_SAFETENSORS, &none, &out,
                       &report, &err),
          err);
    CU_ASSERT(report.labelled_n == 0 && report.steps_n == 3 && !out.items[0].actions);
    trajs_free(&out);
  }
  px_buf_free(&file);
  static const uint8_t all[] = { 1, 1, 1 };
  refused((struct px_safetensors_tensor[]){ obs_f64(5), act, rewards(), length(), terminated(),
                                            steps_u8("action_mask", all) },
          6, "trajectory 0, step 1, actions[0]");
  act.data = broken;
  refused((struct px_safetensors_tensor[]){ obs_f64(5), act, rewards(), length(), terminated() }, 5,
          "trajectory 0, step 1, actions[0]");
}

static void a_file_is_read_like_its_bytes(void) {
  spaces = trajs_spaces(11, 3);
  struct trajs in = { .spaces = spaces }, out = { .spaces = spaces };
  struct segments segments = { 0 };
  trajs_fill(&in, 20, 100, 4);
  CU_ASSERT_EQUAL_FATAL(segments_pack(&segments, &in), PX_OK);
  char path[] = "/tmp/proxact-test-XXXXXX";
  const int fd = mkstemp(path);
  CU_ASSERT_TRUE_FATAL(fd >= 0);
  CU_ASSERT_EQUAL(write(fd, segments.items[0].bytes, segments.items[0].size),
                  (ssize_t)segments.items[0].size);
  struct px_err err = { 0 };
  const struct px_traj_sink sink = trajs_sink(&out);
  CU_OK(px_read_safetensors_file(path, &spaces, &sink, &err), err);
  CU_ASSERT_STRING_EQUAL(trajs_differ(&in, &out), "");
  CU_ASSERT_EQUAL(ftruncate(fd, 0), 0);
  CU_ASSERT_EQUAL(px_read_safetensors_file(path, &spaces, &sink, &err), PX_E_BAD_DATA);
  close(fd);
  unlink(path);
  CU_ASSERT_EQUAL(px_read_safetensors_file(path, &spaces, &sink, &err), PX_E_IO);
  trajs_free(&in);
  trajs_free(&out);
  segments_free(&segments);
}

CU_MAIN("read_safetensors", T(a_segment_is_an_upload), T(what_is_left_out_is_deduced),
        T(masks_and_sources_say_what_is_labelled), T(faults_name_their_place),
        T(number_types_make_no_difference), T(lengths_are_integers_of_any_size),
        T(integers_are_actions_only_where_they_may_be),
        T(nan_and_the_masks_other_name_mark_unlabelled_steps), T(a_file_is_read_like_its_bytes))
