/* SPDX-License-Identifier: Apache-2.0 */
/* Discrete actions in every format: read as people write them, refused where they cannot be meant,
 * written as they came. */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/data/labels.h"
#include "lib/data/safetensors.h"
#include "lib/data/spaces.h"
#include "tests/support/cu.h"
#include "tests/support/exports.h"
#include "tests/support/uploads.h"

enum { N = 5, CLASSES = 4 };
static const float OBS[N] = { 0, 1, 2, 3, 4 }, REW[N] = { 1, 1, 1, 1, 1 };
static const uint8_t TERM[N] = { 0, 0, 1, 0, 1 };
static int64_t actions[N]; /* of the file in the making */

static void begin(void) {
  static const int64_t good[N] = { 0, 3, 1, 2, 2 };
  memcpy(actions, good, sizeof good);
}

/* The two trajectories, of 3 and 2 steps, that every good file here holds. */
static void expect_read(int fd, enum px_read_format format) {
  struct trajs list = { .spaces = trajs_discrete(1, CLASSES) };
  struct px_err err;
  CU_OK(uploads_read(fd, format, NULL, &list, NULL, &err), err);
  CU_ASSERT_EQUAL_FATAL(list.n, 2);
  const float *a = list.items[0].actions, *b = list.items[1].actions;
  CU_ASSERT_TRUE_FATAL(a && b && list.items[0].steps == 3 && list.items[1].steps == 2);
  CU_ASSERT(a[0] == 0 && a[1] == 3 && a[2] == 1 && b[0] == 2 && b[1] == 2);
  trajs_free(&list);
}

static bool refused_as(struct px_spaces spaces, int fd, enum px_read_format format,
                       const char *place, const char *words) {
  return uploads_refused(fd, format, &spaces, NULL, PX_E_BAD_DATA, place, words);
}

/* The hint tells how discrete actions are declared. */
static void expect_hint(struct px_spaces spaces, int fd, enum px_read_format format) {
  struct trajs list = { .spaces = spaces };
  struct px_err err = { 0 };
  CU_ASSERT_EQUAL(uploads_read(fd, format, NULL, &list, NULL, &err), PX_E_BAD_DATA);
  CU_ASSERT_STRING_EQUAL(err.hint, px_spaces_discrete_hint);
  trajs_free(&list);
}

/* ---- HDF5 */

static hid_t file_type;
static hsize_t columns; /* 0: [N] */

static void put_actions(hid_t at, const char *name, int first, int n) {
  uploads_put(at, name, file_type, H5T_NATIVE_INT64, (hsize_t)n, columns, actions + first,
              H5P_DEFAULT);
}
static void fill_d4rl(hid_t f) {
  uploads_floats(f, "observations", N, 1, OBS);
  uploads_floats(f, "rewards", N, 0, REW);
  uploads_bools(f, "terminals", N, TERM);
  put_actions(f, "actions", 0, N);
}
static void fill_minari(hid_t f) {
  for (int i = 0; i < 2; i++) {
    const int first = 3 * i, n = 3 - i;
    char name[32];
    const uint8_t none[3] = { 0 };
    snprintf(name, sizeof name, "episode_%d", i);
    uploads_group(f, name);
    const hid_t g = H5Gopen2(f, name, H5P_DEFAULT);
    uploads_floats(g, "observations", (hsize_t)n, 1, OBS + first);
    uploads_floats(g, "rewards", (hsize_t)n, 0, REW);
    uploads_bools(g, "terminations", (hsize_t)n, TERM + first);
    uploads_bools(g, "truncations", (hsize_t)n, none);
    put_actions(g, "actions", first, n);
    H5Gclose(g);
  }
}
static void fill_robomimic(hid_t f) {
  uploads_group(f, "data");
  for (int i = 0; i < 2; i++) {
    const int first = 3 * i, n = 3 - i;
    char name[32];
    snprintf(name, sizeof name, "data/demo_%d", i);
    uploads_group(f, name);
    const hid_t g = H5Gopen2(f, name, H5P_DEFAULT);
    uploads_group(g, "obs");
    uploads_floats(g, "obs/cart", (hsize_t)n, 1, OBS + first);
    uploads_floats(g, "rewards", (hsize_t)n, 0, REW);
    uploads_bools(g, "dones", (hsize_t)n, TERM + first);
    put_actions(g, "actions", first, n);
    H5Gclose(g);
  }
}
static void fill_d3rlpy(hid_t f) {
  static const char *const names[2][4] = {
    { "observations_0", "rewards_0", "terminated_0", "actions_0" },
    { "observations_1", "rewards_1", "terminated_1", "actions_1" }
  };
  const uint8_t yes = 1;
  for (int i = 0; i < 2; i++) {
    const int first = 3 * i, n = 3 - i;
    uploads_floats(f, names[i][0], (hsize_t)n, 1, OBS + first);
    uploads_floats(f, names[i][1], (hsize_t)n, 1, REW);
    uploads_bools(f, names[i][2], 1, &yes);
    put_actions(f, names[i][3], first, n);
  }
}

static void (*const LAYOUTS[])(hid_t) = { fill_d4rl, fill_minari, fill_robomimic, fill_d3rlpy };
enum { LAYOUTS_N = sizeof LAYOUTS / sizeof *LAYOUTS };

static void every_hdf5_layout_takes_integers_flat_or_in_a_column(void) {
  const hid_t types[] = { H5T_STD_I64LE, H5T_STD_I32BE, H5T_STD_U8LE, H5T_IEEE_F32LE,
                          H5T_IEEE_F64LE };
  begin();
  for (int i = 0; i < LAYOUTS_N; i++)
    for (size_t t = 0; t < sizeof types / sizeof *types; t++)
      for (columns = 0; columns < 2; columns++) {
        file_type = types[t];
        expect_read(uploads_hdf5(LAYOUTS[i]), PX_FORMAT_HDF5);
      }
}

static void an_index_that_is_no_class_is_named_by_place(void) {
  const struct px_spaces spaces = trajs_discrete(1, CLASSES);
  file_type = H5T_STD_I64LE;
  columns = 0;
  for (int i = 0; i < LAYOUTS_N; i++) {
    begin();
    actions[4] = CLASSES;
    CU_ASSERT(refused_as(spaces, uploads_hdf5(LAYOUTS[i]), PX_FORMAT_HDF5,
                         "trajectory 1, step 1, actions", "from 0 to 3"));
    actions[4] = -1;
    CU_ASSERT(refused_as(spaces, uploads_hdf5(LAYOUTS[i]), PX_FORMAT_HDF5,
                         "trajectory 1, step 1, actions", "is -1"));
  }
}

static void undeclared_integers_are_refused_with_a_hint(void) {
  begin();
  columns = 0;
  /* [-1, 1], as when no range is given */
  struct px_spaces usual = trajs_spaces(1, 1), wide = usual;
  wide.act_high[0] = 3;
  for (int i = 0; i < LAYOUTS_N; i++) {
    file_type = H5T_STD_I64LE;
    CU_ASSERT(
      refused_as(usual, uploads_hdf5(LAYOUTS[i]), PX_FORMAT_HDF5, "actions", "holds integers"));
    expect_hint(usual, uploads_hdf5(LAYOUTS[i]), PX_FORMAT_HDF5);
    file_type = H5T_IEEE_F32LE; /* floats are read, and then one is out of range */
    CU_ASSERT(refused_as(usual, uploads_hdf5(LAYOUTS[i]), PX_FORMAT_HDF5,
                         "trajectory 0, step 1, actions[0]", "outside"));
    expect_hint(usual, uploads_hdf5(LAYOUTS[i]), PX_FORMAT_HDF5);
    file_type = H5T_STD_I64LE; /* somebody who gives a range knows that numbers are meant */
    struct trajs list = { .spaces = wide };
    struct px_err err;
    CU_OK(uploads_read(uploads_hdf5(LAYOUTS[i]), PX_FORMAT_HDF5, NULL, &list, NULL, &err), err);
    CU_ASSERT_EQUAL(list.n, 2);
    trajs_free(&list);
  }
}

/* ---- npz */

static int npz(const char *descr, const void *data, size_t n) {
  static const struct {
    const char *name, *descr, *shape;
    const void *data;
    size_t n;
  } others[] = {
    { "observations.npy", "<f4", "(5, 1)", OBS, sizeof OBS },
    { "rewards.npy", "<f4", "(5,)", REW, sizeof REW },
    { "terminals.npy", "|b1", "(5,)", TERM, sizeof TERM },
  };
  char bytes[4][512];
  struct uploads_member members[4];
  for (int i = 0; i < 4; i++) {
    char header[128];
    const int text =
      snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }\n",
               i < 3 ? others[i].descr : descr, i < 3 ? others[i].shape : "(5,)");
    memcpy(bytes[i], "\x93NUMPY\1\0", 8);
    bytes[i][8] = (char)text;
    bytes[i][9] = 0;
    memcpy(bytes[i] + 10, header, (size_t)text);
    memcpy(bytes[i] + 10 + text, i < 3 ? others[i].data : data, i < 3 ? others[i].n : n);
    members[i] = (struct uploads_member){ i < 3 ? others[i].name : "actions.npy", bytes[i],
                                          10 + (size_t)text + (i < 3 ? others[i].n : n), false };
  }
  return uploads_zip(members, 4);
}

static void npz_takes_integers_as_classes(void) {
  const uint8_t narrow[N] = { 0, 3, 1, 2, 2 };
  begin();
  expect_read(npz("<i8", actions, sizeof actions), PX_FORMAT_NPZ);
  expect_read(npz("|u1", narrow, sizeof narrow), PX_FORMAT_NPZ);
  CU_ASSERT(refused_as(trajs_spaces(1, 1), npz("<i8", actions, sizeof actions), PX_FORMAT_NPZ,
                       "actions", "holds integers"));
  expect_hint(trajs_spaces(1, 1), npz("|u1", narrow, sizeof narrow), PX_FORMAT_NPZ);
  actions[2] = 1ll << 62;
  CU_ASSERT(refused_as(trajs_discrete(1, CLASSES), npz("<i8", actions, sizeof actions),
                       PX_FORMAT_NPZ, "trajectory 0, step 2, actions", "from 0 to 3"));
}

/* ---- JSON lines */

#define LINES(a, b) \
  "{\"observations\":[[0],[1],[2]],\"rewards\":[1,1,1],\"actions\":" a ",\"terminated\":true}\n" \
  "{\"observations\":[[3],[4]],\"rewards\":[1,1],\"actions\":" b ",\"terminated\":true}\n"

static void json_lines_take_a_number_or_a_list_of_one(void) {
  expect_read(uploads_text(LINES("[0,3,1]", "[2,2]")), PX_FORMAT_JSONL);
  expect_read(uploads_text(LINES("[[0],[3.0],[1]]", "[2,[2]]")), PX_FORMAT_JSONL);
  struct trajs list = { .spaces = trajs_discrete(1, CLASSES) };
  struct px_err err;
  CU_OK(uploads_read(uploads_text(LINES("[0,null,1]", "null")), PX_FORMAT_JSONL, NULL, &list, NULL,
                     &err),
        err);
  CU_ASSERT(list.items[0].labelled[0] == 1 && list.items[0].labelled[1] == 0 &&
            !list.items[1].actions);
  trajs_free(&list);
}

static void json_lines_that_hold_no_classes_are_refused(void) {
  const struct px_spaces spaces = trajs_discrete(1, CLASSES);
  CU_ASSERT(refused_as(spaces, uploads_text(LINES("[0,3,1]", "[2,4]")), PX_FORMAT_JSONL,
                       "trajectory 1, step 1, actions", "is 4"));
  CU_ASSERT(refused_as(spaces, uploads_text(LINES("[0,0.5,1]", "[2,2]")), PX_FORMAT_JSONL,
                       "trajectory 0, step 1, actions", "is 0.5"));
  CU_ASSERT(refused_as(spaces, uploads_text(LINES("[0,\"left\",1]", "[2,2]")), PX_FORMAT_JSONL,
                       "trajectory 0, step 1, actions", "must be a finite number"));
  CU_ASSERT(refused_as(spaces, uploads_text(LINES("[0,[1,2],1]", "[2,2]")), PX_FORMAT_JSONL,
                       "trajectory 0, step 1, actions", "has 2 numbers"));
  expect_hint(trajs_spaces(1, 1), uploads_text(LINES("[0,3,1]", "[2,2]")), PX_FORMAT_JSONL);
}

/* ---- safetensors */

static int safetensors(enum px_dtype dtype, const void *data) {
  static const int64_t length[2] = { 3, 2 };
  static const uint8_t terminated[2] = { 1, 1 };
  struct px_safetensors_tensor tensors[] = {
    { "length", PX_DTYPE_I64, 1, { 2 }, length, 0, 0 },
    { "observations", PX_DTYPE_F32, 2, { N, 1 }, OBS, 0, 0 },
    { "actions", dtype, 1, { N }, data, 0, 0 },
    { "rewards", PX_DTYPE_F32, 1, { N }, REW, 0, 0 },
    { "terminated", PX_DTYPE_U8, 1, { 2 }, terminated, 0, 0 },
  };
  struct px_buf file = PX_BUF(1 << 16);
  struct px_err err = { 0 };
  CU_OK(px_safetensors_write(tensors, 5, NULL, 0, &file, &err), err);
  const int fd = uploads_bytes(file.data, file.len);
  px_buf_free(&file);
  return fd;
}

static void safetensors_take_integers_as_classes(void) {
  static const int32_t middling[N] = { 0, 3, 1, 2, 2 };
  static const uint8_t narrow[N] = { 0, 3, 1, 2, 2 };
  static const float floats[N] = { 0, 3, 1, 2, 2 };
  begin();
  expect_read(safetensors(PX_DTYPE_I64, actions), PX_FORMAT_SAFETENSORS);
  expect_read(safetensors(PX_DTYPE_I32, middling), PX_FORMAT_SAFETENSORS);
  expect_read(safetensors(PX_DTYPE_U8, narrow), PX_FORMAT_SAFETENSORS);
  expect_read(safetensors(PX_DTYPE_F32, floats), PX_FORMAT_SAFETENSORS);
  expect_hint(trajs_spaces(1, 1), safetensors(PX_DTYPE_I64, actions), PX_FORMAT_SAFETENSORS);
  actions[3] = -7;
  CU_ASSERT(refused_as(trajs_discrete(1, CLASSES), safetensors(PX_DTYPE_I64, actions),
                       PX_FORMAT_SAFETENSORS, "trajectory 1, step 0, actions", "is -7"));
}

/* ---- out again */

static void every_export_reads_back_as_it_was(void) {
  static const enum px_read_format formats[PX_WRITE_FORMAT_N] = {
    [PX_WRITE_HDF5] = PX_FORMAT_HDF5,       [PX_WRITE_NPZ] = PX_FORMAT_NPZ,
    [PX_WRITE_JSONL] = PX_FORMAT_JSONL,     [PX_WRITE_CSV] = PX_FORMAT_CSV,
    [PX_WRITE_LEROBOT] = PX_FORMAT_LEROBOT, [PX_WRITE_SAFETENSORS] = PX_FORMAT_SAFETENSORS,
  };
  struct exported x;
  exports_make_of(&x, trajs_discrete(8, 6));
  for (int e = 0; e < PX_WRITE_FORMAT_N; e++) {
    char *path = exports_write(&x, (enum px_write_format)e, PX_WRITE_BOTH, "back");
    struct trajs back = { .spaces = x.list.spaces };
    struct px_err err;
    CU_OK(uploads_read(open(path, O_RDONLY | O_CLOEXEC), formats[e], NULL, &back, NULL, &err), err);
    CU_ASSERT_STRING_EQUAL(trajs_differ(&x.list, &back), "");
    trajs_free(&back);
    free(path);
  }
  exports_free(&x);
}

static void labels_are_classes_and_their_score_is_the_whole_entropy(void) {
  const struct px_spaces spaces = trajs_discrete(3, CLASSES);
  float label[3] = { 3, 0, 0 }, std[3] = { 0.25f, 0, 0.5f }, epistemic[3] = { 0.5f, 0, 0.25f },
        score[3];
  const uint8_t known[3] = { 1, 0, 1 };
  px_label_scores(&spaces, std, epistemic, known, 3, score);
  CU_ASSERT(score[0] == 0.75f && score[1] == 0 && score[2] == 0.75f);
  const struct px_label_rows rows = { .steps_n = 3,
                                      .actions = label,
                                      .std = std,
                                      .epistemic = epistemic,
                                      .score = score,
                                      .known = known };
  struct px_buf out = PX_BUF(1 << 16);
  struct px_err err = { 0 };
  CU_OK(px_label_write(&spaces, &rows, &out, &err), err);
  static const float wrong[] = { 0.5f, CLASSES, -1, NAN };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    label[2] = wrong[i];
    CU_ASSERT_EQUAL(px_label_write(&spaces, &rows, &out, &err), PX_E_BAD_DATA);
  }
  px_buf_free(&out);
}

CU_MAIN("discrete", T(every_hdf5_layout_takes_integers_flat_or_in_a_column),
        T(an_index_that_is_no_class_is_named_by_place),
        T(undeclared_integers_are_refused_with_a_hint), T(npz_takes_integers_as_classes),
        T(json_lines_take_a_number_or_a_list_of_one),
        T(json_lines_that_hold_no_classes_are_refused), T(safetensors_take_integers_as_classes),
        T(every_export_reads_back_as_it_was),
        T(labels_are_classes_and_their_score_is_the_whole_entropy))
