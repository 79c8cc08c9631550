/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Environment steps per second on one core, beside MuJoCo's own share of them.
 *
 *   build/tests/bench/bench_env OUT.csv      (make bench-env)
 *
 * Rollouts of a uniform random policy and bare mj_step calls (the same number
 * of physics steps, the same kind of states) by turns, after a warm-up, in CPU
 * seconds of this thread; medians of the rounds and their spread.
 */
#include <mujoco/mujoco.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/base/fail.h"
#include "lib/base/rng.h"
#include "tests/bench/bench.h"
#include "worker/env/rollout.h"

enum { ROUNDS = 9, STEPS = 4000 };

struct bench {
  struct px_env *env;
  const struct px_env_info *info;
  struct px_rng rng;
  mjData *data;
};

/* Whole steps with observation, reward, termination and restarts. */
static enum px_status run_env(struct bench *bench, double *per_s, struct px_err *err) {
  float obs[PX_ENV_OBS_MAX], action[PX_ENV_ACT_MAX];
  struct px_env_step step = { .terminated = true };
  const double start = bench_cpu_s();
  for (uint64_t i = 0; i < STEPS; i++) {
    enum px_status status = PX_OK;
    if (step.terminated || step.truncated) status = px_env_reset(bench->env, 1, i, obs, err);
    for (uint32_t j = 0; j < bench->info->act_dim; j++)
      action[j] = bench->info->act_count ? (float)px_rng_below(&bench->rng, bench->info->act_count)
                                         : 2 * px_rng_float(&bench->rng) - 1;
    if (!status) status = px_env_step(bench->env, action, obs, &step, err);
    if (status) return status;
  }
  *per_s = STEPS / (bench_cpu_s() - start);
  return PX_OK;
}

/* The physics alone, starting again after 22 steps, a random episode's length on hopper and
 * walker2d. */
static double run_mujoco(struct bench *bench) {
  const mjModel *model = px_env_model(bench->env);
  const bool cheetah = model->nu == 6 && model->opt.integrator == mjINT_EULER;
  const int frame_skip = cheetah ? 5 : 4, length = cheetah ? PX_ENV_TIME_LIMIT : 22;
  const double start = bench_cpu_s();
  for (int i = 0; i < STEPS; i++) {
    if (i % length == 0) mj_resetData(model, bench->data);
    for (int j = 0; j < model->nu; j++) bench->data->ctrl[j] = 2 * px_rng_double(&bench->rng) - 1;
    for (int k = 0; k < frame_skip; k++) mj_step(model, bench->data);
  }
  return STEPS / (bench_cpu_s() - start);
}

static int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static enum px_status measure(const char *name, FILE *csv, struct px_err *err) {
  struct bench bench = { .rng = px_rng_at(1, px_rng_stream("bench", 0), 0) };
  double ours[ROUNDS + 1], mujoco[ROUNDS + 1];
  enum px_status status = px_env_open(name, &bench.env, err);
  if (status) return status;
  bench.info = px_env_info(bench.env);
  if (px_env_model(bench.env)) bench.data = mj_makeData(px_env_model(bench.env));
  for (int i = 0; i <= ROUNDS && !status; i++) { /* round 0 warms up */
    status = run_env(&bench, &ours[i], err);
    mujoco[i] = bench.data ? run_mujoco(&bench) : NAN;
  }
  if (bench.data) mj_deleteData(bench.data);
  px_env_close(bench.env);
  if (status) return status;
  qsort(ours + 1, ROUNDS, sizeof *ours, ascending);
  qsort(mujoco + 1, ROUNDS, sizeof *mujoco, ascending);
  /* nan: without MuJoCo */
  const double median = ours[1 + ROUNDS / 2], alone = mujoco[1 + ROUNDS / 2];
  printf("%-12s %6.0f steps/s [%.0f, %.0f]   MuJoCo alone %6.0f   share %.2f\n", name, median,
         ours[1], ours[ROUNDS], alone, median / alone);
  fprintf(csv, "%s,%.0f,%.0f,%.0f,%.0f,%.3f\n", name, median, ours[1], ours[ROUNDS], alone,
          median / alone);
  return PX_OK;
}

int main(int argc, char **argv) {
  FILE *csv = argc > 1 ? fopen(argv[1], "w") : NULL;
  if (!csv) {
    fprintf(stderr, "usage: %s OUT.csv\n", argv[0]);
    return 2;
  }
  struct px_err err;
  enum px_status status = PX_OK;
  fputs("env,steps_per_s_median,least,most,mujoco_alone_per_s,share\n", csv);
  for (size_t i = 0; px_env_at(i) && !status; i++) status = measure(px_env_at(i)->name, csv, &err);
  if (status) fprintf(stderr, "%s\n", err.message);
  fclose(csv);
  return status ? 1 : 0;
}
