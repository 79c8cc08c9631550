/* SPDX-License-Identifier: Apache-2.0 */
/* Averaged weights: what is published is the average over the updates, of every algorithm. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/rl/rl_ema.h"
#include "lib/rl/rl_policy.h"
#include "tests/support/rl_world.h"

enum { UPDATES = 12 };

static void with_every_algorithm(void (*check)(const struct rl_world *w, const char *algo)) {
  for (const struct flow_field *one = flow_algos; one->name; one++)
    for (int discrete = 0; discrete <= 1; discrete++) {
      struct rl_world w;
      if (!flow_algo_learns(one->name, discrete)) continue;
      rl_world_open(&w);
      if (discrete) rl_world_discrete(&w);
      check(&w, one->name);
      rl_world_close(&w);
    }
}

static void three_numbers_are_averaged_as_by_hand(void) {
  struct px_arena *arena = px_arena_new(RL_ARENA_BYTES_MAX);
  float weights[] = { 1, -2, 0 };
  struct rl_ema e;
  struct px_err err;
  CU_OK(rl_ema_init(arena, &e, 0.25, (struct rl_weights){ weights, 3 }, &err), err);
  weights[0] = 3, weights[1] = 0;
  rl_ema_step(&e); /* keeps 2/11 of (1, -2, 0) */
  weights[0] = 5, weights[2] = 4;
  rl_ema_step(&e); /* keeps 3/12 */
  rl_ema_step(&e); /* keeps 0.25 and not 4/13 */
  CU_ASSERT_DOUBLE_EQUAL(e.mean[0], 5 + (3 - 2 * 2 / 11. - 5) / 16, 1e-6);
  CU_ASSERT_DOUBLE_EQUAL(e.mean[1], -2 * 2 / 11. / 16, 1e-6);
  CU_ASSERT_DOUBLE_EQUAL(e.mean[2], 4 - 4 / 16., 1e-6);
  rl_ema_finish(&e);
  CU_ASSERT_EQUAL(memcmp(weights, e.mean, sizeof weights), 0);
  px_arena_free(arena);
}

static const float *weights_of(const struct rl_policy *p) {
  return p->kind == RL_TRANSFORMER ? p->sequence.net->params : p->nets[RL_ACTOR]->params;
}

static struct rl_policy *trained(const struct rl_world *w, const struct rl_spec *spec) {
  struct rl_policy *policy;
  struct rl_metrics metrics;
  struct px_err err;
  CU_OK(rl_train(spec, &w->u, NULL, NULL, &policy, &metrics, &err), err);
  return policy;
}

/* How many of the weights are published as they are: cql folds its spread into the last layer. */
static size_t comparable(const struct rl_world *w, const struct rl_policy *p, size_t n) {
  if (strcmp(p->spec.algo, "cql") != 0 || w->ds.spaces.act_count) return n;
  return px_mlp_layer(p->nets[RL_ACTOR], p->nets[RL_ACTOR]->shape.layers).weight;
}

/* The algorithm's own updates, averaged here in double precision. */
static void compare(const struct rl_world *w, const char *name, double decay) {
  struct px_arena *arena = px_arena_new(RL_ARENA_BYTES_MAX);
  struct rl_spec spec = rl_world_spec(name, UPDATES);
  const struct rl_algo *algo = rl_algo_find(name);
  struct rl_data *d;
  struct px_err err;
  void *state;
  double losses[RL_LOSSES_MAX] = { 0 }, apart = 0;
  rl_world_set(&spec, "ema", decay);
  CU_OK(rl_data_new(&w->u, &spec, &d, &err), err);
  CU_OK(algo->init(arena, &spec, d, &state, &err), err);
  const struct rl_weights last = algo->acting(state);
  double *mean = px_mem_calloc(last.n, sizeof *mean);
  for (size_t i = 0; i < last.n; i++) mean[i] = (double)last.data[i];
  for (uint64_t step = 0; step < UPDATES; step++) {
    algo->step(state, step, losses);
    const double n = (double)step + 1, keep = fmin(decay, (1 + n) / (10 + n));
    for (size_t i = 0; i < last.n; i++)
      mean[i] = keep * mean[i] + (1 - keep) * (double)last.data[i];
  }
  struct rl_policy *policy = trained(w, &spec);
  const float *published = weights_of(policy);
  for (size_t i = 0; i < comparable(w, policy, last.n); i++) {
    CU_ASSERT_DOUBLE_EQUAL(published[i], mean[i], decay > 0 ? 1e-6 : 0);
    apart += fabs((double)published[i] - (double)last.data[i]);
  }
  CU_ASSERT_EQUAL(apart > 0, decay > 0);
  rl_policy_free(policy);
  px_arena_free(arena);
  rl_data_free(d);
  free(mean);
}

static void publishes_the_average(const struct rl_world *w, const char *name) {
  compare(w, name, 0.4);
}
static void publishes_the_last(const struct rl_world *w, const char *name) { compare(w, name, 0); }

static void what_is_published_is_the_average_of_every_algorithm(void) {
  with_every_algorithm(publishes_the_average);
}
static void without_a_decay_it_is_the_last_weights(void) {
  with_every_algorithm(publishes_the_last);
}

CU_MAIN("rl_ema", T(three_numbers_are_averaged_as_by_hand),
        T(what_is_published_is_the_average_of_every_algorithm),
        T(without_a_decay_it_is_the_last_weights))
