/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workers: which ones are alive, and how much memory they give a job.
 */
#ifndef PX_STORE_WORKERS_H
#define PX_STORE_WORKERS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/store/store.h"

enum px_status store_worker_seen(struct store *store, const char *id, const char *host, int pid,
                                 bool draining, int64_t memory_bytes,
                                 struct px_err *err) PX_MUST_CHECK;
/* The most memory that a worker gives a job, INT64_MAX when there is none or one does not say. */
enum px_status store_worker_memory(struct store *store, int64_t *bytes,
                                   struct px_err *err) PX_MUST_CHECK;
enum px_status store_worker_gone(struct store *store, const char *id,
                                 struct px_err *err) PX_MUST_CHECK;
enum px_status store_worker_list(struct store *store, struct px_buf *out,
                                 struct px_err *err) PX_MUST_CHECK;

#endif
