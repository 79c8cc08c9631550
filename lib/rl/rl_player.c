/* SPDX-License-Identifier: Apache-2.0 */
/* Acting in episodes: policies without memory see each observation alone, others keep a history for
 * each lane. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/dataset.h"
#include "lib/rl/rl_policy.h"

struct rl_player {
  struct rl_policy *policy; /* borrowed */
  struct dt_actor *actor;   /* NULL: no memory */
};

enum px_status rl_player_new(struct rl_policy *policy, uint32_t lanes, const double *target_return,
                             struct rl_player **out, struct px_err *err) {
  const struct rl_sequence *q = &policy->sequence;
  if (target_return && !q->net)
    return px_fail_at(err, PX_E_BAD_FIELD, "/target_return",
                      "only a policy that learned to aim at a return takes a target");
  struct rl_player *player = px_mem_calloc(1, sizeof *player);
  if (!player) return px_fail(err, PX_E_NO_MEMORY, "no memory for a player");
  player->policy = policy;
  if (q->net && dt_actor_new(q->net, lanes, q->net->shape.context,
                             target_return ? *target_return : q->target_return, q->return_scale,
                             &player->actor)) {
    free(player);
    return px_fail(err, PX_E_NO_MEMORY, "no memory for the histories of %u episodes", lanes);
  }
  *out = player;
  return PX_OK;
}

void rl_player_free(struct rl_player *player) {
  if (!player) return;
  dt_actor_free(player->actor);
  free(player);
}

void rl_player_act(struct rl_player *player, const struct rl_view *view, float *actions) {
  struct rl_policy *p = player->policy;
  if (!player->actor) {
    rl_policy_act(p, view->obs, view->n, actions);
    return;
  }
  for (uint32_t row = 0, n; row < view->n; row += n) {
    n = view->n - row < PX_MLP_CHUNK ? view->n - row : PX_MLP_CHUNK;
    float *y = actions + (size_t)row * p->act_dim;
    rl_policy_normalise(p, view->obs + (size_t)row * p->obs_dim, n);
    dt_actor_act(player->actor,
                 &(struct dt_sight){ n, p->s, view->lane + row, view->step + row,
                                     view->reward + row },
                 y);
    rl_policy_scale(p, y, n, y);
  }
}

/* ---- along recorded trajectories */

enum { LANES = 64 };

/* Trajectories [first, first + n) side by side, from their first observation to their last. */
static void act_along(struct rl_player *player, const struct px_dataset *ds, uint32_t first,
                      uint32_t n, float *obs, float *acted, float *actions) {
  const size_t o = ds->spaces.obs_dim, a = ds->spaces.act_dim;
  uint32_t lane[LANES], step[LANES], running = n;
  double reward[LANES];
  for (uint32_t t = 0; running; t++) {
    running = 0;
    for (uint32_t i = 0; i < n; i++) {
      const uint64_t row = ds->obs_start[first + i] + t;
      if (row >= ds->obs_start[first + i + 1]) continue;
      memcpy(obs + running * o, ds->observations + row * o, o * sizeof *obs);
      reward[running] = t ? (double)ds->rewards[ds->step_start[first + i] + t - 1] : 0;
      lane[running] = i;
      step[running++] = t;
    }
    const struct rl_view view = { running, obs, lane, step, reward };
    if (running) rl_player_act(player, &view, acted);
    for (uint32_t k = 0; k < running; k++) {
      const uint64_t row = ds->obs_start[first + lane[k]] + t;
      memcpy(actions + row * a, acted + k * a, a * sizeof *acted);
    }
  }
}

enum px_status rl_policy_along(struct rl_policy *policy, const struct px_dataset *ds,
                               const struct px_progress *progress, float *actions,
                               struct px_err *err) {
  struct rl_player *player = NULL;
  float *obs = px_mem_calloc(LANES, sizeof(float) * ds->spaces.obs_dim),
        *acted = px_mem_calloc(LANES, sizeof(float) * ds->spaces.act_dim);
  enum px_status status = obs && acted
                            ? rl_player_new(policy, LANES, NULL, &player, err)
                            : px_fail(err, PX_E_NO_MEMORY, "no memory to act on the data");
  for (uint32_t first = 0, n; !status && first < ds->traj_n; first += n) {
    n = ds->traj_n - first < LANES ? ds->traj_n - first : LANES;
    act_along(player, ds, first, n, obs, acted, actions);
    status = px_progress_report(progress, "act", first + n, ds->traj_n, NULL, 0);
    if (status) px_fail(err, status, "stopped while the policy acted on the data");
  }
  rl_player_free(player);
  free(obs);
  free(acted);
  return status;
}
