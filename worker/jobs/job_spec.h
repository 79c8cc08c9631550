/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers of a checked spec: text, and numbers with what an optional field means
 * where it was left out.
 */
#ifndef PX_WORKER_JOBS_JOB_SPEC_H
#define PX_WORKER_JOBS_JOB_SPEC_H

#include <jansson.h>
#include <stdint.h>

#include "lib/flow/bind.h"

/* Where the options of a train_inverse job's net, of an ope job and of a labeller
 * that is a simulator live: struct sim_net_spec, struct fqe_spec, struct sim_options. */
extern const struct flow_bind job_spec_inverse_net[], job_spec_fqe[], job_spec_simulator[];

/* Readers of a checked spec; `fallback` where an optional field was left out. */
const char *job_spec_text(const json_t *spec, const char *name);
uint64_t job_spec_uint(const json_t *spec, const char *name, uint64_t fallback);
double job_spec_number(const json_t *spec, const char *name, double fallback);

#endif
