/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/rl/algo/dt_actor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/mem.h"

enum { CHUNK = 16 }; /* lanes in one forward pass */

/* The last `steps` steps of an episode; its newest action is not yet known. */
struct history {
  uint32_t steps;
  double to_go;                    /* scaled, of the newest step */
  float *returns, *state, *action; /* [context], [context, O], [context, A] */
  uint32_t *time;                  /* [context] */
};

struct dt_actor {
  struct px_arena *arena; /* holds all of it */
  const struct dt_net *net;
  uint32_t context;
  double target, return_scale;
  struct history *lanes;
  struct dt_work *work;
  /* What a forward pass of CHUNK lanes takes. */
  uint32_t *start, *time;
  float *returns, *state, *action;
};

static void take_history(struct dt_actor *a, struct history *h) {
  const struct dt_shape *s = &a->net->shape;
  h->returns = px_arena_floats(a->arena, a->context, 1);
  h->state = px_arena_floats(a->arena, a->context, s->obs_dim);
  h->action = px_arena_floats(a->arena, a->context, s->act_dim);
  h->time = px_arena_take(a->arena, a->context, sizeof *h->time);
}

static enum px_status take_all(struct dt_actor *a, uint32_t lanes) {
  const size_t rows = (size_t)CHUNK * a->context;
  a->lanes = px_arena_take(a->arena, lanes, sizeof *a->lanes);
  for (uint32_t i = 0; a->lanes && i < lanes; i++) take_history(a, &a->lanes[i]);
  a->start = px_arena_take(a->arena, CHUNK + 1, sizeof *a->start);
  a->time = px_arena_take(a->arena, rows, sizeof *a->time);
  a->returns = px_arena_floats(a->arena, rows, 1);
  a->state = px_arena_floats(a->arena, rows, a->net->shape.obs_dim);
  a->action = px_arena_floats(a->arena, rows, a->net->shape.act_dim);
  /* Once the arena has refused something, so does this. */
  return dt_work_new(a->arena, a->net, CHUNK, &a->work);
}

enum px_status dt_actor_new(const struct dt_net *net, uint32_t lanes, uint32_t context,
                            double target, double return_scale, struct dt_actor **out) {
  const size_t bytes_max = (size_t)24 << 30;
  struct px_arena *arena = px_arena_new(bytes_max);
  struct dt_actor *a = arena ? px_arena_take(arena, 1, sizeof *a) : NULL;
  if (a) {
    *a = (struct dt_actor){
      .arena = arena, .net = net, .context = context, .target = target, .return_scale = return_scale
    };
    if (take_all(a, lanes) == PX_OK) {
      *out = a;
      return PX_OK;
    }
  }
  px_arena_free(arena);
  return PX_E_NO_MEMORY;
}

void dt_actor_free(struct dt_actor *a) {
  if (a) px_arena_free(a->arena);
}

/* The oldest step goes when there is no room. */
static void make_room(const struct dt_actor *a, struct history *h) {
  const size_t o = a->net->shape.obs_dim, d = a->net->shape.act_dim;
  if (h->steps < a->context) return;
  h->steps--;
  memmove(h->returns, h->returns + 1, h->steps * sizeof *h->returns);
  memmove(h->time, h->time + 1, h->steps * sizeof *h->time);
  memmove(h->state, h->state + o, h->steps * o * sizeof *h->state);
  memmove(h->action, h->action + d, h->steps * d * sizeof *h->action);
}

static void remember(const struct dt_actor *a, struct history *h, const float *state, uint32_t step,
                     double reward) {
  const size_t o = a->net->shape.obs_dim, d = a->net->shape.act_dim;
  if (step == 0) h->steps = 0, h->to_go = a->target * a->return_scale;
  else h->to_go -= reward * a->return_scale;
  make_room(a, h);
  h->returns[h->steps] = (float)h->to_go;
  h->time[h->steps] = step;
  memcpy(h->state + h->steps * o, state, o * sizeof *state);
  memset(h->action + h->steps * d, 0, d * sizeof *h->action);
  h->steps++;
}

/* The lane's history from place `at` of the pass on. */
static void lay_out(struct dt_actor *a, const struct history *h, uint32_t at) {
  const size_t o = a->net->shape.obs_dim, d = a->net->shape.act_dim;
  memcpy(a->returns + at, h->returns, h->steps * sizeof *h->returns);
  memcpy(a->time + at, h->time, h->steps * sizeof *h->time);
  memcpy(a->state + at * o, h->state, h->steps * o * sizeof *h->state);
  memcpy(a->action + at * d, h->action, h->steps * d * sizeof *h->action);
}

/* From a lane's outputs y [A] its action; returns how many numbers that is. */
static size_t decide(const struct dt_shape *s, const float *y, float *action) {
  size_t best = 0;
  for (size_t j = 0; j < s->act_dim; j++) {
    if (y[j] > y[best]) best = j;
    if (!s->discrete) action[j] = tanhf(y[j]);
  }
  if (s->discrete) *action = (float)best;
  return s->discrete ? 1 : s->act_dim;
}

static void keep(const struct dt_actor *a, uint32_t lane, const float *action) {
  const struct dt_shape *s = &a->net->shape;
  float *kept = a->lanes[lane].action + (size_t)(a->lanes[lane].steps - 1) * s->act_dim;
  for (uint32_t j = 0; j < s->act_dim; j++) kept[j] = s->discrete ? (float)j == *action : action[j];
}

void dt_actor_act(struct dt_actor *a, const struct dt_sight *sight, float *actions) {
  const size_t o = a->net->shape.obs_dim, d = a->net->shape.act_dim;
  for (uint32_t first = 0, n; first < sight->n; first += n) {
    n = sight->n - first < CHUNK ? sight->n - first : CHUNK;
    for (uint32_t i = 0; i < n; i++) {
      const uint32_t seen = first + i;
      struct history *h = &a->lanes[sight->lane[seen]];
      remember(a, h, sight->state + seen * o, sight->step[seen],
               sight->step[seen] ? sight->reward[seen] : 0);
      lay_out(a, h, a->start[i]);
      a->start[i + 1] = a->start[i] + h->steps;
    }
    const struct dt_steps steps = { n, a->start, a->returns, a->state, a->action, a->time, true };
    const struct dt_outputs y = dt_net_forward(a->net, a->work, &steps, NULL);
    for (uint32_t i = 0; i < n; i++) {
      float *action = actions;
      actions += decide(&a->net->shape, y.first + i * d, action);
      keep(a, sight->lane[first + i], action);
    }
  }
}
