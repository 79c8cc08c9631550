/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What jobs read from the store: dataset snapshots, proxy labels, models.
 *
 * A snapshot is the first `segments` segments of a dataset, so a job sees the
 * same data whenever it runs. Hidden actions are taken out here, right after
 * loading: nothing behind this can see them. Used by the jobs; everything
 * returned belongs to the caller.
 */
#ifndef PX_WORKER_JOBS_JOB_INPUTS_H
#define PX_WORKER_JOBS_JOB_INPUTS_H

#include "lib/base/fail.h"
#include "lib/data/actions_merged.h"
#include "lib/data/dataset.h"
#include "lib/idm/idm.h"
#include "worker/jobs/jobs.h"

/* The version of the dataset that the job runs on; the present one for jobs of older builds. */
int64_t job_inputs_version(const struct job *job);
/* Segments [first, first + count) of the spec's dataset, nothing hidden.
 * Reports phase "load". */
enum px_status job_inputs_segments(struct job *job, uint32_t first, uint32_t count,
                                   struct px_dataset **out, struct px_err *err) PX_MUST_CHECK;
/* The spec's whole snapshot, nothing hidden: for the report and exports only. */
enum px_status job_inputs_truth(struct job *job, struct px_dataset **out,
                                struct px_err *err) PX_MUST_CHECK;
/* Which trajectories keep their known actions under the spec's mask, of those
 * that have any: keep [traj_n], from malloc. Without a mask all of these do. */
enum px_status job_inputs_keep(const struct job *job, const struct px_dataset *ds, uint8_t **keep,
                               struct px_err *err) PX_MUST_CHECK;
/* The snapshot as learning may see it: the mask's hidden actions are gone. */
enum px_status job_inputs_visible(struct job *job, struct px_dataset **out,
                                  struct px_err *err) PX_MUST_CHECK;
/* The snapshot without any action. */
enum px_status job_inputs_states(struct job *job, struct px_dataset **out,
                                 struct px_err *err) PX_MUST_CHECK;

/* True actions and, where label_set is not NULL, proxy actions for the others. */
enum px_status job_inputs_merged(struct job *job, const struct px_dataset *ds,
                                 const char *label_set, struct px_actions_merged **out,
                                 struct px_err *err) PX_MUST_CHECK;

/* The result of a finished job, parsed; *out belongs to the caller. */
enum px_status job_inputs_result(struct job *job, const char *id, json_t **out,
                                 struct px_err *err) PX_MUST_CHECK;

/* The inverse dynamics models that the spec's `models` names. */
struct job_inputs_idm {
  struct idm_model *models[IDM_MEMBERS_MAX];
  uint32_t n;
};
enum px_status job_inputs_idm(struct job *job, struct job_inputs_idm *out,
                              struct px_err *err) PX_MUST_CHECK;
void job_inputs_idm_free(struct job_inputs_idm *idm);

/* The net that the spec's `inverse` names; NULL where it names none. */
struct sim_net;
enum px_status job_inputs_inverse(struct job *job, struct sim_net **out,
                                  struct px_err *err) PX_MUST_CHECK;

#endif
