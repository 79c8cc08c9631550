/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Status codes: how a function says what went wrong, and what users and workers make of it. The
 * table is schema/errors.def. Thread safe: there is no shared state.
 */
#ifndef PX_BASE_STATUS_H
#define PX_BASE_STATUS_H

#include <stdbool.h>
#include <stddef.h>

enum px_status {
  PX_OK = 0,
#define PX_ERROR(name, slug, http, title, hint, retry) PX_E_##name,
#include "schema/errors.def"
#undef PX_ERROR
  PX_STATUS_N
};

enum px_retry { PX_RETRY_NEVER, PX_RETRY_SOFT, PX_RETRY_WAIT };

#define PX_MUST_CHECK __attribute__((warn_unused_result))
#define PX_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

const char *px_status_slug(enum px_status status); /* "ok" for PX_OK */
int px_status_http(enum px_status status);         /* 200 for PX_OK */
const char *px_status_title(enum px_status status);
const char *px_status_hint(enum px_status status);
enum px_retry px_status_retry(enum px_status status);
/* The code whose slug it is; PX_E_INTERNAL if none has it. */
enum px_status px_status_from_slug(const char *slug);

#endif
