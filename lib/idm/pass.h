/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pass of training over a chunk of rows, for the files of this folder only. A
 * pass belongs to one thread.
 */
#ifndef PX_IDM_PASS_H
#define PX_IDM_PASS_H

#include "lib/idm/model.h"

/* Buffers of one pass over at most PX_MLP_CHUNK rows, and its gradients. */
struct idm_pass {
  struct px_mlp_work *mu_work, *sigma_work;
  float *x, *action; /* [n, in], [n, M]: the caller fills them */
  float *dmu, *dy;   /* [n, M] */
  /* as the parameters; NULL where the model has no such part */
  float *mu_grads, *sigma_grads, *linear_grads;
};
enum px_status idm_pass_new(const struct idm_model *model, struct idm_pass *pass) PX_MUST_CHECK;
void idm_pass_free(struct idm_pass *pass);
/* Forward, loss and backward of n rows; gradients are written, or added to. */
double idm_pass_gradients(const struct idm_model *model, struct idm_pass *pass, uint32_t n,
                          const struct px_mlp_drop *mu_drop, const struct px_mlp_drop *sigma_drop,
                          double scale, bool add);

#endif
