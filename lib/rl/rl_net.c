/* SPDX-License-Identifier: Apache-2.0 */
/* A net with what trains it: see rl_net.h. */
#include "lib/rl/rl_net.h"

#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/rng.h"

enum px_status rl_net_init(struct px_arena *arena, struct rl_net *n, const struct rl_net_spec *spec,
                           struct px_err *err) {
  const struct px_adam_options options = PX_ADAM_DEFAULTS((float)spec->lr);
  enum px_status status = px_mlp_new_in(arena, &spec->shape, &n->net, err);
  if (!status && spec->target) status = px_mlp_new_in(arena, &spec->shape, &n->target, err);
  if (status) return status;
  status = px_mlp_init(n->net, PX_MLP_UNIFORM, spec->seed, px_rng_stream("init", spec->which));
  if (!status) status = px_mlp_work_new_in(arena, &spec->shape, spec->rows, &n->work);
  px_adam_init_in(arena, &n->adam, n->net->params_n, options);
  n->grads = px_arena_floats(arena, n->net->params_n, 1);
  if (status || px_arena_ran_out(arena)) return px_fail(err, PX_E_NO_MEMORY, "no memory for a net");
  if (n->target)
    memcpy(n->target->params, n->net->params, n->net->params_n * sizeof *n->net->params);
  return PX_OK;
}

void rl_net_step(struct rl_net *n) { px_adam_step(&n->adam, n->net->params, n->grads); }

void rl_net_follow(struct rl_net *n, float tau) {
  px_adam_polyak(n->net->params_n, tau, n->net->params, n->target->params);
}

void rl_net_state(struct rl_net *n, const char *name, struct px_state *list) {
  px_state_net(list, name, n->net);
  px_state_adam(list, name, &n->adam);
  if (n->target) px_state_floats(list, name, "target", n->target->params, n->target->params_n);
}

void rl_net_scale_output(struct px_mlp *net, float factor) {
  for (size_t i = px_mlp_layer(net, net->shape.layers).weight; i < net->params_n; i++)
    net->params[i] *= factor;
}

void rl_net_join(uint32_t n, uint32_t o, uint32_t a, const float *s, const float *actions,
                 float *out) {
  for (uint32_t i = 0; i < n; i++, out += o + a) {
    memcpy(out, s + (size_t)i * o, o * sizeof *out);
    memcpy(out + o, actions + (size_t)i * a, a * sizeof *out);
  }
}
