/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pieces of work whose end is the same whatever happens on the way: every kind of job, and all else
 * that is written. Each makes what it needs and leaves it; together they pass every crash point.
 * Used by crash.
 */
#ifndef PX_FAULT_WORKLOADS_H
#define PX_FAULT_WORKLOADS_H

#include "tests/fault/lib/testbed.h"

/* What all workloads start from: a dataset of three segments with a model, labels and a policy. */
struct workloads_base {
  char dataset[48], idm[48], label_set[48], policy[48];
};
bool workloads_prepare(struct testbed *testbed, struct workloads_base *base);

struct work {
  const char *name;
  void (*run)(struct testbed *testbed, const struct workloads_base *base);
  /* it is about what a worker does beside its job: those crash points are taken here, and in no
   * other work */
  bool house;
  bool many; /* several children of a kind, or one several times */
};
extern const struct work WORKLOADS[];
extern const size_t WORKLOADS_N;

#endif
