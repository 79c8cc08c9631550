/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The route table's search. Pure; used by http.c and by the test that compares
 * the table with schema/openapi.yaml.
 */
#ifndef PX_SERVER_HTTP_HTTP_ROUTE_H
#define PX_SERVER_HTTP_HTTP_ROUTE_H

#include "lib/base/arena.h"
#include "lib/base/fail.h"
#include "server/http/http.h"

struct http_match {
  const struct http_route *route;      /* NULL: no route has this path and method */
  const char *params[HTTP_PARAMS_MAX]; /* in the arena */
  bool path_known;                     /* the path exists for other methods: 405 */
  char allow[64];                      /* those methods */
};
/* `path` is raw, without the query. HEAD finds GET. BAD_REQUEST when it does not decode. */
enum px_status http_route_find(const struct http_route *routes, size_t n, const char *method,
                               const char *path, struct px_arena *arena, struct http_match *match,
                               struct px_err *err) PX_MUST_CHECK;
/* "a=1&b" into req->query. BAD_REQUEST when it does not decode or repeats a
 * name, BAD_FIELD for a name that the route does not take. */
enum px_status http_route_query(struct http_request *req, const char *text,
                                struct px_err *err) PX_MUST_CHECK;

#endif
