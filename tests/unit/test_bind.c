/* SPDX-License-Identifier: Apache-2.0 */
/* Bindings of checked specs to structs: every one fits its field table. */
#include <string.h>

#include "lib/flow/algos.h"
#include "lib/flow/bind.h"
#include "lib/flow/idm.h"
#include "lib/flow/kinds.h"
#include "lib/flow/labellers.h"
#include "lib/flow/simulators.h"
#include "lib/idm/idm.h"
#include "tests/support/cu.h"
#include "worker/jobs/job_spec.h"

static const struct flow_field *sub(const struct flow_field *fields, const char *name) {
  return flow_bind_field(fields, name)->sub;
}

static void every_binding_fits_its_table(void) {
  const struct flow_field *layout = flow_simulator_fields;
  const struct {
    const struct flow_field *fields;
    const struct flow_bind *binding;
  } all[] = {
    { flow_idm_profiles[0].sub, idm_spec_bind },
    { flow_idm_profiles[1].sub, idm_spec_bind },
    { layout, flow_simulator_bind },
    { sub(layout, "observations")[0].sub, flow_simulator_term_bind },
    { sub(layout, "actions")[0].sub, flow_simulator_term_bind },
    { sub(flow_kind_info(FLOW_TRAIN_INVERSE)->fields, "net"), job_spec_inverse_net },
    { flow_kind_info(FLOW_OPE)->fields, job_spec_fqe },
    { flow_labeller_simulator_fields, job_spec_simulator },
  };
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    CU_ASSERT_PTR_NULL(flow_bind_fault(all[i].fields, all[i].binding));
}

/* A model has a binding of every option: none is read by nobody. */
static void every_option_of_a_model_is_bound(void) {
  for (const struct flow_field *field = flow_idm_profiles[0].sub; field->name; field++) {
    if (field->type == FLOW_ALIAS) continue;
    const struct flow_bind *bind = idm_spec_bind;
    while (bind->name && strcmp(bind->name, field->name) != 0) bind++;
    CU_ASSERT_PTR_NOT_NULL(bind->name);
  }
}

struct record {
  uint32_t n, word;
  uint64_t seed;
  double x, place;
  bool flag;
  char text[8];
};
static const struct flow_field FIELDS[] = {
  { "n", FLOW_INT, 0, 4294967295.0, "1", NULL, NULL, "" },
  { "seed", FLOW_INT, 0, 9007199254740991.0, "0", NULL, NULL, "" },
  { "x", FLOW_NUMBER, -1, 1, "0", NULL, NULL, "" },
  { "flag", FLOW_BOOL, 0, 0, "false", NULL, NULL, "" },
  { "word", FLOW_ENUM, 0, 0, "\"a\"", "a|bc|def", NULL, "" },
  { "text", FLOW_ENUM, 0, 0, "\"a\"", "a|seven77", NULL, "" },
  { .name = NULL }
};
#define AT(type, name) FLOW_BIND(struct record, FLOW_BIND_##type, name)
static const struct flow_bind BINDING[] = { AT(U32, n),
                                            AT(U64, seed),
                                            AT(F64, x),
                                            AT(BOOL, flag),
                                            AT(WORD, word),
                                            AT(TEXT, text),
                                            FLOW_BIND_AS(struct record, FLOW_BIND_F64, "word",
                                                         place),
                                            FLOW_BIND_END };

static void values_go_to_their_members_and_others_stay(void) {
  struct record r = { .x = 0.5 };
  struct px_err err;
  json_t *given =
    json_pack("{s:I, s:I, s:b, s:s, s:s}", "n", (json_int_t)4294967295, "seed",
              (json_int_t)9007199254740991, "flag", 1, "word", "def", "text", "seven77");
  CU_ASSERT_PTR_NULL(flow_bind_fault(FIELDS, BINDING));
  CU_OK(flow_bind(FIELDS, BINDING, given, &r, &err), err);
  CU_ASSERT_EQUAL(r.n, 4294967295);
  CU_ASSERT_EQUAL(r.seed, 9007199254740991);
  CU_ASSERT_EQUAL(r.x, 0.5);
  CU_ASSERT_TRUE(r.flag);
  CU_ASSERT_EQUAL(r.word, 2);
  CU_ASSERT_EQUAL(r.place, 2);
  CU_ASSERT_STRING_EQUAL(r.text, "seven77");
  CU_ASSERT_EQUAL(flow_bind_get(&BINDING[0], &r), 4294967295.0);
  json_decref(given);
}

static void what_no_field_allows_is_refused(void) {
  static const char *const texts[] = { "{\"n\": -1}",       "{\"n\": 1.5}",       "{\"n\": true}",
                                       "{\"x\": 2}",        "{\"x\": \"1\"}",     "{\"flag\": 1}",
                                       "{\"word\": \"d\"}", "{\"n\": 4294967296}" };
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    struct record r = { 0 };
    struct px_err err;
    json_t *given = json_loads(texts[i], 0, NULL);
    CU_ASSERT_EQUAL(flow_bind(FIELDS, BINDING, given, &r, &err), PX_E_BAD_FIELD);
    CU_ASSERT_EQUAL(strncmp(err.pointer + 1, texts[i] + 2, strlen(err.pointer) - 1), 0);
    json_decref(given);
  }
}

static void a_member_that_does_not_fit_is_found(void) {
  static const struct flow_bind unknown[] = { FLOW_BIND_AS(struct record, FLOW_BIND_U32, "m", n),
                                              FLOW_BIND_END };
  static const struct flow_bind narrow[] = { FLOW_BIND_AS(struct record, FLOW_BIND_U32, "seed", n),
                                             FLOW_BIND_END };
  static const struct flow_bind signless[] = { FLOW_BIND_AS(struct record, FLOW_BIND_U32, "x", n),
                                               FLOW_BIND_END };
  static const struct flow_bind wide[] = { FLOW_BIND_AS(struct record, FLOW_BIND_U64, "n", n),
                                           FLOW_BIND_END };
  CU_ASSERT_STRING_EQUAL(flow_bind_fault(FIELDS, unknown), "m");
  CU_ASSERT_STRING_EQUAL(flow_bind_fault(FIELDS, narrow), "seed");
  CU_ASSERT_STRING_EQUAL(flow_bind_fault(FIELDS, signless), "x");
  CU_ASSERT_STRING_EQUAL(flow_bind_fault(FIELDS, wide), "n");
}

CU_MAIN("bind", T(every_binding_fits_its_table), T(every_option_of_a_model_is_bound),
        T(values_go_to_their_members_and_others_stay), T(what_no_field_allows_is_refused),
        T(a_member_that_does_not_fit_is_found))
