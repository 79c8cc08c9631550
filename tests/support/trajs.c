/* SPDX-License-Identifier: Apache-2.0 */
/* Trajectories for tests: see trajs.h. */
#include "tests/support/trajs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/rng.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"

static void *need(void *p) {
  if (!p) abort();
  return p;
}

static void *copy_of(const void *bytes, size_t n) {
  return bytes ? memcpy(need(malloc(n ? n : 1)), bytes, n) : NULL;
}

struct px_spaces trajs_spaces(uint32_t obs_dim, uint32_t act_dim) {
  struct px_spaces spaces = { .obs_dim = obs_dim, .act_dim = act_dim };
  for (uint32_t j = 0; j < act_dim; j++) {
    spaces.act_low[j] = -1.0f - (float)j;
    spaces.act_high[j] = 1.0f + (float)j;
  }
  return spaces;
}

struct px_spaces trajs_discrete(uint32_t obs_dim, uint32_t act_count) {
  struct px_spaces spaces = { .obs_dim = obs_dim };
  px_spaces_set_discrete(&spaces, act_count);
  return spaces;
}

static enum px_status collect(void *ctx, const struct px_traj *traj, struct px_err *err) {
  (void)err;
  struct trajs *list = ctx;
  list->items = need(realloc(list->items, (list->n + 1) * sizeof *list->items));
  const size_t rows = (size_t)traj->steps + traj->has_final;
  struct px_traj t = *traj;
  t.observations = copy_of(traj->observations, rows * list->spaces.obs_dim * sizeof(float));
  t.actions = copy_of(traj->actions, (size_t)traj->steps * list->spaces.act_dim * sizeof(float));
  t.labelled = copy_of(traj->labelled, traj->steps);
  t.rewards = copy_of(traj->rewards, traj->steps * sizeof(float));
  list->items[list->n++] = t;
  return PX_OK;
}

struct px_traj_sink trajs_sink(struct trajs *list) {
  return (struct px_traj_sink){ list, collect };
}

static void release(const void *p) { free((void *)(uintptr_t)p); }

void trajs_free(struct trajs *list) {
  for (size_t i = 0; i < list->n; i++) {
    release(list->items[i].observations);
    release(list->items[i].actions);
    release(list->items[i].labelled);
    release(list->items[i].rewards);
  }
  free(list->items);
  list->items = NULL;
  list->n = 0;
}

void trajs_add(struct trajs *list, uint32_t steps, enum trajs_labels labels, uint64_t seed) {
  struct px_rng rng = px_rng_at(seed, px_rng_stream("trajs", 0), 0);
  const uint32_t o = list->spaces.obs_dim, a = list->spaces.act_dim,
                 classes = list->spaces.act_count, end = px_rng_below(&rng, 3);
  struct px_traj t = { .steps = steps,
                       .terminated = end == 0,
                       .truncated = end != 0,
                       .has_final = px_rng_below(&rng, 2) };
  float *observations = need(malloc((steps + 1ul) * o * sizeof(float)));
  float *actions = need(malloc((size_t)steps * a * sizeof(float)));
  float *rewards = need(malloc(steps * sizeof(float)));
  uint8_t *labelled = need(malloc(steps));
  px_rng_normal(&rng, observations, (steps + 1ul) * o);
  px_rng_normal(&rng, rewards, steps);
  for (uint32_t s = 0; s < steps; s++) {
    labelled[s] = (uint8_t)px_rng_below(&rng, 2);
    for (uint32_t j = 0; j < a; j++)
      actions[s * a + j] =
        classes ? (float)px_rng_below(&rng, classes)
                : list->spaces.act_low[j] +
                    (list->spaces.act_high[j] - list->spaces.act_low[j]) * px_rng_float(&rng);
  }
  t.observations = observations;
  t.rewards = rewards;
  t.actions = labels == TRAJS_NONE ? NULL : actions;
  t.labelled = labels == TRAJS_PART ? labelled : NULL;
  collect(list, &t, NULL);
  free(observations);
  free(actions);
  free(rewards);
  free(labelled);
}

void trajs_fill(struct trajs *list, uint32_t n, uint32_t longest, uint64_t seed) {
  struct px_rng rng = px_rng_at(seed, px_rng_stream("trajs", 1), 0);
  for (uint32_t i = 0; i < n; i++) {
    /* In this order, which as arguments would be the compiler's choice. */
    const enum trajs_labels labels = (enum trajs_labels)px_rng_below(&rng, 3);
    const uint32_t steps = 1 + px_rng_below(&rng, longest);
    trajs_add(list, steps, labels, seed + i);
  }
}

static bool labelled_at(const struct px_traj *t, uint32_t s) {
  return t->actions && (!t->labelled || t->labelled[s]);
}

static const char *one_differs(const struct px_traj *x, const struct px_traj *y,
                               const struct px_spaces *spaces) {
  if (x->steps != y->steps) return "steps";
  if (x->has_final != y->has_final) return "has_final";
  if (x->terminated != y->terminated || x->truncated != y->truncated) return "the end";
  if (memcmp(x->observations, y->observations,
             (x->steps + (size_t)x->has_final) * spaces->obs_dim * sizeof(float)) != 0)
    return "observations";
  if (!x->rewards != !y->rewards) return "whether there are rewards";
  if (x->rewards && memcmp(x->rewards, y->rewards, x->steps * sizeof(float)) != 0) return "rewards";
  for (uint32_t s = 0; s < x->steps; s++) {
    const size_t at = (size_t)s * spaces->act_dim;
    if (labelled_at(x, s) != labelled_at(y, s)) return "labelled";
    if (labelled_at(x, s) &&
        memcmp(x->actions + at, y->actions + at, spaces->act_dim * sizeof(float)) != 0)
      return "actions";
  }
  return "";
}

const char *trajs_differ(const struct trajs *a, const struct trajs *b) {
  if (a->n != b->n) return "the number of trajectories";
  for (size_t i = 0; i < a->n; i++) {
    const char *what = one_differs(&a->items[i], &b->items[i], &a->spaces);
    if (what[0]) return what;
  }
  return "";
}

static enum px_status keep(void *ctx, const struct px_segment *segment, struct px_err *err) {
  (void)err;
  struct segments *out = ctx;
  out->items = need(realloc(out->items, (out->n + 1) * sizeof *out->items));
  struct sealed *s = &out->items[out->n++];
  s->bytes = copy_of(segment->bytes, segment->size);
  s->size = segment->size;
  s->info = *segment;
  s->info.bytes = s->bytes;
  s->info.rows = copy_of(segment->rows, segment->traj_n * sizeof *segment->rows);
  s->info.obs.mean = copy_of(segment->obs.mean, out->spaces.obs_dim * sizeof(double));
  s->info.obs.m2 = copy_of(segment->obs.m2, out->spaces.obs_dim * sizeof(double));
  return PX_OK;
}

enum px_status segments_pack(struct segments *out, const struct trajs *list) {
  struct px_err err = { 0 };
  out->spaces = list->spaces;
  struct px_segment_builder *builder =
    need(px_segment_builder_new(&list->spaces, (struct px_segment_sink){ out, keep }));
  const struct px_traj_sink sink = px_segment_builder_traj_sink(builder);
  enum px_status status = PX_OK;
  for (size_t i = 0; i < list->n && !status; i++)
    status = sink.put(sink.ctx, &list->items[i], &err);
  if (!status) status = px_segment_builder_end(builder, &err);
  px_segment_builder_free(builder);
  if (status) printf("\n  packing: %s\n", err.message);
  return status;
}

enum px_status segments_unpack(const struct segments *segments, struct trajs *out) {
  struct px_err err = { 0 };
  out->spaces = segments->spaces;
  for (size_t i = 0; i < segments->n; i++) {
    struct px_segment_view view;
    const enum px_status status = px_segment_open(segments->items[i].bytes, segments->items[i].size,
                                                  &segments->spaces, &view, &err);
    if (status) {
      printf("\n  opening: %s\n", err.message);
      return status;
    }
    uint64_t step = 0, obs = 0;
    for (uint32_t k = 0; k < view.traj_n; k++) {
      const struct px_traj traj = px_segment_traj(&view, k, step, obs, &segments->spaces);
      step += traj.steps;
      obs += traj.steps + (uint64_t)traj.has_final;
      collect(out, &traj, NULL);
    }
    px_segment_close(&view);
  }
  return PX_OK;
}

void segments_free(struct segments *segments) {
  for (size_t i = 0; i < segments->n; i++) {
    free(segments->items[i].bytes);
    release(segments->items[i].info.rows);
    free(segments->items[i].info.obs.mean);
    free(segments->items[i].info.obs.m2);
  }
  free(segments->items);
  segments->items = NULL;
  segments->n = 0;
}
