/*
 * What follows what: from a checked spec to the jobs that carry it out.
 *
 * Pure: the same spec, snapshot and ids give the same plan. The server submits
 * a plan in one transaction.
 */
#ifndef PX_FLOW_PLAN_H
#define PX_FLOW_PLAN_H

#include <stdint.h>

#include "lib/flow/spec.h"

enum { FLOW_ID_MAX = 40, FLOW_NAME_MAX = 96, FLOW_PLAN_MAX = 4096 };

/* What the expansion has to know of the dataset. */
struct flow_snapshot {
  uint32_t segments_n;
  uint64_t trajectories_n;                          /* of the snapshot */
  uint64_t labelled_trajectories_n, whole_trajectories_n; /* with any true action; with the true action of every step */
  const char *env;                                  /* "" for none */
  uint32_t act_count;                               /* discrete actions; 0: continuous */
  int priority;
  void (*new_id)(char id[FLOW_ID_MAX]);             /* gives "job_..." */
};

struct flow_job {
  char id[FLOW_ID_MAX], parent[FLOW_ID_MAX]; /* parent "" for none */
  enum flow_kind kind;
  char name[FLOW_NAME_MAX];
  char *spec_json;  /* compact JSON text */
  char (*needs)[FLOW_ID_MAX];
  size_t needs_n;
  int priority;
};
struct flow_plan {
  struct flow_job *jobs; /* the job that the caller is answered with comes first */
  size_t n;
};

/* `spec` is as given by the user: it is checked and completed here. A pipeline
 * without any labelled trajectory, or whose mask leaves none, is NO_LABELS; an
 * oracle without known truth, an evaluation without a simulator, or a mask whose
 * numbers name no protocol or contradict each other, BAD_FIELD.
 * Ids of models and label sets in the spec become needs. */
enum px_status flow_plan(enum flow_kind kind, const json_t *spec, const struct flow_snapshot *snapshot,
                         struct flow_plan *out, struct px_err *err) PX_MUST_CHECK;
void flow_plan_free(struct flow_plan *plan);

#endif
