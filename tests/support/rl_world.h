/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small world for tests of offline RL: s' = s + a / 2, behaviour a = clip(-s), actions in [-2,
 * 2], a reward that makes the return of trajectory i -50 i. Everything fails the running test on
 * error.
 */
#ifndef PX_TESTS_SUPPORT_RL_WORLD_H
#define PX_TESTS_SUPPORT_RL_WORLD_H

#include "lib/data/actions_merged.h"
#include "lib/data/dataset.h"
#include "lib/rl/rl.h"
#include "tests/support/cu.h"

enum { O = 3, A = 2, TRAJ_N = 6, STEPS = 50, CLASSES = 3 };
/* Places of the words of `labels` and `weighting`. */
enum { ALL, TRUE_ONLY, PROXY_BELOW, VERIFIED, CONFIDENT, AUTO };
enum { NONE, EXP };

struct rl_world {
  struct px_dataset ds;
  struct px_actions_merged u;
};
void rl_world_open(struct rl_world *w);
/* The same states with discrete actions: which third of the first coordinate's range it is in. */
void rl_world_discrete(struct rl_world *w);
void rl_world_close(struct rl_world *w);

void rl_world_set(struct rl_spec *spec, const char *name, double value);
/* The algorithm with small nets and batches. */
struct rl_spec rl_world_spec(const char *algo, uint64_t updates);

#endif
