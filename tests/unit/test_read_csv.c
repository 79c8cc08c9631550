/* SPDX-License-Identifier: Apache-2.0 */
/* CSV uploads: headers, cells, where trajectories end, and what is refused. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/data/traj.h"
#include "tests/support/cu.h"
#include "tests/support/uploads.h"

static enum px_status read_text(const char *text, struct trajs *list, struct px_read_report *report,
                                struct px_err *err) {
  return uploads_read(uploads_text(text), PX_FORMAT_CSV, NULL, list, report, err);
}

static bool refused(const char *text, const char *place, const char *words) {
  const struct px_spaces spaces = trajs_spaces(2, 1);
  return uploads_refused(uploads_text(text), PX_FORMAT_CSV, &spaces, NULL, PX_E_BAD_DATA, place,
                         words);
}

static void a_row_is_a_step(void) {
  struct trajs list = { .spaces = trajs_spaces(2, 1) };
  struct px_read_report report;
  struct px_err err;
  CU_OK(read_text("episode,step,obs_0,obs_1,act_0,reward,terminated,truncated\n"
                  "7,0,1,2,0.25,1,0,0\n"
                  "7,1,3,4,,-0.5,1,0\n"
                  "7,2,5,6,,,,\n"
                  "3,0,7,8E0,nan,1e0,False,True\n",
                  &list, &report, &err),
        err);
  CU_ASSERT_EQUAL_FATAL(list.n, 2);
  const struct px_traj *t = list.items;
  CU_ASSERT(t[0].steps == 2 && t[0].has_final && t[0].terminated && !t[0].truncated);
  CU_ASSERT(t[0].observations[0] == 1 && t[0].observations[3] == 4 && t[0].observations[5] == 6);
  CU_ASSERT(t[0].actions[0] == .25f && t[0].labelled[0] == 1 && t[0].labelled[1] == 0);
  CU_ASSERT(t[0].rewards[0] == 1 && t[0].rewards[1] == -.5f);
  CU_ASSERT(t[1].steps == 1 && !t[1].has_final && !t[1].terminated && t[1].truncated);
  CU_ASSERT(t[1].observations[1] == 8 && t[1].labelled[0] == 0);
  CU_ASSERT(report.labelled_n == 1 && report.steps_n == 3 && !strcmp(report.layout, "csv"));
  CU_ASSERT(report.notes_n == 1 && strstr(report.notes[0], "NaN"));
  trajs_free(&list);
}

static void columns_may_have_other_names_and_any_order(void) {
  static const char *const same[] = {
    ("next.reward;frame_index;observation.state_1;observation.state_0;action_0;episode_index;"
     "next.done;timestamp\n"
     "1;0;2;1;0.5;0;False;0.0\n1;1;4;3;0.5;0;True;0.1\n"),
    ("\xef\xbb\xbf\"reward\",\"obs[1]\",\"obs[0]\",\"actions[0]\",\"dones\"\r\n"
     "\"1\",2,1,\"0.5\",0\r\n1,4,3,.5,1\r\n"),
    "obs.0\tobs.1\taction\tReward\tterminated\n1\t2\t+0.5\t1.\tfalse\n\n3\t4\t0.5\t1\ttrue",
    "step,obs_0,obs_1,act_0,reward,terminated,action_mask\n5,1,2,0.5,1,0,1\n6,3,4,0.5,1,1,1\n",
  };
  for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
    struct trajs list = { .spaces = trajs_spaces(2, 1) };
    struct px_err err = { 0 };
    CU_OK(read_text(same[i], &list, NULL, &err), err);
    CU_ASSERT_EQUAL_FATAL(list.n, 1);
    const struct px_traj *t = list.items;
    CU_ASSERT(t->steps == 2 && t->terminated && !t->truncated && !t->has_final);
    CU_ASSERT(t->observations[0] == 1 && t->observations[1] == 2 && t->observations[3] == 4);
    CU_ASSERT(t->actions[0] == .5f && t->actions[1] == .5f && t->rewards[1] == 1);
    trajs_free(&list);
  }
}

static void without_a_column_episode_flags_and_steps_end_trajectories(void) {
  struct trajs list = { .spaces = trajs_spaces(1, 1) };
  struct px_read_report report;
  struct px_err err = { 0 };
  CU_OK(read_text("obs_0,act_0,reward,terminated,truncated\n"
                  "1,0,1,0,0\n2,0,1,1,0\n3,,,,\n4,0,1,0,1\n5,0,1,0,0\n",
                  &list, &report, &err),
        err);
  CU_ASSERT_EQUAL_FATAL(list.n, 3);
  CU_ASSERT(list.items[0].steps == 2 && list.items[0].has_final && list.items[0].terminated);
  CU_ASSERT(list.items[0].observations[2] == 3 && list.items[1].observations[0] == 4);
  CU_ASSERT(list.items[1].truncated && !list.items[1].has_final);
  CU_ASSERT(list.items[2].truncated && strstr(report.notes[0], "kept as truncated"));
  trajs_free(&list);
  CU_OK(read_text("step,obs_0,reward\n0,1,1\n1,2,1\n0,3,1\n", &list, &report, &err), err);
  CU_ASSERT_EQUAL_FATAL(list.n, 2);
  CU_ASSERT(list.items[0].steps == 2 && !list.items[0].actions && list.items[1].steps == 1);
  trajs_free(&list);
}

static void discrete_actions_are_class_indices(void) {
  struct trajs list = { .spaces = trajs_spaces(1, 1) };
  struct px_err err = { 0 };
  px_spaces_set_discrete(&list.spaces, 3);
  CU_OK(read_text("episode,obs_0,action,reward\n0,1,2,1\n0,2,,1\n0,3,0,1\n", &list, NULL, &err),
        err);
  CU_ASSERT_EQUAL_FATAL(list.n, 1);
  CU_ASSERT(list.items[0].actions[0] == 2 && !list.items[0].labelled[1]);
  CU_ASSERT(list.items[0].labelled[2] && list.items[0].actions[2] == 0);
  trajs_free(&list);
}

static void a_fault_names_its_line(void) {
  static const struct {
    const char *text, *place, *words;
  } faults[] = {
    { "", "", "empty" },
    { "episode,obs_0,obs_1,reward\n", "", "no trajectories" },
    { "episode,obs_0,obs_2,reward\n0,1,2,1\n", "header", "obs_2" },
    { "episode,obs_0,reward\n0,1,1\n", "header", "no column obs_1" },
    { "episode,obs_0,obs_1,obs_0,reward\n0,1,2,3,1\n", "header", "twice" },
    { "episode,obs_0,obs_1,act_0,act_1,reward\n", "header", "declares 1" },
    { "obs_0,obs_1,reward\n1,2,1\n", "header", "ends" },
    { "episode,trajectory,obs_0,obs_1,reward\n", "header", "two columns" },
    { "episode,obs_0,obs_1,reward\n0,1,2,1\n0,1,2\n", "line 3", "3 cells" },
    { "episode,obs_0,obs_1,step,reward\n0,1,2,0,1\n0,1,2,1.5\n", "line 3", "4 cells" },
    { "episode,obs_0,obs_1,reward\n0,1,2,1\n0,1,x,1\n", "trajectory 0, step 1, obs_1", "line 3" },
    { "episode,obs_0,obs_1,reward\n0,1,,1\n", "step 0, obs_1", "finite" },
    { "episode,obs_0,obs_1,reward\n0,1,inf,1\n", "step 0, obs_1", "finite" },
    { "episode,obs_0,obs_1,reward\n0,1,1e39,1\n", "step 0, obs_1", "" },
    { "episode,obs_0,obs_1,reward\n0,1,0x1p3,1\n", "step 0, obs_1", "number" },
    { "episode,obs_0,obs_1,act_0,reward\n0,1,2,0,1\n0,1,2,0,\n", "step 1, reward",
      "empty at line 3" },
    { "episode,obs_0,obs_1,reward\n0,1,2,\n0,1,2,1\n", "step 1, reward", "given at line 3" },
    { "episode,obs_0,obs_1,reward\n0,1,2,inf\n", "step 0, reward", "finite" },
    { "episode,obs_0,obs_1,reward\n0,1,2,1\n1,1,2,1\n0,1,2,1\n", "episode", "line 4" },
    { "episode,step,obs_0,obs_1,reward\n0,0,1,2,1\n0,2,1,2,1\n", "step", "2 at line 3, after 0" },
    { "episode,step,obs_0,obs_1,reward\n0,0.5,1,2,1\n", "step", "whole number" },
    { "episode,obs_0,obs_1,reward,terminated\n0,1,2,1,1\n0,1,2,1,0\n", "episode", "line 3" },
    { "episode,obs_0,obs_1,reward\n0,1,2,1\n0,1,2,\n0,1,2,1\n", "episode", "line 4" },
    { "episode,obs_0,obs_1,reward,terminated\n0,1,2,1,2\n", "terminated", "0 or 1" },
    { "episode,obs_0,obs_1,reward\n0,1,\"2,1\n", "line 2", "quoted" },
    { "episode,obs_0,obs_1,reward\n0,1,\"2\"3,1\n", "line 2", "quoted" },
    { "episode,obs_0,obs_1,act_0,reward\n0,1,2,1.5,1\n", "actions[0]", "declared range" },
  };
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
    CU_ASSERT(refused(faults[i].text, faults[i].place, faults[i].words));
}

static void part_of_an_action_is_refused(void) {
  const struct px_spaces spaces = trajs_spaces(1, 2);
  CU_ASSERT(
    uploads_refused(uploads_text("episode,obs_0,act_0,act_1,reward\n0,1,0.5,0.5,1\n0,1,0.5,,1\n"),
                    PX_FORMAT_CSV, &spaces, NULL, PX_E_BAD_DATA, "step 1, actions", "1 of 2"));
}

/* Row 10^5 of a file is as well read as the first. */
static void a_fault_far_into_a_file_is_found(void) {
  struct trajs list = { .spaces = trajs_spaces(2, 1) };
  struct px_err err = { 0 };
  enum { ROWS = 100000, ROW_BYTES = 64 };
  char *text = calloc(ROWS + 2, ROW_BYTES), *p = text;
  CU_ASSERT_PTR_NOT_NULL_FATAL(text);
  p += snprintf(p, ROW_BYTES, "episode,step,obs_0,obs_1,act_0,reward\n");
  for (int i = 0; i < ROWS; i++)
    p += snprintf(p, ROW_BYTES, "%d,%d,%d.5,2,0.25,1\n", i / 1000, i % 1000, i);
  CU_OK(read_text(text, &list, NULL, &err), err);
  CU_ASSERT(list.n == 100 && list.items[99].steps == 1000);
  CU_ASSERT(list.items[99].observations[2 * 999] == ROWS - 1 + .5f);
  trajs_free(&list);
  snprintf(p, ROW_BYTES, "100,0,1,2,0.25,1,0\n");
  CU_ASSERT(refused(text, "line 100002", "7 cells, but the header has 6"));
  free(text);
}

CU_MAIN("read_csv", T(a_row_is_a_step), T(columns_may_have_other_names_and_any_order),
        T(without_a_column_episode_flags_and_steps_end_trajectories),
        T(discrete_actions_are_class_indices), T(a_fault_names_its_line),
        T(part_of_an_action_is_refused), T(a_fault_far_into_a_file_is_found))
