/* Uploads in safetensors, as our own tools and as Python users write them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/data/read_safetensors.h"
#include "lib/data/safetensors.h"
#include "tests/support/cu.h"
#include "tests/support/trajs.h"

static struct px_spaces spaces;

static enum px_status read_into(struct trajs *out, const void *bytes, size_t n, struct px_err *err) {
  *out = (struct trajs){ .spaces = spaces };
  const struct px_traj_sink sink = trajs_sink(out);
  return px_read_safetensors(bytes, n, &spaces, &sink, err);
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

static struct px_st_tensor obs_f64(uint64_t rows) { return (struct px_st_tensor){ "observations", PX_DTYPE_F64, 2, { rows, 1 }, OBS, 0, 0 }; }
static struct px_st_tensor actions(void) { return (struct px_st_tensor){ "actions", PX_DTYPE_F32, 1, { 3 }, ACT, 0, 0 }; }
static struct px_st_tensor rewards(void) { return (struct px_st_tensor){ "rewards", PX_DTYPE_F32, 2, { 3, 1 }, REW, 0, 0 }; }
static struct px_st_tensor length(void) { return (struct px_st_tensor){ "length", PX_DTYPE_I32, 1, { 2 }, LEN, 0, 0 }; }
static struct px_st_tensor terminated(void) { return (struct px_st_tensor){ "terminated", PX_DTYPE_BOOL, 1, { 2 }, TERM, 0, 0 }; }
static struct px_st_tensor steps_u8(const char *name, const uint8_t *x) { return (struct px_st_tensor){ name, PX_DTYPE_U8, 1, { 3 }, x, 0, 0 }; }

static enum px_status read_tensors(struct px_st_tensor *tensors, size_t n, struct trajs *out, struct px_err *err) {
  struct px_buf file = PX_BUF(1 << 20);
  spaces = trajs_spaces(1, 1);
  CU_OK(px_st_write(tensors, n, NULL, 0, &file, err), *err);
  const enum px_status status = read_into(out, file.data, file.len, err);
  px_buf_free(&file);
  return status;
}

static void what_is_left_out_is_deduced(void) {
  struct px_err err = { 0 };
  struct trajs out;
  CU_OK(read_tensors((struct px_st_tensor[]){ obs_f64(5), actions(), rewards(), length(), terminated() }, 5, &out, &err), err);
  CU_ASSERT_EQUAL_FATAL(out.n, 2);
  CU_ASSERT_TRUE(out.items[0].has_final && out.items[1].has_final);
  CU_ASSERT_TRUE(out.items[0].terminated && !out.items[0].truncated);
  CU_ASSERT_TRUE(!out.items[1].terminated && out.items[1].truncated);
  CU_ASSERT_EQUAL(out.items[1].observations[1], 4.0f);
  CU_ASSERT_PTR_NULL(out.items[0].labelled);
  CU_ASSERT_EQUAL(out.items[1].actions[0], 0.25f);
  trajs_free(&out);
  CU_OK(read_tensors((struct px_st_tensor[]){ obs_f64(3), rewards(), length(), terminated() }, 4, &out, &err), err);
  CU_ASSERT_FALSE(out.items[0].has_final);
  CU_ASSERT_PTR_NULL(out.items[0].actions);
  trajs_free(&out);
}

static void masks_and_sources_say_what_is_labelled(void) {
  struct px_err err = { 0 };
  struct trajs out;
  CU_OK(read_tensors((struct px_st_tensor[]){ obs_f64(5), actions(), rewards(), length(), terminated(), steps_u8("label_mask", MASK) }, 6,
                     &out, &err), err);
  CU_ASSERT_TRUE(out.items[0].labelled[0] == 1 && out.items[0].labelled[1] == 0 && out.items[1].labelled[0] == 1);
  trajs_free(&out);
  /* Proxy actions that come back do not become true ones. */
  CU_OK(read_tensors((struct px_st_tensor[]){ obs_f64(5), actions(), rewards(), length(), terminated(), steps_u8("action_source", SOURCE) },
                     6, &out, &err), err);
  CU_ASSERT_TRUE(out.items[0].labelled[0] == 0 && out.items[0].labelled[1] == 1 && out.items[1].labelled[0] == 0);
  trajs_free(&out);
}

static void refused(struct px_st_tensor *tensors, size_t n, const char *pointer) {
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
  struct px_st_tensor bad_obs = obs_f64(5), bad_act = actions(), bad_rew = rewards(), bad_len = length(), long_len = length();
  bad_obs.data = nan_obs;
  bad_act.data = far;
  bad_rew.data = huge;
  bad_len.data = none;
  long_len.data = many;
  refused((struct px_st_tensor[]){ bad_obs, actions(), rewards(), length(), terminated() }, 5, "trajectory 1, step 0, observations[0]");
  refused((struct px_st_tensor[]){ obs_f64(5), bad_act, rewards(), length(), terminated() }, 5, "trajectory 1, step 0, actions[0]");
  refused((struct px_st_tensor[]){ obs_f64(5), actions(), bad_rew, length(), terminated() }, 5, "trajectory 0, step 1, rewards");
  refused((struct px_st_tensor[]){ obs_f64(5), actions(), rewards(), bad_len, terminated() }, 5, "trajectory 1, length");
  refused((struct px_st_tensor[]){ obs_f64(5), actions(), rewards(), long_len, terminated() }, 5, "actions");
  refused((struct px_st_tensor[]){ obs_f64(4), actions(), rewards(), length(), terminated() }, 5, "observations");
  refused((struct px_st_tensor[]){ obs_f64(5), actions(), length(), terminated() }, 4, "rewards");
  refused((struct px_st_tensor[]){ obs_f64(5), rewards(), length(), terminated(), steps_u8("label_mask", MASK) }, 5, "label_mask");
  refused((struct px_st_tensor[]){ obs_f64(5), rewards(), length(), terminated(), steps_u8("lables", MASK) }, 5, "");
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
  CU_ASSERT_EQUAL(write(fd, segments.items[0].bytes, segments.items[0].size), (ssize_t)segments.items[0].size);
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
        T(masks_and_sources_say_what_is_labelled), T(faults_name_their_place), T(a_file_is_read_like_its_bytes))
