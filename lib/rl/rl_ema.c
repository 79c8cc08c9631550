/* SPDX-License-Identifier: Apache-2.0 */
/* Averaged weights: see rl_ema.h. */
#include "lib/rl/rl_ema.h"

#include "lib/base/fail.h"

#include <math.h>
#include <string.h>

enum px_status rl_ema_init(struct px_arena *arena, struct rl_ema *e, double decay,
                           struct rl_weights of, struct px_err *err) {
  *e = (struct rl_ema){ .decay = decay, .of = of };
  if (decay <= 0) return PX_OK;
  e->mean = px_arena_floats(arena, of.n, 1);
  if (!e->mean) return px_fail(err, PX_E_NO_MEMORY, "no memory for averaged weights");
  memcpy(e->mean, of.data, of.n * sizeof *e->mean);
  return PX_OK;
}

void rl_ema_step(struct rl_ema *e) {
  if (!e->mean) return;
  const double n = (double)++e->updates, keep = fmin(e->decay, (1 + n) / (10 + n));
  px_adam_polyak(e->of.n, (float)(1 - keep), e->of.data, e->mean);
}

void rl_ema_state(struct rl_ema *e, struct px_state *list) {
  if (!e->mean) return;
  px_state_floats(list, "ema", "mean", e->mean, e->of.n);
  px_state_whole(list, "ema", "updates", &e->updates, 1);
}

void rl_ema_finish(const struct rl_ema *e) {
  if (e->mean) memcpy(e->of.data, e->mean, e->of.n * sizeof *e->mean);
}
