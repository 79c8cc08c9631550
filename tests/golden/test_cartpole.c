/* SPDX-License-Identifier: Apache-2.0 */
/* CartPole against numpy in float64 (gen_cartpole.py), which derives the accelerations in another
 * way. */
#include <math.h>

#include "lib/base/fail.h"
#include "tests/support/cu.h"
#include "tests/support/golden.h"
#include "worker/env/env.h"

enum { STEPS = 200 };

/* Both sides compute in float64, where 200 steps differ by less than 1e-12; compared are float32
 * observations. */
static void two_hundred_steps_agree(void) {
  struct golden g;
  struct px_env *env = NULL;
  struct px_err err;
  size_t states_n, actions_n;
  float obs[PX_ENV_OBS_MAX];
  golden_open(&g, "cartpole");
  const double *states = golden_take(&g, "states", &states_n),
               *actions = golden_take(&g, "actions", &actions_n);
  CU_ASSERT_TRUE_FATAL(states_n == 4 * (STEPS + 1) && actions_n == STEPS);
  CU_OK(px_env_open("cartpole", &env, &err), err);
  const double qpos[2] = { states[0], states[2] }, qvel[2] = { states[1], states[3] };
  CU_OK(px_env_set_state(env, qpos, qvel, obs, &err), err);
  double moved = 0;
  for (size_t t = 0; t < STEPS; t++) {
    struct px_env_step step;
    const float action = (float)actions[t];
    CU_OK(px_env_step(env, &action, obs, &step, &err), err);
    CU_ASSERT_FALSE(step.terminated || step.truncated);
    for (size_t j = 0; j < 4; j++) {
      CU_ASSERT_DOUBLE_EQUAL((double)obs[j], states[4 * (t + 1) + j],
                             1e-7 * (1 + fabs(states[4 * (t + 1) + j])));
      moved = fmax(moved, fabs((double)obs[j]));
    }
  }
  CU_ASSERT_TRUE(moved > 0.5);
  px_env_close(env);
  golden_close(&g);
}

CU_MAIN("cartpole", T(two_hundred_steps_agree))
