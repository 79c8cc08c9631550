/* SPDX-License-Identifier: Apache-2.0 */
/* Simulators and their dimensions: see envs.h. */
#include "lib/flow/envs.h"

#include "lib/base/fail.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const struct flow_env ENVS[] = {
#define PX_ENV(name, obs_dim, act_dim, act_count) { #name, { obs_dim, act_dim, act_count } },
#include "schema/envs.def"
#undef PX_ENV
};
const char flow_env_words[] =
#define PX_ENV(name, ...) "|" #name
#include "schema/envs.def"
#undef PX_ENV
  ;

void flow_env_names(bool solvable, const char *between, char out[FLOW_ENV_NAMES_MAX]) {
  size_t used = 0;
  out[0] = '\0';
  for (size_t i = 0; i < sizeof ENVS / sizeof *ENVS; i++) {
    if (solvable && ENVS[i].dims.act_count) continue;
    used += (size_t)snprintf(out + used, FLOW_ENV_NAMES_MAX - used, "%s%s", used ? between : "",
                             ENVS[i].name);
    assert(used < FLOW_ENV_NAMES_MAX);
  }
}

const struct flow_env *flow_env(const char *name) {
  for (size_t i = 0; i < sizeof ENVS / sizeof *ENVS; i++)
    if (strcmp(ENVS[i].name, name) == 0) return &ENVS[i];
  return NULL;
}

bool flow_env_dims_equal(const struct flow_dims *a, const struct flow_dims *b) {
  return a->obs_dim == b->obs_dim && a->act_count == b->act_count &&
         (a->act_count || a->act_dim == b->act_dim);
}

void flow_env_dims_text(const struct flow_dims *dims, char out[FLOW_DIMS_TEXT]) {
  if (dims->act_count)
    (void)snprintf(out, FLOW_DIMS_TEXT, "%u observation dimensions and %u discrete actions",
                   dims->obs_dim, dims->act_count);
  else
    (void)snprintf(out, FLOW_DIMS_TEXT, "%u observation and %u action dimensions", dims->obs_dim,
                   dims->act_dim);
}

enum px_status flow_env_check(const char *name, const struct flow_dims *dims, const char *whose,
                              const char *pointer, struct px_err *err) {
  const struct flow_env *env = flow_env(name);
  if (!env) return px_fail_at(err, PX_E_BAD_FIELD, pointer, "there is no simulator '%.64s'", name);
  if (flow_env_dims_equal(&env->dims, dims)) return PX_OK;
  char theirs[FLOW_DIMS_TEXT], ours[FLOW_DIMS_TEXT];
  flow_env_dims_text(&env->dims, theirs);
  flow_env_dims_text(dims, ours);
  px_fail_at(err, PX_E_BAD_FIELD, pointer, "%s has %s, %s %s", name, theirs, whose, ours);
  px_fail_hint(
    err, "Name the simulator that the data came from, or none: ope judges policies from data.");
  return PX_E_BAD_FIELD;
}
