/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether proxy labels help, tried where the truth is known: among the labelled
 * trajectories themselves. Used by the job rehearse, where no simulator can tell.
 *
 * The labelled trajectories are sorted by return, or left in order where some
 * have none. The lower half keeps its
 * actions, as if only that were labelled. Of the upper half every second one is
 * set aside to judge by, and the others lose their actions. Two members of an
 * inverse dynamics model learn from the lower half and label all the rest; then
 * a policy is cloned from each kind of labels and compared with the true actions
 * of the trajectories set aside.
 *
 * It tells whether labels bring a clone nearer to actions of better trajectories
 * than any labelled one, which is what proxies are for. It does not tell returns.
 */
#ifndef PX_WORKER_JOBS_REHEARSAL_H
#define PX_WORKER_JOBS_REHEARSAL_H

#include "lib/base/fail.h"
#include "lib/data/dataset.h"
#include "lib/idm/idm.h"
#include "lib/rl/rl.h"

enum { REHEARSAL_LEAST = 4 }; /* labelled trajectories */
enum { REHEARSAL_LABELS_N = 3 };
extern const char *const rehearsal_labels[REHEARSAL_LABELS_N]; /* all, confident, true_only */

struct rehearsal {
  /* false: too few labelled trajectories; all below is 0 */
  bool tried;
  uint32_t kept_n, hidden_n, judged_n; /* trajectories */
  uint64_t transitions_n;              /* judged */
  /* mean squared error in units of actions mapped to [-1, 1]; of discrete actions the share that
   * is another class */
  double error[REHEARSAL_LABELS_N];
  /* of rehearsal_labels: the least error; the first of equals */
  uint32_t chosen;
};

/* Hides actions of `ds`, which is of no use afterwards. The clones take `updates` steps. A
 * pure function of ds, idm, updates and seed. Reports the phases of what it
 * trains. Fails with what training and labelling return. */
enum px_status rehearse(struct px_dataset *ds, const struct idm_spec *idm, uint64_t updates,
                        uint64_t seed, const struct px_progress *progress, struct rehearsal *out,
                        struct px_err *err) PX_MUST_CHECK;

#endif
