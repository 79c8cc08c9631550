/* SPDX-License-Identifier: Apache-2.0 */
/* Actions that come later: JSON, JSON lines and npz, and what is refused. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/data/spaces.h"
#include "lib/read/actions.h"
#include "tests/support/cu.h"
#include "tests/support/trajs.h"
#include "tests/support/uploads.h"

enum { ROWS_MAX = 20000 };
struct rows {
  size_t n, runs;
  uint32_t act_dim;
  uint64_t trajectory[ROWS_MAX];
  uint32_t step[ROWS_MAX];
  float first[ROWS_MAX], last[ROWS_MAX]; /* of each action */
};

static enum px_status take(void *ctx, const struct px_actions_run *run, struct px_err *err) {
  (void)err;
  struct rows *rows = ctx;
  rows->runs++;
  for (uint32_t i = 0; i < run->n && rows->n < ROWS_MAX; i++, rows->n++) {
    rows->trajectory[rows->n] = run->trajectory;
    rows->step[rows->n] = run->step + i;
    rows->first[rows->n] = run->actions[i * rows->act_dim];
    rows->last[rows->n] = run->actions[(i + 1) * rows->act_dim - 1];
  }
  return PX_OK;
}

/* trajectory and steps: what the caller names. Closes fd. */
static enum px_status read_rows(int fd, enum px_actions_format format, struct px_spaces spaces,
                                uint32_t steps, struct rows *rows, struct px_err *err) {
  const struct px_actions_file file = {
    .fd = fd, .name = "later", .format = format, .steps = steps, .trajectory = steps ? 7 : 0
  };
  const struct px_actions_sink sink = { rows, take };
  memset(rows, 0, sizeof *rows);
  rows->act_dim = spaces.act_dim;
  const enum px_status status = px_actions_read(&file, &spaces, &sink, err);
  close(fd);
  return status;
}

static struct rows rows;

static void a_line_names_trajectory_and_step(void) {
  struct px_err err;
  CU_OK(read_rows(uploads_text("{\"trajectory\": 3, \"step\": 2, \"actions\": [[1,2],null,[3,4]]}\n"
                               "\n{\"acts\":[[5,6]],\"trajectory\":0}\r\n"
                               "{\"trajectory\":0,\"step\":1,\"actions\":[[7,8],[9,9]],"
                               "\"action_mask\":[true,0]}"),
                  PX_ACTIONS_JSONL, trajs_spaces(1, 2), 0, &rows, &err),
        err);
  CU_ASSERT_EQUAL_FATAL(rows.n, 4);
  CU_ASSERT(rows.trajectory[0] == 3 && rows.step[0] == 2 && rows.last[0] == 2);
  CU_ASSERT(rows.trajectory[1] == 3 && rows.step[1] == 4 && rows.first[1] == 3);
  CU_ASSERT(rows.trajectory[2] == 0 && rows.step[2] == 0 && rows.last[2] == 6);
  CU_ASSERT(rows.trajectory[3] == 0 && rows.step[3] == 1 && rows.first[3] == 7);
}

static void an_object_is_of_the_trajectory_that_is_named(void) {
  struct px_err err;
  CU_OK(read_rows(uploads_text("{\n  \"actions\": [1,\n null, 0]\n}\n"), PX_ACTIONS_JSON,
                  trajs_discrete(1, 3), 3, &rows, &err),
        err);
  CU_ASSERT_EQUAL_FATAL(rows.n, 2);
  CU_ASSERT(rows.trajectory[1] == 7 && rows.step[0] == 0 && rows.step[1] == 2);
}

/* A .npy array. */
static size_t npy(char *out, const char *descr, const char *shape, const void *data, size_t n) {
  const int text =
    snprintf(out + 10, 200, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }\n", descr,
             shape);
  memcpy(out, "\x93NUMPY\1\0", 8);
  out[8] = (char)text;
  out[9] = 0;
  memcpy(out + 10 + text, data, n);
  return 10 + (size_t)text + n;
}

static void arrays_name_a_place_for_each_row(void) {
  static const float actions[5] = { .5f, .25f, NAN, .75f, -1 };
  static const int64_t trajectory[5] = { 4, 4, 4, 4, 70000 };
  static const uint8_t step[5] = { 8, 9, 10, 11, 0 }, mask[5] = { 1, 1, 0, 1, 1 };
  static char bytes[4][400];
  const struct uploads_member members[] = {
    { "actions.npy", bytes[0], npy(bytes[0], "<f4", "(5, 1)", actions, sizeof actions), false },
    { "trajectory.npy", bytes[1], npy(bytes[1], "<i8", "(5,)", trajectory, sizeof trajectory),
      true },
    { "step.npy", bytes[2], npy(bytes[2], "|u1", "(5,)", step, sizeof step), false },
    { "action_mask.npy", bytes[3], npy(bytes[3], "|u1", "(5,)", mask, sizeof mask), false },
  };
  struct px_err err;
  for (size_t n = 3; n <= 4; n++) { /* with a mask, or NaN alone */
    CU_OK(read_rows(uploads_zip(members, n), PX_ACTIONS_NPZ, trajs_spaces(1, 1), 0, &rows, &err),
          err);
    CU_ASSERT_EQUAL_FATAL(rows.n, 4);
    CU_ASSERT(rows.trajectory[1] == 4 && rows.step[1] == 9 && rows.step[2] == 11);
    CU_ASSERT(rows.trajectory[3] == 70000 && rows.step[3] == 0 && rows.first[3] == -1);
  }
  CU_ASSERT_EQUAL(read_rows(uploads_zip(members, 2), PX_ACTIONS_NPZ, trajs_spaces(1, 1), 0, &rows,
                            &err),
                  PX_E_BAD_DATA);
  CU_ASSERT(strstr(err.message, "no array 'step'") != NULL);
  CU_OK(read_rows(uploads_zip(members, 1), PX_ACTIONS_NPZ, trajs_spaces(1, 1), 5, &rows, &err),
        err);
  CU_ASSERT(rows.n == 4 && rows.trajectory[3] == 7 && rows.step[3] == 4);
  CU_ASSERT_EQUAL(read_rows(uploads_zip(members, 1), PX_ACTIONS_NPZ, trajs_spaces(1, 1), 6, &rows,
                            &err),
                  PX_E_BAD_DATA);
  CU_ASSERT(strstr(err.message, "trajectory 7 has 6 steps") != NULL);
  CU_ASSERT_EQUAL(read_rows(uploads_zip(members, 3), PX_ACTIONS_NPZ, trajs_spaces(1, 1), 5, &rows,
                            &err),
                  PX_E_BAD_DATA);
  CU_ASSERT_STRING_EQUAL(err.pointer, "trajectory");
}

static void long_lists_come_in_runs(void) {
  enum { N = 10000 };
  static char text[N * 4 + 64];
  size_t at = (size_t)snprintf(text, sizeof text, "{\"trajectory\":1,\"step\":5,\"actions\":[");
  for (int i = 0; i < N; i++) at += (size_t)snprintf(text + at, 8, "%s[1]", i ? "," : "");
  memcpy(text + at, "]}", 3);
  struct px_err err;
  CU_OK(read_rows(uploads_text(text), PX_ACTIONS_JSONL, trajs_spaces(1, 1), 0, &rows, &err), err);
  CU_ASSERT(rows.n == N && rows.runs == 3 && rows.step[N - 1] == N + 4);
}

static void bad_lines_are_named_by_place(void) {
  static const struct {
    const char *text, *place, *words;
    uint32_t steps;
  } bad[] = {
    { "{\"step\":0,\"actions\":[[1]]}", "line 1", "'trajectory' is missing", 0 },
    { "{\"trajectory\":0}", "line 1", "'actions' is missing", 0 },
    { "{\"trajectory\":0,\"actions\":[[1]]}\n{\"trajectory\":1.5}", "line 2, column 15",
      "whole number", 0 },
    { "{\"trajectory\":-1}", "line 1, column 15", "whole number", 0 },
    { "{\"trajectory\":0,\"actions\":[[1],[2,3]]}", "line 1, actions[1]", "has 2 numbers", 0 },
    { "{\"trajectory\":0,\"actions\":[[NaN]]}", "line 1, actions[0]", "finite", 0 },
    { "{\"trajectory\":0,\"actions\":[[1e99]]}", "line 1, actions[0]", "too large", 0 },
    { "{\"trajectory\":0,\"actions\":[[1],null],\"action_mask\":[1,1]}", "line 1, actions[1]",
      "action_mask has it", 0 },
    { "{\"trajectory\":0,\"actions\":[[1]],\"action_mask\":[1,1]}", "line 1", "2 in action_mask",
      0 },
    { "{\"trajectory\":0,\"actions\":[[1]],\"action_mask\":[2]}", "column 48", "true or false", 0 },
    { "{\"trajectory\":0,\"rewards\":[1]}", "line 1", "unknown field 'rewards'", 0 },
    { "{\"step\":1,\"step\":1}", "line 1", "'step' is there twice", 0 },
    { "{\"trajectory\":0,\"step\":99999,\"actions\":[[1],[1]]}", "trajectory 0, step 100000",
      "at most 100000", 0 },
    { "{\"actions\":[[1]]}", "actions", "trajectory 7 has 2 steps", 2 },
    { "{\"trajectory\":6,\"actions\":[[1],[1]]}", "trajectory", "for trajectory 7", 2 },
    { "[1]", "column 1", "expected '{'", 0 },
    { "{\"actions\":[[1],[1]]} {}", "column 23", "nothing more", 2 },
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    for (int format = PX_ACTIONS_JSONL; format <= PX_ACTIONS_JSON; format++) {
      struct px_err err = { 0 };
      if (format == PX_ACTIONS_JSON && strchr(bad[i].text, '\n')) continue;
      const enum px_status status =
        read_rows(uploads_text(bad[i].text), (enum px_actions_format)format, trajs_spaces(1, 1),
                  bad[i].steps, &rows, &err);
      const bool named = status == PX_E_BAD_DATA && strstr(err.pointer, bad[i].place) &&
                         strstr(err.message, bad[i].words) && strstr(err.message, "later: ");
      CU_ASSERT(named);
      if (!named) printf("\n  %s: %d at %s: %s\n", bad[i].text, status, err.pointer, err.message);
    }
}

static void the_type_or_the_name_tells_the_format(void) {
  enum px_actions_format format;
  struct px_err err;
  CU_OK(px_actions_format("application/json; charset=utf-8", NULL, &format, &err), err);
  CU_ASSERT_EQUAL(format, PX_ACTIONS_JSON);
  CU_OK(px_actions_format("application/x-ndjson", NULL, &format, &err), err);
  CU_ASSERT_EQUAL(format, PX_ACTIONS_JSONL);
  CU_OK(px_actions_format("application/x-www-form-urlencoded", "a.npz", &format, &err), err);
  CU_ASSERT_EQUAL(format, PX_ACTIONS_NPZ);
  CU_ASSERT_EQUAL(px_actions_format("text/csv", NULL, &format, &err), PX_E_UNSUPPORTED_MEDIA);
  CU_ASSERT_EQUAL(px_actions_format(NULL, "a.hdf5", &format, &err), PX_E_UNSUPPORTED_MEDIA);
  CU_ASSERT_EQUAL(px_actions_format("application/jsonx", NULL, &format, &err),
                  PX_E_UNSUPPORTED_MEDIA);
}

CU_MAIN("read_actions", T(a_line_names_trajectory_and_step),
        T(an_object_is_of_the_trajectory_that_is_named), T(arrays_name_a_place_for_each_row),
        T(long_lists_come_in_runs), T(bad_lines_are_named_by_place),
        T(the_type_or_the_name_tells_the_format))
