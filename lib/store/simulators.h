/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Simulators that users bring (lib/flow/simulators.h): immutable models and layouts. Written by the
 * server alone.
 */
#ifndef PX_STORE_SIMULATORS_H
#define PX_STORE_SIMULATORS_H

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/store/store.h"

/* All borrowed. */
struct store_simulator_draft {
  const char *name, *mjcf, *layout_json;
  uint32_t obs_dim, act_dim, nq, nv, nu;
  double time_step, step_s;
};
/* What one token may have; 0, or no bounds at all: any number. */
struct store_simulator_bounds {
  int64_t number, bytes;
};
/* CONFLICT when the name is taken, TOO_MANY_SIMULATORS beyond the bounds of the store's
 * submitter. */
enum px_status store_simulator_create(struct store *store,
                                      const struct store_simulator_draft *draft,
                                      const struct store_simulator_bounds *bounds,
                                      char id[STORE_ID_MAX], struct px_err *err) PX_MUST_CHECK;

/* One with its texts, from malloc; store_simulator_free them. NOT_FOUND. */
struct store_simulator {
  char id[STORE_ID_MAX];
  char *mjcf, *layout_json;
  uint32_t obs_dim, act_dim, nq, nv, nu;
};
enum px_status store_simulator_get(struct store *store, const char *id, struct store_simulator *out,
                                   struct px_err *err) PX_MUST_CHECK;
void store_simulator_free(struct store_simulator *simulator);
/* Its dimensions alone. */
enum px_status store_simulator_dims(struct store *store, const char *id, uint32_t *obs_dim,
                                    uint32_t *act_dim, struct px_err *err) PX_MUST_CHECK;

enum px_status store_simulator_document(struct store *store, const char *id, struct px_buf *out,
                                        struct px_err *err) PX_MUST_CHECK;
/* Newest first; before: the `next` of the page before, or NULL. */
enum px_status store_simulator_list(struct store *store, const char *before, int limit,
                                    struct px_buf *out, struct px_err *err) PX_MUST_CHECK;
/* CONFLICT while an unfinished job names it. */
enum px_status store_simulator_delete(struct store *store, const char *id,
                                      struct px_err *err) PX_MUST_CHECK;

#endif
