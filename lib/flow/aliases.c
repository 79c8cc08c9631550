/* SPDX-License-Identifier: Apache-2.0 */
/* Names of before: see aliases.h. */
#include "lib/flow/aliases.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/warn.h"

enum { POINTER_MAX = 160 };

static enum px_status in_value(const struct flow_field *field, json_t *value, const char *at,
                               json_t *answer, struct px_err *err);

static void warn(json_t *answer, const struct flow_field *alias, const char *at) {
  if (!answer) return;
  json_t *entry =
    px_warn(answer, PX_W_OLD_NAME, "%s: '%s' is now called '%s'", at, alias->name, alias->words);
  px_warn_text(entry, "old", alias->name);
  px_warn_text(entry, "new", alias->words);
  px_warn_text(entry, "pointer", at);
}

static enum px_status rename_field(const struct flow_field *alias, json_t *object,
                                   const char *pointer, json_t *answer, struct px_err *err) {
  char at[POINTER_MAX];
  json_t *given = json_object_get(object, alias->name);
  if (!given) return PX_OK;
  snprintf(at, sizeof at, "%s/%s", pointer, alias->name);
  if (json_object_get(object, alias->words)) {
    px_fail_at(err, PX_E_BAD_FIELD, at, "%s is the old name of %s, and both are given", alias->name,
               alias->words);
    px_fail_hint(err, "Leave %s out.", alias->name);
    return PX_E_BAD_FIELD;
  }
  if (json_object_set(object, alias->words, given) < 0)
    return px_fail(err, PX_E_NO_MEMORY, "renaming %s", alias->name);
  json_object_del(object, alias->name);
  warn(answer, alias, at);
  return PX_OK;
}

static enum px_status in_object(const struct flow_field *fields, json_t *object,
                                const char *pointer, json_t *answer, struct px_err *err) {
  enum px_status status = PX_OK;
  for (const struct flow_field *field = fields; !status && field->name; field++)
    if (field->type == FLOW_ALIAS) status = rename_field(field, object, pointer, answer, err);
  for (const struct flow_field *field = fields; !status && field->name; field++) {
    char at[POINTER_MAX];
    json_t *value = json_object_get(object, field->name);
    snprintf(at, sizeof at, "%s/%s", pointer, field->name);
    if (value) status = in_value(field, value, at, answer, err);
  }
  return status;
}

static enum px_status in_word(const struct flow_field *field, json_t *value, const char *at,
                              json_t *answer, struct px_err *err) {
  for (const struct flow_field *alias = field->sub; alias && alias->name; alias++) {
    if (strcmp(json_string_value(value), alias->name) != 0) continue;
    warn(answer, alias, at);
    return json_string_set(value, alias->words) < 0
             ? px_fail(err, PX_E_NO_MEMORY, "renaming %s", alias->name)
             : PX_OK;
  }
  return PX_OK;
}

/* The fields of the variant that the object names, or of the one that is meant without a name. */
static const struct flow_field *variant(const struct flow_field *choice, const json_t *object) {
  const json_t *named = json_object_get(object, choice->words);
  const char *name = json_string_value(named);
  for (const struct flow_field *one = choice->sub; one->name; one++)
    if (named ? name && strcmp(one->name, name) == 0 : one->initial != NULL) return one->sub;
  return NULL;
}

static enum px_status in_value(const struct flow_field *field, json_t *value, const char *at,
                               json_t *answer, struct px_err *err) {
  const struct flow_field *fields = NULL;
  enum px_status status = PX_OK;
  size_t i;
  json_t *item;
  if (field->type == FLOW_ENUM && json_is_string(value))
    return in_word(field, value, at, answer, err);
  if (field->type == FLOW_OBJECT) fields = field->sub;
  if (field->type == FLOW_CHOICE) fields = variant(field, value);
  if (fields && json_is_object(value)) return in_object(fields, value, at, answer, err);
  if (field->type != FLOW_LIST) return PX_OK;
  json_array_foreach(value, i, item) {
    char place[POINTER_MAX];
    snprintf(place, sizeof place, "%s/%zu", at, i);
    if (!status) status = in_value(&field->sub[0], item, place, answer, err);
  }
  return status;
}

enum px_status flow_aliases_replace(const struct flow_field *fields, const json_t *in,
                                    const char *pointer, json_t *answer, json_t **out,
                                    struct px_err *err) {
  json_t *copy = json_deep_copy(in);
  if (!copy) return px_fail(err, PX_E_NO_MEMORY, "reading a spec");
  const enum px_status status =
    json_is_object(copy) ? in_object(fields, copy, pointer, answer, err) : PX_OK;
  if (status) json_decref(copy);
  else *out = copy;
  return status;
}
