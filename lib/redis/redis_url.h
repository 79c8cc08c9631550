/* SPDX-License-Identifier: Apache-2.0 */
/* Where Redis is, and connecting to it: for queue.c only. Nothing here is shared or kept. */
#ifndef PX_REDIS_REDIS_URL_H
#define PX_REDIS_REDIS_URL_H

#include <hiredis/hiredis.h>
#include <stdbool.h>

enum { ADDRESS_HOSTS_MAX = 8 };

/* A socket, a host, or sentinels that know which host is the master of that name now. */
struct redis_url {
  char path[128], user[64], password[128], master[64];
  struct {
    char name[128];
    int port;
  } host[ADDRESS_HOSTS_MAX];
  int hosts, db;
};
/* See queue_open; false for a URL that is none of these. */
bool redis_url_parse(const char *url, struct redis_url *out);
/* A connection that may be used, or NULL. Takes 100 ms, with sentinels 300 ms at most. */
redisContext *redis_url_connect(const struct redis_url *at);

#endif
