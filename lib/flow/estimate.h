/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a job will take: an estimate of its process's memory and of its time, from its spec and the
 * dataset's size.
 *
 * Used by flow_plan: a submission that fits no worker is refused with the figure, a worker claims
 * only what fits it, and a job that runs far beyond its time is ended. Memory is meant as an upper
 * bound (tests/integration/test_worker_limits.c runs jobs with no more than that); time is that of
 * a very slow core, because it only ends what never would. Pure.
 */
#ifndef PX_FLOW_ESTIMATE_H
#define PX_FLOW_ESTIMATE_H

#include "lib/base/fail.h"
#include "lib/flow/envs.h"
#include "lib/flow/kinds.h"

enum { FLOW_LANES = 16 }; /* the kernels' unit: PX_LANES of lib/nn, compared by a test */
#define FLOW_MODEL_BYTES_MAX \
  ((double)(512 << 20)) /* of a model's file: IDM_MODEL_BYTES_MAX, POLICY_BYTES_MAX */

/* Of the whole dataset; a spec's `segments` may take a part of it. */
struct flow_size {
  double steps_n, trajectories_n, size_bytes, segments_n;
};

struct flow_cost {
  int64_t memory_bytes, limit_s;
};
/* `spec` is checked and complete. */
struct flow_cost flow_estimate(enum flow_kind kind, const json_t *spec,
                               const struct flow_dims *dims, const struct flow_size *size);

/* BAD_FIELD at <at>/hidden for a model whose file would be larger than a model may be. */
enum px_status flow_estimate_check_policy(const json_t *policy, const struct flow_dims *dims,
                                          const char *at, struct px_err *err) PX_MUST_CHECK;
enum px_status flow_estimate_check_idm(const json_t *idm, const struct flow_dims *dims,
                                       const char *at, struct px_err *err) PX_MUST_CHECK;

/* "1.5 GiB" */
enum { FLOW_BYTES_TEXT = 32 };
void flow_estimate_bytes_text(double bytes, char out[FLOW_BYTES_TEXT]);

#endif
