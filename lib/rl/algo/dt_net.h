/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Decision Transformer's net (Chen et al. 2021, arXiv 2106.01345; its
 * stochastic head as in Online DT, Zheng et al. 2022, arXiv 2202.05607). Every
 * step of a trajectory is three tokens, return-to-go, state and action:
 *
 *   x = LN(W_r r + b_r + e_t), LN(W_s s + b_s + e_t), LN(W_a a + b_a + e_t)
 *
 * with an embedding e_t of the step's number; a causal transformer; and from each
 * state token's output mu and y (log sigma as in lib/nn/loss.h) or, for
 * discrete actions, which enter one-hot, logits. Used by dt.c and dt_actor.c.
 *
 * All parameters lie in one array. A net is shared between threads for reading;
 * a work belongs to one, and nothing is allocated by a step.
 */
#ifndef PX_RL_ALGO_DT_NET_H
#define PX_RL_ALGO_DT_NET_H

#include "lib/base/fail.h"
#include "lib/nn/transformer.h"

enum {
  DT_TOKENS = 3,
  DT_TIMESTEPS_MAX = 4096,
  DT_TENSORS_MAX = 16 + PX_TRANSFORMER_LAYERS_MAX * PX_TRANSFORMER_TENSORS
};

struct dt_shape {
  uint32_t obs_dim;
  uint32_t act_dim; /* numbers of an action token; of discrete actions, how many there are */
  bool discrete;
  uint32_t context;   /* most steps of a sequence */
  uint32_t timesteps; /* embeddings; later steps share the last one */
  uint32_t width, layers, heads;
  float dropout;
};

struct dt_net {
  struct dt_shape shape;
  struct px_transformer_shape body;
  size_t params_n;
  float *params; /* [params_n] */
  size_t tensors_n;
  struct px_tensor tensors[DT_TENSORS_MAX];
};

/* BAD_FIELD for a shape out of bounds. Parameters are zero until initialised. */
enum px_status dt_net_new(const struct dt_shape *shape, struct dt_net **out,
                          struct px_err *err) PX_MUST_CHECK;
void dt_net_free(struct dt_net *net);
/* The same from an arena, which dt_net_free must not see. */
enum px_status dt_net_new_in(struct px_arena *arena, const struct dt_shape *shape,
                             struct dt_net **out, struct px_err *err) PX_MUST_CHECK;
/* A net on the heap with the same parameters. */
enum px_status dt_net_copy(const struct dt_net *net, struct dt_net **out) PX_MUST_CHECK;
void dt_net_init(struct dt_net *net, uint64_t seed);

/* Steps of sequences, one after another: step start[i] - start[0] is the i-th sequence's first. */
struct dt_steps {
  uint32_t seqs;
  const uint32_t *start; /* [seqs + 1] */
  const float *to_go;    /* [steps] scaled */
  const float *state;    /* [steps, O] normalised */
  const float *action;   /* [steps, A]; 0 where unknown, and at the last step when acting */
  const uint32_t *time;  /* [steps] the step's number in its episode */
  bool last_only;        /* outputs for each sequence's last step alone */
};

struct dt_work;
/* For at most `seqs` sequences of the net's context; all from the arena. */
enum px_status dt_work_new(struct px_arena *arena, const struct dt_net *net, uint32_t seqs,
                           struct dt_work **out) PX_MUST_CHECK;

/* [steps, or seqs if last_only, A] each: mu and y; or logits and NULL. They lie in `work` until the
 * next forward. */
struct dt_outputs {
  float *first, *second;
};
/* drop NULL: evaluation; its row0 counts tokens. */
struct dt_outputs dt_net_forward(const struct dt_net *net, struct dt_work *work,
                                 const struct dt_steps *steps,
                                 const struct px_transformer_drop *drop);
/* After it, with the same arguments: grads [params_n] = dL/dparams (+= if `add`) from those of the
 * outputs. */
void dt_net_backward(const struct dt_net *net, struct dt_work *work, const struct dt_steps *steps,
                     const struct px_transformer_drop *drop, const float *dfirst,
                     const float *dsecond, float *grads, bool add);

#endif
