/* SPDX-License-Identifier: Apache-2.0 */
/* Monte-Carlo values: see rl_returns.h. */
#include "lib/rl/rl_returns.h"

#include "lib/data/dataset.h"

#include <math.h>

/* What an episode that went on unseen earns after trajectory traj. */
static double unseen(const struct px_dataset *ds, uint32_t traj, double gamma) {
  const uint64_t steps = ds->step_start[traj + 1] - ds->step_start[traj];
  if (ds->terminated[traj] || gamma >= 1 || steps == 0) return 0;
  return px_dataset_return(ds, traj) / (double)steps / (1 - gamma);
}

/* out [data->n] may be NULL. Gives the sum of the squares. */
static double walk(const struct rl_data *data, double gamma, float *out) {
  const struct px_dataset *ds = data->ds;
  double squares = 0;
  /* Transitions are in the dataset's order: from the last one back. */
  uint32_t i = data->n;
  for (uint32_t traj = ds->traj_n; traj-- > 0 && i > 0;) {
    double to_go = unseen(ds, traj, gamma);
    for (uint64_t t = ds->step_start[traj + 1] - ds->step_start[traj]; t-- > 0;) {
      to_go = (double)ds->rewards[ds->step_start[traj] + t] + gamma * to_go;
      if (i == 0 || data->row[i - 1] != ds->obs_start[traj] + t) continue;
      i--;
      if (out) out[i] = (float)to_go;
      squares += to_go * to_go;
    }
  }
  return squares;
}

float *rl_returns_new(struct px_arena *arena, const struct rl_data *data, double gamma) {
  float *out = px_arena_floats(arena, data->n, 1);
  if (out) walk(data, gamma, out);
  return out;
}

double rl_returns_rms(const struct rl_data *data, double gamma) {
  return sqrt(walk(data, gamma, NULL) / data->n);
}
