/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A training of one member while it runs, for the files of this folder only:
 * training_prepare.c sets it up, training.c takes the steps,
 * training_validate.c judges iterates, pseudo.c adds self-training's labels. It belongs to one
 * thread.
 */
#ifndef PX_IDM_TRAINING_H
#define PX_IDM_TRAINING_H

#include "lib/base/arena.h"
#include "lib/data/dataset.h"
#include "lib/idm/fold.h"
#include "lib/idm/loss.h"
#include "lib/idm/model.h"
#include "lib/idm/norm.h"
#include "lib/idm/pass.h"
#include "lib/idm/pseudo.h"
#include "lib/nn/adam.h"
#include "lib/nn/spectral.h"
#include "lib/nn/state.h"

/* Parameters that Adam moves: a net's, or those of the linear path. */
struct idm_part {
  float *used; /* [n] what the model computes with: borrowed from it */
  /* [n] what Adam moves: `used`, or those before spectral normalisation */
  float *moved;
  float *best;  /* [n] `used` of the kept iterate */
  float *grads; /* [n] borrowed from the pass */
  size_t n;     /* 0: the model has no such part */
  struct px_adam adam;
  struct px_spectral *spectral; /* NULL: none */
};
enum { IDM_MU, IDM_SPREAD, IDM_LINEAR, IDM_PARTS_N };

/* Where a training stands: whole numbers only, so that they can be kept as an array. */
struct idm_place {
  uint64_t round, step; /* the round of self-training, and its step that comes next */
  uint64_t worse;       /* validations since the kept iterate */
  /* the kept iterate's step within its round; kept 0: none yet */
  uint64_t best_step, kept;
  uint64_t steps; /* taken in all rounds */
};

struct idm_training {
  const struct px_dataset *ds;
  const struct px_progress *progress;
  struct idm_model *model;
  struct idm_fold fold;
  struct idm_pseudo pseudo;
  struct idm_part parts[IDM_PARTS_N];
  struct idm_pass pass;
  struct px_arena *arena;
  float *ridge; /* where the linear path starts; NULL without one */
  /* [B] numbers of transitions: the fold's, then pseudo-labelled ones */
  uint32_t *batch;
  struct idm_step *rows; /* [PX_MLP_CHUNK] */
  struct idm_sums sums;
  uint32_t steps_max, validate_every; /* of this round */
  struct idm_place place;
  /* Score of the kept iterate; of the last validation (of discrete actions the share of wrong
   * labels) and step. */
  struct {
    double best, val_mse, loss;
  } seen;
  double seconds, since_s; /* spent until since_s, in earlier attempts too */
  double reported_s;
};

/* prepare.c. The rows that are learned from may have grown since the last round. */
void idm_training_limit(struct idm_training *t);
/* Fresh parameters and optimisers for the round. */
enum px_status idm_training_start_round(struct idm_training *t) PX_MUST_CHECK;
/* Lists all that the next steps depend on, and what is published: parameters,
 * optimiser moments, the kept iterate, spectral vectors, pseudo labels, counters
 * and scores. A new part of a member is listed here. */
void idm_training_arrays(struct idm_training *t, struct px_state *list);

/* validate.c. Reports progress, about twice a second. */
enum px_status idm_training_tell(struct idm_training *t, const char *phase) PX_MUST_CHECK;
/* Sums over every stride-th held-out transition. */
enum px_status idm_training_validate(struct idm_training *t, uint32_t stride) PX_MUST_CHECK;
/* Of those sums: the labels' squared error per element, the likelihood per transition. */
double idm_training_sums_mse(const struct idm_training *t);
double idm_training_sums_nll(const struct idm_training *t);
/* The kept iterate becomes the model's, and the whole fold measures it: its
 * metrics, and the spread's factor. */
enum px_status idm_training_measure(struct idm_training *t) PX_MUST_CHECK;

#endif
