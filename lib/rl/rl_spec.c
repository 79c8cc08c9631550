/* SPDX-License-Identifier: Apache-2.0 */
/* An algorithm's options as numbers, read by their names: see rl.h. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "lib/flow/bind.h"
#include "lib/rl/rl.h"

/* `name` is no option: it names the run in reports. */
static bool is_option(const struct flow_field *field) {
  return field->type != FLOW_TEXT && field->type != FLOW_ALIAS;
}

static const struct flow_field *option(const struct rl_spec *spec, const char *name, size_t *at) {
  const struct flow_field *fields = flow_algo_options(spec->algo);
  for (*at = 0; fields && fields[*at].name; ++*at)
    if (is_option(&fields[*at]) && strcmp(fields[*at].name, name) == 0) return &fields[*at];
  return NULL;
}

/* Its value in `policy`, or its default. */
static enum px_status read_option(const struct flow_field *fields, size_t i, const json_t *policy,
                                  struct rl_spec *spec, struct px_err *err) {
  const char *name = fields[i].name, *initial = fields[i].initial;
  const struct flow_bind value[] = {
    { name, FLOW_BIND_F64, offsetof(struct rl_spec, value) + i * sizeof(double), sizeof(double) },
    FLOW_BIND_END
  };
  if (json_object_get(policy, name)) return flow_bind(fields, value, policy, spec, err);
  json_t *one =
    json_pack("{s:o}", name, px_json_parse(initial, strlen(initial), JSON_DECODE_ANY, NULL));
  const enum px_status status =
    one ? flow_bind(fields, value, one, spec, err)
        : px_fail(err, PX_E_NO_MEMORY, "no memory for the option %s of %s", name, spec->algo);
  json_decref(one);
  return status;
}

enum px_status rl_spec_read(const json_t *policy, uint64_t seed, struct rl_spec *spec,
                            struct px_err *err) {
  const char *algo = json_string_value(json_object_get(policy, "algo"));
  const struct flow_field *fields = algo ? flow_algo_options(algo) : NULL;
  if (!fields)
    return px_fail_at(err, PX_E_BAD_FIELD, "/algo", "there is no algorithm '%.32s'",
                      algo ? algo : "");
  *spec = (struct rl_spec){ .seed = seed };
  snprintf(spec->algo, sizeof spec->algo, "%s", algo);
  enum px_status status = PX_OK;
  for (size_t i = 0; fields[i].name && !status; i++) {
    assert(i < FLOW_OPTIONS_MAX);
    if (is_option(&fields[i])) status = read_option(fields, i, policy, spec, err);
  }
  return status;
}

enum px_status rl_spec_defaults(const char *algo, struct rl_spec *spec, struct px_err *err) {
  const struct flow_field policy[] = {
    { "policy", FLOW_CHOICE, 0, 0, "!", "algo", flow_algos, "Algorithm" }, { .name = NULL }
  };
  json_t *given = json_pack("{s:s}", "policy", algo), *checked = NULL;
  enum px_status status = given ? flow_fields_check(policy, given, "", &checked, err)
                                : px_fail(err, PX_E_NO_MEMORY, "no memory for a spec");
  if (!status) status = rl_spec_read(json_object_get(checked, "policy"), 0, spec, err);
  json_decref(given);
  json_decref(checked);
  return status;
}

enum px_status rl_spec_set(struct rl_spec *spec, const char *name, double value,
                           struct px_err *err) {
  char pointer[64];
  size_t at;
  const struct flow_field *field = option(spec, name, &at);
  snprintf(pointer, sizeof pointer, "/%.48s", name);
  if (!field)
    return px_fail_at(err, PX_E_BAD_FIELD, pointer, "%s has no option '%.48s'", spec->algo, name);
  double low = field->min, high = field->max;
  size_t len;
  if (field->type == FLOW_BOOL) low = 0, high = 1;
  if (field->type == FLOW_ENUM)
    for (low = 0, high = 0; flow_field_word_at(field->words, (size_t)high + 1, &len);) high++;
  if (!(value >= low && value <= high))
    return px_fail_at(err, PX_E_BAD_FIELD, pointer, "%s is %g; it must be from %g to %g", name,
                      value, low, high);
  spec->value[at] = value;
  return PX_OK;
}

enum px_status rl_spec_say(struct rl_spec *spec, const char *name, const char *word,
                           struct px_err *err) {
  size_t at;
  const struct flow_field *field = option(spec, name, &at);
  const int place =
    field && field->type == FLOW_ENUM ? flow_field_word_place(field->words, word) : -1;
  if (place >= 0) return rl_spec_set(spec, name, place, err);
  char pointer[64];
  snprintf(pointer, sizeof pointer, "/%.48s", name);
  return px_fail_at(err, PX_E_BAD_FIELD, pointer, "%s has no option '%.48s' that may be '%.48s'",
                    spec->algo, name, word);
}

double rl_option(const struct rl_spec *spec, const char *name) {
  size_t at;
  const struct flow_field *field = option(spec, name, &at);
  assert(field);
  return field ? spec->value[at] : 0;
}

uint32_t rl_whole(const struct rl_spec *spec, const char *name) {
  return (uint32_t)rl_option(spec, name);
}

bool rl_has(const struct rl_spec *spec, const char *name) {
  size_t at;
  return option(spec, name, &at) != NULL;
}

bool rl_says(const struct rl_spec *spec, const char *name, const char *word) {
  size_t at;
  const struct flow_field *field = option(spec, name, &at);
  assert(field && field->type == FLOW_ENUM);
  return field && spec->value[at] == flow_field_word_place(field->words, word);
}

void rl_word(const struct rl_spec *spec, const char *name, char out[RL_WORD_MAX]) {
  size_t at, len = 0;
  const struct flow_field *field = option(spec, name, &at);
  assert(field && field->type == FLOW_ENUM);
  const char *word = field ? flow_field_word_at(field->words, (size_t)spec->value[at], &len) : NULL;
  snprintf(out, RL_WORD_MAX, "%.*s", (int)len, word ? word : "");
}

size_t rl_spec_meta(const struct rl_spec *spec, struct rl_spec_text *text,
                    struct px_safetensors_meta *meta) {
  const struct flow_field *fields = flow_algo_options(spec->algo);
  size_t n = 0, len;
  meta[n++] = (struct px_safetensors_meta){ "algo", spec->algo };
  snprintf(text->value[n], RL_SPEC_VALUE_MAX, "%" PRIu64, spec->seed);
  meta[n] = (struct px_safetensors_meta){ "seed", text->value[n] };
  n++;
  for (size_t i = 0; fields[i].name; i++) {
    if (!is_option(&fields[i])) continue;
    const char *word = fields[i].type == FLOW_ENUM
                         ? flow_field_word_at(fields[i].words, (size_t)spec->value[i], &len)
                         : NULL;
    if (word) snprintf(text->value[n], RL_SPEC_VALUE_MAX, "%.*s", (int)len, word);
    else snprintf(text->value[n], RL_SPEC_VALUE_MAX, "%.9g", spec->value[i]);
    meta[n] = (struct px_safetensors_meta){ fields[i].name, text->value[n] };
    n++;
  }
  return n;
}
