/* SPDX-License-Identifier: Apache-2.0 */
/* Status codes: see status.h. */
#include "lib/base/status.h"

#include <string.h>

static const struct {
  const char *slug, *title, *hint;
  int http;
  enum px_retry retry;
} TABLE[PX_STATUS_N] = {
  [PX_OK] = { "ok", "OK", "", 200, PX_RETRY_NEVER },
#define PX_ERROR(name, slug, http, title, hint, retry) \
  [PX_E_##name] = { slug, title, hint, http, PX_RETRY_##retry },
#include "schema/errors.def"
#undef PX_ERROR
};

static enum px_status known_status(enum px_status status) {
  return (int)status >= 0 && status < PX_STATUS_N ? status : PX_E_INTERNAL;
}

const char *px_status_slug(enum px_status status) { return TABLE[known_status(status)].slug; }
int px_status_http(enum px_status status) { return TABLE[known_status(status)].http; }
const char *px_status_title(enum px_status status) { return TABLE[known_status(status)].title; }
const char *px_status_hint(enum px_status status) { return TABLE[known_status(status)].hint; }
enum px_retry px_status_retry(enum px_status status) { return TABLE[known_status(status)].retry; }

enum px_status px_status_from_slug(const char *slug) {
  for (int i = 0; i < PX_STATUS_N; i++)
    if (strcmp(TABLE[i].slug, slug) == 0) return (enum px_status)i;
  return PX_E_INTERNAL;
}
