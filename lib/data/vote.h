/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much each member of an ensemble counts: less where it lies far off from all others.
 * Stateless; thread safe. lib/idm/vote.h says why.
 */
#ifndef PX_DATA_VOTE_H
#define PX_DATA_VOTE_H

#include <stddef.h>
#include <stdint.h>

enum { PX_VOTE_MEMBERS_MAX = 16 };

/* From what members say of the same questions, probes[n][cells]: with d_i = sum |p_i - median p|^2,
 * weight[n] in proportion to 1 / max(d_i, 3 median_i d_i), with mean 1. All 1 for cells 0, fewer
 * than three members, or where most agree in every cell. n is at most PX_VOTE_MEMBERS_MAX. */
void px_vote_weights(const float *const *probes, uint32_t n, size_t cells, double *weight);

#endif
