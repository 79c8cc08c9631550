/* SPDX-License-Identifier: Apache-2.0 */
/* Where Redis is: see redis_url.h. */
#include "lib/redis/redis_url.h"

#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "lib/base/clock.h"
#include "lib/redis/redis_conn.h"

enum { CALL_MS = 100, SENTINEL_MS = 300, PORT = 6379, SENTINEL_PORT = 26379 };

/* --- URLs */

/* Copies n characters; false if they do not fit. */
static bool copy(char *out, size_t size, const char *text, size_t n) {
  if (n >= size) return false;
  memcpy(out, text, n);
  out[n] = '\0';
  return true;
}

static bool parse_unix(const char *rest, struct redis_url *at) {
  const size_t n = strcspn(rest, "?");
  const char *db = strstr(rest + n, "db=");
  at->db = db ? (int)strtol(db + 3, NULL, 10) : 0;
  return n > 0 && copy(at->path, sizeof at->path, rest, n);
}

/* [user:password@]host[:port][,host[:port]...]; *rest is moved behind it. */
static bool parse_hosts(const char **rest, int port, struct redis_url *at) {
  const char *text = *rest, *sign = strchr(text, '@');
  if (sign) {
    const size_t user = strcspn(text, ":@");
    if (!copy(at->user, sizeof at->user, text, user)) return false;
    const char *password = text + user + (text[user] == ':');
    if (!copy(at->password, sizeof at->password, password, (size_t)(sign - password))) return false;
    text = sign + 1;
  }
  do {
    text += *text == ',';
    const size_t n = strcspn(text, ":/?,");
    if (n == 0 || at->hosts == ADDRESS_HOSTS_MAX ||
        !copy(at->host[at->hosts].name, sizeof at->host->name, text, n))
      return false;
    char *end = (char *)text + n;
    const long given = *end == ':' ? strtol(end + 1, &end, 10) : port;
    if (given <= 0 || given > 65535) return false;
    at->host[at->hosts++].port = (int)given;
    text = end;
  } while (*text == ',');
  *rest = text;
  return true;
}

static bool parse_tcp(const char *rest, struct redis_url *at) {
  if (!parse_hosts(&rest, PORT, at) || at->hosts != 1) return false;
  at->db = *rest == '/' ? (int)strtol(rest + 1, NULL, 10) : 0;
  return true;
}

static bool parse_sentinel(const char *rest, struct redis_url *at) {
  if (!parse_hosts(&rest, SENTINEL_PORT, at) || *rest != '/') return false;
  const size_t n = strcspn(++rest, "/?");
  at->db = rest[n] == '/' ? (int)strtol(rest + n + 1, NULL, 10) : 0;
  return n > 0 && copy(at->master, sizeof at->master, rest, n);
}

bool redis_url_parse(const char *url, struct redis_url *at) {
  static const struct {
    const char *scheme;
    bool (*parse)(const char *rest, struct redis_url *at);
  } SCHEME[] = {
    { "redis://", parse_tcp },
    { "redis+unix://", parse_unix },
    { "unix://", parse_unix },
    { "redis+sentinel://", parse_sentinel },
  };
  memset(at, 0, sizeof *at);
  for (size_t i = 0; i < sizeof SCHEME / sizeof *SCHEME; i++) {
    const size_t n = strlen(SCHEME[i].scheme);
    if (strncmp(url, SCHEME[i].scheme, n) == 0) return SCHEME[i].parse(url + n, at);
  }
  return false;
}

/* --- connecting */

/* Takes the context and gives it back, or NULL when it is not connected. */
static redisContext *connected(redisContext *c) {
  if (c && !c->err && redisSetTimeout(c, (struct timeval){ .tv_usec = CALL_MS * 1000 }) == REDIS_OK)
    return c;
  if (c) redisFree(c);
  return NULL;
}

static redisContext *connect_to(const char *host, int port) {
  return connected(
    redisConnectWithTimeout(host, port, (struct timeval){ .tv_usec = CALL_MS * 1000 }));
}

static bool greet(redisContext *c, const struct redis_url *at) {
  if (at->user[0] && !redis_conn_fine(redis_conn_ask(c, "AUTH %s %s", at->user, at->password)))
    return false;
  if (!at->user[0] && at->password[0] &&
      !redis_conn_fine(redis_conn_ask(c, "AUTH %s", at->password)))
    return false;
  return at->db == 0 || redis_conn_fine(redis_conn_ask(c, "SELECT %d", at->db));
}

/* A sentinel may not know yet that its master has become a replica. */
static bool is_master(redisContext *c) {
  redisReply *role = redis_conn_ask(c, "ROLE");
  const bool master = role && role->type == REDIS_REPLY_ARRAY && role->elements > 0 &&
                      role->element[0]->type == REDIS_REPLY_STRING &&
                      strcmp(role->element[0]->str, "master") == 0;
  if (role) freeReplyObject(role);
  return master;
}

/* Asks a sentinel for the master and connects to that. */
static redisContext *connect_through(const char *host, int port, const struct redis_url *at) {
  redisContext *sentinel = connect_to(host, port), *master = NULL;
  redisReply *where =
    sentinel ? redis_conn_ask(sentinel, "SENTINEL get-master-addr-by-name %s", at->master) : NULL;
  if (where && where->type == REDIS_REPLY_ARRAY && where->elements == 2)
    master = connect_to(where->element[0]->str, (int)strtol(where->element[1]->str, NULL, 10));
  if (where) freeReplyObject(where);
  if (sentinel) redisFree(sentinel);
  if (master && greet(master, at) && is_master(master)) return master;
  if (master) redisFree(master);
  return NULL;
}

redisContext *redis_url_connect(const struct redis_url *at) {
  if (at->master[0]) {
    const int64_t until_ms = px_clock_ms() + SENTINEL_MS - CALL_MS;
    redisContext *c = NULL;
    for (int i = 0; i < at->hosts && !c && px_clock_ms() < until_ms; i++)
      c = connect_through(at->host[i].name, at->host[i].port, at);
    return c;
  }
  redisContext *c =
    at->path[0]
      ? connected(
          redisConnectUnixWithTimeout(at->path, (struct timeval){ .tv_usec = CALL_MS * 1000 }))
      : connect_to(at->host[0].name, at->host[0].port);
  if (!c || greet(c, at)) return c;
  redisFree(c);
  return NULL;
}
