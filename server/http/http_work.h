/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request from its head to its answer: its stages, and the handler here or in the work pool.
 * Inner header of server/http, for http.c. Of http.h, http_work.c has http_ready, http_handle,
 * http_resume and http_run_deferred.
 */
#ifndef PX_SERVER_HTTP_HTTP_WORK_H
#define PX_SERVER_HTTP_HTTP_WORK_H

#include "server/http/http_exchange.h"

/* libmicrohttpd's handler: called for the head, for each piece of the body, and after them. */
enum MHD_Result http_work(void *cls, struct MHD_Connection *connection, const char *url,
                          const char *method, const char *version, const char *bytes, size_t *n,
                          void **ctx);

#endif
