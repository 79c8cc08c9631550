/* SPDX-License-Identifier: Apache-2.0 */
/* The arena of a training: it bounds what an algorithm takes, and the plan's estimate covers it. */
#include <string.h>

#include "lib/base/fail.h"
#include "lib/flow/estimate.h"
#include "lib/rl/algo/cql.h"
#include "tests/support/rl_world.h"

static size_t bytes_of(const struct rl_data *d, const struct rl_spec *spec) {
  struct px_arena *arena = px_arena_new(RL_ARENA_BYTES_MAX);
  struct px_err err;
  void *state;
  CU_OK(rl_algo_find(spec->algo)->init(arena, spec, d, &state, &err), err);
  CU_ASSERT_FALSE(px_arena_ran_out(arena));
  const size_t bytes = px_arena_used_bytes(arena);
  px_arena_free(arena);
  return bytes;
}

static void runs_out_of(const struct rl_data *d, const struct rl_spec *spec, size_t bytes) {
  struct px_arena *arena = px_arena_new(bytes);
  struct px_err err = { 0 };
  void *state;
  CU_ASSERT_EQUAL(rl_algo_find(spec->algo)->init(arena, spec, d, &state, &err), PX_E_NO_MEMORY);
  CU_ASSERT_TRUE(strncmp(err.message, "no memory for ", 14) == 0);
  px_arena_free(arena);
}

static void with_every_algorithm(void (*check)(const struct rl_data *d, struct rl_spec *spec)) {
  for (const struct flow_field *one = flow_algos; one->name; one++)
    for (int discrete = 0; discrete <= 1; discrete++) {
      struct rl_world w;
      struct rl_data *d;
      struct px_err err;
      if (!flow_algo_learns(one->name, discrete)) continue;
      struct rl_spec spec = rl_world_spec(one->name, 10);
      rl_world_open(&w);
      if (discrete) rl_world_discrete(&w);
      CU_OK(rl_data_new(&w.u, &spec, &d, &err), err);
      check(d, &spec);
      rl_data_free(d);
      rl_world_close(&w);
    }
}

/* Wherever the arena runs out, in the first piece or the last. */
static void fails_wherever(const struct rl_data *d, struct rl_spec *spec) {
  enum { PLACES = 20 };
  if (rl_has(spec, "pretrain")) rl_world_set(spec, "pretrain", 0.5);
  const size_t bytes = bytes_of(d, spec);
  for (size_t i = 0; i < PLACES; i++) runs_out_of(d, spec, bytes * i / PLACES);
  runs_out_of(d, spec, bytes - 1);
}

static void an_algorithm_fails_wherever_its_arena_runs_out(void) {
  with_every_algorithm(fails_wherever);
}

/* ---- the estimate */

static json_t *policy_of(const struct rl_spec *spec) {
  json_t *policy = json_pack("{s:s}", "algo", spec->algo);
  const struct flow_field *options = flow_algo_options(spec->algo);
  for (size_t i = 0; options[i].name; i++)
    if (options[i].type == FLOW_INT || options[i].type == FLOW_NUMBER)
      json_object_set_new(policy, options[i].name, json_real(rl_option(spec, options[i].name)));
  return json_pack("{s:o}", "policy", policy);
}

static void is_covered(const struct rl_data *d, struct rl_spec *spec) {
  static const struct {
    double hidden, layers, batch, actions;
  } sizes[] = { { 32, 2, 32, 4 }, { 256, 2, 256, 4 }, { 64, 1, 1024, 64 } };
  const struct px_dataset *ds = d->ds;
  const struct flow_dims dims = { ds->spaces.obs_dim, ds->spaces.act_dim, ds->spaces.act_count };
  const struct flow_size size = { (double)ds->steps_n, ds->traj_n, 1e4, 1 };
  const int64_t process = 96 << 20; /* of the estimate, for the program itself */
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    rl_world_set(spec, "hidden", sizes[i].hidden), rl_world_set(spec, "layers", sizes[i].layers);
    rl_world_set(spec, "batch", sizes[i].batch);
    if (rl_has(spec, "n_action_samples")) rl_world_set(spec, "n_action_samples", sizes[i].actions);
    json_t *policy = policy_of(spec);
    const struct flow_cost cost = flow_estimate(FLOW_TRAIN_POLICY, policy, &dims, &size);
    CU_ASSERT_TRUE((int64_t)bytes_of(d, spec) < cost.memory_bytes - process);
    json_decref(policy);
  }
}

static void the_estimate_covers_what_every_algorithm_takes(void) {
  with_every_algorithm(is_covered);
}

/* Many sampled actions of many dimensions outweigh the nets. */
static void the_estimate_covers_actions_that_cql_samples(void) {
  const struct flow_dims dims = { 20, 48, 0 };
  const struct flow_size size = { 1, 1, 1, 1 };
  const int64_t process = 96 << 20;
  struct px_arena *arena = px_arena_new(RL_ARENA_BYTES_MAX);
  struct rl_spec spec = rl_world_spec("cql", 10);
  struct cql *t;
  struct px_err err;
  rl_world_set(&spec, "batch", 2048), rl_world_set(&spec, "n_action_samples", 32);
  CU_OK(cql_new(arena, &spec, dims.obs_dim, dims.act_dim, &t, &err), err);
  json_t *policy = policy_of(&spec);
  const struct flow_cost cost = flow_estimate(FLOW_TRAIN_POLICY, policy, &dims, &size);
  CU_ASSERT_TRUE((int64_t)px_arena_used_bytes(arena) < cost.memory_bytes - process);
  json_decref(policy);
  px_arena_free(arena);
}

CU_MAIN("rl arena", T(an_algorithm_fails_wherever_its_arena_runs_out),
        T(the_estimate_covers_what_every_algorithm_takes),
        T(the_estimate_covers_actions_that_cql_samples))
