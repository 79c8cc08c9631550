/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Models that jobs publish: see results.h.
 */
#ifndef PX_STORE_MODELS_H
#define PX_STORE_MODELS_H

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/store/jobs.h"
#include "lib/store/results.h"
#include "lib/store/store.h"

/* Publishes a model and ends its job with metrics as the result. */
enum px_status store_model_publish(struct store *store, const struct store_lease *hold,
                                   const char *dataset_id, const char *role, const char *algo,
                                   const void *bytes, size_t n, const char *metrics_json,
                                   struct px_err *err) PX_MUST_CHECK;
enum px_status store_model_document(struct store *store, const char *id, struct px_buf *out,
                                    struct px_err *err) PX_MUST_CHECK;
enum px_status store_model_list(struct store *store, const struct store_page *page,
                                const char *role, struct px_buf *out,
                                struct px_err *err) PX_MUST_CHECK;
/* The weights (safetensors) into out. */
enum px_status store_model_read(struct store *store, const char *id, struct px_buf *out,
                                struct px_err *err) PX_MUST_CHECK;

/* A model, or of an inverse dynamics model the members of its ensemble, in their order. */
enum { STORE_MEMBERS_MAX = 16 };
struct store_members {
  uint32_t n;
  struct {
    char id[STORE_ID_MAX];
    int64_t blob;
    uint64_t size_bytes;
  } at[STORE_MEMBERS_MAX];
};
/* NOT_FOUND if there is no such model. */
enum px_status store_model_members(struct store *store, const char *id, struct store_members *out,
                                   struct px_err *err) PX_MUST_CHECK;

/* Removes a model; the job that made it stays. CONFLICT while an unfinished job needs it. */
enum px_status store_model_delete(struct store *store, const char *id,
                                  struct px_err *err) PX_MUST_CHECK;

#endif
