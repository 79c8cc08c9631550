/* SPDX-License-Identifier: Apache-2.0 */
/* What this server does for http (struct http_hooks): tokens, the work pool, long polls,
 * idempotency, space, counters. */
#ifndef PX_SERVER_APP_HOOKS_H
#define PX_SERVER_APP_HOOKS_H

#include "server/http/http.h"

extern const struct http_hooks hooks_service;

#endif
