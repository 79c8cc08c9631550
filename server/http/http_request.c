/* SPDX-License-Identifier: Apache-2.0 */
/* What handlers may ask of a request: see http.h. */
#include <poll.h>
#include <string.h>

#include "lib/base/digest.h"
#include "server/http/http_exchange.h"

static struct exchange *exchange_of(const struct http_request *req) { return req->exchange; }

const char *http_query(const struct http_request *req, const char *name) {
  for (size_t i = 0; i < req->query_n; i++)
    if (strcmp(req->query[i].name, name) == 0) return req->query[i].value;
  return NULL;
}

const char *http_header(const struct http_request *req, const char *name) {
  return MHD_lookup_connection_value(exchange_of(req)->connection, MHD_HEADER_KIND, name);
}

int http_requests_in_flight(const struct http_request *req) {
  return http_in_flight(exchange_of(req)->http);
}
bool http_draining(const struct http_request *req) { return exchange_of(req)->http->draining; }

bool http_client_gone(const struct http_request *req) {
  struct pollfd fd = { .fd = http_socket(exchange_of(req)->connection), .events = POLLRDHUP };
  return poll(&fd, 1, 0) > 0;
}

void http_body_digest(const struct http_request *req, uint8_t digest[PX_SHA256_BYTES]) {
  struct exchange *x = exchange_of(req);
  memset(digest, 0, PX_SHA256_BYTES);
  if (x->digest) px_digest_end(x->digest, digest);
  x->digest = NULL;
}

uint64_t http_body_bytes(const struct http_request *req) { return exchange_of(req)->body_bytes; }

const struct http_route *http_routes(const struct http_request *req) {
  return exchange_of(req)->http->options.routes;
}

int http_socket(struct MHD_Connection *connection) {
  const union MHD_ConnectionInfo *info =
    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
  return info ? info->connect_fd : -1;
}

int http_in_flight(const struct http *http) { return atomic_load(&http->in_flight); }
