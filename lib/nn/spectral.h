/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spectral normalisation (Miyato et al. 2018, arXiv 1802.05957): each hidden
 * layer computes with W / sigma, sigma the largest singular value of W, so that
 * no hidden layer stretches any direction. The output layer is left as it is.
 * Used by trainers of a struct px_mlp, which itself knows nothing of it: the
 * net's parameters are the divided ones, and what the optimiser moves is `raw`.
 *
 *   px_spectral_apply(s, true);                 one power iteration; net->params from raw
 *   ... forward, backward: grads of net->params ...
 *   px_spectral_gradients(s, grads);            become those of raw
 *   px_adam_step(&adam, s->raw, grads);
 *   px_spectral_apply(s, false);                before a validation, or when training ends
 *
 * sigma = u^T W v with u and v, the estimates of W's first singular vectors, as
 * constants; semantics are those of torch.nn.utils.spectral_norm. A struct
 * px_spectral belongs to one thread and borrows its net; raw, u and v are part
 * of a training's state. A step allocates nothing.
 */
#ifndef PX_NN_SPECTRAL_H
#define PX_NN_SPECTRAL_H

#include "lib/nn/mlp.h"

struct px_spectral {
  struct px_mlp *net; /* borrowed */
  size_t u_n, v_n;
  float *raw; /* [net->params_n], owned: all parameters before the division */
  /* [u_n], [v_n], owned: of each hidden layer u[out] and v[in], of length 1, one after the other */
  float *u, *v;
  float sigma[PX_MLP_HIDDEN_LAYERS_MAX]; /* what the last px_spectral_apply divided by */
};

enum px_status px_spectral_new(struct px_mlp *net, struct px_spectral **out) PX_MUST_CHECK;
void px_spectral_free(struct px_spectral *s);
/* Takes the net's parameters, just initialised, as raw ones, draws u, lets it
 * settle in a few iterations, and divides. */
void px_spectral_start(struct px_spectral *s, uint64_t seed, uint64_t stream);
/* net->params from raw; `iterate` improves u and v by one power iteration first. */
void px_spectral_apply(struct px_spectral *s, bool iterate);
/* grads [net->params_n], of net->params, become those of raw, in place. */
void px_spectral_gradients(const struct px_spectral *s, float *grads);

#endif
