/* SPDX-License-Identifier: Apache-2.0 */
/* Lint of an upload: see lint.h. */
#include "lib/read/lint.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/read/lint_parts.h"

enum {
  HASHES_MAX = 1 << 20, /* steps that are told apart; power of two */
  TRAJECTORIES_MIN = 5,
  STEPS_MIN = 200,
};
/* Shares from which on repeated steps and short trajectories are told. */
static const double REPEATED = 0.02, SHORT = 0.2;
/* The largest reward, in standard deviations of all. */
static const double REWARD_LARGE = 1000;

struct px_lint {
  struct px_spaces spaces;
  struct px_lint_columns *observations, *actions; /* actions: NULL where they are classes */
  struct px_lint_lag *lag;
  int64_t trajectories_n;
  uint64_t steps_n, single_n; /* trajectories of one step */
  /* terminated ones, and those of them as long as the first */
  uint64_t terminated_n, as_long_n;
  uint32_t first_length;
  uint64_t *hashes; /* [HASHES_MAX] of steps, 0: free */
  uint64_t hashes_n, repeated_n;
  int64_t repeated_trajectory, repeated_step;
  uint64_t rewards_n;
  double reward_first, reward_sum, reward_squares, reward_most; /* about the first */
  int64_t reward_trajectory, reward_step;                       /* of the largest */
};

enum px_status px_lint_new(const struct px_spaces *spaces, struct px_lint **out,
                           struct px_err *err) {
  struct px_lint *lint = px_mem_calloc(1, sizeof *lint);
  if (!lint) return px_fail(err, PX_E_NO_MEMORY, "no memory for lint");
  lint->spaces = *spaces;
  lint->observations = px_lint_columns_new(spaces->obs_dim);
  lint->hashes = px_mem_calloc(HASHES_MAX, sizeof *lint->hashes);
  bool made = lint->observations && lint->hashes;
  if (made && !spaces->act_count) {
    lint->actions = px_lint_columns_new(spaces->act_dim);
    lint->lag = px_lint_lag_new(spaces);
    made = lint->actions && lint->lag;
  }
  if (!made) {
    px_lint_free(lint);
    return px_fail(err, PX_E_NO_MEMORY, "no memory for lint");
  }
  *out = lint;
  return PX_OK;
}

void px_lint_free(struct px_lint *lint) {
  if (!lint) return;
  px_lint_columns_free(lint->observations);
  px_lint_columns_free(lint->actions);
  px_lint_lag_free(lint->lag);
  free(lint->hashes);
  free(lint);
}

/* FNV-1a over the bytes of two states (Fowler, Noll, Vo); 0 means free here. */
static uint64_t hash_of(const float *rows, size_t n) {
  const uint8_t *p = (const uint8_t *)rows;
  uint64_t h = 14695981039346656037u;
  for (size_t i = 0; i < n * sizeof *rows; i++) h = (h ^ p[i]) * 1099511628211u;
  return h ? h : 1;
}

/* Counts steps that lead from one state to another as a step before did. A step in which nothing
 * changes is the matter of `frozen`. */
static void see_repeats(struct px_lint *lint, const struct px_traj *traj) {
  const size_t O = lint->spaces.obs_dim;
  const uint32_t pairs = traj->steps - 1 + traj->has_final;
  for (uint32_t t = 0; t < pairs && lint->hashes_n < HASHES_MAX / 2; t++) {
    const float *row = traj->observations + t * O;
    if (memcmp(row, row + O, O * sizeof *row) == 0) continue;
    const uint64_t hash = hash_of(row, 2 * O);
    uint64_t at = hash & (HASHES_MAX - 1);
    while (lint->hashes[at] && lint->hashes[at] != hash) at = (at + 1) & (HASHES_MAX - 1);
    if (!lint->hashes[at]) {
      lint->hashes[at] = hash;
      lint->hashes_n++;
    } else if (lint->repeated_n++ == 0) {
      lint->repeated_trajectory = lint->trajectories_n;
      lint->repeated_step = t;
    }
  }
}

static void see_rewards(struct px_lint *lint, const struct px_traj *traj) {
  for (uint32_t t = 0; traj->rewards && t < traj->steps; t++) {
    if (lint->rewards_n++ == 0) lint->reward_first = (double)traj->rewards[t];
    const double x = (double)traj->rewards[t] - lint->reward_first;
    lint->reward_sum += x;
    lint->reward_squares += x * x;
    if (fabs((double)traj->rewards[t]) <= fabs(lint->reward_most)) continue;
    lint->reward_most = (double)traj->rewards[t];
    lint->reward_trajectory = lint->trajectories_n;
    lint->reward_step = t;
  }
}

void px_lint_put(struct px_lint *lint, const struct px_traj *traj) {
  if (traj->terminated && lint->terminated_n++ == 0) lint->first_length = traj->steps;
  lint->as_long_n += traj->terminated && traj->steps == lint->first_length;
  lint->single_n += traj->steps == 1;
  px_lint_columns_put(lint->observations, lint->trajectories_n, traj->observations,
                      traj->steps + traj->has_final, NULL);
  if (lint->actions && traj->actions) {
    px_lint_columns_put(lint->actions, lint->trajectories_n, traj->actions, traj->steps,
                        traj->labelled);
    px_lint_lag_put(lint->lag, traj);
  }
  see_repeats(lint, traj);
  see_rewards(lint, traj);
  lint->steps_n += traj->steps;
  lint->trajectories_n++;
}

static void tell_rewards(const struct px_lint *lint, struct px_lint_list *list) {
  const double n = (double)lint->rewards_n, mean = lint->reward_sum / n;
  const double variance = lint->reward_squares / n - mean * mean;
  if (lint->rewards_n < STEPS_MIN) return;
  if (lint->reward_squares == 0)
    (void)px_lint_add(list, PX_LINT_CONSTANT_REWARD, "rewards", lint->reward_first,
                      "are %.6g at every step", lint->reward_first);
  if (lint->reward_squares == 0 || variance <= 0) return;
  const double deviations = fabs(lint->reward_most - lint->reward_first - mean) / sqrt(variance);
  if (deviations < REWARD_LARGE) return;
  struct px_lint_finding *found =
    px_lint_add(list, PX_LINT_REWARD_SCALE, "rewards", deviations,
                "reach %.4g, %.0f standard deviations from their mean", lint->reward_most,
                deviations);
  if (!found) return;
  found->trajectory = lint->reward_trajectory;
  found->step = lint->reward_step;
}

static void tell_trajectories(const struct px_lint *lint, struct px_lint_list *list) {
  const double n = (double)lint->trajectories_n, steps = (double)lint->steps_n;
  if (lint->trajectories_n < TRAJECTORIES_MIN) return;
  /* Episodes that end for good seldom do so all at one time. */
  if (lint->terminated_n == (uint64_t)lint->trajectories_n &&
      lint->as_long_n == lint->terminated_n && lint->first_length >= 10)
    (void)px_lint_add(list, PX_LINT_TIME_LIMIT, "terminated", lint->first_length,
                      "is set for all %.0f trajectories, and all have %u steps", n,
                      lint->first_length);
  if ((double)lint->single_n >= SHORT * n && lint->single_n < lint->steps_n)
    (void)px_lint_add(list, PX_LINT_SHORT, "", (double)lint->single_n / n,
                      "%.3g%% of the trajectories have one step", 100 * (double)lint->single_n / n);
  if (lint->steps_n < STEPS_MIN || (double)lint->repeated_n < REPEATED * steps) return;
  struct px_lint_finding *found =
    px_lint_add(list, PX_LINT_REPEATED_STEPS, "observations", (double)lint->repeated_n / steps,
                "repeat a step that was there before, at %.3g%% of the steps",
                100 * (double)lint->repeated_n / steps);
  if (!found) return;
  found->trajectory = lint->repeated_trajectory;
  found->step = lint->repeated_step;
}

/* The table of codes has warnings first; what is of one code stays in its order. */
static void sort_by_code(struct px_lint_finding *found, uint32_t n) {
  for (uint32_t i = 1; i < n; i++)
    for (uint32_t k = i; k > 0 && found[k - 1].code > found[k].code; k--) {
      const struct px_lint_finding later = found[k];
      found[k] = found[k - 1];
      found[k - 1] = later;
    }
}

uint32_t px_lint_findings(struct px_lint *lint, struct px_lint_finding out[PX_LINT_FINDINGS_MAX]) {
  struct px_lint_list list = { .out = out };
  px_lint_columns_observed(lint->observations, &list);
  if (lint->actions) {
    px_lint_columns_acted(lint->actions, &lint->spaces, &list);
    px_lint_lag_tell(lint->lag, &list);
  }
  tell_trajectories(lint, &list);
  tell_rewards(lint, &list);
  sort_by_code(out, list.n);
  return list.n;
}
