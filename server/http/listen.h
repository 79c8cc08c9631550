/* SPDX-License-Identifier: Apache-2.0 */
/* The listening socket. Used by main.c. */
#ifndef PX_SERVER_HTTP_LISTEN_H
#define PX_SERVER_HTTP_LISTEN_H

#include "lib/base/fail.h"
#include "lib/base/status.h"

struct listen_address {
  int fd;
  bool loopback; /* nobody outside this machine can reach it */
  char text[80]; /* "127.0.0.1:8080", with the port really taken */
};
/* address: "127.0.0.1:8080", "[::1]:8080", "0.0.0.0:0" (any free port). BAD_FIELD or IO. */
enum px_status listen_open(const char *address, struct listen_address *out,
                           struct px_err *err) PX_MUST_CHECK;

#endif
