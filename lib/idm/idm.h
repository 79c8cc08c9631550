/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inverse dynamics models: which action led from one state to the next.
 *
 * A member is a pair of nets over a window of states s_{t-k} .. s_{t+1+f}: the
 * mu net gives the action, the sigma net its spread (a deterministic one has none).
 * An ensemble is several members, each trained apart (a job of its own) and
 * each validated on another fold of the labelled trajectories; labelling
 * averages them. Used by the jobs train_idm and label, and by the bench.
 *
 * Ownership: models and labels belong to the caller, datasets and specs are
 * borrowed. Thread safety: none is shared while it is written; a model may be
 * read by several threads. Results are pure functions of dataset, spec and
 * member: the same seed gives the same bytes.
 *
 * Sources: SS-ORL (arXiv 2210.06518) section 3 and appendix for the window and
 * the squashed heads; VPT (arXiv 2206.11795) for f > 0; Seitzer et al. 2022
 * (arXiv 2203.09168) for beta-NLL; Lakshminarayanan et al. 2017 for ensembles.
 *
 * Discrete actions take the softmax head: mu are the classes' logits.
 *
 * Letters: O observation dims, A action dims, k past transitions, f future
 * observations, E members, B batch, H hidden units.
 */
#ifndef PX_IDM_IDM_H
#define PX_IDM_IDM_H

#include <jansson.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/progress.h"
#include "lib/data/dataset.h"
#include "lib/data/safetensors.h"
#include "lib/data/spaces.h"
#include "lib/flow/bind.h"
#include "lib/nn/checkpoint.h"

enum {
  IDM_K_MAX = 8,
  IDM_F_MAX = 4,
  IDM_LAYERS_MAX = 4,
  IDM_HIDDEN_MAX = 2048,
  IDM_MEMBERS_MAX = 16
};
enum { IDM_BATCH_MAX = 8192 };
/* Bytes that a stored model takes at most. */
#define IDM_MODEL_BYTES_MAX ((size_t)512 << 20)

/* The enums are in the order of their words in lib/flow/idm.c. */

/* fast: what labels best per second of one core (the default). paper: SS-ORL's
 * recipe as published, for comparison. */
enum idm_profile { IDM_FAST, IDM_PAPER };
/* states: the window as it is. difference: s_t, and for the other places in the
 * window the change from one state to the next in units of that change's own
 * spread, since the change is what the action explains. */
enum idm_inputs { IDM_STATES, IDM_DIFFERENCE };
/* squashed: a = tanh(u), u Gaussian (SS-ORL); the label is the median, tanh(mu).
 * gaussian: a Gaussian in action space; the label is mu clipped to the range.
 * Actions at the edge of the range then cost no curvature, and mu keeps a
 * linear model's way of going on where nothing is labelled.
 * deterministic: that mu alone, with squared error. It has no spread net: its
 * std is one number per dim, the root mean square error on the held-out fold,
 * and what differs between labels is only how far the members disagree.
 * softmax: for discrete actions, and for them alone: a probability for each,
 * trained by cross entropy (mean_loss nll); the label is the most probable
 * class of the members' mean. */
enum idm_head { IDM_SQUASHED, IDM_GAUSSIAN, IDM_DETERMINISTIC, IDM_SOFTMAX };
/* Of the mean's hidden units; the spread's are always ReLUs. mixed: GELUs in members 0, 2, ...,
 * ReLUs in the others, whose errors then have less in common. */
enum idm_activation { IDM_RELU, IDM_GELU, IDM_MIXED };
/* How members count in a label. equal: alike. agreement: less where a member lies far from the
 * others on what is not labelled (vote.h). */
enum idm_voting { IDM_EQUAL, IDM_AGREEMENT };
/* reference: what SS-ORL's public code does, where that differs from the above
 * (docs/labels.md lists it): to compare with it, not to label well. */
enum idm_compat { IDM_NONE, IDM_REFERENCE };
/* What trains the mean. squared: the error of the label itself; the spread is
 * fitted beside it by likelihood, then scaled to the errors on the held-out
 * fold. nll: both by likelihood (the paper). beta_nll: each element's
 * likelihood weighted by sigma^(2 beta). */
enum idm_mean_loss { IDM_SQUARED, IDM_NLL, IDM_BETA_NLL };

struct idm_spec {
  enum idm_profile profile; /* where the defaults came from; kept with the model */
  enum idm_inputs inputs;
  enum idm_head head;
  enum idm_mean_loss mean_loss;
  enum idm_compat compat;
  enum idm_activation activation;
  double shift_max;        /* with inputs difference; see window.h */
  bool residuals;          /* likewise */
  uint32_t k, f;           /* window s_{t-k} .. s_{t+1+f} */
  uint32_t hidden, layers; /* H units in each of `layers` hidden layers, both nets */
  uint32_t members;        /* E */
  enum idm_voting voting;
  /* at most `steps` Adam steps of `batch` transitions; with patience, at most 200 passes */
  uint32_t steps, batch;
  uint32_t validate_every; /* steps between validations */
  /* of self-training, after the first training; each takes `steps` again */
  uint32_t rounds;
  uint32_t patience; /* validations without a better one before it stops; 0: never */
  double lr, dropout, weight_decay, beta;
  double add_percent; /* of the unlabelled transitions: what a round adds */
  /* the learning rate falls to 0 by half a cosine over `steps`; else it is constant */
  bool cosine;
  /* hidden weights are divided by their largest singular value, in both nets */
  bool spectral_norm;
  /* mu = ridge solution + net: the net learns what a line leaves over */
  bool linear;
  uint64_t seed;
};

/* The profile's defaults (lib/flow/idm.c), seed 0. */
void idm_spec_default(enum idm_profile profile, struct idm_spec *spec);
/* Where each option lives; ended by one without a name. */
extern const struct flow_bind idm_spec_bind[];
/* From options that the server has checked: {"profile": ..., options}; those left out keep the
 * profile's default, and options that older versions lack mean what was done there (spec.c). */
enum px_status idm_spec_read(const json_t *given, struct idm_spec *spec,
                             struct px_err *err) PX_MUST_CHECK;
/* One option by name, as text: "3", "0.001", "true", "squashed". BAD_FIELD at
 * /<name> unless it is one and within its bounds. */
enum px_status idm_spec_set(struct idm_spec *spec, const char *name, const char *text,
                            struct px_err *err) PX_MUST_CHECK;
/* BAD_FIELD with the JSON pointer of the option that is out of bounds, or that does not go with
 * another. */
enum px_status idm_spec_check(const struct idm_spec *spec, struct px_err *err) PX_MUST_CHECK;
/* BAD_FIELD at /head unless the head is one for these actions. */
enum px_status idm_spec_check_spaces(const struct idm_spec *spec, const struct px_spaces *spaces,
                                     struct px_err *err) PX_MUST_CHECK;
/* The spec as key and value texts, for metadata; borrows `text`, which must outlive
 * meta[IDM_SPEC_META_MAX]. */
enum { IDM_SPEC_META_MAX = 32, IDM_SPEC_VALUE_MAX = 32 };
struct idm_spec_text {
  char value[IDM_SPEC_META_MAX][IDM_SPEC_VALUE_MAX];
};
size_t idm_spec_meta(const struct idm_spec *spec, struct idm_spec_text *text,
                     struct px_safetensors_meta *meta);
/* BAD_DATA for what no spec is. An option that a file of an older version lacks means what was done
 * there. */
enum px_status idm_spec_from_meta(const struct px_safetensors *st, struct idm_spec *spec,
                                  struct px_err *err) PX_MUST_CHECK;
/* false and *out untouched when there is no such profile. */
bool idm_profile_from(const char *name, enum idm_profile *out) PX_MUST_CHECK;
const char *idm_profile_name(enum idm_profile v);

/* Errors are in the units of actions mapped to (-1, 1). Validation is the
 * member's own fold of labelled trajectories. Of discrete actions val_nll is the
 * cross entropy in nats, and mse and R^2 are 0; val_accuracy is 0 for others.
 * R^2 is NaN where the held-out actions do not differ. */
struct idm_metrics {
  double val_mse, val_r2, val_nll, val_accuracy;
  double val_r2_dim[PX_ACT_MAX]; /* [A] */
  uint64_t train_n, val_n;       /* labelled transitions */
  uint64_t pseudo_n;             /* of self-training, learned from beside train_n */
  /* step of the kept iterate within its round; steps taken in all rounds */
  uint32_t best_step, steps;
  /* one labelled trajectory, or fewer than members: transitions were split */
  bool val_by_transition;
  double seconds;
};

struct idm_model;
void idm_model_free(struct idm_model *model);
const struct idm_spec *idm_model_spec(const struct idm_model *model);
uint32_t idm_model_member(const struct idm_model *model);
uint32_t idm_model_obs_dim(const struct idm_model *model);
uint32_t idm_model_act_dim(const struct idm_model *model);
uint32_t idm_model_act_count(const struct idm_model *model); /* 0: continuous actions */

/* Trains member `member` < spec->members on the labelled transitions of `ds`
 * whose next state is known. NO_LABELS when there are none, NAN_LOSS when the
 * loss diverges, CANCELLED or FENCED from progress (phases "train",
 * "validate"; step of total; metrics loss, val_mse or val_accuracy), about twice a
 * second.
 * Model and metrics, but for the seconds, are the same however often the
 * training was cut off and went on from its checkpoint (which may be NULL). */
enum px_status idm_train_member(const struct px_dataset *ds, const struct idm_spec *spec,
                                uint32_t member, const struct px_progress *progress,
                                struct px_checkpoint *checkpoint, struct idm_model **out,
                                struct idm_metrics *metrics, struct px_err *err) PX_MUST_CHECK;

/* The same in parts, for whoever wants what a training that failed had reached.
 * A training borrows dataset and progress, allocates in _new and between rounds
 * of self-training, and belongs to one thread. */
struct idm_training;
enum px_status idm_training_new(const struct px_dataset *ds, const struct idm_spec *spec,
                                uint32_t member, const struct px_progress *progress,
                                struct idm_training **out, struct px_err *err) PX_MUST_CHECK;
void idm_training_free(struct idm_training *t);
/* To the end, from where it stands. */
enum px_status idm_training_run(struct idm_training *t, struct px_checkpoint *checkpoint,
                                struct px_err *err) PX_MUST_CHECK;
/* The kept iterate, the best validated one, as a finished model; also after
 * idm_training_run failed. NOT_FOUND while none is validated. Afterwards t can
 * only be freed. */
enum px_status idm_training_take(struct idm_training *t, struct idm_model **out,
                                 struct idm_metrics *metrics, struct px_err *err) PX_MUST_CHECK;

/* A model as safetensors bytes, appended to buf (PX_BUF(IDM_MODEL_BYTES_MAX)).
 * `lineage` is pairs of key and value (dataset, job, ...), kept as metadata
 * beside the spec, the normalisation, the metrics and the numeric profile. */
enum px_status idm_model_save(const struct idm_model *model, const char *const (*lineage)[2],
                              size_t lineage_n, struct px_buf *buf,
                              struct px_err *err) PX_MUST_CHECK;
/* BAD_DATA when the bytes are not such a model. Borrows nothing of them. */
enum px_status idm_model_load(const void *bytes, size_t n, struct idm_model **out,
                              struct px_err *err) PX_MUST_CHECK;

/* Proxy actions for the steps of trajectories [traj_from, traj_to), in order.
 * Rows of steps whose next state is unknown are 0, with known 0. What std and
 * epistemic are where actions are discrete: see lib/data/labels.h. */
struct idm_labels {
  uint32_t traj_from, traj_to, act_dim;
  uint64_t steps_n;
  float *actions; /* [steps_n, A] in the dataset's action units, inside its declared range */
  float *std;     /* [steps_n, A] aleatoric standard deviation, action units */
  /* [steps_n, A] the label's own, by how the members differ, action units; 0 for one member */
  float *epistemic;
  float *score;   /* [steps_n] px_label_scores: small is certain */
  uint8_t *known; /* [steps_n] */
};
/* All zero: nothing known yet. NULL when out of memory. */
struct idm_labels *idm_labels_new(const struct px_dataset *ds, uint32_t traj_from,
                                  uint32_t traj_to);
void idm_labels_free(struct idm_labels *labels);

/* What an ensemble of softmax heads makes of classes that were hidden: the mean
 * of -log p in nats, p the members' mean probability of the true class, over the
 * steps that `truth` labels and `masked` does not and whose next state is known,
 * or 20,000 evenly spaced ones. 0 if there are none. Phase "cross entropy". */
enum px_status idm_cross_entropy(struct idm_model *const *models, uint32_t models_n,
                                 const struct px_dataset *truth, const struct px_dataset *masked,
                                 const struct px_progress *progress, double *out,
                                 struct px_err *err) PX_MUST_CHECK;

/* Labels every step of the range, labelled or not. Members must come from one
 * ensemble (same dims and window; else BAD_DATA). Phase "label", transitions
 * done of total, about twice a second. */
enum px_status idm_label(struct idm_model *const *models, uint32_t models_n,
                         const struct px_dataset *ds, uint32_t traj_from, uint32_t traj_to,
                         const struct px_progress *progress, struct idm_labels **out,
                         struct px_err *err) PX_MUST_CHECK;

#endif
