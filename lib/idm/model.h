/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a trained member consists of, for the files of this folder only.
 *
 * mu(x) = linear(x) + net(x), x the normalised window; the spread's net is
 * apart. Everything that prediction needs is in here, and all of it is stored.
 *
 * The letter M: outputs of mu, and numbers in a target. M = A, but for the
 * softmax head: there it is the number of discrete actions, mu are their
 * logits, and a target is 1 in its class's place.
 */
#ifndef PX_IDM_MODEL_H
#define PX_IDM_MODEL_H

#include "lib/base/fail.h"
#include "lib/data/spaces.h"
#include "lib/idm/idm.h"
#include "lib/idm/norm.h"
#include "lib/nn/mlp.h"

/* Labels lie in +-IDM_EDGE before they are mapped back, so atanh stays finite. */
#define IDM_EDGE (1 - 1e-6F)
/* A Gaussian head's labels stay within the actions it was trained on, widened
 * by this share of their range on either side: where a linear path runs far
 * out of its data, nothing supports more. */
#define IDM_MARGIN 0.1F

struct idm_model {
  struct idm_spec spec;
  struct idm_metrics metrics;
  uint32_t member, obs_dim, act_dim;
  uint32_t act_count, outputs; /* discrete actions, or 0; M */
  struct idm_norm *norm;
  float *act_low, *act_high; /* [A] the range that was declared */
  float *least, *most;       /* [A] bounds of labels in (-1, 1) */
  float *linear;             /* [M, in] then [M] bias, or NULL */
  /* [probes_n, A] labels of unlabelled transitions, or NULL: see vote.h */
  float *probes;
  uint64_t probes_n, probes_of; /* their number; a hash of which transitions they are of */
  /* [A] factor on sigma: 1, or what made it match the held-out errors */
  float *spread;
  /* sigma NULL: the head has no spread net, and its sigma is 1 before the factor */
  struct px_mlp *mu, *sigma;
};

/* Allocated, parameters zero; spread 1. */
enum px_status idm_model_new(const struct idm_spec *spec, uint32_t member,
                             const struct px_spaces *spaces, struct idm_model **out,
                             struct px_err *err) PX_MUST_CHECK;

/* mu[n,M] of n windows, in place in the work of the mu net. */
float *idm_model_mu(const struct idm_model *model, struct px_mlp_work *work, const float *x,
                    uint32_t n, const struct px_mlp_drop *drop);
/* The labels [n,A] in (-1, 1) that mu[n,M] stands for; of discrete actions the class index. */
void idm_model_label(const struct idm_model *model, uint32_t n, const float *mu, float *label);
/* What the sigma net says of n windows: [n,A], in its work; NULL if there is none. */
const float *idm_model_sigma(const struct idm_model *model, struct px_mlp_work *work,
                             const float *x, uint32_t n, const struct px_mlp_drop *drop);
#endif
