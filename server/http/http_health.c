/* SPDX-License-Identifier: Apache-2.0 */
/* GET /healthz for a thread that is held up: see http_health.h. */
#include "server/http/http_health.h"

#include <string.h>
#include <sys/socket.h>

#include "server/http/http.h"

enum { HEAD_MAX_BYTES = 4096 };

bool http_health_asked(int fd) {
  static const char LINE[] = "GET /healthz HTTP/1.";
  char head[HEAD_MAX_BYTES + 1];
  const ssize_t n = recv(fd, head, HEAD_MAX_BYTES, MSG_PEEK | MSG_DONTWAIT);
  if (n < (ssize_t)sizeof LINE || memcmp(head, LINE, sizeof LINE - 1) != 0) return false;
  head[n] = '\0';
  return strstr(head, "\r\n\r\n") != NULL;
}

void http_health_answer(int fd) {
  static const char ANSWER[] =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-cache\r\n"
    "X-Content-Type-Options: nosniff\r\nContent-Security-Policy: " HTTP_CONTENT_POLICY "\r\n"
    "Content-Length: 16\r\nConnection: close\r\n\r\n{\"status\": \"ok\"}";
  /* The send buffer is empty: every answer before has been sent. */
  if (send(fd, ANSWER, sizeof ANSWER - 1, MSG_DONTWAIT | MSG_NOSIGNAL) > 0) shutdown(fd, SHUT_WR);
}
