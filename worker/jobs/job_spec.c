/* SPDX-License-Identifier: Apache-2.0 */
/* Readers of a checked spec: see job_spec.h. */
#include "worker/jobs/job_spec.h"

#include "lib/rl/fqe.h"
#include "worker/sim/net.h"
#include "worker/sim/sim.h"

#define NET(type, name) FLOW_BIND(struct sim_net_spec, FLOW_BIND_##type, name)
const struct flow_bind job_spec_inverse_net[] = { NET(U32, pairs),  NET(U32, steps),
                                                  NET(U32, batch),  NET(U32, hidden),
                                                  NET(U32, layers), NET(F64, lr),
                                                  FLOW_BIND_END };

#define FQE(type, name) FLOW_BIND(struct fqe_spec, FLOW_BIND_##type, name)
const struct flow_bind job_spec_fqe[] = { FQE(U32, hidden),  FQE(U32, layers), FQE(U32, batch),
                                          FQE(U64, updates), FQE(U64, seed),   FQE(F64, lr),
                                          FQE(F64, gamma),   FQE(F64, tau),    FLOW_BIND_END };

const struct flow_bind job_spec_simulator[] = {
  FLOW_BIND(struct sim_options, FLOW_BIND_U64, seed),
  FLOW_BIND(struct sim_options, FLOW_BIND_U32, restarts),
  FLOW_BIND_AS(struct sim_options, FLOW_BIND_F64, "threshold", verified_below),
  FLOW_BIND(struct sim_options, FLOW_BIND_BOOL, solve), FLOW_BIND_END
};

const char *job_spec_text(const json_t *spec, const char *name) {
  return json_string_value(json_object_get(spec, name));
}

uint64_t job_spec_uint(const json_t *spec, const char *name, uint64_t fallback) {
  const json_t *value = json_object_get(spec, name);
  return value ? (uint64_t)json_integer_value(value) : fallback;
}

double job_spec_number(const json_t *spec, const char *name, double fallback) {
  const json_t *value = json_object_get(spec, name);
  return value ? json_number_value(value) : fallback;
}
