/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client that knows what it does not know: every request either got an answer, was surely not
 * sent, or nobody can say. One connection per request, bounded times, no retries: the caller
 * decides.
 *
 * Used by load and check. A struct api_answer's body is the caller's to free; a struct api may be
 * shared by threads.
 */
#ifndef PX_FAULT_API_H
#define PX_FAULT_API_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"

enum api_outcome { API_ANSWERED, API_NOT_SENT, API_UNKNOWN };

struct api {
  char address[128], token[96];
  int timeout_ms;
};
/* From PROXACT_URL (http://HOST:PORT) and PROXACT_TOKEN; false if one is missing. */
bool api_from_env(struct api *api);

/* location: "" if there is none */
struct api_answer {
  int http;
  char location[128];
  struct px_buf body;
};
/* type NULL: JSON. body NULL: none. `headers` is "" or lines that end with \r\n. */
enum api_outcome api_call(const struct api *api, const char *method, const char *path,
                          const char *headers, const char *type, const void *body, size_t n,
                          struct api_answer *out);

/* GET until there is a definite answer below 500, for at most `patience_ms`; its JSON, or NULL. */
json_t *api_get(const struct api *api, const char *path, int patience_ms);
/* The same for bytes; false if there were none. The caller frees out. */
bool api_get_bytes(const struct api *api, const char *path, int patience_ms, struct px_buf *out);

#endif
