/* SPDX-License-Identifier: Apache-2.0 */
/* lib/flow: the layout of a simulator that a user brings. */
#include <math.h>

#include "lib/base/fail.h"
#include "lib/flow/simulators.h"
#include "tests/support/cu.h"

static enum px_status layout_of(const char *body, struct flow_sim_layout *out, struct px_err *err) {
  json_t *json = json_loads(body, 0, NULL), *checked = NULL;
  CU_ASSERT_PTR_NOT_NULL_FATAL(json);
  enum px_status status = flow_fields_check(flow_simulator_fields, json, "", &checked, err);
  const struct flow_sim_model hopper = { 6, 6, 3 };
  if (!status) status = flow_simulator_layout(checked, &hopper, out, err);
  json_decref(checked);
  json_decref(json);
  return status;
}

static void a_layout_is_laid_out_over_the_model(void) {
  static struct flow_sim_layout l;
  struct px_err err;
  CU_OK(layout_of("{\"name\": \"a\", \"observations\": [\"qpos[1:]\", {\"of\": \"qvel\", \"clip\": "
                  "[-10, 10]}], \"frame_skip\": 4}",
                  &l, &err),
        err);
  CU_ASSERT(l.obs_dim == 11 && l.act_dim == 3 && l.frame_skip == 4 && l.delay == 0 &&
            l.time_step == 0);
  CU_ASSERT(l.obs[0].source == FLOW_SIM_QPOS && l.obs[0].index == 1 && l.obs[4].index == 5 &&
            isinf(l.obs[4].clip_high));
  CU_ASSERT(l.obs[5].source == FLOW_SIM_QVEL && l.obs[5].index == 0 && l.obs[10].index == 5 &&
            l.obs[10].clip_low == -10);
  CU_ASSERT(l.act[2].source == FLOW_SIM_CTRL && l.act[2].index == 2 && l.act[2].scale == 1);
  CU_OK(
    layout_of("{\"name\": \"a\", \"observations\": [\"qvel[2]\", {\"of\": \"qpos[:2]\", \"scale\": "
              "57.3, \"offset\": 1}],"
              " \"actions\": [\"ctrl[1:3]\", {\"of\": \"ctrl[0]\", \"scale\": -2}], \"delay\": 1}",
              &l, &err),
    err);
  CU_ASSERT(l.obs_dim == 3 && l.obs[0].index == 2 && l.obs[2].index == 1 &&
            l.obs[2].scale == 57.3 && l.obs[2].offset == 1);
  CU_ASSERT(l.act_dim == 3 && l.act[0].index == 1 && l.act[2].index == 0 && l.act[2].scale == -2 &&
            l.delay == 1);
  CU_OK(
    layout_of(
      "{\"name\": \"a\", \"observations\": [{\"of\": \"qpos\", \"scale\": 1e-6, \"offset\": 0.01},"
      " {\"of\": \"qvel\", \"scale\": 1e9, \"offset\": -1e9}]}",
      &l, &err),
    err);
}

static void a_layout_that_the_model_lacks_is_refused(void) {
  static const struct {
    const char *body, *pointer;
  } CASES[] = {
    { "{\"name\": \"a\", \"observations\": [\"qpos[1:]\", \"qvel[6]\"]}", "/observations/1" },
    { "{\"name\": \"a\", \"observations\": [\"qpos[1:7]\"]}", "/observations/0" },
    { "{\"name\": \"a\", \"observations\": [\"qpos[3:3]\"]}", "/observations/0" },
    { "{\"name\": \"a\", \"observations\": [\"qpos[-1]\"]}", "/observations/0" },
    { "{\"name\": \"a\", \"observations\": [\"qpos[1:]x\"]}", "/observations/0" },
    { "{\"name\": \"a\", \"observations\": [\"qacc\"]}", "/observations/0" },
    { "{\"name\": \"a\", \"observations\": [\"ctrl\"]}", "/observations/0" },
    { "{\"name\": \"a\", \"observations\": [\"qpos\", \"qpos[2]\"]}", "/observations/1" },
    { "{\"name\": \"a\", \"observations\": [{\"of\": \"qpos\", \"clip\": [1, -1]}]}",
      "/observations/0" },
    { "{\"name\": \"a\", \"observations\": [{\"of\": \"qpos\", \"scale\": 0}]}",
      "/observations/0/scale" },
    { "{\"name\": \"a\", \"observations\": [\"qvel\", {\"of\": \"qpos\", \"scale\": 1e-300}]}",
      "/observations/1/scale" },
    { "{\"name\": \"a\", \"observations\": [{\"of\": \"qpos\", \"scale\": -1e-10}]}",
      "/observations/0/scale" },
    { "{\"name\": \"a\", \"observations\": [{\"of\": \"qpos\", \"scale\": 1e300}]}",
      "/observations/0/scale" },
    { "{\"name\": \"a\", \"observations\": [{\"of\": \"qpos\", \"offset\": -2e7}]}",
      "/observations/0/offset" },
    { "{\"name\": \"a\", \"observations\": [{\"of\": \"qpos\", \"scale\": 1e-6, \"offset\": 20}]}",
      "/observations/0/offset" },
    { "{\"name\": \"a\", \"observations\": [\"qpos\"], \"actions\": [{\"of\": \"ctrl\", \"scale\": "
      "1e-12}]}",
      "/actions/0/scale" },
    { "{\"name\": \"a\", \"observations\": [{\"of\": \"qpos\", \"clip\": [1]}]}",
      "/observations/0/clip" },
    { "{\"name\": \"a\", \"observations\": [\"qpos\"], \"actions\": [\"ctrl[3]\"]}", "/actions/0" },
    { "{\"name\": \"a\", \"observations\": [\"qpos\"], \"actions\": [\"qpos\"]}", "/actions/0" },
    { "{\"name\": \"a\", \"observations\": [\"qpos\"], \"frame_skip\": 1000}", "/frame_skip" },
    { "{\"name\": \"a\", \"observations\": [\"qpos\"], \"time_step\": 1e-9}", "/time_step" },
    { "{\"name\": \"a\", \"observations\": []}", "/observations" },
  };
  for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
    static struct flow_sim_layout l;
    struct px_err err = { .code = PX_OK };
    CU_ASSERT_EQUAL(layout_of(CASES[i].body, &l, &err), PX_E_BAD_FIELD);
    CU_ASSERT_STRING_EQUAL(err.pointer, CASES[i].pointer);
  }
}

CU_MAIN("flow_layout", T(a_layout_is_laid_out_over_the_model),
        T(a_layout_that_the_model_lacks_is_refused))
