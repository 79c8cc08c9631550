/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a policy is inside. Used by rl_policy.c (acting), rl_policy_file.c (its
 * file) and rl_player.c (episodes); everybody else sees rl.h.
 */
#ifndef PX_RL_RL_POLICY_H
#define PX_RL_RL_POLICY_H

#include "lib/base/fail.h"
#include "lib/rl/algo/dt_actor.h"
#include "lib/rl/rl.h"

enum { RL_ACTOR, RL_CRITIC, RL_NETS_N };

struct rl_policy {
  struct rl_spec spec;
  bool has_spec; /* a loaded policy keeps no spec: its metadata has it */
  double gamma;  /* the critic's discount; 1: not known */
  enum rl_policy_kind kind;
  uint32_t obs_dim, act_dim;
  uint32_t act_count; /* of discrete actions; 0: they are continuous */
  /* [O] scale is infinite where a dimension is left out */
  float *mean, *scale, *inv_scale;
  /* bound of normalised observations; infinite in files of older versions */
  float clip;
  float *low, *high;              /* [A] */
  struct px_mlp *nets[RL_NETS_N]; /* the critic may be NULL; transformer: both are */
  struct px_mlp_work *works[RL_NETS_N];
  /* [PX_MLP_CHUNK, O], [PX_MLP_CHUNK, O + A], [PX_MLP_CHUNK, A] scratch */
  float *s, *sa, *y;
  struct rl_sequence sequence; /* transformer only */
  struct dt_actor *newcomer;   /* transformer only: looks at first steps */
};

/* Zeroed, with room for the statistics; NULL when out of memory. */
struct rl_policy *rl_policy_alloc(uint32_t obs_dim, uint32_t act_dim);
/* What acting needs beside the nets, once these are there. */
enum px_status rl_policy_ready(struct rl_policy *policy, struct px_err *err) PX_MUST_CHECK;
/* obs [n, O] as in the dataset, n <= PX_MLP_CHUNK -> policy->s, normalised. */
void rl_policy_normalise(struct rl_policy *policy, const float *obs, uint32_t n);
/* y [n, A], in (-1, 1) or class indices, in the declared range -> actions, y may be actions. */
void rl_policy_scale(const struct rl_policy *policy, const float *y, uint32_t n, float *actions);

#endif
