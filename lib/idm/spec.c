/* SPDX-License-Identifier: Apache-2.0 */
/* Options by their names, and which of them go together: see idm.h. */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/data/spaces.h"
#include "lib/flow/idm.h"
#include "lib/idm/idm.h"

/* Where each option lives; bounds, words and defaults are in lib/flow/idm.c. A
 * word is its enum's value, which is its place among the words. */
const struct flow_bind idm_spec_bind[] = {
#define AT(type, name) FLOW_BIND(struct idm_spec, FLOW_BIND_##type, name)
  AT(WORD, inputs),
  AT(WORD, head),
  AT(WORD, mean_loss),
  AT(WORD, compat),
  AT(U32, k),
  AT(U32, f),
  AT(U32, hidden),
  AT(U32, layers),
  AT(F64, dropout),
  AT(WORD, activation),
  AT(F64, shift_max),
  AT(BOOL, residuals),
  AT(BOOL, spectral_norm),
  AT(BOOL, linear),
  AT(U32, members),
  AT(WORD, voting),
  AT(U32, steps),
  AT(U32, batch),
  AT(F64, lr),
  AT(BOOL, cosine),
  AT(F64, weight_decay),
  AT(F64, beta),
  AT(U32, validate_every),
  AT(U32, patience),
  AT(U32, rounds),
  AT(F64, add_percent),
  AT(U64, seed),
  FLOW_BIND_END
#undef AT
};
enum { OPTIONS_N = sizeof idm_spec_bind / sizeof *idm_spec_bind - 1 };
_Static_assert(sizeof(enum idm_head) == sizeof(uint32_t), "enums are read as whole numbers");
_Static_assert((int)OPTIONS_N < (int)IDM_SPEC_META_MAX, "idm_spec_meta's room");

static const struct flow_field *field_of(const char *name) {
  return flow_bind_field(flow_idm_profiles[0].sub, name);
}

static const struct flow_bind *option_of(const char *name) {
  for (size_t i = 0; i < OPTIONS_N; i++)
    if (strcmp(idm_spec_bind[i].name, name) == 0) return &idm_spec_bind[i];
  return NULL;
}

/* A word, true or false, or a number as a double; NAN for anything else. */
static double value_of(const struct flow_field *field, const char *text) {
  if (field->type == FLOW_ENUM) {
    const int place = flow_field_word_place(field->words, text);
    return place < 0 ? (double)NAN : place;
  }
  if (field->type == FLOW_BOOL && strcmp(text, "true") == 0) return 1;
  if (field->type == FLOW_BOOL && strcmp(text, "false") == 0) return 0;
  char *end;
  const double value = strtod(text, &end);
  return *text && !*end ? value : (double)NAN;
}

static bool in_bounds(const struct flow_field *field, double value) {
  size_t len;
  if (field->type == FLOW_ENUM)
    return value >= 0 && flow_field_word_at(field->words, (size_t)value, &len);
  if (field->type == FLOW_BOOL) return value >= 0 && value <= 1;
  return value >= field->min && value <= field->max &&
         (field->type != FLOW_INT || value == floor(value));
}

static enum px_status wrong(const struct flow_field *field, const char *text, struct px_err *err) {
  char pointer[64];
  snprintf(pointer, sizeof pointer, "/%s", field->name);
  if (field->type == FLOW_ENUM)
    px_fail_at(err, PX_E_BAD_FIELD, pointer, "'%.32s' is none of %s", text, field->words);
  else if (field->type == FLOW_BOOL)
    px_fail_at(err, PX_E_BAD_FIELD, pointer, "'%.32s' is not true or false", text);
  else
    px_fail_at(err, PX_E_BAD_FIELD, pointer, "%.32s is not between %g and %g", text, field->min,
               field->max);
  return PX_E_BAD_FIELD;
}

enum px_status idm_spec_set(struct idm_spec *spec, const char *name, const char *text,
                            struct px_err *err) {
  const struct flow_bind *option = option_of(name);
  const struct flow_field *field = option ? field_of(name) : NULL;
  if (!field)
    return px_fail_at(err, PX_E_BAD_FIELD, "", "an inverse dynamics model has no option '%.32s'",
                      name);
  const double value = value_of(field, text);
  if (!in_bounds(field, value)) return wrong(field, text, err);
  flow_bind_put(option, spec, value);
  return PX_OK;
}

bool idm_profile_from(const char *name, enum idm_profile *out) {
  for (int i = 0; flow_idm_profiles[i].name; i++) {
    if (strcmp(flow_idm_profiles[i].name, name) != 0) continue;
    *out = (enum idm_profile)i;
    return true;
  }
  return false;
}

const char *idm_profile_name(enum idm_profile v) { return flow_idm_profiles[v].name; }

void idm_spec_default(enum idm_profile profile, struct idm_spec *spec) {
  *spec = (struct idm_spec){ .profile = profile };
  for (const struct flow_field *field = flow_idm_profiles[profile].sub; field->name; field++) {
    char text[32]; /* JSON text: a word is quoted */
    const size_t quoted = *field->initial == '"', len = strlen(field->initial) - 2 * quoted;
    snprintf(text, sizeof text, "%.*s", (int)len, field->initial + quoted);
    const enum px_status status = idm_spec_set(spec, field->name, text, &(struct px_err){ 0 });
    assert(status == PX_OK);
    (void)status;
  }
}

/* What a spec of an older version, which lacks these options, means. */
static const struct {
  const char *name, *text;
} later[] = {
  { "activation", "relu" },
  { "shift_max", "1" },
  { "residuals", "false" },
  { "voting", "equal" },
};

static void set_later(struct idm_spec *spec) {
  for (size_t i = 0; i < sizeof later / sizeof *later; i++) {
    const enum px_status status =
      idm_spec_set(spec, later[i].name, later[i].text, &(struct px_err){ 0 });
    assert(status == PX_OK);
    (void)status;
  }
}

enum px_status idm_spec_read(const json_t *given, struct idm_spec *spec, struct px_err *err) {
  const char *profile = json_string_value(json_object_get(given, "profile")), *name;
  enum idm_profile base = IDM_FAST;
  if (profile && !idm_profile_from(profile, &base))
    return px_fail_at(err, PX_E_BAD_FIELD, "/profile", "there is no profile '%.32s'", profile);
  idm_spec_default(base, spec);
  set_later(spec);
  json_t *value;
  json_object_foreach((json_t *)(uintptr_t)given, name, value) {
    if (strcmp(name, "profile") == 0 || option_of(name)) continue;
    return px_fail_at(err, PX_E_BAD_FIELD, "", "an inverse dynamics model has no option '%.32s'",
                      name);
  }
  const enum px_status status =
    flow_bind(flow_idm_profiles[base].sub, idm_spec_bind, given, spec, err);
  if (status) return status;
  return idm_spec_check(spec, err);
}

static enum px_status check_pairs(const struct idm_spec *spec, struct px_err *err) {
  char words[4][32];
  const uint32_t value[] = { spec->head, spec->mean_loss, spec->compat, spec->inputs };
  static const char *const NAME[] = { "head", "mean_loss", "compat", "inputs" };
  for (size_t i = 0; i < 4; i++) {
    size_t len;
    const char *word = flow_field_word_at(field_of(NAME[i])->words, value[i], &len);
    snprintf(words[i], sizeof words[i], "%.*s", (int)len, word);
  }
  const struct flow_idm_pairs pairs = { words[0], words[1],     words[2],
                                        words[3], spec->rounds, spec->f };
  return flow_idm_check_pairs(&pairs, "", err);
}

enum px_status idm_spec_check(const struct idm_spec *spec, struct px_err *err) {
  for (size_t i = 0; i < OPTIONS_N; i++) {
    const struct flow_field *field = field_of(idm_spec_bind[i].name);
    const double value = flow_bind_get(&idm_spec_bind[i], spec);
    char text[32];
    snprintf(text, sizeof text, "%g", value);
    if (!in_bounds(field, value)) return wrong(field, text, err);
  }
  return check_pairs(spec, err);
}

enum px_status idm_spec_check_spaces(const struct idm_spec *spec, const struct px_spaces *spaces,
                                     struct px_err *err) {
  if ((spec->head == IDM_SOFTMAX) == (spaces->act_count > 0)) return PX_OK;
  px_fail_at(err, PX_E_BAD_FIELD, "/head",
             spaces->act_count
               ? "this head is for continuous actions; the dataset's are discrete"
               : "head softmax is for discrete actions; the dataset's are continuous");
  px_fail_hint(err, "Discrete actions take head softmax, continuous ones any other; leave head out "
                    "for the usual one.");
  return PX_E_BAD_FIELD;
}

size_t idm_spec_meta(const struct idm_spec *spec, struct idm_spec_text *text,
                     struct px_safetensors_meta *meta) {
  meta[0] = (struct px_safetensors_meta){ "profile", idm_profile_name(spec->profile) };
  for (size_t i = 0; i < OPTIONS_N; i++) {
    const struct flow_field *field = field_of(idm_spec_bind[i].name);
    const double value = flow_bind_get(&idm_spec_bind[i], spec);
    size_t len;
    if (field->type == FLOW_ENUM) {
      const char *word = flow_field_word_at(field->words, (size_t)value, &len);
      snprintf(text->value[i], IDM_SPEC_VALUE_MAX, "%.*s", (int)len, word);
    } else {
      snprintf(text->value[i], IDM_SPEC_VALUE_MAX, "%.17g", value);
    }
    meta[i + 1] = (struct px_safetensors_meta){ idm_spec_bind[i].name, text->value[i] };
  }
  return OPTIONS_N + 1;
}

enum px_status idm_spec_from_meta(const struct px_safetensors *st, struct idm_spec *spec,
                                  struct px_err *err) {
  const char *profile = px_safetensors_meta(st, "profile");
  enum idm_profile base;
  if (!profile || !idm_profile_from(profile, &base))
    return px_fail(err, PX_E_BAD_DATA, "the model's profile is unknown");
  idm_spec_default(base, spec);
  set_later(spec);
  for (size_t i = 0; i < OPTIONS_N; i++) {
    const char *text = px_safetensors_meta(st, idm_spec_bind[i].name);
    if (text && idm_spec_set(spec, idm_spec_bind[i].name, text, err)) return PX_E_BAD_DATA;
  }
  return idm_spec_check(spec, err) ? PX_E_BAD_DATA : PX_OK;
}
