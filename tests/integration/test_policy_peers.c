/* SPDX-License-Identifier: Apache-2.0 */
/* Every algorithm's policy, read and acted with by clients/python: what a user without
 * this project's code does. */
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/rng.h"
#include "lib/data/actions_merged.h"
#include "lib/data/dataset.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"
#include "lib/rl/rl.h"
#include "tests/support/cu.h"
#include "tests/support/trajs.h"

/* Longer than a transformer's context of 20 steps. */
enum { O = 5, A = 3, EPISODES = 3, STEPS = 30, ROWS = EPISODES * STEPS };

static struct px_dataset *synthetic_dataset(const struct px_spaces *spaces) {
  struct trajs list = { .spaces = *spaces };
  struct segments segments = { .spaces = *spaces };
  struct px_rng rng = px_rng_at(8, 9, 10);
  struct px_traj_sink sink = trajs_sink(&list);
  struct px_dataset *ds;
  struct px_err err;
  float obs[STEPS * O], actions[STEPS * A], rewards[STEPS];
  for (int i = 0; i < EPISODES; i++) {
    px_rng_normal(&rng, obs, STEPS * O);
    for (int t = 0; t < STEPS; t++) obs[t * O + O - 1] = 7;
    px_rng_normal(&rng, rewards, STEPS);
    for (uint32_t j = 0; j < STEPS * spaces->act_dim; j++)
      actions[j] = spaces->act_count ? (float)px_rng_below(&rng, spaces->act_count)
                                     : 2 * px_rng_float(&rng) - 1;
    const struct px_traj traj = {
      .steps = STEPS, .observations = obs, .actions = actions, .rewards = rewards, .truncated = true
    };
    CU_OK(sink.put(sink.ctx, &traj, &err), err);
  }
  CU_ASSERT_EQUAL_FATAL(segments_pack(&segments, &list), PX_OK);
  struct px_dataset_builder *builder = px_dataset_builder_new(spaces);
  for (size_t i = 0; i < segments.n; i++)
    CU_OK(px_dataset_builder_segment(builder, segments.items[i].bytes, segments.items[i].size,
                                     &err),
          err);
  CU_OK(px_dataset_builder_end(builder, &ds, &err), err);
  segments_free(&segments);
  trajs_free(&list);
  return ds;
}

static void put_file(const char *dir, const char *name, const char *ending,
                     const struct px_buf *bytes) {
  char path[256];
  snprintf(path, sizeof path, "%s/%s%s", dir, name, ending);
  const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  CU_ASSERT_TRUE_FATAL(fd >= 0);
  CU_ASSERT_EQUAL(write(fd, bytes->data, bytes->len), (ssize_t)bytes->len);
  close(fd);
}

static void put_acted(const char *dir, const char *name, const struct px_dataset *ds,
                      const float *actions) {
  const float episodes = EPISODES;
  struct px_buf file = PX_BUF(1 << 20);
  struct px_err err;
  struct px_safetensors_tensor tensors[] = {
    { .name = "observations",
      .dtype = PX_DTYPE_F32,
      .rank = 2,
      .dims = { ROWS, O },
      .data = ds->observations },
    { .name = "rewards", .dtype = PX_DTYPE_F32, .rank = 1, .dims = { ROWS }, .data = ds->rewards },
    { .name = "actions",
      .dtype = PX_DTYPE_F32,
      .rank = 2,
      .dims = { ROWS, ds->spaces.act_dim },
      .data = actions },
    { .name = "episodes", .dtype = PX_DTYPE_F32, .rank = 1, .dims = { 1 }, .data = &episodes },
  };
  CU_OK(px_safetensors_write(tensors, 4, NULL, 0, &file, &err), err);
  put_file(dir, name, ".acted", &file);
  px_buf_free(&file);
}

/* What the policy did not see: the constant dimension moves, and another is far outside. */
static void disturb(struct px_dataset *ds, float *kept, bool on) {
  const size_t bytes = sizeof(float) * ROWS * O;
  memcpy(on ? kept : ds->observations, on ? ds->observations : kept, bytes);
  for (int row = 0; on && row < ROWS; row++) {
    ds->observations[row * O + O - 1] += 0.05F * (float)row;
    if (row % 10 == 0) ds->observations[row * O] *= 1e6F;
  }
}

static void train_and_act(const char *algo, const char *dir, struct px_dataset *ds) {
  struct rl_spec spec;
  struct rl_policy *policy;
  struct rl_metrics metrics;
  struct px_actions_merged *u;
  struct px_err err;
  struct px_buf file = PX_BUF(1 << 24);
  float actions[ROWS * A], kept[ROWS * O];
  CU_OK(rl_spec_defaults(algo, &spec, &err), err);
  CU_OK(rl_spec_set(&spec, "updates", 5, &err), err);
  CU_OK(rl_spec_set(&spec, "batch", 16, &err), err);
  CU_OK(px_actions_merged_new(ds, &u, &err), err);
  CU_OK(rl_train(&spec, u, NULL, NULL, &policy, &metrics, &err), err);
  CU_OK(rl_policy_save(policy, NULL, 0, &file, &err), err);
  disturb(ds, kept, true);
  CU_OK(rl_policy_along(policy, ds, NULL, actions, &err), err);
  put_file(dir, algo, ".policy", &file);
  put_acted(dir, algo, ds, actions);
  disturb(ds, kept, false);
  px_buf_free(&file);
  rl_policy_free(policy);
  px_actions_merged_free(u);
}

static int check(const char *dir) {
  char script[] = "tests/integration/policy_check.py", python[] = "/usr/bin/python3",
       *folder = strdup(dir);
  char *const argv[] = { python, script, folder, NULL };
  pid_t pid;
  int status = -1;
  const bool ran =
    posix_spawn(&pid, python, NULL, NULL, argv, environ) == 0 && waitpid(pid, &status, 0) == pid;
  free(folder);
  return ran && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void acted_with_by_numpy(const struct px_spaces *spaces) {
  char dir[] = "/tmp/proxact-policies-XXXXXX", remove[64];
  CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
  struct px_dataset *ds = synthetic_dataset(spaces);
  int trained = 0;
  for (const struct flow_field *one = flow_algos; one->name; one++)
    if (flow_algo_learns(one->name, spaces->act_count > 0))
      train_and_act(one->name, dir, ds), trained++;
  CU_ASSERT_TRUE(trained >= 4);
  fflush(stdout);
  CU_ASSERT_EQUAL(check(dir), 0);
  px_dataset_free(ds);
  snprintf(remove, sizeof remove, "rm -r %s", dir);
  char shell[] = "/bin/sh", option[] = "-c", *const argv[] = { shell, option, remove, NULL };
  pid_t pid;
  if (posix_spawn(&pid, shell, NULL, NULL, argv, environ) == 0) waitpid(pid, NULL, 0);
}

static void numpy_acts_alike_with_continuous_actions(void) {
  const struct px_spaces spaces = trajs_spaces(O, A);
  acted_with_by_numpy(&spaces);
}

static void numpy_acts_alike_with_discrete_actions(void) {
  const struct px_spaces spaces = trajs_discrete(O, 4);
  acted_with_by_numpy(&spaces);
}

CU_MAIN("policy_peers", T(numpy_acts_alike_with_continuous_actions),
        T(numpy_acts_alike_with_discrete_actions))
