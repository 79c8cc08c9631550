/* SPDX-License-Identifier: Apache-2.0 */
/* The amortised inverse (worker/sim/net.h): what it learns without a label, and that it is the
 * same however it came about. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/data/dataset.h"
#include "lib/flow/labellers.h"
#include "tests/support/cu.h"
#include "tests/support/d4rl.h"
#include "tests/support/helpers.h"
#include "worker/sim/net.h"

static struct px_err err;
static struct px_dataset *ds;
static struct sim *sim;
static double std[SIM_OBS_MAX];

static struct sim_net_spec small(void) {
  struct sim_net_spec spec = sim_net_spec_default();
  spec.pairs = 6000;
  spec.steps = 400;
  spec.batch = 128;
  spec.hidden = 64;
  spec.layers = 2;
  return spec;
}

/* A keeper in memory whose process dies when it is asked to keep once too often. */
struct checkpointer {
  struct px_buf last;
  int left;
};

static enum px_status keep(void *ctx, uint64_t step, const void *bytes, size_t n,
                           struct px_err *why) {
  struct checkpointer *k = ctx;
  (void)step;
  if (k->left-- == 0) return px_fail(why, PX_E_FENCED, "this attempt is over");
  k->last.len = 0;
  return px_buf_put(&k->last, bytes, n);
}

static struct sim_pairs *make(uint32_t n) {
  const struct sim_options options = { .std = std };
  struct sim_pairs *pairs = NULL;
  CU_OK(sim_pairs_make(sim, &options, ds, 0, n, NULL, &pairs, &err), err);
  return pairs;
}

static struct sim_net *train(const struct sim_net_spec *spec, struct px_checkpoint *checkpoint,
                             double *loss) {
  struct sim_pairs *pairs = make(spec->pairs);
  struct sim_net *net = NULL;
  CU_OK(sim_net_train(pairs, &ds->spaces, spec, NULL, checkpoint, &net, loss, &err), err);
  sim_pairs_free(pairs);
  return net;
}

static float *apply(const struct sim_net *net) {
  float *actions = malloc(sizeof(float) * ds->steps_n * 3);
  CU_ASSERT_FATAL(actions != NULL);
  CU_OK(sim_net_apply(net, ds, 0, ds->traj_n, actions, &err), err);
  return actions;
}

static void real_actions_are_answered_without_a_label(void) {
  const struct sim_net_spec spec = small();
  double loss, errors = 0, truths = 0;
  uint8_t *none = calloc(ds->traj_n, 1);
  float *truth = malloc(sizeof(float) * ds->steps_n * 3);
  CU_ASSERT_FATAL(none && truth);
  memcpy(truth, ds->actions, sizeof(float) * ds->steps_n * 3);
  px_dataset_hide(ds, none);
  struct sim_net *net = train(&spec, NULL, &loss);
  float *actions = apply(net);
  for (uint64_t i = 0; i < ds->steps_n * 3; i++) {
    errors += ((double)actions[i] - (double)truth[i]) * ((double)actions[i] - (double)truth[i]);
    truths += (double)truth[i] * (double)truth[i];
  }
  printf("(loss %.4f, MSE %.4f of %.4f) ", loss, errors / (double)ds->steps_n / 3,
         truths / (double)ds->steps_n / 3);
  CU_ASSERT(errors < 0.5 * truths);
  free(actions);
  free(truth);
  free(none);
  sim_net_free(net);
}

static void a_training_that_was_cut_off_ends_with_the_same_bytes(void) {
  const struct sim_net_spec spec = small();
  struct sim_pairs *pairs = make(spec.pairs);
  struct checkpointer k = { .last = PX_BUF(1 << 24), .left = 150 };
  struct px_buf whole = PX_BUF(1 << 24), again = PX_BUF(1 << 24);
  struct px_checkpoint first = { .name = "first", .ctx = &k, .keep = keep };
  double loss, other;
  struct sim_net *net = train(&spec, NULL, &loss), *cut = NULL;
  CU_OK(sim_net_save(net, &whole, &err), err);
  CU_ASSERT_EQUAL(sim_net_train(pairs, &ds->spaces, &spec, NULL, &first, &cut, &other, &err),
                  PX_E_FENCED);
  CU_ASSERT_PTR_NULL_FATAL(cut);
  k.left = -1;
  struct px_checkpoint second = { .name = "second",
                                  .ctx = &k,
                                  .keep = keep,
                                  .from = k.last.data,
                                  .from_n = k.last.len,
                                  .every_ms = 100000 };
  cut = train(&spec, &second, &other);
  CU_ASSERT(second.resumed_step == 150);
  CU_OK(sim_net_save(cut, &again, &err), err);
  CU_ASSERT(loss == other && whole.len == again.len &&
            memcmp(whole.data, again.data, whole.len) == 0);
  sim_pairs_free(pairs);
  px_checkpoint_free(&first);
  px_checkpoint_free(&second);
  px_buf_free(&k.last);
  px_buf_free(&whole);
  px_buf_free(&again);
  sim_net_free(net);
  sim_net_free(cut);
}

static void a_stored_net_answers_the_same_and_others_are_refused(void) {
  struct sim_net_spec spec = small();
  struct px_buf bytes = PX_BUF(1 << 24);
  double loss;
  spec.steps = 20;
  spec.pairs = 200;
  struct sim_net *net = train(&spec, NULL, &loss), *loaded = NULL;
  CU_OK(sim_net_save(net, &bytes, &err), err);
  CU_OK(sim_net_load(bytes.data, bytes.len, &loaded, &err), err);
  float *a = apply(net), *b = apply(loaded);
  CU_ASSERT(memcmp(a, b, sizeof(float) * ds->steps_n * 3) == 0);
  free(a);
  free(b);
  struct sim_net *none = NULL;
  CU_ASSERT_EQUAL(sim_net_load(bytes.data, bytes.len - 4, &none, &err), PX_E_BAD_DATA);
  CU_ASSERT_EQUAL(sim_net_load("nothing", 7, &none, &err), PX_E_BAD_DATA);
  CU_ASSERT_PTR_NULL(none);
  ds->spaces.obs_dim = 10;
  float action[3];
  CU_ASSERT_EQUAL(sim_net_apply(loaded, ds, 0, 0, action, &err), PX_E_BAD_FIELD);
  ds->spaces.obs_dim = 11;
  px_buf_free(&bytes);
  sim_net_free(net);
  sim_net_free(loaded);
}

static void a_job_s_defaults_are_those_of_the_net(void) {
  const struct sim_net_spec spec = sim_net_spec_default();
  json_t *empty = json_object(), *said = NULL;
  CU_OK(flow_fields_check(flow_labeller_inverse_fields, empty, "", &said, &err), err);
  json_t *same = json_pack("{s:i, s:i, s:i, s:i, s:i, s:f}", "pairs", (int)spec.pairs, "steps",
                           (int)spec.steps, "batch", (int)spec.batch, "hidden", (int)spec.hidden,
                           "layers", (int)spec.layers, "lr", spec.lr);
  CU_ASSERT(json_equal(said, same));
  json_decref(same);
  json_decref(said);
  json_decref(empty);
}

static const struct cu_test tests[] = {
  T(a_job_s_defaults_are_those_of_the_net),
  T(a_stored_net_answers_the_same_and_others_are_refused),
  T(a_training_that_was_cut_off_ends_with_the_same_bytes),
  T(real_actions_are_answered_without_a_label),
};

int main(int argc, char **argv) {
  const int helper = helpers_main(argc, argv);
  if (helper >= 0) return helper;
  struct sim_layout layout;
  if (d4rl_load("tests/data/hopper-medium.hdf5", &ds, &err) ||
      sim_layout_builtin("hopper", &layout, &err) || sim_open(&layout, &sim, &err)) {
    printf("%s\n", err.message);
    return 1;
  }
  sim_spread(ds, std);
  const int status = cu_run("sim_net", tests, sizeof tests / sizeof *tests, argc, argv);
  sim_close(sim);
  px_dataset_free(ds);
  return status;
}
