/* SPDX-License-Identifier: Apache-2.0 */
/* Warnings: see warn.h. */
#include "lib/base/warn.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
  const char *code, *hint;
} TABLE[PX_WARNING_N] = {
#define PX_WARNING(name, code, hint) { code, hint },
#include "schema/warnings.def"
#undef PX_WARNING
};

const char *px_warn_code(enum px_warning warning) { return TABLE[warning].code; }
const char *px_warn_default_hint(enum px_warning warning) { return TABLE[warning].hint; }

static json_t *list_of(json_t *document) {
  json_t *list = json_object_get(document, "warnings");
  if (list) return list;
  if (json_object_set_new(document, "warnings", json_array()) < 0) return NULL;
  return json_object_get(document, "warnings");
}

static bool same_text(const json_t *a, const json_t *b, const char *name) {
  const char *one = json_string_value(json_object_get(a, name)),
             *other = json_string_value(json_object_get(b, name));
  return one && other && strcmp(one, other) == 0;
}

/* Takes the reference to `entry`; gives the entry of the list with its code and message. */
static json_t *insert_once(json_t *list, json_t *entry) {
  size_t i;
  json_t *there;
  json_array_foreach(list, i, there) {
    if (!same_text(there, entry, "code") || !same_text(there, entry, "message")) continue;
    json_decref(entry);
    return there;
  }
  if (json_array_size(list) >= PX_WARNINGS_MAX) {
    json_decref(entry);
    return NULL;
  }
  return json_array_append_new(list, entry) < 0 ? NULL
                                                : json_array_get(list, json_array_size(list) - 1);
}

json_t *px_warn(json_t *document, enum px_warning warning, const char *fmt, ...) {
  char message[512];
  va_list args;
  va_start(args, fmt);
  vsnprintf(message, sizeof message, fmt, args);
  va_end(args);
  json_t *list = list_of(document);
  json_t *entry = list ? json_pack("{s:s, s:s, s:s}", "code", TABLE[warning].code, "message",
                                   message, "hint", TABLE[warning].hint)
                       : NULL;
  return entry ? insert_once(list, entry) : NULL;
}

void px_warn_figure(json_t *entry, const char *name, double value) {
  if (!entry) return;
  if (!json_object_get(entry, "figures")) json_object_set_new(entry, "figures", json_object());
  json_object_set_new(json_object_get(entry, "figures"), name, px_json_number(value));
}

void px_warn_text(json_t *entry, const char *name, const char *text) {
  if (entry) json_object_set_new(entry, name, json_string(text));
}

void px_warn_hint(json_t *entry, const char *hint) {
  if (entry) json_object_set_new(entry, "hint", json_string(hint));
}

void px_warn_none(json_t *document) { (void)list_of(document); }

void px_warn_add_all(json_t *document, const json_t *other, const char *job) {
  const json_t *theirs = json_object_get(other, "warnings");
  json_t *list = json_array_size(theirs) ? list_of(document) : NULL, *entry;
  size_t i;
  json_array_foreach(theirs, i, entry) {
    json_t *copy = list ? json_deep_copy(entry) : NULL;
    if (copy && job && !json_object_get(copy, "job"))
      json_object_set_new(copy, "job", json_string(job));
    if (copy) insert_once(list, copy);
  }
}
