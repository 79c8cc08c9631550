/* SPDX-License-Identifier: Apache-2.0 */
/* Conservative Q-learning: its fan of actions against its naive twin, batches over a chunk, what it
 * learns. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/rl/algo/cql.h"
#include "tests/support/cu.h"

enum { O = 5, A = 2 };

static float *normals(struct px_rng *rng, size_t n) {
  float *x = px_mem_calloc(n, sizeof *x);
  CU_ASSERT_PTR_NOT_NULL_FATAL(x);
  px_rng_normal(rng, x, n);
  return x;
}

/* ---- the fan */

/* As the fan, by a row (s, a) for every action. */
static void naive(const struct px_mlp *net, uint32_t n, uint32_t times, const float *s,
                  const float *actions, const float *dy, float *y, float *grads) {
  struct px_mlp_work *work;
  const uint32_t rows = n * times;
  float *x = px_mem_calloc(rows, (O + A) * sizeof *x);
  CU_ASSERT_EQUAL_FATAL(px_mlp_work_new(&net->shape, rows, &work), PX_OK);
  for (uint32_t i = 0; i < rows; i++) {
    memcpy(x + i * (O + A), s + i / times * O, O * sizeof *x);
    memcpy(x + i * (O + A) + O, actions + i * A, A * sizeof *x);
  }
  memcpy(y, px_mlp_forward(net, work, x, rows, NULL), rows * sizeof *y);
  px_mlp_backward(net, work, x, rows, dy, grads, false, NULL);
  px_mlp_work_free(work);
  free(x);
}

/* hidden: also beyond whole blocks of units, and below one. */
static void check_fan(uint32_t hidden, uint32_t layers) {
  struct px_arena *arena = px_arena_new(RL_ARENA_BYTES_MAX);
  enum { N = 6, TIMES = 7, ROWS = N * TIMES };
  const struct px_mlp_shape shape = { .in = O + A, .out = 1, .hidden = hidden, .layers = layers };
  struct px_rng rng = px_rng_at(1, hidden, layers);
  struct px_mlp *net;
  struct px_multi_action *multi;
  struct px_err err;
  float y[ROWS];
  CU_OK(px_mlp_new(&shape, &net, &err), err);
  CU_OK(px_mlp_init(net, PX_MLP_UNIFORM, 3, hidden), err);
  CU_OK(px_multi_action_new(arena, &shape, A, N, TIMES, &multi), err);
  float *s = normals(&rng, N * O), *actions = normals(&rng, ROWS * A), *dy = normals(&rng, ROWS);
  float *grads = normals(&rng, net->params_n), *expected = normals(&rng, net->params_n);
  naive(net, N, TIMES, s, actions, dy, y, expected);
  for (uint32_t at = 0, n; at < N; at += n) { /* four states, then the other two */
    n = at ? N - at : 4;
    const float *found =
      px_multi_action_forward(net, multi, s + at * O, actions + at * TIMES * A, n);
    for (uint32_t i = 0; i < n * TIMES; i++)
      CU_ASSERT_DOUBLE_EQUAL(found[i], y[at * TIMES + i], 2e-6);
    px_multi_action_backward(net, multi, s + at * O, actions + at * TIMES * A, n, dy + at * TIMES,
                             grads, at > 0);
  }
  for (size_t i = 0; i < net->params_n; i++) CU_ASSERT_DOUBLE_EQUAL(grads[i], expected[i], 2e-5);
  free(s), free(actions), free(dy), free(grads), free(expected);
  px_arena_free(arena);
  px_mlp_free(net);
}

static void a_fan_of_actions_gives_what_repeated_states_give(void) {
  check_fan(32, 1);
  check_fan(64, 2);
  check_fan(150, 3);
}

static void a_fan_passes_not_a_number_on(void) {
  struct px_arena *arena = px_arena_new(RL_ARENA_BYTES_MAX);
  const struct px_mlp_shape shape = { .in = O + A, .out = 1, .hidden = 64, .layers = 2 };
  struct px_mlp *net;
  struct px_multi_action *multi;
  struct px_err err;
  const float s[O] = { NAN }, actions[3 * A] = { 0 };
  CU_OK(px_mlp_new(&shape, &net, &err), err);
  CU_OK(px_mlp_init(net, PX_MLP_UNIFORM, 3, 1), err);
  CU_OK(px_multi_action_new(arena, &shape, A, 1, 3, &multi), err);
  CU_ASSERT_TRUE(isnan(px_multi_action_forward(net, multi, s, actions, 1)[2]));
  px_arena_free(arena);
  px_mlp_free(net);
}

/* ---- updates */

static struct rl_spec small(uint32_t batch) {
  struct rl_spec spec;
  struct px_err err;
  CU_OK(rl_spec_defaults("cql", &spec, &err), err);
  CU_OK(rl_spec_set(&spec, "hidden", 32, &err), err);
  CU_OK(rl_spec_set(&spec, "n_action_samples", 4, &err), err);
  CU_OK(rl_spec_set(&spec, "backward_actions", 0, &err), err);
  CU_OK(rl_spec_set(&spec, "batch", batch, &err), err);
  return spec;
}

static void copy(float *to, const float *from, size_t n, int times) {
  for (int i = 0; i < times; i++) memcpy(to + (size_t)i * n, from, n * sizeof *to);
}

/* The same batch `times` times over has the same mean losses and gradients. */
static void repeat(struct cql *to, const struct cql *from, int times) {
  const size_t n = from->batch.n, many = n * from->times * A;
  copy(to->batch.s, from->batch.s, n * O, times), copy(to->batch.s2, from->batch.s2, n * O, times);
  copy(to->batch.action, from->batch.action, n * A, times),
    copy(to->batch.reward, from->batch.reward, n, times);
  copy(to->batch.not_done, from->batch.not_done, n, times),
    copy(to->batch.weight, from->batch.weight, n, times);
  copy(to->noise.pi, from->noise.pi, n * A, times),
    copy(to->noise.next, from->noise.next, n * A, times);
  copy(to->noise.here, from->noise.here, many, times),
    copy(to->noise.there, from->noise.there, many, times);
  copy(to->noise.uniform, from->noise.uniform, many, times);
}

static void fill(struct cql *t) {
  struct px_rng rng = px_rng_at(3, 1, 4);
  const size_t n = t->batch.n, many = n * t->times * A;
  px_rng_normal(&rng, t->batch.s, n * O), px_rng_normal(&rng, t->batch.s2, n * O);
  px_rng_normal(&rng, t->batch.reward, n);
  px_rng_normal(&rng, t->noise.pi, n * A), px_rng_normal(&rng, t->noise.next, n * A);
  px_rng_normal(&rng, t->noise.here, many), px_rng_normal(&rng, t->noise.there, many);
  for (size_t i = 0; i < n * A; i++) t->batch.action[i] = 2 * px_rng_float(&rng) - 1;
  for (size_t i = 0; i < many; i++) t->noise.uniform[i] = 2 * px_rng_float(&rng) - 1;
  for (size_t i = 0; i < n; i++)
    t->batch.not_done[i] = 1, t->batch.weight[i] = 2 * px_rng_float(&rng);
}

static void expect_same(const struct rl_net *one, const struct rl_net *two) {
  for (size_t i = 0; i < one->net->params_n; i++)
    CU_ASSERT_DOUBLE_EQUAL(one->grads[i], two->grads[i], 2e-5);
}

static void batches_over_one_chunk_update_like_one_chunk(void) {
  struct px_arena *arena = px_arena_new(RL_ARENA_BYTES_MAX);
  struct px_err err;
  struct cql *t[2];
  double losses[2][RL_LOSSES_MAX];
  for (uint32_t i = 0; i < 2; i++) {
    const struct rl_spec spec = small(i ? 3 * 220 : 220); /* 660 rows are two chunks */
    CU_OK(cql_new(arena, &spec, O, A, &t[i], &err), err);
  }
  fill(t[0]);
  repeat(t[1], t[0], 3);
  for (int i = 0; i < 2; i++) cql_update(t[i], 0, losses[i]);
  for (int i = 0; i < RL_LOSSES_MAX; i++) CU_ASSERT_DOUBLE_EQUAL(losses[0][i], losses[1][i], 1e-5);
  expect_same(&t[0]->actor, &t[1]->actor);
  expect_same(&t[0]->critic[0], &t[1]->critic[0]);
  expect_same(&t[0]->critic[1], &t[1]->critic[1]);
  for (int k = 0; k < 2; k++)
    CU_ASSERT_DOUBLE_EQUAL(t[0]->spread_grads[k], t[1]->spread_grads[k], 1e-5);
  px_arena_free(arena);
}

static void the_gradient_through_drawn_actions_has_the_mean_of_all(void) {
  struct px_arena *arena = px_arena_new(RL_ARENA_BYTES_MAX);
  enum { DRAWS = 300 };
  struct px_err err;
  struct cql *t[2];
  double losses[RL_LOSSES_MAX];
  for (uint32_t i = 0; i < 2; i++) {
    struct rl_spec spec = small(6);
    CU_OK(rl_spec_set(&spec, "backward_actions", i * 2, &err), err);
    CU_OK(rl_spec_set(&spec, "lr", 1e-8, &err), err); /* so that the nets stay as they are */
    CU_OK(rl_spec_set(&spec, "actor_lr", 1e-8, &err), err);
    CU_OK(cql_new(arena, &spec, O, A, &t[i], &err), err);
  }
  fill(t[0]);
  repeat(t[1], t[0], 1);
  cql_update(t[0], 0, losses);
  const struct rl_net *all = &t[0]->critic[1], *few = &t[1]->critic[1];
  double *mean = px_mem_calloc(all->net->params_n, sizeof *mean), apart = 0, off = 0, size = 0;
  for (int draw = 0; draw < DRAWS; draw++) {
    for (int i = 0; i < 2 * 6; i++) t[1]->noise.pick[i] = ((float)draw + 0.5F) / DRAWS;
    cql_update(t[1], 0, losses);
    for (size_t i = 0; i < all->net->params_n; i++) {
      mean[i] += (double)few->grads[i] / DRAWS;
      apart += pow((double)few->grads[i] - (double)all->grads[i], 2) / DRAWS;
    }
  }
  for (size_t i = 0; i < all->net->params_n; i++) {
    off += pow(mean[i] - (double)all->grads[i], 2);
    size += pow((double)all->grads[i], 2);
  }
  CU_ASSERT_TRUE(sqrt(off / size) < 0.01);
  CU_ASSERT_TRUE(sqrt(apart / size) > 0.05); /* each by itself is another gradient */
  free(mean);
  px_arena_free(arena);
}

/* How much more an action like the data's is worth than ones at the range's edges, after some
 * updates. */
static double preference(double conservative_weight) {
  struct px_arena *arena = px_arena_new(RL_ARENA_BYTES_MAX);
  struct px_err err;
  struct cql *t;
  double losses[RL_LOSSES_MAX], sum = 0;
  struct rl_spec spec = small(64);
  CU_OK(rl_spec_set(&spec, "conservative_weight", conservative_weight, &err), err);
  CU_OK(rl_spec_set(&spec, "lr", 3e-3, &err), err);
  CU_OK(cql_new(arena, &spec, O, A, &t, &err), err);
  fill(t);
  for (uint32_t i = 0; i < t->batch.n * A; i++) t->batch.action[i] *= 0.2F;
  for (uint64_t step = 0; step < 200; step++) cql_update(t, step, losses);
  for (uint32_t i = 0; i < t->batch.n; i++) {
    float sa[3 * (O + A)] = { 0 };
    for (int k = 0; k < 3; k++) memcpy(sa + k * (O + A), t->batch.s + i * O, O * sizeof *sa);
    for (int j = 0; j < A; j++) sa[O + A + O + j] = 0.9F, sa[2 * (O + A) + O + j] = -0.9F;
    const float *q = px_mlp_forward(t->critic[0].net, t->critic[0].work, sa, 3, NULL);
    sum += (double)(q[0] - 0.5F * (q[1] + q[2])) / t->batch.n;
  }
  px_arena_free(arena);
  return sum;
}

static void actions_that_the_data_lacks_are_worth_less(void) {
  CU_ASSERT_TRUE(fabs(preference(0)) < 1);
  CU_ASSERT_TRUE(preference(5) > 2);
}

CU_MAIN("cql", T(a_fan_of_actions_gives_what_repeated_states_give), T(a_fan_passes_not_a_number_on),
        T(batches_over_one_chunk_update_like_one_chunk),
        T(the_gradient_through_drawn_actions_has_the_mean_of_all),
        T(actions_that_the_data_lacks_are_worth_less))
