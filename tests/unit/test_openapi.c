/* SPDX-License-Identifier: Apache-2.0 */
/* The API's description against what is built: the route table, the job specs' tables, the error
 * codes. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/warn.h"
#include "lib/flow/algos.h"
#include "lib/flow/envs.h"
#include "lib/flow/idm.h"
#include "lib/flow/kinds.h"
#include "lib/flow/labellers.h"
#include "lib/flow/simulators.h"
#include "lib/read/read.h"
#include "lib/write/write.h"
#include "server/api/api.h"
#include "tests/support/cu.h"

static json_t *document(void) {
  static json_t *doc; /* read once; the process ends with it */
  json_error_t why;
  if (!doc) doc = json_load_file("schema/openapi.yaml", JSON_REJECT_DUPLICATES, &why);
  if (!doc) printf("\n  schema/openapi.yaml:%d: %s\n", why.line, why.text);
  CU_ASSERT_PTR_NOT_NULL_FATAL(doc);
  return doc;
}

static const json_t *at(const json_t *json, const char *a, const char *b) {
  return json_object_get(json_object_get(json, a), b);
}

static const json_t *operation_of(const struct http_route *route) {
  char method[8] = "";
  for (size_t i = 0; route->method[i] && i + 1 < sizeof method; i++)
    method[i] = (char)(route->method[i] | 0x20);
  return at(json_object_get(document(), "paths"), route->path, method);
}

static void says(bool good, const char *what, const char *name) {
  if (!good) printf("\n  %s: %s\n", name, what);
  CU_ASSERT(good);
}

static void every_route_is_described(void) {
  for (size_t i = 0; i < API_ROUTES_N; i++) {
    const struct http_route *route = &API_ROUTES[i];
    const json_t *op = operation_of(route);
    says(op != NULL, "is not described", route->path);
    const char *id = json_string_value(json_object_get(op, "operationId"));
    says(id && strcmp(id, route->operation) == 0, "has another operationId", route->operation);
    const json_t *security = json_object_get(op, "security");
    says((json_is_array(security) && json_array_size(security) == 0) ==
           (route->access == HTTP_OPEN),
         "is open here and closed there", route->operation);
    says((json_object_get(op, "requestBody") != NULL) == (route->body != HTTP_NO_BODY),
         "disagrees about a body", route->operation);
  }
}

static void every_described_path_is_a_route(void) {
  const char *path, *method;
  json_t *item, *op;
  size_t described = 0;
  json_object_foreach(json_object_get(document(), "paths"), path, item)
    json_object_foreach(item, method, op) {
    if (strcmp(method, "parameters") == 0) continue;
    bool found = false;
    for (size_t i = 0; i < API_ROUTES_N; i++) found = found || (operation_of(&API_ROUTES[i]) == op);
    says(found, "is described but no route", path);
    described++;
  }
  CU_ASSERT_EQUAL(described, API_ROUTES_N);
}

static bool has_word(const char *words, const char *word) {
  const size_t n = strlen(word);
  for (const char *p = words; p && *p; p += strcspn(p, " "), p += *p == ' ')
    if (strcspn(p, " ") == n && memcmp(p, word, n) == 0) return true;
  return false;
}

static size_t count_words(const char *words) {
  size_t n = words && *words;
  for (const char *p = words; p && *p; p++) n += *p == ' ';
  return n;
}

static void every_post_takes_an_idempotency_key(void) {
  for (size_t i = 0; i < API_ROUTES_N; i++) {
    bool said = false;
    size_t k;
    json_t *parameter;
    json_array_foreach(json_object_get(operation_of(&API_ROUTES[i]), "parameters"), k, parameter) {
      const char *ref = json_string_value(json_object_get(parameter, "$ref"));
      said = said || (ref && strcmp(ref, "#/components/parameters/IdempotencyKey") == 0);
    }
    says(said == (strcmp(API_ROUTES[i].method, "POST") == 0), "disagrees about Idempotency-Key",
         API_ROUTES[i].operation);
  }
}

static void query_parameters_are_those_of_the_routes(void) {
  for (size_t i = 0; i < API_ROUTES_N; i++) {
    const struct http_route *route = &API_ROUTES[i];
    size_t k, queries = 0, paths = 0, braces = 0;
    json_t *parameter;
    json_array_foreach(json_object_get(operation_of(route), "parameters"), k, parameter) {
      const char *name = json_string_value(json_object_get(parameter, "name"));
      const char *in = json_string_value(json_object_get(parameter, "in"));
      if (!name || !in) continue; /* a header, by reference */
      char braced[64];
      snprintf(braced, sizeof braced, "{%s}", name);
      if (strcmp(in, "query") == 0) {
        says(has_word(route->query, name), "has a parameter that the route does not take",
             route->operation);
        queries++;
      } else if (strcmp(in, "path") == 0) {
        says(strstr(route->path, braced) != NULL, "has a parameter that is not in the path",
             route->operation);
        paths++;
      }
    }
    for (const char *c = route->path; *c; c++) braces += *c == '{';
    says(queries == count_words(route->query), "does not describe every query parameter",
         route->operation);
    says(paths == braces, "does not describe every path parameter", route->operation);
  }
}

/* --- job specs ----------------------------------------------------------------------------- */

static json_t *schema_of_table(const struct flow_field *fields);

static json_t *number(double x) {
  return x == (double)(json_int_t)x ? json_integer((json_int_t)x) : json_real(x);
}

static json_t *words_of(const char *words) {
  json_t *list = json_array();
  for (const char *p = words; p && *p; p += strcspn(p, "|"), p += *p == '|')
    json_array_append_new(list, json_stringn(p, strcspn(p, "|")));
  return list;
}

/* What an old name names: the field of the table that has the new one. */
static const struct flow_field *renamed(const struct flow_field *fields, const char *now) {
  while (fields->name && strcmp(fields->name, now) != 0) fields++;
  CU_ASSERT_PTR_NOT_NULL_FATAL(fields->name);
  return fields;
}

static json_t *schema_of(const struct flow_field *f) {
  char pattern[64];
  json_t *short_form;
  switch (f->type) {
    case FLOW_INT:
      return json_pack("{s:s s:o s:o}", "type", "integer", "minimum", number(f->min), "maximum",
                       number(f->max));
    case FLOW_NUMBER:
      return json_pack("{s:s s:o s:o}", "type", "number", "minimum", number(f->min), "maximum",
                       number(f->max));
    case FLOW_BOOL: return json_pack("{s:s}", "type", "boolean");
    case FLOW_TEXT:
      return json_pack("{s:s s:i s:o}", "type", "string", "minLength", 1, "maxLength",
                       number(f->max));
    case FLOW_ENUM: return json_pack("{s:s s:o}", "type", "string", "enum", words_of(f->words));
    case FLOW_ID:
      /* A dataset may be named, too: its name becomes its id before the table is asked. */
      if (strcmp(f->words, "ds_") == 0)
        return json_pack("{s:s s:i}", "type", "string", "maxLength", 200);
      snprintf(pattern, sizeof pattern, "^%s[a-z0-9_]+$", f->words);
      return json_pack("{s:s s:s s:i}", "type", "string", "pattern", pattern, "maxLength", 39);
    case FLOW_OBJECT:
      if (!flow_field_has_short_form(f)) return schema_of_table(f->sub);
      short_form = schema_of(&f->sub[0]);
      json_object_set_new(short_form, "description", json_string(f->sub[0].name));
      return json_pack("{s:[o o]}", "anyOf", short_form, schema_of_table(f->sub));
    case FLOW_CHOICE: /* described once, by the choice's name */
      snprintf(pattern, sizeof pattern, "#/components/schemas/choice_%s", f->name);
      return json_pack("{s:s}", "$ref", pattern);
    case FLOW_ALIAS: break; /* as what it names: schema_of_table */
    case FLOW_LIST:
      return json_pack("{s:s s:o s:o s:o}", "type", "array", "minItems", number(f->min), "maxItems",
                       number(f->max), "items", schema_of(&f->sub[0]));
  }
  return NULL;
}

static json_t *schema_of_table(const struct flow_field *fields) {
  json_t *properties = json_object(), *required = json_array();
  for (const struct flow_field *f = fields; f->name; f++) {
    const bool old = f->type == FLOW_ALIAS;
    json_t *schema = schema_of(old ? renamed(fields, f->words) : f);
    json_object_set_new(schema, "description", json_string(f->help));
    if (old) json_object_set_new(schema, "deprecated", json_true());
    if (f->initial && strcmp(f->initial, "!") == 0)
      json_array_append_new(required, json_string(f->name));
    else if (f->initial)
      json_object_set_new(schema, "default", json_loads(f->initial, JSON_DECODE_ANY, NULL));
    json_object_set_new(properties, f->name, schema);
  }
  return json_pack("{s:s s:b s:o s:o}", "type", "object", "additionalProperties", 0, "required",
                   required, "properties", properties);
}

/* A variant's name alone stands for it with all its defaults. */
static json_t *schema_of_choice(const struct flow_field *variants, const char *word) {
  json_t *names = json_array(), *list = json_pack("[{s:s s:o}]", "type", "string", "enum", names);
  for (const struct flow_field *one = variants; one->name; one++) {
    json_t *schema = schema_of_table(one->sub);
    json_array_append_new(names, json_string(one->name));
    json_object_set_new(json_object_get(schema, "properties"), word,
                        json_pack("{s:s}", "const", one->name));
    if (!one->initial)
      json_array_insert_new(json_object_get(schema, "required"), 0, json_string(word));
    json_object_set_new(schema, "description", json_string(one->help));
    json_array_append_new(list, schema);
  }
  return json_pack("{s:o}", "anyOf", list);
}

/* What is described there, by a JSON pointer, is this, which is taken over; schema/openapi_specs.py
 * reads what is printed. */
static void expect_at(const char *pointer, json_t *expected) {
  char copy[160], *rest, *slash;
  const json_t *described = document();
  snprintf(copy, sizeof copy, "%s", pointer + 1);
  for (char *part = strtok_r(copy, "/", &rest); part; part = strtok_r(NULL, "/", &rest)) {
    while ((slash = strstr(part, "~1")) != NULL) { /* RFC 6901 */
      *slash = '/';
      memmove(slash + 1, slash + 2, strlen(slash + 2) + 1);
    }
    described = json_is_array(described) ? json_array_get(described, strtoul(part, NULL, 10))
                                         : json_object_get(described, part);
  }
  const bool same = json_equal(described, expected);
  if (!same) {
    printf("\n  %s should be:\n", pointer);
    json_dumpf(expected, stdout, JSON_INDENT(1) | JSON_ENCODE_ANY);
  }
  CU_ASSERT(same);
  json_decref(expected);
}

static void check_choice(const char *name, const struct flow_field *variants, const char *word) {
  char pointer[96];
  snprintf(pointer, sizeof pointer, "/components/schemas/%s", name);
  expect_at(pointer, schema_of_choice(variants, word));
}

static void choices_are_those_of_their_tables(void) {
  check_choice("choice_policy", flow_algos, "algo");
  check_choice("choice_idm", flow_idm_profiles, "profile");
  check_choice("choice_labeller", flow_labellers, "kind");
}

static void specs_are_those_of_the_field_tables(void) {
  for (int kind = 0; kind < FLOW_KIND_N; kind++) {
    const struct flow_kind_info *info = flow_kind_info((enum flow_kind)kind);
    char name[64];
    snprintf(name, sizeof name, "spec_%s", info->name);
    const json_t *described = at(json_object_get(document(), "components"), "schemas", name);
    if (!info->submittable && kind != FLOW_PIPELINE) {
      says(described == NULL, "is described, but nobody may submit it", name);
      continue;
    }
    char pointer[96];
    snprintf(pointer, sizeof pointer, "/components/schemas/%s", name);
    expect_at(pointer, schema_of_table(info->fields));
  }
}

static void a_simulator_s_body_is_that_of_its_table(void) {
  json_t *expected = schema_of_table(flow_simulator_fields);
  json_array_append_new(json_object_get(expected, "required"), json_string("mjcf"));
  json_object_set_new(json_object_get(expected, "properties"), "mjcf",
                      json_pack("{s:s s:i s:i s:s}", "type", "string", "minLength", 1, "maxLength",
                                FLOW_MJCF_BYTES_MAX, "description",
                                "The model: one self-contained MJCF text that names no file"));
  expect_at("/components/schemas/SimulatorRequest", expected);
}

static void job_kinds_are_those_that_can_be_submitted(void) {
  json_t *names = json_array(), *specs = json_array();
  for (int kind = 0; kind < FLOW_KIND_N; kind++) {
    const struct flow_kind_info *info = flow_kind_info((enum flow_kind)kind);
    char ref[96];
    if (!info->submittable) continue;
    snprintf(ref, sizeof ref, "#/components/schemas/spec_%s", info->name);
    json_array_append_new(names, json_string(info->name));
    json_array_append_new(specs, json_pack("{s:s}", "$ref", ref));
  }
  expect_at("/components/schemas/JobRequest/properties/kind/enum", names);
  expect_at("/components/schemas/JobRequest/properties/spec/anyOf", specs);
}

static void simulators_are_those_of_the_table(void) {
  expect_at("/components/schemas/DatasetRequest/properties/env/enum", words_of(FLOW_ENVS));
}

static void formats_are_those_of_the_tables(void) {
  static const char UPLOADED[] = "/paths/~1v1~1datasets~1{dataset}~1trajectories/post";
  static const char EXPORTED[] = "/paths/~1v1~1datasets~1{dataset}~1export/get";
  const json_t *binary = json_pack("{s:{s:s s:s}}", "schema", "type", "string", "format", "binary");
  json_t *uploads = json_array(), *types = json_object(), *exports = json_array(),
         *written = json_object();
  char pointer[160];
  for (int f = 0; f < PX_FORMAT_N; f++) {
    const enum px_read_format format = (enum px_read_format)f;
    json_array_append_new(uploads, json_string(px_read_format_name(format)));
    json_object_set_new(types, px_read_format_media_type(format), json_deep_copy(binary));
  }
  for (int f = 0; f < PX_WRITE_FORMAT_N; f++) {
    const enum px_write_format format = (enum px_write_format)f;
    json_array_append_new(exports, json_string(px_write_suffix(format) + 1));
    json_object_set_new(written, px_write_media_type(format), json_deep_copy(binary));
  }
  snprintf(pointer, sizeof pointer, "%s/parameters/2/schema/enum", UPLOADED);
  expect_at(pointer, json_incref(uploads));
  snprintf(pointer, sizeof pointer, "%s/requestBody/content", UPLOADED);
  expect_at(pointer, types);
  expect_at("/components/schemas/Upload/properties/format/enum", json_incref(uploads));
  expect_at("/components/schemas/PartialUpload/properties/format/enum", uploads);
  snprintf(pointer, sizeof pointer, "%s/parameters/1/schema/enum", EXPORTED);
  expect_at(pointer, exports);
  snprintf(pointer, sizeof pointer, "%s/responses/200/content", EXPORTED);
  expect_at(pointer, written);
}

static void error_codes_are_those_of_the_table(void) {
  json_t *expected = json_array();
  for (int code = 1; code < PX_STATUS_N; code++)
    json_array_append_new(expected, json_string(px_status_slug((enum px_status)code)));
  expect_at("/components/schemas/Problem/properties/code/enum", expected);
}

static void warning_codes_are_those_of_the_table(void) {
  json_t *expected = json_array();
  for (int code = 0; code < PX_WARNING_N; code++)
    json_array_append_new(expected, json_string(px_warn_code((enum px_warning)code)));
  expect_at("/components/schemas/Warning/properties/code/enum", expected);
}

/* What the server sends is this file. */
static void served_document_is_the_file(void) {
  struct http_reply reply = { .fd = -1 };
  struct px_err err;
  CU_OK(api_openapi(NULL, &reply, &err), err);
  json_t *served = json_loadb(reply.still, reply.still_n, 0, NULL);
  CU_ASSERT(json_equal(served, document()));
  json_decref(served);
}

CU_MAIN("openapi", T(every_route_is_described), T(every_described_path_is_a_route),
        T(query_parameters_are_those_of_the_routes), T(every_post_takes_an_idempotency_key),
        T(specs_are_those_of_the_field_tables), T(choices_are_those_of_their_tables),
        T(a_simulator_s_body_is_that_of_its_table), T(job_kinds_are_those_that_can_be_submitted),
        T(simulators_are_those_of_the_table), T(formats_are_those_of_the_tables),
        T(error_codes_are_those_of_the_table), T(warning_codes_are_those_of_the_table),
        T(served_document_is_the_file))
