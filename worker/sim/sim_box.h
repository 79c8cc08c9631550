/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A user's simulator in a process of its own: the functions of worker/sim, run by a helper
 * (lib/base/subprocess.h) that has locked itself up (lockup.h) before it compiles the model. Used
 * by simulator.c.
 *
 * The helper gets the model, the layout and then, for each call, the trajectories' states over a
 * socket; labels come back. What it answers is checked as strangers' data is. One that says nothing
 * for five minutes, or dies, is BAD_DATA with the reason. A box belongs to one thread and owns its
 * process.
 */
#ifndef PX_WORKER_SIM_SIM_BOX_H
#define PX_WORKER_SIM_SIM_BOX_H

#include "lib/base/fail.h"
#include "lib/base/subprocess.h"
#include "lib/data/dataset.h"
#include "worker/sim/identify.h"
#include "worker/sim/pairs.h"

struct sim_box;
/* As sim_open, after px_mjcf_scan. `ds`: the largest that it will be called with. */
enum px_status sim_box_open(const struct sim_layout *layout, const struct px_dataset *ds,
                            struct sim_box **out, struct px_err *err) PX_MUST_CHECK;
void sim_box_close(struct sim_box *box);
/* As sim_check, sim_identify, sim_identify_adjust, sim_label and sim_pairs_make. */
enum px_status sim_box_identify(struct sim_box *box, const struct sim_options *options,
                                const struct px_dataset *ds, uint32_t delay_max,
                                const struct px_progress *progress, struct sim_identified *out,
                                struct px_err *err) PX_MUST_CHECK;
enum px_status sim_box_adjust(struct sim_box *box, const struct sim_adjustment *adjustment,
                              struct px_err *err) PX_MUST_CHECK;
enum px_status sim_box_check(struct sim_box *box, const struct sim_options *options,
                             const struct px_dataset *ds, const struct px_progress *progress,
                             struct sim_fit *out, struct px_err *err) PX_MUST_CHECK;
enum px_status sim_box_label(struct sim_box *box, const struct sim_options *options,
                             const struct px_dataset *ds, uint32_t traj_from, uint32_t traj_to,
                             const struct sim_starts *starts, const struct px_progress *progress,
                             struct sim_labels **out, struct px_err *err) PX_MUST_CHECK;
enum px_status sim_box_pairs(struct sim_box *box, const struct sim_options *options,
                             const struct px_dataset *ds, uint64_t seed, uint32_t n,
                             const struct px_progress *progress, struct sim_pairs **out,
                             struct px_err *err) PX_MUST_CHECK;

/* For px_subprocess_main of a program that opens boxes. */
extern const struct px_subprocess_kind sim_box_helper;

#endif
