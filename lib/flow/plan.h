/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What follows what: from a checked spec to the jobs that carry it out.
 *
 * Pure: the same spec, snapshot and ids give the same plan. The server submits
 * a plan in one transaction.
 */
#ifndef PX_FLOW_PLAN_H
#define PX_FLOW_PLAN_H

#include <stdint.h>

#include "lib/base/fail.h"
#include "lib/flow/envs.h"
#include "lib/flow/estimate.h"
#include "lib/flow/kinds.h"

enum { FLOW_ID_MAX = 40, FLOW_NAME_MAX = 256, FLOW_PLAN_MAX = 4096 };

/* What a spec's models, label sets and jobs are, or will be when the job that makes them has
 * ended. */
enum flow_role {
  FLOW_ROLE_IDM,
  FLOW_ROLE_POLICY,
  FLOW_ROLE_LABELS,
  FLOW_ROLE_EVALUATION,
  FLOW_ROLE_OPE,
  FLOW_ROLE_SIMULATOR,
  FLOW_ROLE_REHEARSAL,
  FLOW_ROLE_OTHER
};
struct flow_result {
  enum flow_role role;
  char algo[32], dataset[FLOW_ID_MAX]; /* algo: of a policy; of a label set its labeller */
  struct flow_dims dims;               /* of the dataset it was made from; a simulator's own */
  uint32_t segments_n;                 /* of a label set */
};

/* What the expansion has to know of the dataset; of an evaluation, its policy's. */
struct flow_snapshot {
  int64_t version; /* of the dataset */
  uint32_t segments_n;
  uint64_t trajectories_n; /* of the snapshot */
  /* with any true action; with the true action of every step */
  uint64_t labelled_trajectories_n, whole_trajectories_n;
  uint64_t unrewarded_trajectories_n;
  const char *env; /* "" for none */
  /* act_count: discrete actions; 0: continuous */
  uint32_t obs_dim, act_dim, act_count;
  bool has_labels;       /* there is a current label set */
  struct flow_size size; /* of the whole dataset, for estimates */
  int priority;
  void (*new_id)(char id[FLOW_ID_MAX]); /* gives "job_..." */
  /* Looks up what has this id (mdl_, ls_, job_, sim_): NOT_FOUND, or DEPENDENCY_FAILED when its job
   * has failed. NULL: what a spec names is not looked at. */
  enum px_status (*find)(void *ctx, const char *id, struct flow_result *out, struct px_err *err);
  void *find_ctx;
};

struct flow_job {
  char id[FLOW_ID_MAX], parent[FLOW_ID_MAX]; /* parent "" for none */
  enum flow_kind kind;
  char name[FLOW_NAME_MAX];
  char *spec_json; /* compact JSON text */
  char (*needs)[FLOW_ID_MAX];
  size_t needs_n;
  int priority;
  struct flow_cost cost;
};
struct flow_plan {
  struct flow_job *jobs; /* the job that the caller is answered with comes first */
  size_t n;
};

/* `given` is the user's spec: it is checked and completed here. A pipeline
 * without any labelled trajectory, or whose mask leaves none, is NO_LABELS unless a simulator
 * labels alone; an oracle without known truth, a mask whose numbers name no protocol or contradict
 * each other, and whatever does not go together (check.h), BAD_FIELD.
 * Ids of models and label sets in the spec become needs. */
enum px_status flow_plan(enum flow_kind kind, const json_t *given,
                         const struct flow_snapshot *snapshot, struct flow_plan *out,
                         struct px_err *err) PX_MUST_CHECK;
void flow_plan_free(struct flow_plan *plan);

#endif
