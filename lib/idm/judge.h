/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is doubtful about a member or about the labels it learned from: is it
 * better than simple models on its own held-out fold, and do actions stand at
 * their own step? Used by the job train_idm; nothing is kept.
 */
#ifndef PX_IDM_JUDGE_H
#define PX_IDM_JUDGE_H

#include "lib/base/fail.h"
#include "lib/data/dataset.h"
#include "lib/idm/baseline.h"
#include "lib/idm/quality.h"

/* A member beside the baselines, which are fitted to the rest of the labels, on the same held-out
 * transitions: those of the member's fold, or of evenly spaced trajectories of it with some
 * 5,000. */
struct idm_judged {
  /* n 0: nothing was left to fit them to */
  struct idm_quality_figures idm, baselines[IDM_BASELINES_N];
};
enum px_status idm_judge_member(struct idm_model *model, const struct px_dataset *ds,
                                const struct px_progress *progress, struct idm_judged *out,
                                struct px_err *err) PX_MUST_CHECK;

/* The baseline with the least error, or the highest accuracy of discrete actions. */
enum idm_baseline idm_judge_best(const struct idm_quality_figures baselines[IDM_BASELINES_N],
                                 bool discrete);
/* Whether labels of these figures are no better than that: within a hundredth of its error, or no
 * more often right. Labels that are nearly perfect (R2 or accuracy 0.99, or an error of 1e-6) never
 * are, whoever else is. */
bool idm_judge_no_better(const struct idm_quality_figures *idm,
                         const struct idm_quality_figures *best, bool discrete);

enum { IDM_LAG_MAX = 2 };
/* Which action explains the change from s_t to s_{t+1}: for each lag d, ridge regression and the
 * nearest neighbour give a_{t+d} from (s_t, s_{t+1}). They are fitted to half of the labelled
 * trajectories, and the better one of them on the others counts; some 8,000 transitions in all. */
struct idm_lag {
  /* d = 0 could be judged; false too where observations are wide (beyond 256) */
  bool known;
  /* d = -IDM_LAG_MAX ..: R2; of discrete actions the share of what the most frequent class gets
   * wrong that it gets right; NaN where there is too little to say */
  double share[2 * IDM_LAG_MAX + 1];
  /* the d that explains the change much better than 0 does; else 0. Above 0: actions are
   * recorded so many steps late; below: they show so many steps later */
  int found;
};
enum px_status idm_judge_lag(const struct px_dataset *ds, const struct px_progress *progress,
                             struct idm_lag *out, struct px_err *err) PX_MUST_CHECK;

#endif
