/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether actions stand at their own step: see lint_parts.h.
 *
 * For each lag l the part of a state's change that the state s[t] does not tell is compared with
 * the part of the action a[t + l] that its own state s[t + l] does not tell, both by linear
 * regression. What is left of an action is the controller's own noise, which nothing but
 * that step's change answers to; so feedback, through which changes cause later actions, does not
 * mislead. The score of a lag is the largest squared correlation with any dimension of the change,
 * mean over actions. A controller without noise leaves nothing to compare, and is not judged. A
 * late action is not found where the state after it gives it away.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/read/lint_parts.h"

enum { LAG_MAX = 3, LAGS = 2 * LAG_MAX + 1, OBS_MAX = 24, ACT_MAX = 8, PAIRS_MAX = 6000 };
enum { ROW_MAX = 3 * OBS_MAX + ACT_MAX + 1, PAIRS_MIN = 500 };
/* A lag is told where its score is at least so high, and so many times that of lag 0. */
static const double SCORE_MIN = 0.15, TIMES_MIN = 2;
/* Of an action's variance at least so much must be its own. */
static const double OWN_MIN = 1e-3;

struct px_lint_lag {
  uint32_t obs_dim, act_dim, o, a; /* dimensions of the data; those compared */
  uint64_t pairs_n[LAGS];
  /* sums of products of [1, s[t], s[t + l], s[t + 1] - s[t], a[t + l]], about the first row seen */
  double sums[LAGS][ROW_MAX][ROW_MAX];
  double origin[OBS_MAX + ACT_MAX];
  bool begun;
};

struct px_lint_lag *px_lint_lag_new(const struct px_spaces *spaces) {
  struct px_lint_lag *lag = px_mem_calloc(1, sizeof *lag);
  if (!lag) return NULL;
  lag->obs_dim = spaces->obs_dim;
  lag->act_dim = spaces->act_dim;
  lag->o = spaces->obs_dim < OBS_MAX ? spaces->obs_dim : OBS_MAX;
  lag->a = spaces->act_dim < ACT_MAX ? spaces->act_dim : ACT_MAX;
  return lag;
}

void px_lint_lag_free(struct px_lint_lag *lag) { free(lag); }

static void begin(struct px_lint_lag *lag, const float *s, const float *a) {
  for (uint32_t j = 0; j < lag->o; j++) lag->origin[j] = (double)s[j];
  for (uint32_t j = 0; j < lag->a; j++) lag->origin[lag->o + j] = (double)a[j];
  lag->begun = true;
}

static void add_pair(struct px_lint_lag *lag, int which, const float *s, const float *other,
                     const float *a) {
  const uint32_t o = lag->o, width = 1 + 3 * o + lag->a;
  double row[ROW_MAX];
  row[0] = 1;
  for (uint32_t j = 0; j < o; j++) {
    row[1 + j] = (double)s[j] - lag->origin[j];
    row[1 + o + j] = (double)other[j] - lag->origin[j];
    row[1 + 2 * o + j] = (double)s[lag->obs_dim + j] - (double)s[j];
  }
  for (uint32_t j = 0; j < lag->a; j++) row[1 + 3 * o + j] = (double)a[j] - lag->origin[o + j];
  for (uint32_t i = 0; i < width; i++)
    for (uint32_t j = 0; j <= i; j++) lag->sums[which][i][j] += row[i] * row[j];
  lag->pairs_n[which]++;
}

void px_lint_lag_put(struct px_lint_lag *lag, const struct px_traj *traj) {
  const int64_t T = traj->steps, moves = T - 1 + traj->has_final;
  if (!traj->actions) return;
  if (!lag->begun) begin(lag, traj->observations, traj->actions);
  for (int64_t t = 0; t < moves; t++)
    for (int which = 0; which < LAGS; which++) {
      const int64_t k = t + which - LAG_MAX;
      if (k < 0 || k >= T || (traj->labelled && !traj->labelled[k])) continue;
      if (lag->pairs_n[which] == PAIRS_MAX) continue;
      add_pair(lag, which, traj->observations + t * lag->obs_dim,
               traj->observations + k * lag->obs_dim, traj->actions + k * lag->act_dim);
    }
}

/* Covariances of one lag, made whole: sums[i][j] about the means, in place. */
static void centre(double g[ROW_MAX][ROW_MAX], uint32_t width, double n) {
  for (uint32_t i = 0; i < width; i++)
    for (uint32_t j = 0; j < i; j++) g[j][i] = g[i][j];
  double mean[ROW_MAX];
  for (uint32_t i = 0; i < width; i++) mean[i] = g[i][0] / n;
  for (uint32_t i = 0; i < width; i++)
    for (uint32_t j = 0; j < width; j++) g[i][j] = g[i][j] / n - mean[i] * mean[j];
}

/* The weights of the regression of each variable in `of` on the n from `first` on. Those that tell
 * nothing new have none. */
static void explain(double g[ROW_MAX][ROW_MAX], uint32_t first, uint32_t n, const bool of[ROW_MAX],
                    uint32_t width, double weights[ROW_MAX][OBS_MAX]) {
  double c[OBS_MAX][OBS_MAX], left[OBS_MAX];
  memset(weights, 0, sizeof(double[ROW_MAX][OBS_MAX]));
  /* Cholesky's factor of the covariance, with a little of its diagonal added. */
  for (uint32_t i = 0; i < n; i++) {
    for (uint32_t j = 0; j <= i; j++) {
      double x = g[first + i][first + j] + (i == j ? 1e-8 * g[first + i][first + i] : 0);
      for (uint32_t k = 0; k < j; k++) x -= c[i][k] * c[j][k];
      if (i == j) c[i][i] = x > 1e-12 * g[first + i][first + i] && x > 0 ? sqrt(x) : 0;
      else c[i][j] = c[j][j] > 0 ? x / c[j][j] : 0;
    }
  }
  for (uint32_t v = 0; v < width; v++) {
    if (!of[v]) continue;
    for (uint32_t i = 0; i < n; i++) {
      left[i] = g[first + i][v];
      for (uint32_t k = 0; k < i; k++) left[i] -= c[i][k] * left[k];
      left[i] = c[i][i] > 0 ? left[i] / c[i][i] : 0;
    }
    for (uint32_t i = n; i-- > 0;) {
      double x = left[i];
      for (uint32_t k = i + 1; k < n; k++) x -= c[k][i] * weights[v][k];
      weights[v][i] = c[i][i] > 0 ? x / c[i][i] : 0;
    }
  }
}

/* Covariance of what is left of x and y, once wx of the variables from fx on is taken from x, and
 * wy of those from fy on from y. */
static double left_of(double g[ROW_MAX][ROW_MAX], uint32_t o, uint32_t x, uint32_t fx,
                      const double *wx, uint32_t y, uint32_t fy, const double *wy) {
  double sum = g[x][y];
  for (uint32_t i = 0; i < o; i++) {
    sum -= wx[i] * g[fx + i][y] + wy[i] * g[x][fy + i];
    for (uint32_t k = 0; k < o; k++) sum += wx[i] * wy[k] * g[fx + i][fy + k];
  }
  return sum;
}

static double score(struct px_lint_lag *lag, int which) {
  static const double NOTHING = 1e-12;
  const uint32_t o = lag->o, width = 1 + 3 * o + lag->a, state = 1, other = 1 + o,
                 change = 1 + 2 * o, action = 1 + 3 * o;
  double(*g)[ROW_MAX] = lag->sums[which], by_state[ROW_MAX][OBS_MAX], by_other[ROW_MAX][OBS_MAX];
  bool changes[ROW_MAX] = { false }, actions[ROW_MAX] = { false };
  for (uint32_t j = 0; j < o; j++) changes[change + j] = true;
  for (uint32_t j = 0; j < lag->a; j++) actions[action + j] = true;
  centre(g, width, (double)lag->pairs_n[which]);
  explain(g, state, o, changes, width, by_state);
  explain(g, other, o, actions, width, by_other);
  double sum = 0;
  uint32_t judged_n = 0;
  for (uint32_t k = action; k < action + lag->a; k++) {
    const double own = left_of(g, o, k, other, by_other[k], k, other, by_other[k]);
    double best = 0;
    if (own <= NOTHING || own < OWN_MIN * g[k][k]) continue;
    for (uint32_t d = change; d < change + o; d++) {
      const double rest = left_of(g, o, d, state, by_state[d], d, state, by_state[d]);
      const double both = left_of(g, o, d, state, by_state[d], k, other, by_other[k]);
      if (rest <= NOTHING * (1 + g[d][d]) || rest < 1e-6 * g[d][d]) continue;
      const double squared = both * both / (rest * own);
      if (squared > best) best = squared;
    }
    sum += best;
    judged_n++;
  }
  return judged_n ? sum / judged_n : 0;
}

void px_lint_lag_tell(struct px_lint_lag *lag, struct px_lint_list *list) {
  double scores[LAGS];
  int best = LAG_MAX;
  for (int which = 0; which < LAGS; which++) {
    if (lag->pairs_n[which] < PAIRS_MIN) return;
    scores[which] = score(lag, which);
    if (scores[which] > scores[best]) best = which;
  }
  if (best == LAG_MAX || scores[best] < SCORE_MIN || scores[best] < TIMES_MIN * scores[LAG_MAX])
    return;
  const int steps = best - LAG_MAX;
  (void)px_lint_add(list, PX_LINT_ACTIONS_LAG, "actions", steps,
                    "stand %d step%s %s: those of step t %+d tell %.2g of the change at step t, "
                    "and those of step t only %.2g (squared correlation)",
                    abs(steps), abs(steps) == 1 ? "" : "s", steps > 0 ? "late" : "early", steps,
                    scores[best], scores[LAG_MAX]);
}
