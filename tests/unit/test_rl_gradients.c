/* SPDX-License-Identifier: Apache-2.0 */
/* The policy algorithms' gradients, from weighted batches, beside finite differences of their
 * losses. The golden tests compare them with an independent implementation; this one needs nothing
 * but the losses themselves. */
#include <math.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/rl/algo/awac.h"
#include "lib/rl/algo/iql.h"
#include "lib/rl/algo/rebrac.h"
#include "tests/support/cu.h"

enum { B = 12, O = 4, A = 2, COUNT = 3 };

struct option {
  const char *name;
  double value;
};

/* Nets that stay where they are, so that losses can be compared. */
static struct rl_spec still(const char *algo, const struct option *options, size_t n) {
  static const struct option common[] = {
    { "hidden", 16 }, { "batch", B }, { "lr", 1e-8 }, { "tau", 0 }
  };
  struct rl_spec spec;
  struct px_err err;
  CU_OK(rl_spec_defaults(algo, &spec, &err), err);
  for (size_t i = 0; i < sizeof common / sizeof *common; i++)
    CU_OK(rl_spec_set(&spec, common[i].name, common[i].value, &err), err);
  for (size_t i = 0; i < n; i++)
    CU_OK(rl_spec_set(&spec, options[i].name, options[i].value, &err), err);
  return spec;
}

static void fill(struct rl_batch *b, uint32_t act_count) {
  struct px_rng rng = px_rng_at(11, 7, 0);
  px_rng_normal(&rng, b->s, B * O);
  px_rng_normal(&rng, b->s2, B * O);
  px_rng_normal(&rng, b->reward, B);
  for (uint32_t i = 0; i < B; i++) {
    b->not_done[i] = i % 5 != 0;
    b->weight[i] = 0.2F + 1.6F * px_rng_float(&rng);
    for (uint32_t j = 0; j < b->act_dim; j++)
      b->action[i * b->act_dim + j] =
        act_count ? (float)(i % act_count) : 1.8F * px_rng_float(&rng) - 0.9F;
  }
}

/* An algorithm under test: its update, and how to read a loss off what that gives (first: before
 * any change). */
struct subject {
  void *state;
  void (*update)(void *state, double losses[RL_LOSSES_MAX]);
  double (*loss)(const double losses[RL_LOSSES_MAX], const double first[RL_LOSSES_MAX], int which);
};

/* Every seventh parameter; float32 leaves an error of about 1e-3, kinks of ReLU more, but
 * rarely. */
static void check(const struct subject *t, float *params, const float *grads, size_t n, int which) {
  static float gradient[1 << 14];
  const float step = 1e-3F;
  double first[RL_LOSSES_MAX] = { 0 }, losses[RL_LOSSES_MAX] = { 0 };
  int far = 0, some = 0;
  CU_ASSERT_TRUE_FATAL(n <= sizeof gradient / sizeof *gradient);
  t->update(t->state, first);
  memcpy(gradient, grads, n * sizeof *grads);
  for (size_t i = n < 7 ? 0 : 3; i < n; i += n < 7 ? 1 : 7) {
    const float was = params[i];
    params[i] = was + step;
    t->update(t->state, losses);
    const double above = t->loss(losses, first, which);
    params[i] = was - step;
    t->update(t->state, losses);
    const double found = (above - t->loss(losses, first, which)) / (2 * (double)step);
    params[i] = was;
    far += fabs(found - (double)gradient[i]) > 5e-3 * (1 + fabs(found));
    some += fabs(found) > 1e-2;
  }
  CU_ASSERT_TRUE(some > 0);
  CU_ASSERT_TRUE(far <= (int)n / 7 / 50);
}

static void check_net(const struct subject *t, struct rl_net *net, int which) {
  check(t, net->net->params, net->grads, net->net->params_n, which);
}

static double as_told(const double losses[RL_LOSSES_MAX], const double first[RL_LOSSES_MAX],
                      int which) {
  (void)first;
  return losses[which];
}

/* ---- iql */

static void update_iql(void *state, double losses[RL_LOSSES_MAX]) { iql_update(state, 0, losses); }

static void check_iql(double actor, uint32_t act_dim, uint32_t act_count, double layer_norm,
                      double values) {
  struct px_arena *arena = px_arena_new(RL_ARENA_BYTES_MAX);
  const struct option options[] = { { "actor", actor },
                                    { "layer_norm", layer_norm },
                                    { "values", values } };
  const struct rl_spec spec = still("iql", options, 3);
  struct px_err err;
  struct iql *q;
  CU_OK(iql_new(arena, &spec, O, act_dim, act_count, &q, &err), err);
  const struct subject t = { q, update_iql, as_told };
  fill(&q->batch, act_count);
  check_net(&t, &q->value, IQL_LOSS_VALUE);
  for (int i = 0; i < 2 && values == 0; i++) check_net(&t, &q->critic[i], IQL_LOSS_CRITIC);
  check_net(&t, &q->actor, IQL_LOSS_ACTOR);
  if (actor == 0 && !act_count) check(&t, q->log_sigma, q->dlog_sigma, A, IQL_LOSS_ACTOR);
  px_arena_free(arena);
}

static void those_of_iql_are_right(void) {
  check_iql(0, A, 0, 0, 0);
  check_iql(1, A, 0, 1, 0);
  check_iql(0, 1, COUNT, 0, 0);
  check_iql(0, A, 0, 0, 1);
}

/* ---- awac */

static void update_awac(void *state, double losses[RL_LOSSES_MAX]) { awac_update(state, losses); }

static void check_awac(double layer_norm) {
  struct px_arena *arena = px_arena_new(RL_ARENA_BYTES_MAX);
  /* The weights are constants to the gradient, but not to the loss: here they are nearly 1. */
  const struct option options[] = { { "lambda", 1e6 }, { "layer_norm", layer_norm } };
  const struct rl_spec spec = still("awac", options, 2);
  struct px_rng rng = px_rng_at(12, 7, 0);
  struct px_err err;
  struct awac *w;
  CU_OK(awac_new(arena, &spec, O, A, &w, &err), err);
  const struct subject t = { w, update_awac, as_told };
  fill(&w->batch, 0);
  px_rng_normal(&rng, w->noise, B * A);
  px_rng_normal(&rng, w->next_noise, B * A);
  for (int i = 0; i < 2; i++) check_net(&t, &w->critic[i], AWAC_LOSS_CRITIC);
  check_net(&t, &w->actor, AWAC_LOSS_ACTOR);
  px_arena_free(arena);
}

static void those_of_awac_are_right(void) {
  check_awac(0);
  check_awac(1);
}

/* ---- rebrac */

static void update_rebrac(void *state, double losses[RL_LOSSES_MAX]) {
  rebrac_update(state, 0, losses);
}

/* The actor's Q is divided by a number that is a constant to the gradient: that of the first
 * losses. */
static double rebrac_loss(const double losses[RL_LOSSES_MAX], const double first[RL_LOSSES_MAX],
                          int which) {
  if (which != REBRAC_LOSS_ACTOR) return losses[which];
  const double pull = (first[REBRAC_LOSS_BC] - first[REBRAC_LOSS_ACTOR]) / first[REBRAC_Q];
  return losses[REBRAC_LOSS_BC] - pull * losses[REBRAC_Q];
}

static void check_rebrac(double pretrain) {
  struct px_arena *arena = px_arena_new(RL_ARENA_BYTES_MAX);
  const struct option options[] = {
    { "policy_freq", 1 }, { "layers", 2 }, { "actor_bc_coef", 0.5 }, { "pretrain", pretrain }
  };
  const struct rl_spec spec = still("rebrac", options, 4);
  struct px_rng rng = px_rng_at(13, 7, 0);
  struct px_err err;
  struct rebrac *r;
  CU_OK(rebrac_new(arena, &spec, O, A, &r, &err), err);
  const struct subject t = { r, update_rebrac, rebrac_loss };
  fill(&r->batch, 0);
  px_rng_normal(&rng, r->noise, B * A);
  for (int i = 0; i < B * A; i++) r->batch.next_action[i] = 2 * px_rng_float(&rng) - 1;
  for (int i = 0; i < B; i++) r->batch.next_weight[i] = i % 3 ? 0.7F : 0;
  for (int i = 0; i < 2; i++) rl_net_scale_output(r->critic[i].net, 50); /* it starts small */
  if (pretrain > 0) {
    r->to_go = px_mem_calloc(B, sizeof *r->to_go);
    px_rng_normal(&rng, r->to_go, B);
    for (uint32_t i = 0; i < B; i++) r->batch.index[i] = i;
  }
  for (int i = 0; i < 2; i++) check_net(&t, &r->critic[i], REBRAC_LOSS_CRITIC);
  check_net(&t, &r->actor, pretrain > 0 ? REBRAC_LOSS_BC : REBRAC_LOSS_ACTOR);
  px_arena_free(arena);
}

static void those_of_rebrac_are_right(void) { check_rebrac(0); }
static void those_of_rebracs_pretraining_are_right(void) { check_rebrac(1); }

CU_MAIN("rl_gradients", T(those_of_iql_are_right), T(those_of_awac_are_right),
        T(those_of_rebrac_are_right), T(those_of_rebracs_pretraining_are_right))
