/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Models that predict, kept in memory: policies, and inverse dynamics models as whole ensembles.
 * They are loaded at their first use; beyond a number of bytes the least recently used go. Used by
 * api_predict.c. Thread safe; a model that was taken belongs to the taker until it is given back.
 */
#ifndef PX_SERVER_APP_PREDICTORS_H
#define PX_SERVER_APP_PREDICTORS_H

#include <stdint.h>

#include "lib/base/fail.h"
#include "lib/idm/idm.h"
#include "lib/idm/label.h"
#include "lib/rl/rl.h"
#include "lib/store/models.h"
#include "lib/store/store.h"

/* Bytes of a model's files, together, that may be loaded. */
#define PREDICTORS_MODEL_BYTES_MAX ((uint64_t)256 << 20)

/* One or the other; read-only but for the nets' scratch. */
struct predictor {
  struct rl_policy *policy; /* or NULL */
  struct idm_model *models[STORE_MEMBERS_MAX];
  uint32_t models_n;
  struct idm_label_work *work; /* of the models, ready to label; NULL: a policy */
};

struct predictors;
/* bytes_max 0 keeps none. NULL when out of memory. */
struct predictors *predictors_new(uint64_t bytes_max);
/* Nothing may be taken. */
void predictors_free(struct predictors *predictors);

/* The model of these files, once who has it has given it back. BAD_FIELD at "model" for a kind that
 * does not predict; TOO_LARGE above PREDICTORS_MODEL_BYTES_MAX. */
enum px_status predictors_take(struct predictors *predictors, struct store *store,
                               const struct store_members *members, struct predictor **out,
                               struct px_err *err) PX_MUST_CHECK;
void predictors_give_back(struct predictors *predictors, struct predictor *predictor);

/* What is kept now: models, and about how many bytes they take. */
struct predictors_load {
  uint32_t models;
  uint64_t bytes;
};
struct predictors_load predictors_load(struct predictors *predictors);

#endif
