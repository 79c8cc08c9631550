/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What handlers share: the configuration, a store per thread, the work pool, the
 * waiter, checked tokens. Made by main.c, lives as long as the server. Thread safe.
 */
#ifndef PX_SERVER_APP_SERVICE_H
#define PX_SERVER_APP_SERVICE_H

#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/digest.h"
#include "lib/base/fail.h"
#include "lib/redis/queue.h"
#include "lib/store/store.h"
#include "server/app/cache.h"
#include "server/app/diskspace.h"
#include "server/app/predictors.h"
#include "server/app/workpool.h"

struct service_options {
  const char *db_url, *redis_url, *spool_dir; /* borrowed */
  uint64_t max_upload_bytes, predict_cache_bytes;
  int64_t upload_expires_s, rate_per_s, rate_burst, jobs_per_token, simulators_per_token,
    simulator_bytes_per_token;
  int work_threads, db_wait_ms;
  struct diskspace_options room;
};
struct service;
enum px_status service_new(const struct service_options *options, struct service **out,
                           struct px_err *err) PX_MUST_CHECK;
void service_free(struct service *service); /* after every thread but this one has ended */
const struct service_options *service_options(const struct service *service);
struct diskspace *service_diskspace(struct service *service);
/* diskspace_claim, with what uploads in parts were promised. */
enum px_status service_claim(struct service *service, struct store *store,
                             struct diskspace_claim *claim, uint64_t spool_bytes, uint64_t db_bytes,
                             struct px_err *err) PX_MUST_CHECK;

/* This thread's connection, opened at its first use and closed when the thread ends. `patient`:
 * calls on it wait for a database that is away (db_wait_ms), as only a thread of the work pool may;
 * otherwise they fail at once. */
enum px_status service_store(struct service *service, bool patient, struct store **out,
                             struct px_err *err) PX_MUST_CHECK;
/* Tells workers that n jobs may be ready, and long polls that a job changed. */
void service_wake(struct service *service, int n);
bool service_queue_up(struct service *service);
/* A running job's live progress as the worker told it last; false if there is none. */
bool service_job_progress(struct service *service, const char *job, struct px_buf *json);
void service_job_changed(struct service *service, const char *job);
struct cache *service_cache(struct service *service);
struct predictors *service_predictors(struct service *service);

/* The value of an Authorization header (may be NULL), from a client of this address (a hash of it).
 * See tokens.h for who is believed, and held to which rate (RATE_LIMITED). The digest of the token
 * is given if it is a good one. */
enum px_status service_authorize(struct service *service, const char *authorization,
                                 uint64_t address, uint8_t digest[PX_SHA256_BYTES],
                                 struct px_err *err) PX_MUST_CHECK;
/* Makes, stores and gives a token: "pxa_" and 64 hex digits. */
enum { SERVICE_TOKEN_MAX = 72 };
enum px_status service_token_create(struct store *store, const char *name,
                                    char token[SERVICE_TOKEN_MAX],
                                    struct px_err *err) PX_MUST_CHECK;

/* An unlinked temporary file in the spool folder. */
enum px_status service_spool(struct service *service, int *fd, struct px_err *err) PX_MUST_CHECK;

struct http_request;
/* The work pool. RATE_LIMITED when too many of its token wait already and this one is not `begun`
 * (workpool.h). */
enum px_status service_run_later(struct service *service, struct http_request *req, bool begun,
                                 struct px_err *err) PX_MUST_CHECK;
struct workpool_load service_load(struct service *service, int lane);
/* Resumes the request when the job's version is no longer `version`, or after wait_ms. */
enum px_status service_park(struct service *service, struct http_request *req, const char *job,
                            int64_t version, int wait_ms, struct px_err *err) PX_MUST_CHECK;
/* Ends every wait now, and from now on at once (drain). */
void service_end_waits(struct service *service);

#endif
