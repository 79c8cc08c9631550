/* SPDX-License-Identifier: Apache-2.0 */
/* Rehearsals: labels are chosen by what they bring among the labelled trajectories. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/data/dataset.h"
#include "tests/support/cu.h"
#include "worker/jobs/rehearsal.h"

/* s' = s + strength a. Trajectory i earns i; the better half steers to 0 five times as hard as the
 * other. */
enum { O = 2, A = 2, TRAJS = 12, STEPS = 40 };
struct arena {
  struct px_dataset ds;
  float observations[TRAJS * (STEPS + 1) * O], actions[TRAJS * STEPS * A], rewards[TRAJS * STEPS];
  uint8_t labelled[TRAJS * STEPS], flags[3][TRAJS];
  uint64_t step_start[TRAJS + 1], obs_start[TRAJS + 1];
};

static void play(struct arena *w, uint32_t i, float strength, struct px_rng *rng) {
  float *s = w->observations + i * (STEPS + 1) * O, *a = w->actions + i * STEPS * A;
  px_rng_normal(rng, s, O);
  for (uint32_t t = 0; t < STEPS; t++, s += O, a += A)
    for (uint32_t j = 0; j < A; j++) {
      float noise[2];
      px_rng_normal(rng, noise, 2);
      a[j] =
        fminf(fmaxf(i < TRAJS / 2 ? -0.2F * s[j] + 0.5F * noise[0] : -s[j] + 0.1F * noise[0], -2),
              2);
      s[O + j] = s[j] + strength * a[j];
    }
}

/* strength: of the lower half and of the better half of the trajectories; the first `labelled_n`
 * are labelled. */
static struct arena *arena(float lower, float better, uint32_t labelled_n) {
  struct arena *w = px_mem_calloc(1, sizeof *w);
  struct px_rng rng = px_rng_at(3, 1, 0);
  w->ds = (struct px_dataset){
    .spaces = { .obs_dim = O, .act_dim = A, .act_low = { -2, -2 }, .act_high = { 2, 2 } },
    .traj_n = TRAJS,
    .steps_n = TRAJS * STEPS,
    .obs_n = TRAJS * (STEPS + 1),
    .observations = w->observations,
    .actions = w->actions,
    .labelled = w->labelled,
    .rewards = w->rewards,
    .step_start = w->step_start,
    .obs_start = w->obs_start,
    .terminated = w->flags[0],
    .truncated = w->flags[1],
    .has_final = w->flags[2]
  };
  for (uint32_t i = 0; i < TRAJS; i++) {
    w->step_start[i + 1] = (i + 1) * STEPS, w->obs_start[i + 1] = (i + 1) * (STEPS + 1);
    w->flags[1][i] = w->flags[2][i] = 1;
    play(w, i, i < TRAJS / 2 ? lower : better, &rng);
    for (uint32_t t = 0; t < STEPS; t++)
      w->rewards[i * STEPS + t] = (float)i, w->labelled[i * STEPS + t] = i < labelled_n;
  }
  for (uint32_t k = labelled_n * STEPS * A; k < TRAJS * STEPS * A; k++) w->actions[k] = 0;
  return w;
}

static struct rehearsal rehearsed(struct arena *w) {
  struct idm_spec spec;
  struct rehearsal found;
  struct px_err err;
  idm_spec_default(IDM_FAST, &spec);
  spec.hidden = 32, spec.steps = 400, spec.batch = 64, spec.validate_every = 50;
  CU_OK(rehearse(&w->ds, &spec, 400, 1, NULL, &found, &err), err);
  return found;
}

static void labels_that_help_are_chosen(void) {
  struct arena *w = arena(0.2F, 0.2F, TRAJS);
  const struct rehearsal r = rehearsed(w);
  CU_ASSERT_TRUE(r.tried);
  CU_ASSERT_EQUAL(r.kept_n, 6);
  CU_ASSERT_EQUAL(r.hidden_n, 3);
  CU_ASSERT_EQUAL(r.judged_n, 3);
  CU_ASSERT_EQUAL(r.transitions_n, 3 * STEPS);
  CU_ASSERT_STRING_NOT_EQUAL(rehearsal_labels[r.chosen], "true_only");
  CU_ASSERT_TRUE(r.error[0] < 0.9 * r.error[2]);
  free(w);
}

/* In the better half actions do the opposite, so what the model has learned labels them wrongly. */
static void labels_that_mislead_are_left_out(void) {
  struct arena *w = arena(0.2F, -0.2F, TRAJS);
  const struct rehearsal r = rehearsed(w);
  CU_ASSERT_STRING_EQUAL(rehearsal_labels[r.chosen], "true_only");
  CU_ASSERT_TRUE(r.error[2] < r.error[0]);
  free(w);
}

static void too_few_trajectories_are_said(void) {
  for (uint32_t labelled = 3; labelled <= 4; labelled++) {
    struct arena *w = arena(0.2F, 0.2F, labelled);
    const struct rehearsal r = rehearsed(w);
    CU_ASSERT_EQUAL(r.tried, labelled == 4);
    CU_ASSERT_EQUAL(r.judged_n, labelled == 4);
    if (!r.tried) CU_ASSERT_STRING_EQUAL(rehearsal_labels[r.chosen], "all");
    free(w);
  }
}

/* What stood in the trajectories set aside is neither learned from nor labelled. */
static void what_is_judged_by_is_not_learned_from(void) {
  struct arena *a = arena(0.2F, 0.2F, TRAJS), *b = arena(0.2F, 0.2F, TRAJS);
  /* the best trajectory */
  for (uint32_t k = 11 * STEPS * A; k < 12 * STEPS * A; k++) b->actions[k] = -b->actions[k];
  const struct rehearsal one = rehearsed(a), other = rehearsed(b);
  CU_ASSERT_TRUE(other.error[0] > one.error[0] && other.error[2] != one.error[2]);
  CU_ASSERT_EQUAL(memcmp(a->actions, b->actions, sizeof a->actions), 0); /* both hidden */
  free(a), free(b);
}

CU_MAIN("rehearsal", T(labels_that_help_are_chosen), T(labels_that_mislead_are_left_out),
        T(too_few_trajectories_are_said), T(what_is_judged_by_is_not_learned_from))
