/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What jobs leave: their ids, and what can be said of each. models.h, labels.h
 * and artifacts.h publish and read them. Every function that publishes takes the
 * lease, passes the fence and, where it ends the job, does so in the same
 * transaction: a result is visible if and only if its job succeeded.
 */
#ifndef PX_STORE_RESULTS_H
#define PX_STORE_RESULTS_H

#include "lib/base/fail.h"
#include "lib/store/store.h"

/* "job_x" -> "mdl_x" or "ls_x". */
void store_result_id(const char *prefix, const char *job_id, char out[STORE_ID_MAX]);

/* A page of a list, newest first. dataset: an id, or NULL for all; before: the `next` of the page
 * before, or NULL. */
struct store_page {
  const char *dataset, *before;
  int limit;
};

/* What a model, a label set or a job is, or will be when it has ended. */
struct store_about {
  char role[24]; /* idm, policy, labels; of a job its kind */
  char state[16], algo[32], dataset[STORE_ID_MAX];
  uint32_t obs_dim, act_dim, act_count, segments_n;
};
/* NOT_FOUND when there is none, or it was removed. */
enum px_status store_result_about(struct store *store, const char *id, struct store_about *out,
                                  struct px_err *err) PX_MUST_CHECK;
#endif
