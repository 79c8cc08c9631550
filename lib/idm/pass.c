/* SPDX-License-Identifier: Apache-2.0 */
/* One pass of training over a chunk of rows: see pass.h. */
#include "lib/idm/pass.h"

#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/idm/loss.h"
#include "lib/nn/mat.h"

enum px_status idm_pass_new(const struct idm_model *model, struct idm_pass *pass) {
  const uint32_t in = model->mu->shape.in, dims = model->outputs;
  const size_t rows = PX_MLP_CHUNK;
  *pass = (struct idm_pass){ 0 };
  pass->x = px_mem_calloc(rows * in, sizeof(float));
  pass->action = px_mem_calloc(rows * dims, sizeof(float));
  pass->dmu = px_mem_calloc(rows * dims, sizeof(float));
  pass->dy = px_mem_calloc(rows * dims, sizeof(float));
  pass->mu_grads = px_mem_calloc(model->mu->params_n, sizeof(float));
  if (model->sigma) pass->sigma_grads = px_mem_calloc(model->sigma->params_n, sizeof(float));
  if (model->linear) pass->linear_grads = px_mem_calloc((size_t)dims * (in + 1), sizeof(float));
  const bool complete = pass->x && pass->action && pass->dmu && pass->dy && pass->mu_grads &&
                        (pass->sigma_grads || !model->sigma) &&
                        (pass->linear_grads || !model->linear);
  enum px_status status =
    complete ? px_mlp_work_new(&model->mu->shape, PX_MLP_CHUNK, &pass->mu_work) : PX_E_NO_MEMORY;
  if (!status && model->sigma)
    status = px_mlp_work_new(&model->sigma->shape, PX_MLP_CHUNK, &pass->sigma_work);
  if (status) idm_pass_free(pass);
  return status;
}

void idm_pass_free(struct idm_pass *pass) {
  px_mlp_work_free(pass->mu_work);
  px_mlp_work_free(pass->sigma_work);
  free(pass->x);
  free(pass->action);
  free(pass->dmu);
  free(pass->dy);
  free(pass->mu_grads);
  free(pass->sigma_grads);
  free(pass->linear_grads);
  *pass = (struct idm_pass){ 0 };
}

double idm_pass_gradients(const struct idm_model *model, struct idm_pass *pass, uint32_t n,
                          const struct px_mlp_drop *mu_drop, const struct px_mlp_drop *sigma_drop,
                          double scale, bool add) {
  const uint32_t in = model->mu->shape.in, dims = model->outputs;
  const float *mu = idm_model_mu(model, pass->mu_work, pass->x, n, mu_drop);
  const float *y = idm_model_sigma(model, pass->sigma_work, pass->x, n, sigma_drop);
  const double loss =
    idm_loss(&model->spec, n, dims, mu, y, pass->action, scale, pass->dmu, pass->dy);
  px_mlp_backward(model->mu, pass->mu_work, pass->x, n, pass->dmu, pass->mu_grads, add, NULL);
  if (model->sigma)
    px_mlp_backward(model->sigma, pass->sigma_work, pass->x, n, pass->dy, pass->sigma_grads, add,
                    NULL);
  if (model->linear) {
    px_mat_mul(PX_MAT_T, PX_MAT_N, dims, in, n, pass->dmu, pass->x, add ? 1 : 0,
               pass->linear_grads);
    px_mat_col_sums(n, dims, pass->dmu, add, pass->linear_grads + (size_t)dims * in);
  }
  return loss;
}
