/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much each member of an ensemble counts in its labels. Now and then a
 * member goes far astray outside the labelled data, which its held-out error
 * does not tell. There it lies off from all others, and so it counts less.
 *
 * Each member keeps probes: its own labels, in (-1, 1), of evenly spaced
 * transitions that are not labelled. A hash of their places tells members
 * that saw the same ones; no dataset is needed to compare these. With m_i the
 * probes and d_i = mean |m_i - median_i m_i|^2:
 *
 *   weight_i in proportion to 1 / max(d_i, 3 median_i d_i), with mean 1
 *
 * so all members within three times the usual distance count alike. Equal
 * weights: with voting equal, fewer than three members, no unlabelled
 * transition, probes of different transitions, discrete actions.
 */
#ifndef PX_IDM_VOTE_H
#define PX_IDM_VOTE_H

#include "lib/base/fail.h"
#include "lib/data/dataset.h"
#include "lib/idm/model.h"
#include "lib/idm/pass.h"

enum { IDM_PROBES_MAX = 2048 };

/* Makes room for probes, all 0: probes_n 0 takes none. BAD_DATA above IDM_PROBES_MAX. */
enum px_status idm_vote_probes_new(struct idm_model *model, uint64_t probes_n,
                                   struct px_err *err) PX_MUST_CHECK;
/* The model's probes in the dataset that it was trained on. pass is scratch of that model's. */
enum px_status idm_vote_probes_take(struct idm_model *model, const struct px_dataset *ds,
                                    struct idm_pass *pass, struct px_err *err) PX_MUST_CHECK;

/* weight[n], of an ensemble's members that idm_label takes; n at most IDM_MEMBERS_MAX. */
void idm_vote(struct idm_model *const *models, uint32_t n, double *weight);

#endif
