/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Simulators that label, by name or id: what jobs see of worker/sim. Used by check_simulator,
 * train_inverse and simulate_shard.
 *
 * A simulator belongs to the job's process and to one thread; it owns its model. Datasets, options
 * and results are those of sim.h.
 */
#ifndef PX_WORKER_JOBS_SIMULATOR_H
#define PX_WORKER_JOBS_SIMULATOR_H

#include "lib/base/fail.h"
#include "lib/data/dataset.h"
#include "worker/jobs/jobs.h"
#include "worker/sim/identify.h"
#include "worker/sim/pairs.h"

struct simulator;
/* A built-in one (hopper, walker2d, halfcheetah), or one that was uploaded (sim_...), which then
 * runs in a process of its own (sim_box.h). `ds`: the largest dataset that it will be given.
 * BAD_FIELD for another name, NOT_FOUND for an id. */
enum px_status simulator_open(struct job *job, const char *name, const struct px_dataset *ds,
                              struct simulator **out, struct px_err *err) PX_MUST_CHECK;
void simulator_close(struct simulator *simulator);
/* What labels' bits depend on beside data and options: MuJoCo's version and the model. Borrowed. */
const char *simulator_profile(const struct simulator *simulator);

/* sim_spread of a snapshot, [O] from malloc: the residual's unit. */
enum px_status simulator_spread(const struct px_dataset *ds, double **std,
                                struct px_err *err) PX_MUST_CHECK;

/* What was identified, for the result of a check. */
json_t *simulator_adjustment(const struct sim_identified *found);
/* What the check that the job's spec names has found: the model is adjusted as it was there, and
 * *replay_median is what it says true actions leave. Without a check nothing changes. */
enum px_status simulator_take_check(struct simulator *simulator, struct job *job,
                                    double *replay_median, struct px_err *err) PX_MUST_CHECK;

/* As sim_identify, sim_check, sim_label and sim_pairs_make. */
enum px_status simulator_identify(struct simulator *simulator, const struct sim_options *options,
                                  const struct px_dataset *ds, uint32_t delay_max,
                                  const struct px_progress *progress, struct sim_identified *out,
                                  struct px_err *err) PX_MUST_CHECK;
enum px_status simulator_check(struct simulator *simulator, const struct sim_options *options,
                               const struct px_dataset *ds, const struct px_progress *progress,
                               struct sim_fit *out, struct px_err *err) PX_MUST_CHECK;
enum px_status simulator_label(struct simulator *simulator, const struct sim_options *options,
                               const struct px_dataset *ds, uint32_t traj_from, uint32_t traj_to,
                               const struct sim_starts *starts, const struct px_progress *progress,
                               struct sim_labels **out, struct px_err *err) PX_MUST_CHECK;
enum px_status simulator_pairs(struct simulator *simulator, const struct sim_options *options,
                               const struct px_dataset *ds, uint64_t seed, uint32_t n,
                               const struct px_progress *progress, struct sim_pairs **out,
                               struct px_err *err) PX_MUST_CHECK;

#endif
