/* Acting in episodes: policies without memory see each observation alone, others keep a history for each lane. */
#include <stdlib.h>

#include "worker/rl/rl_policy.h"

struct rl_player {
  struct rl_policy *policy; /* borrowed */
  struct dt_actor *actor;   /* NULL: no memory */
};

enum px_status rl_player_new(struct rl_policy *policy, uint32_t lanes, const double *target_return, struct rl_player **out,
                             struct px_err *err) {
  const struct rl_sequence *q = &policy->sequence;
  if (target_return && !q->net)
    return px_fail_at(err, PX_E_BAD_FIELD, "/target_return", "only a policy that learned to aim at a return takes a target");
  struct rl_player *player = px_calloc(1, sizeof *player);
  if (!player) return px_fail(err, PX_E_NO_MEMORY, "no memory for a player");
  player->policy = policy;
  if (q->net && dt_actor_new(q->net, lanes, q->net->shape.context, target_return ? *target_return : q->target_return,
                             q->return_scale, &player->actor)) {
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
    dt_actor_act(player->actor, &(struct dt_sight){ n, p->s, view->lane + row, view->step + row, view->reward + row }, y);
    rl_policy_scale(p, y, n, y);
  }
}
