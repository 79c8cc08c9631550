/* SPDX-License-Identifier: Apache-2.0 */
/* The hooks of http: see hooks.h. */
#include "server/app/hooks.h"

#include "lib/base/fail.h"
#include "server/app/idempotency.h"
#include "server/app/metrics.h"
#include "server/app/service.h"

static void committed(struct service *service, const struct http_reply *reply) {
  if (reply->wake) service_wake(service, reply->wake);
  if (reply->changed) service_job_changed(service, reply->changed);
}

static enum px_status spool(struct service *service, uint64_t bytes, int *fd, struct px_err *err) {
  struct diskspace_claim claim = { 0 };
  enum px_status status =
    diskspace_use(service_diskspace(service), &claim, DISKSPACE_SPOOL, bytes, err);
  diskspace_end(service_diskspace(service), &claim);
  return status || *fd >= 0 ? status : service_spool(service, fd, err);
}

const struct http_hooks hooks_service = { .authorize = service_authorize,
                                          .wants_digest = idempotency_asked,
                                          .handle = idempotency_handle,
                                          .committed = committed,
                                          .run_later = service_run_later,
                                          .park = service_park,
                                          .spool = spool,
                                          .answered = metrics_request };
