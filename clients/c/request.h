/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the client: one exchange on libcurl, when to try it again, and files of this machine. Used
 * in clients/c only.
 */
#ifndef PX_CLIENTS_C_REQUEST_H
#define PX_CLIENTS_C_REQUEST_H

#include <curl/curl.h>
#include <stdio.h>

#include "clients/c/client.h"
#include "lib/base/buf.h"
#include "lib/base/fail.h"

enum { URL_MAX_BYTES = 2048, ANSWER_MAX_BYTES = 64 << 20, REQUEST_KEY_MAX = 33 };

struct client {
  CURL *curl;
  char url[URL_MAX_BYTES], token[512];
  char curl_error[CURL_ERROR_SIZE];
  bool reached; /* something has answered at this address */
  long stall_s; /* 0: STALL_TIMEOUT_S */
};

/* One exchange. The answer goes to `file` while it is a success, otherwise, being
 * a problem document or plain JSON, to `body`. */
struct exchange {
  struct client *client;
  struct client_reply reply;
  struct px_buf body;
  FILE *file;
  client_meter meter;
  void *meter_ctx;
  uint64_t before_bytes; /* of the file, sent by earlier exchanges */
  long stall_s;          /* silent for so long it is given up; 0: a quarter of an hour */
  bool upload;
};

/* What every request needs; the method's own options are set by `set`, on the reset handle. */
struct request {
  const char *path, *etag, *media_type;
  void (*set)(CURL *curl, const void *arg);
  const void *arg;
  const char *key;            /* Idempotency-Key, or NULL */
  const char *const *headers; /* whole lines, ended by NULL; or NULL */
};
enum px_status request_run(struct exchange *ex, const struct request *request, json_t **out,
                           struct px_err *err) PX_MUST_CHECK;

enum px_status request_key(char key[REQUEST_KEY_MAX], struct px_err *err) PX_MUST_CHECK;
/* Whether the same request may succeed later. */
/* A file of this machine that could not be dealt with, as errno says: the status, with a hint that
 * is not the server's. */
enum px_status client_fail_file(struct px_err *err, const char *doing, const char *file);
/* Opens a file to send, which can be read again; the caller closes *out. */
enum px_status client_open_file(const char *file, FILE **out, int64_t *size,
                                struct px_err *err) PX_MUST_CHECK;

bool request_may_pass(const struct client *client, enum px_status status,
                      const struct client_reply *reply);
/* Before the try after `tries` failures: a quarter of a second, doubling up to 8 s, or what the
 * server asked for. */
void request_pause(int tries, const struct client_reply *reply);

#endif
