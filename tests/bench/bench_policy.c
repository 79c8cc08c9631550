/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a training is worth: reads a dataset, trains a policy on all its actions
 * and plays it in the environment.
 *
 *   bench_policy FILE ENV ALGO UPDATES [SEED [NAME=NUMBER...]]
 *
 * UPDATES may be -, the algorithm's own default.
 * NAME is an option of the algorithm (lib/flow/algos.c), but for words and names; or
 * target_return, what a policy that aims at a return is to aim at.
 *
 * Prints a CSV line: file, algo, updates, seed, transitions, updates per second
 * of wall clock, mean return with its 95% interval over 10 episodes, the
 * normalised score, the discounted return (0.99), and what data alone says of
 * that (with FQE=UPDATES in the environment, else nan): see judge.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/actions_merged.h"
#include "lib/data/dataset.h"
#include "lib/data/segment.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"
#include "lib/read/read.h"
#include "lib/rl/fqe.h"
#include "lib/rl/rl.h"
#include "tests/support/helpers.h"
#include "worker/env/rollout.h"

static enum px_status keep_segment(void *ctx, const struct px_segment *segment,
                                   struct px_err *err) {
  return px_dataset_builder_segment(ctx, segment->bytes, segment->size, err);
}

static enum px_status load(const char *path, const struct px_spaces *spaces,
                           struct px_dataset **out, struct px_err *err) {
  struct px_dataset_builder *dataset = px_dataset_builder_new(spaces);
  struct px_segment_builder *segments =
    px_segment_builder_new(spaces, (struct px_segment_sink){ dataset, keep_segment });
  struct px_read_report report;
  enum px_read_format format;
  enum px_status status = px_read_format_from_name(path, &format, err);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (!status && (fd < 0 || !dataset || !segments))
    status = px_fail_errno(err, "cannot open %s", path);
  if (!status) {
    const struct px_traj_sink sink = px_segment_builder_traj_sink(segments);
    status = px_read_file(fd, format, path, NULL, spaces, &sink, &report, err);
  }
  if (!status) status = px_segment_builder_end(segments, err);
  if (fd >= 0) close(fd);
  px_segment_builder_free(segments);
  if (status) px_dataset_builder_free(dataset);
  return status ? status : px_dataset_builder_end(dataset, out, err);
}

static enum px_status act(void *ctx, const struct px_rollout_view *view, float *actions,
                          struct px_err *err) {
  (void)err;
  rl_player_act(ctx, &(struct rl_view){ view->n, view->obs, view->lane, view->step, view->reward },
                actions);
  return PX_OK;
}

/* target_return stays NAN unless given. */
static enum px_status set(struct rl_spec *spec, double *target_return, const char *text,
                          struct px_err *err) {
  char name[64];
  const size_t n = strcspn(text, "=");
  if (!text[n] || n >= sizeof name)
    return px_fail(err, PX_E_BAD_FIELD, "'%s' is not NAME=NUMBER", text);
  snprintf(name, sizeof name, "%.*s", (int)n, text);
  if (strcmp(name, "target_return") == 0) {
    *target_return = strtod(text + n + 1, NULL);
    return PX_OK;
  }
  return rl_spec_set(spec, name, strtod(text + n + 1, NULL), err);
}

/* FQE=UPDATES in the environment: what data alone says of the policy's discounted return, as the
 * mean over the first states, by fitted Q evaluation and by the policy's own critic; NAN where
 * there is none. */
static enum px_status judge(struct rl_policy *policy, const struct px_actions_merged *u,
                            double *fqe, double *own, struct px_err *err) {
  const char *updates = getenv("FQE");
  const struct px_dataset *ds = u->ds;
  *fqe = *own = NAN;
  if (!updates) return PX_OK;
  const struct fqe_spec spec = { .hidden = 256,
                                 .layers = 2,
                                 .batch = 256,
                                 .updates = strtoull(updates, NULL, 10),
                                 .lr = 3e-4,
                                 .gamma = 0.99,
                                 .tau = 0.05 };
  struct fqe_result result;
  float *actions = px_mem_calloc(ds->obs_n, sizeof(float) * ds->spaces.act_dim),
        *values = px_mem_calloc(ds->traj_n, sizeof(float));
  enum px_status status =
    actions && values ? rl_policy_along(policy, ds, NULL, actions, err) : PX_E_NO_MEMORY;
  if (!status) status = fqe_run(&spec, u, actions, NULL, NULL, values, &result, err);
  if (!status) {
    *fqe = 0;
    for (uint32_t i = 0; i < ds->traj_n; i++) *fqe += (double)values[i] / ds->traj_n;
    bool has = true;
    for (uint32_t i = 0; has && i < ds->traj_n; i++)
      has = rl_policy_value(policy, ds->observations + ds->obs_start[i] * ds->spaces.obs_dim, 1,
                            &values[i]);
    *own = has ? 0 : NAN;
    for (uint32_t i = 0; has && i < ds->traj_n; i++) *own += (double)values[i] / ds->traj_n;
  }
  free(actions);
  free(values);
  return status;
}

static enum px_status bench(int argc, char **argv, struct px_err *err) {
  const struct px_env_info *env;
  struct px_dataset *ds = NULL;
  struct px_actions_merged *u = NULL;
  struct rl_policy *policy = NULL;
  struct rl_player *player = NULL;
  double target_return = NAN, fqe, own;
  struct px_rollout_result result = { 0 };
  struct rl_metrics metrics;
  struct rl_spec spec;
  struct px_spaces *spaces = px_mem_calloc(1, sizeof *spaces);
  enum px_status status = spaces ? px_env_find(argv[2], &env, err) : PX_E_NO_MEMORY;
  if (!status) status = rl_spec_defaults(argv[3], &spec, err);
  if (status) goto out;
  if (strcmp(argv[4], "-") != 0 &&
      (status = rl_spec_set(&spec, "updates", strtod(argv[4], NULL), err)))
    goto out;
  if (argc > 5) spec.seed = strtoull(argv[5], NULL, 10);
  for (int i = 6; !status && i < argc; i++) status = set(&spec, &target_return, argv[i], err);
  if (status) goto out;
  spaces->obs_dim = env->obs_dim, spaces->act_dim = env->act_dim;
  for (uint32_t j = 0; j < env->act_dim; j++)
    spaces->act_low[j] = env->act_low, spaces->act_high[j] = env->act_high;
  if (env->act_count) px_spaces_set_discrete(spaces, env->act_count);
  if ((status = load(argv[1], spaces, &ds, err))) goto out;
  if ((status = px_actions_merged_new(ds, &u, err))) goto out;
  if ((status = rl_train(&spec, u, NULL, NULL, &policy, &metrics, err))) goto out;
  const struct px_rollout_spec rollout = { argv[2], 10, 10, 1000, 0.99 };
  if ((status = rl_player_new(policy, rollout.lanes, isnan(target_return) ? NULL : &target_return,
                              &player, err)))
    goto out;
  if ((status =
         px_rollout_run(&rollout, &(struct px_rollout_policy){ player, act }, NULL, &result, err)))
    goto out;
  if ((status = judge(policy, u, &fqe, &own, err))) goto out;
  printf("%s,%s,%" PRIu64 ",%" PRIu64 ",%u,%.1f,%.1f,%.1f,%.1f,%.1f,%.1f,%.1f,%.1f\n", argv[1],
         spec.algo, metrics.updates, spec.seed, metrics.transitions_n,
         (double)metrics.updates / metrics.seconds, result.return_mean, result.return_ci95[0],
         result.return_ci95[1], result.score_mean, result.discounted_mean, fqe, own);
out:
  px_rollout_free(&result);
  rl_player_free(player);
  rl_policy_free(policy);
  px_actions_merged_free(u);
  px_dataset_free(ds);
  free(spaces);
  return status;
}

int main(int argc, char **argv) {
  struct px_err err = { 0 };
  const int helper = helpers_main(argc, argv);
  if (helper >= 0) return helper;
  if (argc < 5 || argc > 16) {
    fprintf(stderr, "usage: %s FILE ENV ALGO UPDATES [SEED [NAME=NUMBER...]]\n", argv[0]);
    return 2;
  }
  if (bench(argc, argv, &err) == PX_OK) return 0;
  fprintf(stderr, "%s\n", err.message);
  return 1;
}
