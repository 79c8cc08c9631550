/* SPDX-License-Identifier: Apache-2.0 */
/* A simulator in a process of its own: it gives what the one in this process gives, and its end is
 * an error, not ours. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/dataset.h"
#include "tests/support/cu.h"
#include "tests/support/d4rl.h"
#include "worker/sim/sim_box.h"

enum { TRAJS = 3 };

static struct px_err err;
static struct sim_layout layout;
static double std[SIM_OBS_MAX];

static struct px_dataset *hopper(struct sim_options *options) {
  struct px_dataset *ds = NULL;
  CU_OK(d4rl_load("tests/data/hopper-medium.hdf5", &ds, &err), err);
  CU_OK(sim_layout_builtin("hopper", &layout, &err), err);
  sim_spread(ds, std);
  *options = sim_options_default();
  options->std = std;
  options->restarts = 2;
  return ds;
}

static void same(const struct sim_labels *a, const struct sim_labels *b) {
  const size_t n = a->steps_n, wide = n * a->act_dim * sizeof(float);
  CU_ASSERT_EQUAL_FATAL(n, b->steps_n);
  CU_ASSERT(memcmp(a->actions, b->actions, wide) == 0 && memcmp(a->std, b->std, wide) == 0);
  CU_ASSERT(memcmp(a->score, b->score, n * sizeof(float)) == 0 &&
            memcmp(a->residual, b->residual, n * sizeof(float)) == 0);
  CU_ASSERT(memcmp(a->known, b->known, n) == 0 && memcmp(a->verified, b->verified, n) == 0);
  CU_ASSERT(a->known_n == b->known_n && a->verified_n == b->verified_n &&
            a->simulations_n == b->simulations_n);
}

static void a_box_labels_and_checks_as_the_simulator_in_this_process(void) {
  struct sim_options options;
  struct px_dataset *ds = hopper(&options);
  struct sim *sim = NULL;
  struct sim_box *box = NULL;
  static struct sim_fit fits[2];
  CU_OK(sim_open(&layout, &sim, &err), err);
  CU_OK(sim_box_open(&layout, ds, &box, &err), err);
  CU_OK(sim_check(sim, &options, ds, NULL, &fits[0], &err), err);
  CU_OK(sim_box_check(box, &options, ds, NULL, &fits[1], &err), err);
  CU_ASSERT_EQUAL(memcmp(&fits[0], &fits[1], sizeof fits[0]), 0);
  /* the second call begins behind the first trajectory */
  for (uint32_t from = 0; from + 1 < TRAJS; from++) {
    struct sim_labels *labels[4];
    CU_OK(sim_label(sim, &options, ds, from, from + 1, NULL, NULL, &labels[0], &err), err);
    CU_OK(sim_box_label(box, &options, ds, from, from + 1, NULL, NULL, &labels[1], &err), err);
    same(labels[0], labels[1]);
    const struct sim_starts starts = { 2, { ds->actions, labels[0]->actions } };
    CU_OK(sim_label(sim, &options, ds, from, from + 1, &starts, NULL, &labels[2], &err), err);
    CU_OK(sim_box_label(box, &options, ds, from, from + 1, &starts, NULL, &labels[3], &err), err);
    same(labels[2], labels[3]);
    CU_ASSERT(labels[3]->verified_n >= labels[0]->verified_n);
    for (int i = 0; i < 4; i++) sim_labels_free(labels[i]);
  }
  sim_box_close(box);
  sim_close(sim);
  px_dataset_free(ds);
}

static void a_box_identifies_and_is_adjusted_as_the_simulator_in_this_process(void) {
  struct sim_options options;
  struct px_dataset *ds = hopper(&options);
  struct sim *sim = NULL;
  struct sim_box *box = NULL;
  static struct sim_identified found[2];
  static struct sim_fit fits[2];
  layout.frame_skip = 5;                            /* it is 4: the time step makes up for it */
  memset(ds->labelled + 100, 0, ds->steps_n - 100); /* enough for that, and quick */
  CU_OK(sim_open(&layout, &sim, &err), err);
  CU_OK(sim_box_open(&layout, ds, &box, &err), err);
  CU_OK(sim_identify(sim, &options, ds, 1, NULL, &found[0], &err), err);
  CU_OK(sim_box_identify(box, &options, ds, 1, NULL, &found[1], &err), err);
  CU_ASSERT_EQUAL(memcmp(&found[0], &found[1], sizeof found[0]), 0);
  CU_ASSERT(found[0].median_after < found[0].median_before);
  sim_box_close(box);
  CU_OK(sim_box_open(&layout, ds, &box, &err), err); /* as a shard does, by what was found */
  CU_OK(sim_box_adjust(box, &found[0].adjustment, &err), err);
  CU_OK(sim_check(sim, &options, ds, NULL, &fits[0], &err), err);
  CU_OK(sim_box_check(box, &options, ds, NULL, &fits[1], &err), err);
  CU_ASSERT_EQUAL(memcmp(&fits[0], &fits[1], sizeof fits[0]), 0);
  found[0].adjustment.factor[SIM_MASS] = -1;
  CU_ASSERT_EQUAL(sim_box_adjust(box, &found[0].adjustment, &err), PX_E_BAD_FIELD);
  sim_box_close(box);
  sim_close(sim);
  px_dataset_free(ds);
}

static void same_pairs(const struct sim_pairs *a, const struct sim_pairs *b) {
  const size_t wide = 2 * (size_t)a->obs_dim * sizeof(float), dims = a->act_dim * sizeof(float);
  CU_ASSERT_EQUAL_FATAL(a->n, b->n);
  CU_ASSERT(memcmp(a->x, b->x, a->n * wide) == 0 && memcmp(a->u, b->u, a->n * dims) == 0);
  CU_ASSERT(memcmp(a->low, b->low, a->act_dim * sizeof *a->low) == 0 &&
            memcmp(a->high, b->high, a->act_dim * sizeof *a->high) == 0);
  CU_ASSERT_EQUAL(a->delay, b->delay);
}

static void a_box_makes_the_pairs_of_the_simulator_in_this_process(void) {
  struct sim_options options;
  struct px_dataset *ds = hopper(&options);
  struct sim *sim = NULL;
  struct sim_box *box = NULL;
  struct sim_pairs *pairs[2], *none = NULL;
  struct sim_adjustment heavy;
  CU_OK(sim_open(&layout, &sim, &err), err);
  CU_OK(sim_box_open(&layout, ds, &box, &err), err);
  heavy = sim_identify_none(sim);
  heavy.factor[SIM_MASS] = 1.2;
  heavy.delay = 1;
  for (int k = 0; k < 2; k++) {         /* as it is, then adjusted as a check found it */
    const uint32_t n = k ? 1024 : 1500; /* parts that are whole, and one that is not */
    CU_OK(sim_pairs_make(sim, &options, ds, 3, n, NULL, &pairs[0], &err), err);
    CU_OK(sim_box_pairs(box, &options, ds, 3, n, NULL, &pairs[1], &err), err);
    same_pairs(pairs[0], pairs[1]);
    CU_ASSERT_EQUAL(pairs[1]->delay, (uint32_t)k);
    sim_pairs_free(pairs[0]);
    sim_pairs_free(pairs[1]);
    CU_OK(sim_identify_adjust(sim, &heavy, &err), err);
    CU_OK(sim_box_adjust(box, &heavy, &err), err);
  }
  CU_ASSERT_EQUAL(sim_box_pairs(box, &options, ds, 3, 0, NULL, &none, &err), PX_E_BAD_FIELD);
  /* from there no step is stable */
  for (uint32_t i = 0; i < ds->obs_n; i++) ds->observations[i * 11] = 1e12f;
  CU_ASSERT_EQUAL(sim_box_pairs(box, &options, ds, 3, 100, NULL, &none, &err), PX_E_BAD_DATA);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "unstable"));
  CU_ASSERT_PTR_NULL(none);
  sim_box_close(box);
  sim_close(sim);
  px_dataset_free(ds);
}

static void what_goes_wrong_within_comes_back_with_its_place(void) {
  struct sim_options options;
  struct px_dataset *ds = hopper(&options);
  struct sim_box *box = NULL;
  layout.obs[3].index = 6;
  CU_ASSERT_EQUAL(sim_box_open(&layout, ds, &box, &err), PX_E_BAD_FIELD);
  CU_ASSERT_STRING_EQUAL(err.pointer, "observations[3]");
  layout.obs[3].index = 4;
  layout.mjcf = "<mujoco><include file=\"/etc/passwd\"/></mujoco>";
  layout.mjcf_n = strlen(layout.mjcf);
  CU_ASSERT_EQUAL(sim_box_open(&layout, ds, &box, &err), PX_E_BAD_FIELD);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "<include>"));
  layout.mjcf = "<mujoco><bogus/></mujoco>";
  layout.mjcf_n = strlen(layout.mjcf);
  CU_ASSERT_EQUAL(sim_box_open(&layout, ds, &box, &err), PX_E_BAD_DATA);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "bogus"));
#if !PX_SANITIZED
  layout.mjcf = "<mujoco><size nstack=\"2000000000\"/><worldbody><body><joint name=\"j\"/><geom "
                "size=\".1\"/></body></worldbody>"
                "<actuator><motor joint=\"j\"/></actuator></mujoco>";
  layout.mjcf_n = strlen(layout.mjcf);
  CU_ASSERT_EQUAL(sim_box_open(&layout, ds, &box, &err), PX_E_BAD_DATA);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "ran out of memory"));
  CU_ASSERT_PTR_NOT_NULL(strstr(err.hint, "1024 MiB"));
#endif
  CU_ASSERT_PTR_NULL(box);
  px_dataset_free(ds);
}

static enum px_status stop(void *ctx, const char *phase, int64_t step, int64_t total,
                           const struct px_metric *metrics, size_t n) {
  (void)phase, (void)step, (void)total, (void)metrics, (void)n;
  (*(int *)ctx)++;
  return PX_E_CANCELLED;
}

static void work_that_is_cancelled_ends_and_leaves_no_process(void) {
  struct sim_options options;
  struct px_dataset *ds = hopper(&options);
  struct sim_box *box = NULL;
  struct sim_labels *labels = NULL;
  int asked = 0;
  const struct px_progress progress = { &asked, stop };
  CU_OK(sim_box_open(&layout, ds, &box, &err), err);
  const enum px_status status =
    sim_box_label(box, &options, ds, 0, ds->traj_n, NULL, &progress, &labels, &err);
  CU_ASSERT_EQUAL(status, PX_E_CANCELLED);
  CU_ASSERT_EQUAL(asked, 1);
  sim_box_close(box);
  char path[64], text[64] = "";
  snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
  FILE *f = fopen(path, "r");
  CU_ASSERT_PTR_NOT_NULL_FATAL(f);
  CU_ASSERT_PTR_NULL(fgets(text, sizeof text, f));
  fclose(f);
  px_dataset_free(ds);
}

static const struct cu_test tests[] = {
  T(a_box_labels_and_checks_as_the_simulator_in_this_process),
  T(a_box_makes_the_pairs_of_the_simulator_in_this_process),
  T(a_box_identifies_and_is_adjusted_as_the_simulator_in_this_process),
  T(what_goes_wrong_within_comes_back_with_its_place),
  T(work_that_is_cancelled_ends_and_leaves_no_process),
};

int main(int argc, char **argv) {
  return cu_run("sim_box", tests, sizeof tests / sizeof *tests, argc, argv);
}
