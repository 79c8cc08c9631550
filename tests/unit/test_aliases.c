/* SPDX-License-Identifier: Apache-2.0 */
/* Names of before in specs: each that a table has, wherever it stands. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/flow/algos.h"
#include "lib/flow/aliases.h"
#include "lib/flow/idm.h"
#include "lib/flow/kinds.h"
#include "lib/flow/labellers.h"
#include "lib/flow/simulators.h"
#include "tests/support/cu.h"
#include "worker/jobs/jobs.h"

/* How an object is reached from the spec's root: up to it, a field after the other. */
struct path {
  const struct path *up;
  const struct flow_field *field, *variant;
};
enum { PLACE_MAX = 160 };

static bool is_item(const struct path *p) { return p->up && p->up->field->type == FLOW_LIST; }

/* The spec in which `inner`, which is taken over, lies there. */
static json_t *spec_around(const struct path *p, json_t *inner) {
  for (; p; p = p->up) {
    if (p->field->type == FLOW_CHOICE)
      json_object_set_new(inner, p->field->words, json_string(p->variant->name));
    if (p->field->type == FLOW_LIST) inner = json_pack("[o]", inner);
    if (!is_item(p)) inner = json_pack("{s:o}", p->field->name, inner);
  }
  return inner;
}

static void place_of(const struct path *p, const char *name, char out[PLACE_MAX]) {
  char up[PLACE_MAX] = "/spec";
  if (p) place_of(p->up, is_item(p) ? "0" : p->field->name, up);
  CU_ASSERT(snprintf(out, PLACE_MAX, "%s/%s", up, name) < PLACE_MAX);
}

static json_t *value_at(json_t *spec, const char *place) {
  char copy[PLACE_MAX], *rest;
  snprintf(copy, sizeof copy, "%s", place + strlen("/spec"));
  for (char *word = strtok_r(copy, "/", &rest); word; word = strtok_r(NULL, "/", &rest))
    spec = json_is_array(spec) ? json_array_get(spec, strtoul(word, NULL, 10))
                               : json_object_get(spec, word);
  return spec;
}

static const char *text_of(const json_t *warning, const char *name) {
  const char *text = json_string_value(json_object_get(warning, name));
  return text ? text : "";
}

/* The warnings are one, of this. */
static void expect_warning(const json_t *answer, const struct flow_field *alias,
                           const char *place) {
  const json_t *list = json_object_get(answer, "warnings"), *one = json_array_get(list, 0);
  CU_ASSERT_EQUAL(json_array_size(list), 1);
  CU_ASSERT_STRING_EQUAL(text_of(one, "code"), "old_name");
  CU_ASSERT_STRING_EQUAL(text_of(one, "old"), alias->name);
  CU_ASSERT_STRING_EQUAL(text_of(one, "new"), alias->words);
  CU_ASSERT_STRING_EQUAL(text_of(one, "pointer"), place);
}

static void expect_renamed(const struct flow_field *table, const struct flow_field *alias,
                           const struct path *p) {
  char old[PLACE_MAX], now[PLACE_MAX];
  struct px_err err = { 0 };
  json_t *spec = spec_around(p, json_pack("{s:i}", alias->name, 7)), *out = NULL;
  json_t *answer = json_object();
  place_of(p, alias->name, old);
  place_of(p, alias->words, now);
  CU_OK(flow_aliases_replace(table, spec, "/spec", answer, &out, &err), err);
  CU_ASSERT_EQUAL(json_integer_value(value_at(out, now)), 7);
  CU_ASSERT_PTR_NULL(value_at(out, old));
  CU_ASSERT_EQUAL(json_integer_value(value_at(spec, old)), 7); /* what was given stays */
  expect_warning(answer, alias, old);
  json_decref(out);
  json_decref(spec);
  json_decref(answer);
  spec = spec_around(p, json_pack("{s:i, s:i}", alias->name, 7, alias->words, 7));
  CU_ASSERT_EQUAL(flow_aliases_replace(table, spec, "/spec", NULL, &out, &err), PX_E_BAD_FIELD);
  CU_ASSERT_STRING_EQUAL(err.pointer, old);
  json_decref(spec);
}

static void expect_word_renamed(const struct flow_field *table, const struct flow_field *field,
                                const struct flow_field *alias, const struct path *p) {
  char place[PLACE_MAX];
  struct px_err err = { 0 };
  json_t *spec = spec_around(p, json_pack("{s:s}", field->name, alias->name)), *out = NULL;
  json_t *answer = json_object();
  place_of(p, field->name, place);
  CU_OK(flow_aliases_replace(table, spec, "/spec", answer, &out, &err), err);
  const char *word = json_string_value(value_at(out, place));
  CU_ASSERT_STRING_EQUAL(word ? word : "", alias->words);
  CU_ASSERT(flow_field_word_place(field->words, alias->words) >= 0);
  CU_ASSERT(flow_field_word_place(field->words, alias->name) < 0);
  expect_warning(answer, alias, place);
  json_decref(out);
  json_decref(spec);
  json_decref(answer);
}

static bool has_field(const struct flow_field *fields, const char *name) {
  while (fields->name && (fields->type == FLOW_ALIAS || strcmp(fields->name, name) != 0)) fields++;
  return fields->name != NULL;
}

static size_t visit(const struct flow_field *table, const struct flow_field *fields,
                    const struct path *up);

static size_t visit_field(const struct flow_field *table, const struct flow_field *field,
                          const struct path *up) {
  size_t n = 0;
  struct path p = { up, field, NULL };
  if (field->type == FLOW_LIST) n += visit_field(table, &field->sub[0], &p);
  if (field->type == FLOW_OBJECT) n += visit(table, field->sub, &p);
  if (field->type == FLOW_CHOICE)
    for (p.variant = field->sub; p.variant->name; p.variant++)
      n += visit(table, p.variant->sub, &p);
  if (field->type == FLOW_ENUM)
    for (const struct flow_field *alias = field->sub; alias && alias->name; alias++, n++)
      expect_word_renamed(table, field, alias, up);
  return n;
}

/* How many old names there are. */
static size_t visit(const struct flow_field *table, const struct flow_field *fields,
                    const struct path *up) {
  size_t n = 0;
  for (const struct flow_field *field = fields; field->name; field++) {
    if (field->type != FLOW_ALIAS) {
      n += visit_field(table, field, up);
      continue;
    }
    CU_ASSERT(has_field(fields, field->words) && !has_field(fields, field->name));
    expect_renamed(table, field, up);
    n++;
  }
  return n;
}

static void every_old_name_of_a_spec_is_replaced_and_told(void) {
  size_t n[FLOW_KIND_N];
  for (int kind = 0; kind < FLOW_KIND_N; kind++) {
    const struct flow_field *table = flow_kind_info((enum flow_kind)kind)->fields;
    n[kind] = visit(table, table, NULL);
  }
  /* td3bc, cql twice, rebrac thrice; and in a pipeline two fields and a word more */
  CU_ASSERT_EQUAL(n[FLOW_TRAIN_POLICY], 6);
  CU_ASSERT_EQUAL(n[FLOW_PIPELINE], 9);
  CU_ASSERT_EQUAL(n[FLOW_EXPORT], 0); /* its `actions` is no old name */
  CU_ASSERT_EQUAL(visit(flow_simulator_fields, flow_simulator_fields, NULL), 0);
}

static void an_old_name_that_was_not_replaced_is_unknown(void) {
  json_t *spec = json_pack("{s:s, s:s}", "dataset", "ds_1", "judge", "auto"), *out = NULL;
  struct px_err err = { 0 };
  CU_ASSERT_EQUAL(flow_fields_check(flow_kind_info(FLOW_PIPELINE)->fields, spec, "", &out, &err),
                  PX_E_BAD_FIELD);
  CU_ASSERT_STRING_EQUAL(err.pointer, "/judge");
  CU_ASSERT_PTR_NOT_NULL(strstr(err.hint, "evaluation"));
  CU_ASSERT_PTR_NULL(strstr(err.hint, "judge"));
  json_decref(spec);
}

/* Whatever is no spec at all is left as it is, for the check to refuse. */
static void what_fits_no_table_is_left_alone(void) {
  static const char *const SPECS[] = {
    "[]",
    "{\"policies\": 1}",
    "{\"policies\": [[], 2, {\"algo\": 3, \"cql_weight\": 1}, {\"cql_weight\": 1}]}",
    "{\"evaluation\": [], \"ope\": \"x\", \"policies\": {\"algo\": \"cql\", \"cql_weight\": 1}}",
  };
  for (size_t i = 0; i < sizeof SPECS / sizeof *SPECS; i++) {
    json_t *spec = json_loads(SPECS[i], 0, NULL), *out = NULL, *answer = json_object();
    struct px_err err = { 0 };
    CU_OK(flow_aliases_replace(flow_kind_info(FLOW_PIPELINE)->fields, spec, "", answer, &out, &err),
          err);
    CU_ASSERT(json_equal(spec, out));
    CU_ASSERT_EQUAL(json_object_size(answer), 0);
    json_decref(out);
    json_decref(spec);
    json_decref(answer);
  }
}

static void a_kind_of_before_is_found_claimed_and_listed(void) {
  size_t n;
  const char *const *claimed = jobs_kinds(&n);
  for (const struct flow_field *alias = flow_kind_aliases; alias->name; alias++) {
    enum flow_kind kind;
    struct px_err err;
    char stored[FLOW_KIND_NAMES_MAX], expected[FLOW_KIND_NAMES_MAX];
    CU_OK(flow_kind_from(alias->name, &kind, &err), err);
    CU_ASSERT_STRING_EQUAL(flow_kind_info(kind)->name, alias->words);
    flow_kind_stored_names(kind, stored);
    snprintf(expected, sizeof expected, "%s,%s", alias->words, alias->name);
    CU_ASSERT_STRING_EQUAL(stored, expected);
    size_t found = 0;
    for (size_t i = 0; i < n; i++)
      found += strcmp(claimed[i], alias->name) == 0 || strcmp(claimed[i], alias->words) == 0;
    CU_ASSERT_EQUAL(found, 2);
  }
}

CU_MAIN("aliases", T(every_old_name_of_a_spec_is_replaced_and_told),
        T(an_old_name_that_was_not_replaced_is_unknown), T(what_fits_no_table_is_left_alone),
        T(a_kind_of_before_is_found_claimed_and_listed))
