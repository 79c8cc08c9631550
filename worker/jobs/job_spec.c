/* SPDX-License-Identifier: Apache-2.0 */
/* Readers of a checked spec: see job_spec.h. */
#include "worker/jobs/job_spec.h"

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
