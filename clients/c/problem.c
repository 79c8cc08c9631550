/* SPDX-License-Identifier: Apache-2.0 */
/* Problem documents and media types: see client.h. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "clients/c/client.h"
#include "lib/base/fail.h"

static const char *text_of(const json_t *object, const char *name) {
  const char *text = json_string_value(json_object_get(object, name));
  return text ? text : "";
}

static enum px_status code_from_http(long http) {
  for (int i = 1; i < PX_STATUS_N; i++)
    if (px_status_http((enum px_status)i) == http) return (enum px_status)i;
  return http >= 500 ? PX_E_UNAVAILABLE : PX_E_BAD_REQUEST;
}

enum px_status client_problem(long http, const json_t *problem, struct px_err *err) {
  const char *slug = text_of(problem, "code"), *detail = text_of(problem, "detail"),
             *title = text_of(problem, "title");
  const enum px_status code = *slug ? px_status_from_slug(slug) : code_from_http(http);
  const json_t *first = json_array_get(json_object_get(problem, "errors"), 0);
  const char *place = text_of(first, "pointer"), *why = text_of(first, "detail");
  if (!*place) place = text_of(problem, "pointer"); /* a job's error has it there */
  if (!*detail) detail = *why ? why : *title ? title : "";
  if (*detail) px_fail_at(err, code, place, "%s", detail);
  else px_fail_at(err, code, place, "the server answered with status %ld", http);
  const char *id = text_of(problem, "request_id");
  if (err && px_status_http(code) >= 500 && *id) {
    const size_t used = strlen(err->message);
    snprintf(err->message + used, sizeof err->message - used, " (request %.64s)", id);
  }
  const char *hint = text_of(problem, "hint");
  px_fail_hint(err, "%s", *hint ? hint : px_status_hint(code));
  return code;
}

const char *client_media_type(const char *file) {
  static const struct {
    const char *endings, *type;
  } TYPES[] = {
#define PX_UPLOAD(NAME, name, media_type, words) { #name "|" words, media_type },
#include "schema/uploads.def"
#undef PX_UPLOAD
  };
  const char *dot = strrchr(file, '.');
  if (!dot || dot == file) return NULL;
  for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
    for (const char *word = TYPES[i].endings; *word; word += *word == '|') {
      const size_t n = strcspn(word, "|");
      if (n && strlen(dot + 1) == n && strncasecmp(dot + 1, word, n) == 0) return TYPES[i].type;
      word += n;
    }
  return NULL;
}
