/* SPDX-License-Identifier: Apache-2.0 */
/* Field tables: see fields.h. */
#include "lib/flow/fields.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "lib/flow/names.h"

enum { POINTER_MAX = 160 };

static enum px_status check_value(const struct flow_field *field, const json_t *in, const char *at,
                                  json_t **out, struct px_err *err);
static bool required(const struct flow_field *field) {
  return field->initial && strcmp(field->initial, "!") == 0;
}

static enum px_status wrong(const struct flow_field *field, const char *at, const char *what,
                            struct px_err *err) {
  px_fail_at(err, PX_E_BAD_FIELD, at, "%s must be %s", field->name, what);
  px_fail_hint(err, "%s: %s", field->name, field->help);
  return PX_E_BAD_FIELD;
}

static enum px_status check_number(const struct flow_field *field, const json_t *in, const char *at,
                                   struct px_err *err) {
  char what[96];
  const bool whole = field->type == FLOW_INT;
  snprintf(what, sizeof what, whole ? "a whole number from %.0f to %.0f" : "a number from %g to %g",
           field->min, field->max);
  const double x = json_number_value(in);
  if (!json_is_number(in) || (whole && x != floor(x))) return wrong(field, at, what, err);
  return isfinite(x) && x >= field->min && x <= field->max ? PX_OK : wrong(field, at, what, err);
}

const char *flow_field_word_at(const char *words, size_t n, size_t *len) {
  for (; n; n--) {
    words = strchr(words, '|');
    if (!words) return NULL;
    words++;
  }
  *len = strcspn(words, "|");
  return words;
}

int flow_field_word_place(const char *words, const char *word) {
  const char *at;
  size_t len;
  for (int i = 0; (at = flow_field_word_at(words, (size_t)i, &len)) != NULL; i++)
    if (strlen(word) == len && memcmp(at, word, len) == 0) return i;
  return -1;
}

static bool is_id(const char *prefix, const char *text) {
  const size_t n = strlen(text);
  if (strncmp(text, prefix, strlen(prefix)) != 0 || n == strlen(prefix) || n > FLOW_ID_CHARS_MAX)
    return false;
  return strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_") == n;
}

static enum px_status check_text(const struct flow_field *field, const json_t *in, const char *at,
                                 struct px_err *err) {
  char what[192];
  const char *text = json_string_value(in), *fault;
  bool good = text && strlen(text) == json_string_length(in); /* no NUL inside */
  switch (field->type) {
    case FLOW_ENUM:
      snprintf(what, sizeof what, "one of %s", field->words);
      good = good && flow_field_word_place(field->words, text) >= 0;
      break;
    case FLOW_ID:
      snprintf(what, sizeof what, "an id such as %s0123456789abcdef0123", field->words);
      good = good && is_id(field->words, text);
      break;
    default:
      fault = good ? flow_name_fault(text, (size_t)field->max) : NULL;
      snprintf(what, sizeof what, "a text of 1 to %.0f characters%s%s", field->max,
               fault ? ", " : "", fault ? fault : "");
      good = good && !fault;
  }
  return good ? PX_OK : wrong(field, at, what, err);
}

static enum px_status check_list(const struct flow_field *field, const json_t *in, const char *at,
                                 json_t **out, struct px_err *err) {
  char what[96];
  snprintf(what, sizeof what, "a list of %.0f to %.0f items", field->min, field->max);
  const double n = (double)json_array_size(in);
  if (!json_is_array(in) || n < field->min || n > field->max) return wrong(field, at, what, err);
  json_t *list = json_array();
  for (size_t i = 0; i < json_array_size(in); i++) {
    char place[POINTER_MAX];
    snprintf(place, sizeof place, "%s/%zu", at, i);
    json_t *item = NULL;
    const enum px_status status =
      check_value(&field->sub[0], json_array_get(in, i), place, &item, err);
    if (status || json_array_append_new(list, item) < 0) {
      json_decref(list);
      return status ? status : px_fail(err, PX_E_NO_MEMORY, "checking %s", field->name);
    }
  }
  *out = list;
  return PX_OK;
}

bool flow_field_has_short_form(const struct flow_field *field) {
  bool alone = field->sub[0].type == FLOW_ENUM || field->sub[0].type == FLOW_TEXT;
  for (const struct flow_field *other = field->sub + 1; other->name; other++)
    alone = alone && !required(other);
  return alone;
}

static enum px_status check_object(const struct flow_field *field, const json_t *in, const char *at,
                                   json_t **out, struct px_err *err) {
  if (json_is_string(in) && flow_field_has_short_form(field)) {
    json_t *whole = json_pack("{s:O}", field->sub[0].name, in);
    if (!whole) return px_fail(err, PX_E_NO_MEMORY, "checking %s", field->name);
    const enum px_status status = flow_fields_check(field->sub, whole, at, out, err);
    json_decref(whole);
    return status;
  }
  return json_is_object(in) ? flow_fields_check(field->sub, in, at, out, err)
                            : wrong(field, at, "an object", err);
}

static enum px_status wrong_choice(const struct flow_field *field, const char *at,
                                   struct px_err *err) {
  char place[POINTER_MAX], names[160] = "";
  for (const struct flow_field *one = field->sub; one->name; one++) {
    const size_t used = strlen(names);
    snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "", one->name);
  }
  snprintf(place, sizeof place, "%s/%s", at, field->words);
  px_fail_at(err, PX_E_BAD_FIELD, place, "%s must be one of %s", field->words, names);
  px_fail_hint(err, "%s: %s", field->name, field->help);
  return PX_E_BAD_FIELD;
}

static enum px_status check_choice(const struct flow_field *field, const json_t *in, const char *at,
                                   json_t **out, struct px_err *err) {
  if (!json_is_object(in) && !json_is_string(in))
    return wrong(field, at, "an object or a name", err);
  const json_t *named = json_is_string(in) ? in : json_object_get(in, field->words);
  const char *name = json_string_value(named);
  const struct flow_field *one = field->sub;
  while (one->name && (named ? !name || strcmp(one->name, name) != 0 : !one->initial)) one++;
  if (!one->name) return wrong_choice(field, at, err);
  json_t *rest = json_is_string(in) ? json_object() : json_copy((json_t *)in);
  json_t *checked = NULL, *whole = json_pack("{s:s}", field->words, one->name);
  if (rest && json_is_object(in)) json_object_del(rest, field->words);
  enum px_status status =
    rest ? flow_fields_check_beside(one->sub, field->words, rest, at, &checked, err)
         : PX_E_NO_MEMORY;
  if (!status && (!whole || json_object_update(whole, checked) < 0))
    status = px_fail(err, PX_E_NO_MEMORY, "checking %s", field->name);
  json_decref(rest);
  json_decref(checked);
  if (status) json_decref(whole);
  else *out = whole;
  return status;
}

static enum px_status check_value(const struct flow_field *field, const json_t *in, const char *at,
                                  json_t **out, struct px_err *err) {
  enum px_status status = PX_OK;
  switch (field->type) {
    case FLOW_CHOICE: return check_choice(field, in, at, out, err);
    case FLOW_LIST: return check_list(field, in, at, out, err);
    case FLOW_OBJECT: return check_object(field, in, at, out, err);
    case FLOW_BOOL:
      status = json_is_boolean(in) ? PX_OK : wrong(field, at, "true or false", err);
      break;
    case FLOW_INT:
    case FLOW_NUMBER: status = check_number(field, in, at, err); break;
    default: status = check_text(field, in, at, err);
  }
  if (!status)
    *out = field->type == FLOW_INT ? json_integer((json_int_t)json_number_value(in))
                                   : json_deep_copy(in);
  return status ? status : *out ? PX_OK : px_fail(err, PX_E_NO_MEMORY, "checking %s", field->name);
}

static enum px_status refuse_unknown(const struct flow_field *fields, const char *beside,
                                     const json_t *in, const char *pointer, struct px_err *err) {
  const char *name;
  json_t *value;
  json_object_foreach((json_t *)in, name, value) {
    const struct flow_field *field = fields;
    while (field->name && (field->type == FLOW_ALIAS || strcmp(field->name, name) != 0)) field++;
    if (field->name) continue;
    char place[POINTER_MAX], known[480];
    snprintf(place, sizeof place, "%s/%.64s", pointer, name);
    snprintf(known, sizeof known, "%s", beside);
    for (field = fields; field->name; field++) {
      const size_t used = strlen(known);
      if (field->type == FLOW_ALIAS) continue;
      snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "", field->name);
    }
    px_fail_at(err, PX_E_BAD_FIELD, place, "there is no field '%.64s' here", name);
    px_fail_hint(err, "Known fields: %s.", known);
    return PX_E_BAD_FIELD;
  }
  return PX_OK;
}

static enum px_status check_field(const struct flow_field *field, const json_t *in, const char *at,
                                  json_t *object, struct px_err *err) {
  json_t *given = json_object_get(in, field->name), *fallback = NULL, *value = NULL;
  if (!given) {
    if (!field->initial) return PX_OK;
    if (required(field)) {
      px_fail_at(err, PX_E_BAD_FIELD, at, "%s is missing", field->name);
      px_fail_hint(err, "%s: %s", field->name, field->help);
      return PX_E_BAD_FIELD;
    }
    given = fallback = px_json_parse(field->initial, strlen(field->initial), JSON_DECODE_ANY, NULL);
  }
  enum px_status status = check_value(field, given, at, &value, err);
  if (!status && json_object_set_new(object, field->name, value) < 0)
    status = px_fail(err, PX_E_NO_MEMORY, "checking %s", field->name);
  json_decref(fallback);
  return status;
}

enum px_status flow_fields_check(const struct flow_field *fields, const json_t *in,
                                 const char *pointer, json_t **out, struct px_err *err) {
  return flow_fields_check_beside(fields, "", in, pointer, out, err);
}

enum px_status flow_fields_check_beside(const struct flow_field *fields, const char *beside,
                                        const json_t *in, const char *pointer, json_t **out,
                                        struct px_err *err) {
  if (!json_is_object(in))
    return px_fail_at(err, PX_E_BAD_FIELD, pointer, "an object is needed here");
  enum px_status status = refuse_unknown(fields, beside, in, pointer, err);
  if (status) return status;
  json_t *object = json_object();
  if (!object) return px_fail(err, PX_E_NO_MEMORY, "checking fields");
  for (const struct flow_field *field = fields; !status && field->name; field++) {
    if (field->type == FLOW_ALIAS) continue;
    char at[POINTER_MAX];
    snprintf(at, sizeof at, "%s/%s", pointer, field->name);
    status = check_field(field, in, at, object, err);
  }
  if (status) json_decref(object);
  else *out = object;
  return status;
}

bool flow_fields_is_default(const struct flow_field *field, const json_t *value) {
  json_t *initial = field->initial
                      ? px_json_parse(field->initial, strlen(field->initial), JSON_DECODE_ANY, NULL)
                      : NULL;
  const bool same = json_is_number(initial) ? json_is_number(value) && json_number_value(initial) ==
                                                                         json_number_value(value)
                                            : json_equal(initial, value) == 1;
  json_decref(initial);
  return same;
}
