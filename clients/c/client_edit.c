/* SPDX-License-Identifier: Apache-2.0 */
/* Edits, which name the version that they change: see client.h. */
#include <stdio.h>

#include "clients/c/client.h"
#include "clients/c/request.h"
#include "lib/base/buf.h"
#include "lib/base/fail.h"

enum { ANSWER_BYTES = 1 << 20 };

struct sending {
  enum client_edit_method method;
  FILE *file;
  curl_off_t size_bytes;
};

static void set_edit(CURL *curl, const void *arg) {
  const struct sending *sending = arg;
  if (sending->method == CLIENT_EDIT_DELETE) {
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, "DELETE");
    return;
  }
  curl_easy_setopt(curl, CURLOPT_POST, 1L);
  if (sending->method == CLIENT_EDIT_PUT) curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, "PUT");
  curl_easy_setopt(curl, CURLOPT_READDATA, sending->file);
  curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, sending->size_bytes);
}

/* It is sent once: after a cut the version tells whether it came through. */
enum px_status client_edit(struct client *client, const struct client_edit *edit, json_t **out,
                           struct px_err *err) {
  char version[128];
  const char *const headers[] = { version, NULL };
  struct sending sending = { .method = edit->method };
  int64_t size = 0;
  snprintf(version, sizeof version, "If-Match: %s", edit->etag);
  enum px_status status =
    edit->file ? client_open_file(edit->file, &sending.file, &size, err) : PX_OK;
  if (status) return status;
  sending.size_bytes = size;
  struct exchange ex = { .client = client, .body = PX_BUF(ANSWER_BYTES) };
  const struct request request = { .path = edit->path,
                                   .media_type = edit->media_type,
                                   .set = set_edit,
                                   .arg = &sending,
                                   .headers = headers };
  status = request_run(&ex, &request, out, err);
  if (sending.file) fclose(sending.file);
  return status;
}
