/* SPDX-License-Identifier: Apache-2.0 */
/* The Decision Transformer: what a batch holds, and what gradients are. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/data/actions_merged.h"
#include "lib/data/dataset.h"
#include "lib/nn/loss.h"
#include "lib/rl/algo/dt.h"
#include "tests/support/cu.h"
#include "tests/support/dt_world.h"

enum { O = DT_WORLD_OBS, A = DT_WORLD_ACT, TRAJ_N = DT_WORLD_TRAJ_N, CLASSES = DT_WORLD_CLASSES };

/* ---- batches */

static struct dt_windows *windows_of(const struct dt_world *w, const struct rl_spec *spec,
                                     struct rl_data **data) {
  struct dt_windows *windows;
  struct px_err err;
  CU_OK(rl_data_new(&w->u, spec, data, &err), err);
  CU_OK(dt_windows_new(w->arena, *data, 0.5, &windows, &err), err);
  return windows;
}

/* The step of the dataset at the i-th place of a batch, found by its state. */
static uint64_t step_at(const struct dt_world *w, const struct rl_data *d, const struct dt_batch *b,
                        uint32_t i) {
  for (uint32_t traj = 0; traj < TRAJ_N; traj++) {
    if (b->time[i] > traj) continue;
    const float *s = w->ds.observations + (w->ds.obs_start[traj] + b->time[i]) * O;
    const float expected = (s[0] - d->mean[0]) * d->inv_scale[0];
    if (fabsf(b->state[i * O] - expected) < 1e-6F) return w->ds.step_start[traj] + b->time[i];
  }
  CU_FAIL_FATAL("no such state");
  return 0;
}

static void a_stretch_is_the_steps_up_to_any_with_a_known_action(void) {
  enum { SEQS = 300, CONTEXT = 6 };
  struct dt_world w;
  struct rl_data *d;
  struct dt_batch b;
  dt_world_open(&w, false);
  for (uint64_t step = 0; step < w.ds.steps_n; step += 5) w.u.source[step] = PX_SOURCE_NONE;
  const struct rl_spec spec = dt_world_spec(1);
  struct dt_windows *windows = windows_of(&w, &spec, &d);
  CU_ASSERT_EQUAL(windows->longest, TRAJ_N);
  dt_batch_init(w.arena, &b, SEQS, CONTEXT, O, A);
  dt_batch_draw(&b, windows, 3, 4);
  uint32_t losses = 0;
  for (uint32_t i = 0; i < SEQS; i++) {
    const uint64_t first = step_at(&w, d, &b, b.start[i]);
    const uint32_t n = b.start[i + 1] - b.start[i], traj = px_dataset_traj_of_step(&w.ds, first);
    const uint64_t left = w.ds.step_start[traj + 1] - first,
                   until = first + n - w.ds.step_start[traj];
    CU_ASSERT_EQUAL(n, until < CONTEXT ? until : CONTEXT);
    CU_ASSERT_EQUAL(w.u.source[first + n - 1], PX_SOURCE_TRUE); /* it ends at one with a loss */
    for (uint32_t k = 0; k < n; k++) {
      const uint32_t at = b.start[i] + k;
      const bool known = w.u.source[first + k] == PX_SOURCE_TRUE;
      CU_ASSERT_EQUAL(b.time[at], b.time[b.start[i]] + k);
      CU_ASSERT_EQUAL(step_at(&w, d, &b, at), first + k);
      CU_ASSERT_DOUBLE_EQUAL(b.to_go[at], 0.5 * (double)w.ds.rewards[first] * (double)(left - k),
                             1e-4);
      CU_ASSERT_EQUAL(b.weight[at], known ? 1 : 0);
      for (uint32_t j = 0; j < A; j++)
        CU_ASSERT_DOUBLE_EQUAL(b.action[at * A + j],
                               known ? w.u.actions[(first + k) * A + j] / 2 : 0, 1e-6);
      losses += known;
    }
  }
  CU_ASSERT_EQUAL(b.losses_n, losses);
  rl_data_free(d);
  dt_world_close(&w);
}

static void stretches_end_at_true_actions_in_the_share_asked_for(void) {
  enum { SEQS = 50, CONTEXT = 6 };
  struct dt_world w;
  struct rl_data *d;
  struct dt_batch b;
  dt_world_open(&w, false);
  for (uint64_t step = 0; step < w.ds.steps_n; step++)
    if (step % 10) w.u.source[step] = PX_SOURCE_PROXY;
  struct rl_spec spec = dt_world_spec(1);
  dt_world_set(&spec, "true_share", 0.7);
  struct dt_windows *windows = windows_of(&w, &spec, &d);
  dt_batch_init(w.arena, &b, SEQS, CONTEXT, O, A);
  for (uint64_t update = 0; update < 5; update++) {
    uint32_t true_n = 0;
    dt_batch_draw(&b, windows, 3, update);
    for (uint32_t i = 0; i < SEQS; i++)
      true_n += w.u.source[step_at(&w, d, &b, b.start[i + 1] - 1)] == PX_SOURCE_TRUE;
    CU_ASSERT_EQUAL(true_n, 35);
  }
  rl_data_free(d);
  dt_world_close(&w);
}

static void draws_are_uniform_over_steps_and_depend_on_seed_and_step_alone(void) {
  enum { SEQS = 8192 };
  struct dt_world w;
  struct rl_data *d;
  struct dt_batch b;
  dt_world_open(&w, true);
  const struct rl_spec spec = dt_world_spec(1);
  struct dt_windows *windows = windows_of(&w, &spec, &d);
  dt_batch_init(w.arena, &b, SEQS, 1, O, CLASSES);
  dt_batch_draw(&b, windows, 3, 4);
  double mean = 0;
  for (uint32_t i = 0; i < SEQS; i++) {
    mean += b.time[i] / (double)SEQS;
    for (int j = 0; j < CLASSES; j++)
      CU_ASSERT_EQUAL(b.action[i * CLASSES + j], (float)j == b.chosen[i]);
  }
  /* sum_T sum_{t < T} t / sum_T T = (40^2 - 1) / 3 / 41; its standard error here is 0.1 */
  CU_ASSERT_DOUBLE_EQUAL(mean, 13.0, 0.4);
  const uint32_t first = b.time[0], second = b.time[1], last = b.time[SEQS - 1];
  dt_batch_draw(&b, windows, 3, 5);
  CU_ASSERT_TRUE(b.time[0] != first || b.time[1] != second || b.time[SEQS - 1] != last);
  dt_batch_draw(&b, windows, 3, 4);
  CU_ASSERT_TRUE(b.time[0] == first && b.time[1] == second && b.time[SEQS - 1] == last);
  rl_data_free(d);
  dt_world_close(&w);
}

/* ---- gradients */

static void entropys_gradients_are_those_of_finite_differences(void) {
  enum { N = 8, D = 3 };
  struct px_rng rng = px_rng_at(9, 7, 0);
  float mu[N * D], y[N * D], noise[N * D], weight[N], grads[2][N * D], other[2][N * D];
  px_rng_normal(&rng, mu, N * D), px_rng_normal(&rng, y, N * D), px_rng_normal(&rng, noise, N * D);
  for (int i = 0; i < N; i++) weight[i] = px_rng_float(&rng);
  /* it adds to what is there */
  for (int i = 0; i < N * D; i++) grads[0][i] = 5, grads[1][i] = 6;
  px_loss_squashed_entropy(N, D, mu, y, noise, weight, 1.0 / N, grads[0], grads[1]);
  for (int i = 0; i < 2 * N * D; i++) {
    float *at = i < N * D ? mu + i : y + (i - N * D);
    const double gradient = (double)(i < N * D ? grads[0][i] - 5 : grads[1][i - N * D] - 6);
    const float was = *at, step = 1e-3F;
    *at = was + step;
    const double above =
      px_loss_squashed_entropy(N, D, mu, y, noise, weight, 1.0 / N, other[0], other[1]);
    *at = was - step;
    const double below =
      px_loss_squashed_entropy(N, D, mu, y, noise, weight, 1.0 / N, other[0], other[1]);
    *at = was;
    CU_ASSERT_TRUE(fabs((above - below) / (2 * (double)step) - gradient) <
                   5e-3 * (1 + fabs(gradient)));
  }
}

static void check_gradients(bool discrete) {
  struct dt_world w;
  struct rl_data *d;
  dt_world_open(&w, discrete);
  for (uint64_t step = 0; step < w.ds.steps_n; step += 3) w.u.source[step] = PX_SOURCE_NONE;
  struct rl_spec spec = dt_world_spec(1);
  dt_world_set(&spec, "dropout", 0.2), dt_world_set(&spec, "batch", 4),
    dt_world_set(&spec, "temperature", 0.5);
  struct dt *dt = dt_world_training(&w, &spec, &d);
  double losses[DT_LOSSES_N];
  dt_gradients(dt, 7, losses);
  float *grads = px_mem_calloc(dt->net->params_n, sizeof *grads);
  memcpy(grads, dt->grads, dt->net->params_n * sizeof *grads);
  for (size_t i = 0; i < dt->net->params_n; i += i < 2000 ? 7 : 97) {
    float *at = dt->net->params + i;
    const float was = *at, step = 2e-3F;
    *at = was + step;
    dt_gradients(dt, 7, losses);
    const double above = losses[DT_LOSS];
    *at = was - step;
    dt_gradients(dt, 7, losses);
    *at = was;
    const double found = (above - losses[DT_LOSS]) / (2 * (double)step),
                 gradient = (double)grads[i];
    CU_ASSERT_TRUE(fabs(found - gradient) < 2e-2 * (1 + fabs(gradient)));
  }
  free(grads);
  rl_data_free(d);
  dt_world_close(&w);
}

static void gradients_are_those_of_finite_differences(void) {
  check_gradients(false);
  check_gradients(true);
}

static void chunks_add_up_to_the_whole_batch(void) {
  struct dt_world w;
  struct rl_data *d;
  double whole[DT_LOSSES_N], parts[DT_LOSSES_N];
  dt_world_open(&w, false);
  struct rl_spec spec = dt_world_spec(1);
  dt_world_set(&spec, "batch", 20), dt_world_set(&spec, "dropout", 0.2);
  struct dt *dt = dt_world_training(&w, &spec, &d);
  CU_ASSERT_EQUAL_FATAL(dt->chunk, 20);
  float *grads = px_mem_calloc(dt->net->params_n, sizeof *grads);
  dt_gradients(dt, 0, whole);
  memcpy(grads, dt->grads, dt->net->params_n * sizeof *grads);
  dt->chunk = 7;
  dt_gradients(dt, 0, parts);
  for (int i = 0; i < DT_LOSS_NORM; i++)
    CU_ASSERT_DOUBLE_EQUAL(whole[i], parts[i], 1e-5 * (1 + fabs(whole[i])));
  double largest = 0, apart = 0;
  for (size_t i = 0; i < dt->net->params_n; i++) {
    largest = fmax(largest, fabs((double)grads[i]));
    apart = fmax(apart, fabs((double)grads[i] - (double)dt->grads[i]));
  }
  CU_ASSERT_TRUE(apart < 2e-6 * largest);
  free(grads);
  rl_data_free(d);
  dt_world_close(&w);
}

static void an_unknown_action_is_neither_seen_nor_learned(void) {
  struct dt_world w[2];
  struct rl_data *d[2];
  struct dt *dt[2];
  double losses[2][DT_LOSSES_N];
  const struct rl_spec spec = dt_world_spec(1);
  for (int i = 0; i < 2; i++) {
    dt_world_open(&w[i], false);
    for (uint64_t step = 0; step < w[i].ds.steps_n; step += 2) {
      w[i].u.source[step] = PX_SOURCE_NONE;
      w[i].u.actions[step * A] = (float)i; /* whatever stands there */
    }
    dt[i] = dt_world_training(&w[i], &spec, &d[i]);
    dt_gradients(dt[i], 0, losses[i]);
  }
  CU_ASSERT_TRUE(dt[0]->batch.losses_n > 0 && dt[0]->batch.losses_n < dt[0]->batch.start[32]);
  CU_ASSERT_EQUAL(losses[0][DT_LOSS], losses[1][DT_LOSS]);
  CU_ASSERT_EQUAL(memcmp(dt[0]->grads, dt[1]->grads, dt[0]->net->params_n * sizeof(float)), 0);
  for (int i = 0; i < 2; i++) rl_data_free(d[i]), dt_world_close(&w[i]);
}

CU_MAIN("dt", T(a_stretch_is_the_steps_up_to_any_with_a_known_action),
        T(draws_are_uniform_over_steps_and_depend_on_seed_and_step_alone),
        T(stretches_end_at_true_actions_in_the_share_asked_for),
        T(entropys_gradients_are_those_of_finite_differences),
        T(gradients_are_those_of_finite_differences), T(chunks_add_up_to_the_whole_batch),
        T(an_unknown_action_is_neither_seen_nor_learned))
