/* SPDX-License-Identifier: Apache-2.0 */
/* Inputs that are left out or replaced before an IDM sees them, on made-up motion with known
 * answers. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/data/dataset.h"
#include "lib/data/spaces.h"
#include "lib/idm/features.h"
#include "lib/idm/norm.h"
#include "lib/idm/window.h"
#include "tests/support/cu.h"
#include "tests/support/idm_world.h"

/* ---- q' = q + (v + v') / 20 + push, v at random, w apart; `push` is what no other coordinate
 * tells */

enum { O = 3, TRAJ_N = 8, STEPS = 200, N = TRAJ_N * STEPS };
enum { Q, V, W };

struct motion {
  struct px_dataset ds;
  float observations[TRAJ_N * (STEPS + 1) * O], actions[N], rewards[N];
  double push[N];
  uint8_t labelled[N], flags[TRAJ_N];
  uint64_t step_start[TRAJ_N + 1], obs_start[TRAJ_N + 1];
  struct idm_norm *norm;
  struct idm_step *steps;
  struct idm_spec spec;
  uint32_t n;
};

/* The first half of the trajectories is labelled; in the others w lies `shift` higher. */
static struct motion *motion_new(double push, double shift) {
  struct motion *m = px_mem_calloc(1, sizeof *m);
  struct px_rng rng = px_rng_at(9, 0, 0);
  CU_ASSERT_PTR_NOT_NULL_FATAL(m);
  memset(m->flags, 1, sizeof m->flags);
  for (uint32_t i = 0; i < TRAJ_N; i++) {
    float *s = m->observations + (size_t)i * (STEPS + 1) * O;
    for (uint32_t t = 0; t <= STEPS; t++, s += O) {
      float normal[3];
      px_rng_normal(&rng, normal, 3);
      s[V] = normal[0];
      s[W] = (float)(px_rng_double(&rng) + (i < TRAJ_N / 2 ? 0 : shift));
      if (t == 0) continue;
      m->push[i * STEPS + t - 1] = push * (double)normal[1];
      s[Q] = (float)((double)s[Q - O] + ((double)s[V] + (double)s[V - O]) / 20 +
                     push * (double)normal[1]);
    }
    memset(m->labelled + i * STEPS, i < TRAJ_N / 2, STEPS);
    m->step_start[i + 1] = m->step_start[i] + STEPS,
                      m->obs_start[i + 1] = m->obs_start[i] + STEPS + 1;
  }
  m->ds = (struct px_dataset){ .traj_n = TRAJ_N,
                               .steps_n = N,
                               .obs_n = TRAJ_N * (STEPS + 1),
                               .observations = m->observations,
                               .actions = m->actions,
                               .labelled = m->labelled,
                               .rewards = m->rewards,
                               .step_start = m->step_start,
                               .obs_start = m->obs_start,
                               .terminated = m->flags,
                               .truncated = m->flags,
                               .has_final = m->flags };
  m->ds.spaces =
    (struct px_spaces){ .obs_dim = O, .act_dim = 1, .act_low = { -1 }, .act_high = { 1 } };
  return m;
}

static void measure(struct motion *m, double shift_max, bool residuals) {
  idm_spec_default(IDM_FAST, &m->spec);
  m->spec.k = 1, m->spec.shift_max = shift_max, m->spec.residuals = residuals;
  CU_ASSERT_EQUAL_FATAL(idm_norm_new(O, &m->norm), PX_OK);
  if (residuals) CU_ASSERT_EQUAL_FATAL(idm_norm_add_residuals(m->norm), PX_OK);
  CU_ASSERT_EQUAL_FATAL(idm_window_steps_labelled(&m->ds, &m->spec, &m->steps, &m->n), PX_OK);
  idm_norm_measure(m->norm, &m->ds);
  CU_ASSERT_EQUAL(idm_norm_leave_out(m->norm, &m->ds, &m->spec, m->steps, m->n), PX_OK);
  CU_ASSERT_EQUAL(idm_features_measure(m->norm, &m->ds, &m->spec, m->steps, m->n), PX_OK);
}

static void motion_free(struct motion *m) {
  idm_norm_free(m->norm);
  free(m->steps);
  free(m);
}

/* ---- residuals */

/* The change of q is nearly all v's; what is left, over its deviation, is the push. */
static void the_change_of_an_integral_is_what_others_leave_of_it(void) {
  struct motion *m = motion_new(0.004, 0);
  float x[3 * O];
  measure(m, 1, true);
  CU_ASSERT_TRUE(idm_norm_has_residual(m->norm, Q));
  CU_ASSERT_FALSE(idm_norm_has_residual(m->norm, V) || idm_norm_has_residual(m->norm, W));
  for (uint32_t i = 0; i < m->n; i += 7) {
    const struct idm_step step = m->steps[i];
    if (step.t == 0) continue;
    idm_window_gather(m->norm, &m->spec, &m->ds, &step, 1, x);
    const float *s = m->observations + (m->obs_start[step.traj] + step.t) * O;
    /* v is in s_t: the past is left out */
    for (int j = 0; j < O; j++) CU_ASSERT_EQUAL(x[j], 0);
    CU_ASSERT_DOUBLE_EQUAL(x[2 * O + Q], m->push[step.traj * STEPS + step.t] / 0.004, 0.35);
    CU_ASSERT_DOUBLE_EQUAL(x[2 * O + V],
                           ((double)s[O + V] - (double)s[V] -
                            m->norm->stats[IDM_CHANGE_MEAN * O + V]) /
                             m->norm->stats[IDM_CHANGE_STD * O + V],
                           1e-5);
  }
  motion_free(m);
}

/* Rounding is not taken for something that is left. */
static void an_exact_integral_keeps_its_change(void) {
  struct motion *m = motion_new(0, 0);
  measure(m, 1, true);
  for (uint32_t j = 0; j < O; j++) CU_ASSERT_FALSE(idm_norm_has_residual(m->norm, j));
  motion_free(m);
}

static void coordinates_that_integrate_nothing_keep_their_change(void) {
  struct motion *m = motion_new(10, 0); /* q moves by itself */
  measure(m, 1, true);
  for (uint32_t j = 0; j < O; j++) CU_ASSERT_FALSE(idm_norm_has_residual(m->norm, j));
  float x[3 * O];
  const struct idm_step step = { 0, 5 };
  idm_window_gather(m->norm, &m->spec, &m->ds, &step, 1, x);
  CU_ASSERT_TRUE(fabsf(x[Q]) > 0 && fabsf(x[V]) > 0); /* no velocity is known: the past stays */
  motion_free(m);
}

/* ---- what lies elsewhere */

static void a_level_that_lies_elsewhere_is_left_out_and_its_change_stays(void) {
  struct motion *m = motion_new(0.004, 2);
  float x[3 * O];
  measure(m, 0.4, false);
  CU_ASSERT_EQUAL(m->norm->stats[IDM_STATE_STD * O + W], 0);
  CU_ASSERT_TRUE(m->norm->stats[IDM_STATE_STD * O + V] > 0 &&
                 m->norm->stats[IDM_CHANGE_STD * O + W] > 0);
  idm_window_gather(m->norm, &m->spec, &m->ds, m->steps + 5, 1, x);
  CU_ASSERT_EQUAL(x[O + W], 0);
  CU_ASSERT_TRUE(fabsf(x[2 * O + W]) > 0 && fabsf(x[O + V]) > 0);
  motion_free(m);
}

static void levels_stay_that_lie_there_or_seldom_elsewhere(void) {
  /* 0.3: 30% are beyond */
  static const struct { double shift, most; } kept[] = { { 0, 0.4 }, { 0.3, 0.4 }, { 2, 1 } };
  for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
    struct motion *m = motion_new(0.004, kept[i].shift);
    measure(m, kept[i].most, false);
    CU_ASSERT_TRUE(m->norm->stats[IDM_STATE_STD * O + W] > 0);
    motion_free(m);
  }
  struct motion *m = motion_new(0.004, 0.3);
  measure(m, 0.2, false);
  CU_ASSERT_EQUAL(m->norm->stats[IDM_STATE_STD * O + W], 0);
  motion_free(m);
}

/* ---- models */

/* s' = s + B a: the change of any coordinate is worth as much as before, whatever it is given
 * as. */
static void a_model_with_all_of_it_is_saved_and_labels_alike(void) {
  struct px_dataset *ds = world_new(WORLD_TRAJS);
  struct idm_spec spec = world_spec(2, 60);
  struct idm_metrics metrics;
  struct idm_labels *a, *b;
  struct px_err err;
  spec.activation = IDM_GELU, spec.residuals = true, spec.shift_max = 0.4, spec.hidden = 24;
  struct idm_model *model = world_trained(ds, &spec, 1, &metrics), *loaded = NULL;
  struct px_buf bytes = world_saved(model), again;
  CU_OK(idm_model_load(bytes.data, bytes.len, &loaded, &err), err);
  CU_ASSERT_TRUE(idm_model_spec(loaded)->activation == IDM_GELU &&
                 idm_model_spec(loaded)->residuals);
  CU_OK(idm_label(&model, 1, ds, 0, WORLD_TRAJS, NULL, &a, &err), err);
  CU_OK(idm_label(&loaded, 1, ds, 0, WORLD_TRAJS, NULL, &b, &err), err);
  CU_ASSERT_EQUAL(memcmp(a->actions, b->actions, sizeof(float) * a->steps_n * WORLD_A), 0);
  again = world_saved(loaded);
  CU_ASSERT_TRUE(again.len == bytes.len && memcmp(again.data, bytes.data, bytes.len) == 0);
  px_buf_free(&bytes), px_buf_free(&again);
  idm_labels_free(a), idm_labels_free(b);
  idm_model_free(model), idm_model_free(loaded);
  world_free(ds);
}

static void members_of_other_activations_or_residuals_are_no_ensemble(void) {
  struct px_dataset *ds = world_new(WORLD_TRAJS);
  struct idm_spec spec = world_spec(2, 10), gelu, residuals;
  struct idm_metrics metrics;
  struct idm_labels *labels;
  struct px_err err;
  spec.activation = IDM_RELU, spec.residuals = false;
  gelu = residuals = spec;
  gelu.activation = IDM_GELU, residuals.residuals = true;
  struct idm_model *first = world_trained(ds, &spec, 0, &metrics);
  struct idm_model *others[] = { world_trained(ds, &gelu, 1, &metrics),
                                 world_trained(ds, &residuals, 1, &metrics) };
  for (int i = 0; i < 2; i++) {
    struct idm_model *both[] = { first, others[i] };
    CU_ASSERT_EQUAL(idm_label(both, 2, ds, 0, 1, NULL, &labels, &err), PX_E_BAD_DATA);
    idm_model_free(others[i]);
  }
  idm_model_free(first);
  world_free(ds);
}

/* Two members of different nets label as the mean of each by itself, in either order. */
static void mixed_members_label_as_their_mean(void) {
  struct px_dataset *ds = world_new(WORLD_TRAJS);
  struct idm_spec spec = world_spec(2, 20);
  struct idm_metrics metrics;
  struct idm_labels *each[2], *both;
  struct px_err err;
  spec.activation = IDM_MIXED;
  struct idm_model *models[] = { world_trained(ds, &spec, 1, &metrics),
                                 world_trained(ds, &spec, 0, &metrics) };
  for (int i = 0; i < 2; i++)
    CU_OK(idm_label(&models[i], 1, ds, 0, WORLD_TRAJS, NULL, &each[i], &err), err);
  CU_OK(idm_label(models, 2, ds, 0, WORLD_TRAJS, NULL, &both, &err), err);
  for (uint64_t i = 0; i < both->steps_n * WORLD_A; i++)
    CU_ASSERT_DOUBLE_EQUAL(both->actions[i], (each[0]->actions[i] + each[1]->actions[i]) / 2, 1e-5);
  for (int i = 0; i < 2; i++) idm_labels_free(each[i]), idm_model_free(models[i]);
  idm_labels_free(both);
  world_free(ds);
}

/* A job or a file of a version without these options means what that version did. */
static void specs_of_older_versions_keep_their_meaning(void) {
  struct idm_spec spec;
  struct px_err err;
  json_t *given = json_pack("{s:s}", "profile", "fast");
  CU_OK(idm_spec_read(given, &spec, &err), err);
  CU_ASSERT_TRUE(spec.activation == IDM_RELU && !spec.residuals && spec.shift_max == 1);
  json_object_set_new(given, "activation", json_string("gelu"));
  CU_OK(idm_spec_read(given, &spec, &err), err);
  CU_ASSERT_TRUE(spec.activation == IDM_GELU);
  json_decref(given);
}

CU_MAIN("idm_features", T(the_change_of_an_integral_is_what_others_leave_of_it),
        T(an_exact_integral_keeps_its_change),
        T(coordinates_that_integrate_nothing_keep_their_change),
        T(a_level_that_lies_elsewhere_is_left_out_and_its_change_stays),
        T(levels_stay_that_lie_there_or_seldom_elsewhere),
        T(a_model_with_all_of_it_is_saved_and_labels_alike),
        T(members_of_other_activations_or_residuals_are_no_ensemble),
        T(mixed_members_label_as_their_mean), T(specs_of_older_versions_keep_their_meaning))
