/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Offline RL on true and proxy transitions: one small interface and a table of
 * algorithms. Used by the policy jobs, rollouts, golden tests and benchmarks.
 *
 * A new algorithm is one file with one struct rl_algo, a row in
 * schema/algos.def and its options in lib/flow/algos.c. A policy carries all that is needed to act
 * on raw observations and in the declared action range.
 *
 * Observations are normalised by mean and std over ALL trajectories, labelled or
 * not, and kept within +-RL_CLIP. A dimension is left out, so its input is 0,
 * where it is constant in the transitions used or in the dataset. Actions are mapped affinely from
 * the declared range to [-1, 1]; discrete ones stay class indices. Equal spec and data give equal
 * bits, for one numeric profile (px_mat_profile). One training belongs to one thread. Its state
 * lives in one arena, which the trainer frees as a whole: it is taken before the first update,
 * nothing is after it, and an algorithm frees nothing.
 */
#ifndef PX_RL_RL_H
#define PX_RL_RL_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/progress.h"
#include "lib/base/rng.h"
#include "lib/data/actions_merged.h"
#include "lib/data/dataset.h"
#include "lib/data/safetensors.h"
#include "lib/flow/algos.h"
#include "lib/nn/checkpoint.h"
#include "lib/nn/gather.h"
#include "lib/nn/mlp.h"

/* ---- specs (rl_spec.c) */

/* An algorithm's options, by the names and with the defaults of lib/flow/algos.c. */
struct rl_spec {
  char algo[16];
  uint64_t seed;
  /* in the order of flow_algo_options; a word is its place among its field's words */
  double value[FLOW_OPTIONS_MAX];
};

/* BAD_FIELD for an algorithm that is not in the table, naming those that are. */
enum px_status rl_spec_defaults(const char *algo, struct rl_spec *spec,
                                struct px_err *err) PX_MUST_CHECK;
/* From a policy that flow_fields_check has passed: {"algo": ..., options}. An option that it lacks,
 * since an older server queued it, has its default. */
enum px_status rl_spec_read(const json_t *policy, uint64_t seed, struct rl_spec *spec,
                            struct px_err *err) PX_MUST_CHECK;
/* BAD_FIELD at /<name> for an option that the algorithm does not have, or out of its bounds. */
enum px_status rl_spec_set(struct rl_spec *spec, const char *name, double value,
                           struct px_err *err) PX_MUST_CHECK;
/* The same for an option that is a word. */
enum px_status rl_spec_say(struct rl_spec *spec, const char *name, const char *word,
                           struct px_err *err) PX_MUST_CHECK;
/* An option's value; the algorithm must have it. Not for inner loops. */
double rl_option(const struct rl_spec *spec, const char *name);
uint32_t rl_whole(const struct rl_spec *spec, const char *name);
/* Whether the algorithm has this option. */
bool rl_has(const struct rl_spec *spec, const char *name);
/* Whether a word option says `word`. */
bool rl_says(const struct rl_spec *spec, const char *name, const char *word);
/* The word that an option says. */
enum { RL_WORD_MAX = 32 };
void rl_word(const struct rl_spec *spec, const char *name, char out[RL_WORD_MAX]);

/* The spec as key and value texts, for metadata; borrows `text`, which must outlive
 * meta[RL_SPEC_META_MAX]. */
enum { RL_SPEC_META_MAX = FLOW_OPTIONS_MAX + 2, RL_SPEC_VALUE_MAX = 32 };
struct rl_spec_text {
  char value[RL_SPEC_META_MAX][RL_SPEC_VALUE_MAX];
};
size_t rl_spec_meta(const struct rl_spec *spec, struct rl_spec_text *text,
                    struct px_safetensors_meta *meta);

/* ---- the transitions that a spec uses (rl_data.c) */

/* Bound of normalised observations, in training and where a policy acts. */
#define RL_CLIP 10.0F

/* Borrows the union and its dataset; observations are not copied. A transition
 * is used if its action is known (true or proxy, as the spec says) and its next
 * state is known or the episode terminates with it. */
struct rl_data {
  const struct px_dataset *ds;
  uint32_t obs_dim, act_dim;
  uint32_t act_count; /* of discrete actions; 0: they are continuous */
  uint32_t n, true_n, proxy_n;
  double effective_n; /* Kish: (sum w)^2 / sum w^2 */
  /* of the trajectories used; undiscounted; NAN where some have no rewards */
  double return_min, return_max;
  double return_slack; /* returns that differ by no more are equal up to rounding */
  /* there are several trajectories to choose from, and all returns are equal up to rounding */
  bool returns_equal;
  uint64_t *row;   /* [n] observation row of s; that of s' is the next */
  float *action;   /* [n, A] in [-1, 1]; discrete: [n, 1] the class index */
  float *reward;   /* [n]; NAN where it is not known: then nothing may learn from it */
  float *not_done; /* [n] 0 where the episode terminates */
  /* [n] of mean 1 in batches, so that weighting does not change the learning rate */
  float *weight;
  uint8_t *source;   /* [n] enum px_source */
  double true_share; /* of a batch that has true actions */
  /* [n] true transitions, then proxy ones; NULL where all are drawn alike */
  uint32_t *by_source;
  float *mean, *scale, *inv_scale; /* [O] scale is infinite where a dimension is left out */
};
/* How observations are normalised, for every net; borrows the data. */
static inline struct px_normal rl_normal(const struct rl_data *d) {
  return (struct px_normal){ d->mean, d->inv_scale, RL_CLIP };
}
/* NO_LABELS if no transition is left. */
enum px_status rl_data_new(const struct px_actions_merged *u, const struct rl_spec *spec,
                           struct rl_data **out, struct px_err *err) PX_MUST_CHECK;
/* Place `place` of a batch of `places`: the first true_share of them, rounded up, are true ones. */
uint32_t rl_data_draw(const struct rl_data *data, struct px_rng *rng, uint32_t place,
                      uint32_t places);
/* Every transition whose action is known, each of weight 1. */
enum px_status rl_data_all(const struct px_actions_merged *u, struct rl_data **out,
                           struct px_err *err) PX_MUST_CHECK;
void rl_data_free(struct rl_data *data);
/* What the option `rewards` multiplies them with: raw 1; return_range 1000 / (return_max -
 * return_min), and 1 where returns differ by rounding alone; values 30 / the root mean square of
 * what was earned from a transition on (rl_returns.h). */
float rl_reward_scale(const struct rl_spec *spec, const struct rl_data *data);

/* Room for one batch, from an arena. */
struct rl_batch {
  uint32_t n, obs_dim, act_dim;
  uint32_t *index;                   /* [n] transitions drawn */
  uint64_t *rows;                    /* [n] scratch */
  float *s, *s2;                     /* [n, O] normalised; s2 is read only where not_done */
  float *action;                     /* [n, A], as in rl_data */
  float *reward, *not_done, *weight; /* [n] */
  /* Of the transition that follows in the trajectory, for who asks with rl_batch_want_next; else
   * NULL. */
  float *next_action; /* [n, A] */
  /* [n]; 0 where none follows or its action may not be used: then next_action is 0 */
  float *next_weight;
};
/* Where the arena has run out, which rl_arena_check tells, the batch is not to be used. */
void rl_batch_init(struct px_arena *arena, struct rl_batch *batch, uint32_t n, uint32_t obs_dim,
                   uint32_t act_dim);
/* Makes room for the next actions, which rl_batch_draw then fills. */
void rl_batch_want_next(struct px_arena *arena, struct rl_batch *batch);
/* Draws batch->n transitions with replacement, uniformly or, as the option `true_share` says, by
 * source: a pure function of (seed, step). */
void rl_batch_draw(struct rl_batch *batch, const struct rl_data *data, uint64_t seed,
                   uint64_t step);

/* Share of a batch that counts, of weights with this mean and mean square: Kish's effective size
 * over n. 1: all alike. */
static inline double rl_effective_share(double mean, double mean_square) {
  return mean_square > 0 ? mean * mean / mean_square : 0;
}

/* ---- policies (rl_policy.c) */

/* How an actor's outputs become an action. tanh: the first A outputs, each through tanh, in the
 * declared range (a stochastic actor's spread, if any, follows them: acting takes the mean).
 * argmax, for discrete actions: of act_count outputs the index of the largest; the action is that
 * index. transformer: remembers an episode's last steps and aims at a return (dt_net.h); rl_player
 * lets it. */
enum rl_policy_kind { RL_TANH, RL_ARGMAX, RL_TRANSFORMER };

struct dt_net;
/* A net on sequences; target_return: what it aims at unless told otherwise, in the rewards'
 * units. */
struct rl_sequence {
  struct dt_net *net;
  double return_scale, target_return;
};

/* What a finished training gives; borrowed from it. */
struct rl_nets {
  enum rl_policy_kind kind;
  struct px_mlp *actor; /* [O] normalised -> outputs */
  /* [O + A] (s, a in [-1, 1]) -> Q; argmax: [O] -> Q [act_count]; NULL: the algorithm has none */
  struct px_mlp *critic;
  struct rl_sequence sequence; /* transformer: instead of both */
};

struct rl_policy;
/* Copies the nets and the statistics. */
enum px_status rl_policy_new(const struct rl_spec *spec, const struct rl_data *data,
                             const struct rl_nets *nets, struct rl_policy **out,
                             struct px_err *err) PX_MUST_CHECK;
void rl_policy_free(struct rl_policy *policy);
/* obs [n, O] as in the dataset -> actions [n, A] in the declared range. Deterministic. A policy
 * with memory acts as at the first step of an episode: in episodes use rl_player. */
void rl_policy_act(struct rl_policy *policy, const float *obs, uint32_t n, float *actions);
/* values [n] = Q(obs, policy's action); false if the algorithm has no critic. */
bool rl_policy_value(struct rl_policy *policy, const float *obs, uint32_t n, float *values);
/* the critic's discount; 1 if it is not known */
double rl_policy_gamma(const struct rl_policy *policy);
uint32_t rl_policy_obs_dim(const struct rl_policy *policy);
uint32_t rl_policy_act_dim(const struct rl_policy *policy);
uint32_t rl_policy_act_count(const struct rl_policy *policy); /* 0: continuous actions */
/* What the policy aims at, if it aims at a return; else false. */
bool rl_policy_target(const struct rl_policy *policy, double *target_return);
/* Appends a safetensors file: obs_mean, obs_scale [O], act_low, act_high [A],
 * actor.<l>.weight [out,in], actor.<l>.bias [out] and, where layer norms follow ReLUs,
 * actor.<l>.gain and .shift [out]; likewise critic; or transformer.<tensor>
 * (dt_net.c) and metadata transformer_heads, _context, _return_scale, _target_return; metadata
 * format, kind, obs_clip, act_count if discrete, spec, numeric profile, and the caller's lineage. A
 * net's input is (s - obs_mean) / obs_scale within +-obs_clip; obs_scale is infinite where a
 * dimension is left out. */
enum px_status rl_policy_save(const struct rl_policy *policy,
                              const struct px_safetensors_meta *lineage, size_t lineage_n,
                              struct px_buf *out, struct px_err *err) PX_MUST_CHECK;
/* BAD_DATA if it is not such a file. */
enum px_status rl_policy_load(const void *bytes, size_t n, struct rl_policy **out,
                              struct px_err *err) PX_MUST_CHECK;

/* ---- playing: acting in episodes side by side (rl_player.c) */

/* What a policy sees of n running episodes; the same as an environment's rollout shows. */
struct rl_view {
  uint32_t n;
  const float *obs;     /* [n, O] as in the dataset */
  const uint32_t *lane; /* [n] below the player's lanes, no two alike */
  const uint32_t *step; /* [n] 0 begins an episode in the lane */
  const double *reward; /* [n] of the step before */
};

struct rl_player;
/* Borrows the policy. target_return: NULL for the policy's own; BAD_FIELD at /target_return if it
 * aims at none. */
enum px_status rl_player_new(struct rl_policy *policy, uint32_t lanes, const double *target_return,
                             struct rl_player **out, struct px_err *err) PX_MUST_CHECK;
void rl_player_free(struct rl_player *player);
/* actions [n, A] in the declared range. Deterministic. */
void rl_player_act(struct rl_player *player, const struct rl_view *view, float *actions);

/* actions [obs_n, A]: what the policy does at every observation of the dataset. One with memory
 * sees the recorded states and rewards of each trajectory and remembers what it would have done
 * itself, as when it is deployed: recorded actions would tell it what it is to be judged by. No
 * action of the dataset is read. Reports phase "act", trajectories of all. */
enum px_status rl_policy_along(struct rl_policy *policy, const struct px_dataset *ds,
                               const struct px_progress *progress, float *actions,
                               struct px_err *err) PX_MUST_CHECK;

/* ---- training (rl.c) */

enum { RL_LOSSES_MAX = 6 };

/* Numbers that a training changes; borrowed. */
struct rl_weights {
  float *data;
  size_t n;
};

/* Bound of a training's arena: beyond every training that lib/flow/estimate.h admits to a worker,
 * whose memory is the tighter bound. */
#define RL_ARENA_BYTES_MAX ((size_t)64 << 30)
/* NO_MEMORY once the arena has refused anything of that algorithm's. */
enum px_status rl_arena_check(const struct px_arena *arena, const char *algo,
                              struct px_err *err) PX_MUST_CHECK;

/* One training algorithm. Its options are in lib/flow/algos.c; a row of
 * schema/algos.def binds both. */
struct rl_algo {
  const char *losses[RL_LOSSES_MAX]; /* names of what step reports; NULL: unused */
  /* The state, all of it from the arena. */
  enum px_status (*init)(struct px_arena *arena, const struct rl_spec *spec,
                         const struct rl_data *data, void **state, struct px_err *err);
  /* One update; step counts from 0. losses keeps what a step does not write. */
  void (*step)(void *state, uint64_t step, double losses[RL_LOSSES_MAX]);
  /* Lists all that the next steps depend on beside spec, data and their number. */
  void (*state)(void *state, struct px_state *list);
  /* The weights that act, which rl.c averages if the spec says so (rl_ema.h). */
  struct rl_weights (*acting)(void *state);
  /* After the last update: the nets to publish, which stay in the arena. */
  void (*finish)(void *state, struct rl_nets *nets);
};
/* Each in its own file of lib/rl/algo. */
#define PX_ALGO(name, OPTIONS, code, ...) extern const struct rl_algo code##_algo;
#include "schema/algos.def"
#undef PX_ALGO
/* NULL if there is none. */
const struct rl_algo *rl_algo_find(const char *name);

struct rl_metrics {
  uint64_t updates;
  uint32_t transitions_n, true_n, proxy_n;
  double true_share; /* of the transitions in a batch */
  double effective_n, seconds;
  bool returns_equal; /* and the spec chooses or scales by return, which then means nothing */
  /* means over the last 1,000 updates, or all; name NULL: unused */
  struct px_metric losses[RL_LOSSES_MAX];
};

/* Trains to the end and reports about twice a second in phase "train". Fails
 * with NAN_LOSS naming the update when a loss is not finite or explodes, and
 * with what `progress` or `checkpoint` returns when it asks to stop. Policy and
 * metrics, but for the seconds, are the same however often the training was cut
 * off and went on from its checkpoint (which may be NULL). */
enum px_status rl_train(const struct rl_spec *spec, const struct px_actions_merged *u,
                        const struct px_progress *progress, struct px_checkpoint *checkpoint,
                        struct rl_policy **policy, struct rl_metrics *metrics,
                        struct px_err *err) PX_MUST_CHECK;

#endif
