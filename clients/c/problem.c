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

/* The server's general hints speak of its routes: here is what does the same from this side. */
static const char *own_hint(enum px_status code) {
  switch (code) {
    case PX_E_UNAUTHORIZED:
      return "'proxact login' keeps a valid token; PROXACT_TOKEN, if it is set, wins over it.";
    case PX_E_NOT_FOUND:
      return "Check the name or id: 'proxact datasets', 'proxact jobs' and 'proxact models' list "
             "what there is.";
    case PX_E_BAD_FIELD: return "'proxact server openapi' describes every field with its bounds.";
    case PX_E_PRECONDITION_FAILED: return "It was changed meanwhile: look at it and try again.";
    case PX_E_TOO_MANY_JOBS:
      return "'proxact jobs --state queued' lists them; 'proxact jobs cancel JOB' ends one.";
    case PX_E_TOO_MANY_SIMULATORS:
      return "'proxact simulators' lists them; 'proxact simulators delete SIMULATOR' removes one.";
    case PX_E_CANCELLED: return "'proxact jobs retry JOB' starts it again.";
    case PX_E_RATE_LIMITED: return "Try again a little later.";
    case PX_E_UNSUPPORTED_MEDIA:
      return "'proxact help upload' tells the endings of files; --format says a format.";
    default: return px_status_hint(code);
  }
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
  const bool general = !*hint || strcmp(hint, px_status_hint(code)) == 0;
  px_fail_hint(err, "%s", general ? own_hint(code) : hint);
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
