/*
 * Offline RL on true and proxy transitions: one small interface and a table of
 * algorithms. Used by the policy jobs, rollouts, golden tests and benchmarks.
 *
 * A new algorithm is one file with one struct rl_algo, and a row in rl.c. The
 * policy is a tanh MLP on normalised observations; it carries all that is
 * needed to act on raw observations and in the declared action range.
 *
 * Observations are normalised by mean and std + 1e-3 over ALL trajectories,
 * labelled or not, as TD3+BC does. Actions are mapped affinely from the
 * declared range to [-1, 1]. Equal spec and data give equal bits, for one
 * numeric profile (px_mat_profile). One training belongs to one thread; it
 * allocates before the first update and not after.
 */
#ifndef PX_RL_RL_H
#define PX_RL_RL_H

#include "lib/base/mem.h"
#include "lib/base/progress.h"
#include "lib/data/labels.h"
#include "lib/data/safetensors.h"
#include "worker/nn/mlp.h"

enum rl_labels { RL_LABELS_ALL, RL_LABELS_TRUE_ONLY, RL_LABELS_PROXY_BELOW };
enum rl_weighting { RL_WEIGHT_NONE, RL_WEIGHT_EXP };

struct rl_spec {
  char algo[16];
  uint32_t hidden, layers, batch;
  uint64_t updates, seed;
  double lr, gamma;
  double tau, policy_noise, noise_clip, alpha; /* td3bc */
  uint32_t policy_every;                       /* td3bc */
  double top_percent;          /* trajectories used, by return, highest first; 100: all */
  uint32_t labels;             /* enum rl_labels: which transitions are used */
  double proxy_below;          /* with PROXY_BELOW: proxy transitions whose score is below it */
  uint32_t weighting;          /* enum rl_weighting; EXP: proxy transitions weigh max(exp(-score / T), floor), true ones 1 */
  double weight_temperature, weight_floor;
};

/* BAD_FIELD for an algorithm that is not in the table, naming those that are. */
enum px_status rl_spec_defaults(const char *algo, struct rl_spec *spec, struct px_err *err) PX_MUST_CHECK;
/* BAD_FIELD naming the first field out of bounds, with the bounds. */
enum px_status rl_spec_check(const struct rl_spec *spec, struct px_err *err) PX_MUST_CHECK;

/* ---- the transitions that a spec uses (rl_data.c) */

/* Borrows the union and its dataset; observations are not copied. A transition
 * is used if its action is known (true or proxy, as the spec says) and its next
 * state is known or the episode terminates with it. */
struct rl_data {
  const struct px_dataset *ds;
  uint32_t obs_dim, act_dim;
  uint32_t n, true_n, proxy_n;
  double effective_n;  /* Kish: (sum w)^2 / sum w^2 */
  uint64_t *row;       /* [n] observation row of s; that of s' is the next */
  float *action;       /* [n, A] in [-1, 1] */
  float *reward;       /* [n] */
  float *not_done;     /* [n] 0 where the episode terminates */
  float *weight;       /* [n] of mean 1, so that weighting does not change the learning rate */
  float *mean, *scale, *inv_scale; /* [O] scale = std + 1e-3 */
};
/* NO_LABELS if no transition is left. */
enum px_status rl_data_new(const struct px_union *u, const struct rl_spec *spec, struct rl_data **out,
                           struct px_err *err) PX_MUST_CHECK;
void rl_data_free(struct rl_data *data);

/* Room for one batch; all owned by it. */
struct rl_batch {
  uint32_t n, obs_dim, act_dim;
  uint32_t *index;          /* [n] transitions drawn */
  uint64_t *rows;           /* [n] scratch */
  float *s, *s2;            /* [n, O] normalised; s2 is read only where not_done */
  float *action;            /* [n, A] */
  float *reward, *not_done, *weight; /* [n] */
};
enum px_status rl_batch_init(struct rl_batch *batch, uint32_t n, uint32_t obs_dim, uint32_t act_dim) PX_MUST_CHECK;
void rl_batch_free(struct rl_batch *batch);
/* Draws batch->n transitions uniformly with replacement: a pure function of (seed, step). */
void rl_batch_draw(struct rl_batch *batch, const struct rl_data *data, uint64_t seed, uint64_t step);

/* ---- policies (rl_policy.c) */

struct rl_policy;
/* Takes actor (and critic, Q(s, a) in [s, a] order, or NULL) over, also when it fails; the statistics are copied. */
enum px_status rl_policy_new(const struct rl_spec *spec, const struct rl_data *data, struct px_mlp *actor,
                             struct px_mlp *critic, struct rl_policy **out, struct px_err *err) PX_MUST_CHECK;
void rl_policy_free(struct rl_policy *policy);
/* obs [n, O] as in the dataset -> actions [n, A] in the declared range. Deterministic. */
void rl_policy_act(struct rl_policy *policy, const float *obs, uint32_t n, float *actions);
/* values [n] = Q(obs, policy's action); false if the algorithm has no critic. */
bool rl_policy_value(struct rl_policy *policy, const float *obs, uint32_t n, float *values);
uint32_t rl_policy_obs_dim(const struct rl_policy *policy);
uint32_t rl_policy_act_dim(const struct rl_policy *policy);
/* Appends a safetensors file: obs_mean, obs_scale [O], act_low, act_high [A],
 * actor.<l>.weight [out,in], actor.<l>.bias [out], likewise critic; metadata
 * format, spec, numeric profile, and the caller's lineage. */
enum px_status rl_policy_save(const struct rl_policy *policy, const struct px_st_meta *lineage, size_t lineage_n,
                              struct px_buf *out, struct px_err *err) PX_MUST_CHECK;
/* BAD_DATA if it is not such a file. */
enum px_status rl_policy_load(const void *bytes, size_t n, struct rl_policy **out, struct px_err *err) PX_MUST_CHECK;

/* The spec as key and value texts, for metadata; borrows `text`, which must outlive meta. */
enum { RL_SPEC_FIELDS_MAX = 24, RL_SPEC_VALUE_MAX = 32 };
struct rl_spec_text { char value[RL_SPEC_FIELDS_MAX][RL_SPEC_VALUE_MAX]; };
size_t rl_spec_meta(const struct rl_spec *spec, struct rl_spec_text *text, struct px_st_meta *meta);

/* ---- training (rl.c) */

enum { RL_LOSSES_MAX = 4 };

struct rl_algo {
  const char *name;
  const char *losses[RL_LOSSES_MAX]; /* names of what step reports; NULL: unused */
  /* What differs from the common defaults. */
  void (*defaults)(struct rl_spec *spec);
  enum px_status (*init)(const struct rl_spec *spec, const struct rl_data *data, void **state, struct px_err *err);
  /* One update; step counts from 0. losses keeps what a step does not write. */
  void (*step)(void *state, uint64_t step, double losses[RL_LOSSES_MAX]);
  /* Hands the nets over to the caller; critic may become NULL. */
  void (*take)(void *state, struct px_mlp **actor, struct px_mlp **critic);
  void (*free)(void *state);
};
const struct rl_algo *rl_algo_find(const char *name); /* NULL if there is none */

struct rl_metrics {
  uint64_t updates;
  uint32_t transitions_n, true_n, proxy_n;
  double effective_n, seconds;
  struct px_metric losses[RL_LOSSES_MAX]; /* means over the last report's interval; name NULL: unused */
};

/* Trains to the end and reports about twice a second in phase "train". Fails
 * with NAN_LOSS naming the update when a loss is not finite or explodes, and
 * with what `progress` returns when it asks to stop. */
enum px_status rl_train(const struct rl_spec *spec, const struct px_union *u, const struct px_progress *progress,
                        struct rl_policy **policy, struct rl_metrics *metrics, struct px_err *err) PX_MUST_CHECK;

#endif
