/* SPDX-License-Identifier: Apache-2.0 */
/* The route table's search: see http_route.h. */
#include "server/http/http_route.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/fail.h"
#include "server/http/http_validate.h"

/* Matches one segment of a pattern against one of a path, both `n` long to the
 * next '/'. A parameter never takes a ':' that could begin a verb. */
static bool segment_matches(const char *pattern, size_t pattern_n, const char *path, size_t path_n,
                            const char **param, size_t *param_n) {
  *param = NULL;
  if (pattern_n == 0 || pattern[0] != '{')
    return pattern_n == path_n && memcmp(pattern, path, path_n) == 0;
  const size_t closing = (size_t)((const char *)memchr(pattern, '}', pattern_n) - pattern);
  const char *verb = pattern + closing + 1;
  const size_t verb_n = pattern_n - closing - 1;
  if (path_n <= verb_n || memcmp(path + path_n - verb_n, verb, verb_n) != 0) return false;
  *param = path;
  *param_n = path_n - verb_n;
  return verb_n > 0 || !memchr(path, ':', path_n);
}

struct found {
  const char *at[HTTP_PARAMS_MAX];
  size_t n[HTTP_PARAMS_MAX], count;
};

static bool path_matches(const char *pattern, const char *path, struct found *found) {
  found->count = 0;
  for (;;) {
    const size_t pattern_n = strcspn(pattern, "/"), path_n = strcspn(path, "/");
    const char *param;
    size_t param_n;
    if (!segment_matches(pattern, pattern_n, path, path_n, &param, &param_n)) return false;
    if (param) {
      found->at[found->count] = param;
      found->n[found->count++] = param_n;
    }
    pattern += pattern_n;
    path += path_n;
    if (!*pattern || !*path) return *pattern == *path;
    pattern++;
    path++;
  }
}

static enum px_status take_params(const struct found *found, struct px_arena *arena,
                                  struct http_match *match, struct px_err *err) {
  for (size_t i = 0; i < found->count; i++) {
    char *text = px_arena_take(arena, found->n[i] + 1, 1);
    if (!text) return px_fail(err, PX_E_NO_MEMORY, "path");
    if (!http_validate_decode(found->at[i], found->n[i], false, text))
      return px_fail(err, PX_E_BAD_REQUEST,
                     "the path holds a broken %% escape or a control character");
    match->params[i] = text;
  }
  return PX_OK;
}

static void add_allowed(struct http_match *match, const char *method) {
  const size_t used = strlen(match->allow);
  snprintf(match->allow + used, sizeof match->allow - used, "%s%s%s", used ? ", " : "", method,
           strcmp(method, "GET") == 0 ? ", HEAD" : "");
}

enum px_status http_route_find(const struct http_route *routes, size_t n, const char *method,
                               const char *path, struct px_arena *arena, struct http_match *match,
                               struct px_err *err) {
  *match = (struct http_match){ 0 };
  if (strcmp(method, "HEAD") == 0) method = "GET";
  for (size_t i = 0; i < n; i++) {
    struct found found;
    if (!path_matches(routes[i].path, path, &found)) continue;
    match->path_known = true;
    if (strcmp(routes[i].method, method) != 0) {
      add_allowed(match, routes[i].method);
      continue;
    }
    const enum px_status status = take_params(&found, arena, match, err);
    if (status) return status;
    match->route = &routes[i];
    return PX_OK;
  }
  return PX_OK;
}

static bool takes(const char *names, const char *name) {
  const size_t n = strlen(name);
  for (const char *at = names; at && *at;) {
    const size_t len = strcspn(at, " ");
    if (len == n && memcmp(at, name, n) == 0) return true;
    at += len + (at[len] == ' ');
  }
  return false;
}

static enum px_status take_pair(struct http_request *req, const char *text, size_t n,
                                struct px_err *err) {
  const char *equals = memchr(text, '=', n);
  const size_t name_n = equals ? (size_t)(equals - text) : n;
  char *name = px_arena_take(req->arena, name_n + 1, 1);
  char *value = px_arena_take(req->arena, n + 1, 1);
  if (!name || !value) return px_fail(err, PX_E_NO_MEMORY, "query");
  if (!http_validate_decode(text, name_n, true, name) ||
      (equals && !http_validate_decode(equals + 1, n - name_n - 1, true, value)))
    return px_fail(err, PX_E_BAD_REQUEST,
                   "the query holds a broken %% escape or a control character");
  if (!takes(req->route->query, name)) {
    px_fail_at(err, PX_E_BAD_FIELD, name, "there is no query parameter '%.64s' here", name);
    if (req->route->query) px_fail_hint(err, "It takes: %s.", req->route->query);
    return PX_E_BAD_FIELD;
  }
  if (http_query(req, name))
    return px_fail_at(err, PX_E_BAD_REQUEST, name, "'%s' is given twice", name);
  if (req->query_n == HTTP_QUERY_MAX)
    return px_fail(err, PX_E_BAD_REQUEST, "too many query parameters");
  req->query[req->query_n++] = (struct http_pair){ name, value };
  return PX_OK;
}

enum px_status http_route_query(struct http_request *req, const char *text, struct px_err *err) {
  while (*text) {
    const size_t n = strcspn(text, "&");
    const enum px_status status = n ? take_pair(req, text, n, err) : PX_OK;
    if (status) return status;
    text += n + (text[n] == '&');
  }
  return PX_OK;
}
