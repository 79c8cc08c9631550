/* SPDX-License-Identifier: Apache-2.0 */
/* JSON lines uploads: the grammar, numbers, and what is refused. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/rng.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"
#include "lib/read/json_scan.h"
#include "tests/support/cu.h"
#include "tests/support/uploads.h"

static enum px_status read_text(const char *text, struct trajs *list, struct px_read_report *report,
                                struct px_err *err) {
  return uploads_read(uploads_text(text), PX_FORMAT_JSONL, NULL, list, report, err);
}

static void a_line_is_a_trajectory(void) {
  struct trajs list = { .spaces = trajs_spaces(2, 1) };
  struct px_read_report report;
  struct px_err err;
  CU_OK(read_text(
          "{\"observations\": [[1,2],[3,4],[5,6]], \"rewards\": [1, -0.5], \"actions\": [[0.25], "
          "null], "
          "\"terminated\": true, \"truncated\": false}\r\n"
          "\n"
          "{\"terminated\":false,\"rewards\":[1e0],\"actions\":null,\"observations\":[[7,8E0]]}",
          &list, &report, &err),
        err);
  CU_ASSERT_EQUAL_FATAL(list.n, 2);
  const struct px_traj *t = list.items;
  CU_ASSERT(t[0].steps == 2 && t[0].has_final && t[0].terminated && !t[0].truncated &&
            t[0].observations[5] == 6);
  CU_ASSERT(t[0].actions[0] == .25f && t[0].labelled[0] == 1 && t[0].labelled[1] == 0 &&
            t[0].rewards[1] == -.5f);
  CU_ASSERT(t[1].steps == 1 && !t[1].has_final && !t[1].terminated && t[1].truncated &&
            !t[1].actions);
  CU_ASSERT(report.labelled_n == 1 && report.steps_n == 3 && !strcmp(report.layout, "jsonl"));
  trajs_free(&list);
}

static void flags_may_be_one_a_step_under_their_other_names(void) {
  struct trajs list = { .spaces = trajs_spaces(2, 1) };
  struct px_err err;
  CU_OK(read_text("{\"obs\":[[1,2],[3,4]],\"rews\":[1,2],\"dones\":[0,1]}\n"
                  "{\"obs\":[[1,2],[3,4]],\"rews\":[1,2],\"terminations\":[false,false],"
                  "\"truncations\":[0,true]}\n"
                  "{\"obs\":[[1,2]],\"rews\":[1],\"terminations\":true}",
                  &list, NULL, &err),
        err);
  CU_ASSERT_EQUAL_FATAL(list.n, 3);
  const struct px_traj *t = list.items;
  CU_ASSERT(t[0].terminated && !t[0].truncated);
  CU_ASSERT(!t[1].terminated && t[1].truncated);
  CU_ASSERT(t[2].terminated && !t[2].truncated);
  trajs_free(&list);
}

static void a_byte_order_mark_may_begin_the_file(void) {
  static const char mark[] = "\xef\xbb\xbf",
                    line[] =
                      "{\"observations\": [[1,2]], \"rewards\": [1], \"terminated\": true}\n";
  struct trajs list = { .spaces = trajs_spaces(2, 1) };
  struct px_err err;
  char text[400];
  snprintf(text, sizeof text, "%s%s%s", mark, line, line);
  CU_OK(read_text(text, &list, NULL, &err), err);
  CU_ASSERT_EQUAL(list.n, 2);
  trajs_free(&list);
  /* two files put together: no JSON any more */
  snprintf(text, sizeof text, "%s%s%s", line, mark, line);
  CU_ASSERT_EQUAL(read_text(text, &list, NULL, &err), PX_E_BAD_DATA);
  CU_ASSERT(strstr(err.message, "line 2") != NULL);
  trajs_free(&list);
}

static void numbers_round_as_strtod_does(void) {
  struct px_rng rng = px_rng_at(7, px_rng_stream("json", 0), 0);
  static const char *const hard[] = { "0",
                                      "-0",
                                      "0.1",
                                      "1e22",
                                      "1e23",
                                      "123456789012345678901234567890",
                                      "4.9e-324",
                                      "1e-400",
                                      "9007199254740993",
                                      "0.30000000000000004",
                                      "1.7976931348623157e-308",
                                      "3.4028234e38" };
  for (int i = 0; i < 20000; i++) {
    char text[64];
    if (i < (int)(sizeof hard / sizeof *hard)) snprintf(text, sizeof text, "%s", hard[i]);
    else
      snprintf(text, sizeof text, "%s%u.%0*u%s%d", px_rng_below(&rng, 2) ? "-" : "",
               px_rng_u32(&rng) % 1000000, 1 + (int)px_rng_below(&rng, 12), px_rng_u32(&rng), "e",
               (int)px_rng_below(&rng, 60) - 30);
    struct px_json_scan s = { text, text, text + strlen(text) };
    float value = NAN;
    CU_ASSERT_EQUAL(px_json_scan_float(&s, &value), PX_SCAN_NUMBER);
    CU_ASSERT_EQUAL(value, (float)strtod(text, NULL));
    CU_ASSERT_PTR_EQUAL(s.p, s.end);
  }
  static const char *const not [] = { "",    "-",   "+1",       ".5",        "5.",   "1e",
                                      "1e+", "NaN", "Infinity", "-Infinity", "0x10", "nan" };
  for (size_t i = 0; i < sizeof not / sizeof *not ; i++) {
    struct px_json_scan s = { not [i], not [i], not [i] + strlen(not [i]) };
    float value;
    const enum px_json_scan_number got = px_json_scan_float(&s, &value);
    CU_ASSERT(got == PX_SCAN_NOT_A_NUMBER || *s.p); /* "0x10" is 0, and then x stands there */
  }
}

static bool refused(const char *text, const char *place, const char *words) {
  const struct px_spaces spaces = trajs_spaces(2, 1);
  return uploads_refused(uploads_text(text), PX_FORMAT_JSONL, &spaces, NULL, PX_E_BAD_DATA, place,
                         words);
}

#define GOOD \
  "{\"observations\":[[1,2],[3,4]],\"rewards\":[1,2],\"actions\":[[0],[1]],\"terminated\":true}\n"

static void bad_lines_are_named_by_place(void) {
  static const struct {
    const char *text, *place, *words;
  } bad[] = {
    { GOOD "{\"observations\":[[1,2],[3,NaN]],\"rewards\":[1,2],\"terminated\":true}",
      "trajectory 1, step 1, observations[1]", "finite number" },
    { "{\"observations\":[[1,1e999]]}", "trajectory 0, step 0, observations[1]",
      "too large for a float32" },
    { "{\"rewards\":[1,-1e39]}", "trajectory 0, step 1, rewards", "too large" },
    { "{\"observations\":[[1,2,3]]}", "step 0, observations",
      "has 3 numbers, but the dataset declares 2" },
    { "{\"observations\":[[1,2],[1]]}", "step 1, observations", "has 1 numbers" },
    { "{\"actions\":[[1,2]]}", "step 0, actions", "has 2 numbers" },
    { "{\"observations\":[[1,2]],\"rewards\":[1,2],\"terminated\":true}", "observations",
      "with 2 rewards" },
    { "{\"observations\":[[1,2]],\"rewards\":[1],\"actions\":[[0],[1]],\"terminated\":true}",
      "actions", "has 2 rows" },
    { "{\"observations\":[[1,2]],\"rewards\":[1],\"actions\":[[-1.5]],\"terminated\":true}",
      "trajectory 0, step 0, actions[0]", "-1.5" },
    { "{\"observations\":[],\"rewards\":[],\"terminated\":true}", "rewards", "has 0 steps" },
    { "{\"observations\":[[1,2]],\"rewards\":[1]}", "terminated", "is missing" },
    { "{\"rewards\":[1],\"terminated\":true}", "observations", "is missing" },
    { "{\"observations\":[[1,2]],\"rewards\":[null],\"terminated\":true}", "step 0, rewards",
      "finite number" },
    { "{\"observatons\":[[1,2]]}", "line 1", "unknown field 'observatons'" },
    { GOOD GOOD "{\"reward\\u0073\":1}", "trajectory 2, line 3", "unknown field 'reward" },
    { "{\"rewards\":[1],\"rewards\":[1]}", "rewards", "is there twice" },
    { "{\"actions\":null,\"actions\":null}", "actions", "is there twice" },
    { "{\"terminated\":2}", "column 15", "expected true or false" },
    { "{\"terminated\":1}", "column 15", "expected true or false" },
    { "{\"truncated\":[false,true]}", "column 14", "expected true or false" },
    { "{\"dones\":2}", "column 10", "expected true or false" },
    { "{\"terminations\":[0,1,0]}", "step 1, terminated", "is set before the last step" },
    { "{\"observations\":{}}", "column 17", "expected a list" },
    { "{\"observations\":[null]}", "column 18", "expected a list of numbers" },
    { "[1]", "column 1", "expected '{'" },
    { GOOD "{\"rewards\":[1", "line 2", "expected ',' or ']', but there is: the end of the line" },
    { "{\"rewards\":[1]} x", "column 17", "expected the end of the line" },
    { "{\"rewards\":[1],}", "column 16", "a field's name" },
    { "{\"rewards\":[1 2]}", "column 15", "expected ',' or ']'" },
    { "\n\n", "", "no trajectories" },
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    CU_ASSERT(refused(bad[i].text, bad[i].place, bad[i].words));
}

/* As many states as rewards, and an action fewer: which one is missing has to be said. */
static void a_missing_action_is_written_null(void) {
  const struct px_spaces spaces = trajs_spaces(2, 1);
  const char *counted =
    "{\"observations\":[[1,2],[3,4]],\"rewards\":[1,2],\"actions\":[[0]],\"terminated\":false}";
  struct trajs out = { .spaces = spaces };
  struct px_read_report report;
  struct px_err err = { 0 };
  CU_ASSERT_EQUAL(read_text(counted, &out, &report, &err), PX_E_BAD_DATA);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.hint, "Write null where an action is unknown"));
  const char *said = "{\"observations\":[[1,2],[3,4]],\"rewards\":[1,2],\"actions\":[[0.5],null],"
                     "\"terminated\":false}";
  CU_OK(read_text(said, &out, &report, &err), err);
  CU_ASSERT(report.steps_n == 2 && report.labelled_n == 1 && out.items[0].labelled[0] == 1 &&
            out.items[0].labelled[1] == 0);
  CU_ASSERT(!out.items[0].has_final && out.items[0].truncated);
  trajs_free(&out);
}

static void depth_costs_nothing(void) {
  enum { DEEP = 1000000 };
  char *text = malloc(DEEP + 32);
  const int n = snprintf(text, 32, "{\"observations\":");
  memset(text + n, '[', DEEP);
  text[n + DEEP] = '\0';
  CU_ASSERT(refused(text, "step 0, observations[0]", "finite number"));
  free(text);
}

static void too_many_steps_are_refused(void) {
  enum { STEPS = 100002 };
  char *text = malloc(STEPS * 2 + 64);
  size_t n = (size_t)snprintf(text, 32, "{\"rewards\":[0");
  for (int i = 1; i < STEPS; i++, n += 2) memcpy(text + n, ",0", 2);
  memcpy(text + n, "]}", 3);
  CU_ASSERT(refused(text, "rewards", "beyond the 100000 steps"));
  free(text);
}

static void zero_bytes_and_binary_noise_are_refused(void) {
  const struct px_spaces spaces = trajs_spaces(2, 1);
  CU_ASSERT(uploads_refused(uploads_bytes("{\"rewards\0\":[1]}", 16), PX_FORMAT_JSONL, &spaces,
                            NULL, PX_E_BAD_DATA, "", "line 1 holds a NUL byte"));
  CU_ASSERT(refused("\x89HDF\r\n\x1a\n", "column 1", "there is: ?HDF"));
}

CU_MAIN("read_jsonl", T(a_line_is_a_trajectory), T(flags_may_be_one_a_step_under_their_other_names),
        T(a_byte_order_mark_may_begin_the_file), T(numbers_round_as_strtod_does),
        T(bad_lines_are_named_by_place), T(a_missing_action_is_written_null),
        T(depth_costs_nothing), T(too_many_steps_are_refused),
        T(zero_bytes_and_binary_noise_are_refused))
