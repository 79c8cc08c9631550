/* SPDX-License-Identifier: Apache-2.0 */
/* The table of job kinds: see jobs.h. */
#include "worker/jobs/jobs.h"

static const job_function FUNCTIONS[FLOW_KIND_N] = {
  [FLOW_INGEST] = job_ingest,
  [FLOW_TRAIN_IDM] = job_train_idm,
  [FLOW_LABEL_SHARD] = job_label_shard,
  [FLOW_SIMULATE_SHARD] = job_simulate_shard,
  [FLOW_CHECK_SIMULATOR] = job_check_simulator,
  [FLOW_TRAIN_INVERSE] = job_train_inverse,
  [FLOW_LABEL] = job_label,
  [FLOW_TRAIN_POLICY] = job_train_policy,
  [FLOW_EVALUATE] = job_evaluate,
  [FLOW_ASSESS] = job_assess,
  [FLOW_REHEARSE] = job_rehearse,
  [FLOW_REPORT] = job_report,
  [FLOW_EXPORT] = job_export,
};

job_function jobs_function(enum flow_kind kind) { return FUNCTIONS[kind]; }

const char *const *jobs_kinds(size_t *n) {
  static const char *kinds[FLOW_KIND_N];
  size_t found = 0;
  for (int i = 0; i < FLOW_KIND_N; i++)
    if (FUNCTIONS[i]) kinds[found++] = flow_kind_info((enum flow_kind)i)->name;
  *n = found;
  return kinds;
}
