/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters of the server for GET /metrics (Prometheus text format 0.0.4), in
 * base units and without ids. Thread safe: atomics.
 */
#ifndef PX_SERVER_APP_METRICS_H
#define PX_SERVER_APP_METRICS_H

#include <stdint.h>

#include "lib/base/buf.h"
#include "server/http/http.h"

/* One answered request. route: its index in the table, or -1. */
void metrics_request(int route, int status, double seconds, uint64_t received_bytes,
                     uint64_t sent_bytes);
void metrics_uploaded(uint64_t bytes, uint64_t steps, double seconds);
/* Appends everything; the routes name their operations. */
enum px_status metrics_print(const struct http_route *routes, int in_flight,
                             struct px_buf *out) PX_MUST_CHECK;

#endif
