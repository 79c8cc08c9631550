/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints: when a state is kept, what refuses one, and that a training which was cut off ends
 * with the same bytes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/data/actions_merged.h"
#include "lib/data/dataset.h"
#include "lib/idm/idm.h"
#include "lib/rl/fqe.h"
#include "lib/rl/rl.h"
#include "tests/support/cu.h"
#include "tests/support/trajs.h"

/* ---- a keeper in memory, which dies when it is asked to keep once too often */

struct checkpointer {
  struct px_buf last;
  uint64_t step;
  uint32_t kept, dies_at; /* 0: never */
  enum px_status fails;   /* what every keep answers instead */
  uint64_t resumed;
  bool refused;
};

static enum px_status keep(void *ctx, uint64_t step, const void *bytes, size_t n,
                           struct px_err *err) {
  struct checkpointer *k = ctx;
  if (k->dies_at && ++k->kept >= k->dies_at)
    return px_fail(err, PX_E_FENCED, "this attempt is over");
  if (k->fails) return px_fail(err, k->fails, "nowhere to keep it");
  k->last.len = 0;
  k->step = step;
  return px_buf_put(&k->last, bytes, n);
}

static enum px_status resumed(void *ctx, uint64_t step, const struct px_err *refused,
                              struct px_err *err) {
  (void)err;
  struct checkpointer *k = ctx;
  k->resumed = step;
  k->refused = refused != NULL;
  return PX_OK;
}

static struct px_checkpoint checkpoint_of(struct checkpointer *k) {
  return (struct px_checkpoint){ .name = "job_1",
                                 .ctx = k,
                                 .keep = keep,
                                 .resumed = resumed,
                                 .from = k->last.data,
                                 .from_n = k->last.len };
}

#define KEEPER ((struct checkpointer){ .last = PX_BUF(1 << 24) })

/* ---- one state of three numbers */

struct small {
  float x[3];
  uint64_t n;
};

static struct px_state list_of(struct small *s) {
  struct px_state list = { .n = 0 };
  px_state_floats(&list, "x", NULL, s->x, 3);
  px_state_whole(&list, "n", NULL, &s->n, 1);
  return list;
}

static void pauses_are_a_hundredth_of_the_time_within_bounds(void) {
  CU_ASSERT_DOUBLE_EQUAL(px_checkpoint_pause_s(30000, 0), 5, 1e-9);
  CU_ASSERT_DOUBLE_EQUAL(px_checkpoint_pause_s(30000, 0.1), 9.9, 1e-9);
  CU_ASSERT_DOUBLE_EQUAL(px_checkpoint_pause_s(30000, 1), 30, 1e-9);
  /* 4 of 80 seconds are a twentieth */
  CU_ASSERT_DOUBLE_EQUAL(px_checkpoint_pause_s(30000, 4), 76, 1e-9);
  CU_ASSERT_DOUBLE_EQUAL(px_checkpoint_pause_s(10, 0), 0.01, 1e-9);
  CU_ASSERT_EQUAL(px_checkpoint_pause_s(0, 4), 0);
}

static void a_state_is_kept_when_it_is_time_and_comes_back(void) {
  struct checkpointer k = KEEPER;
  struct small s = { { 1, 2, 3 }, 7 };
  const struct px_state list = list_of(&s);
  struct px_checkpoint c = checkpoint_of(&k);
  struct px_err err;
  uint64_t step = 99;
  c.every_ms = 3600 * 1000;
  CU_OK(px_checkpoint_resume(&c, &list, &step, &err), err);
  CU_ASSERT_TRUE(step == 0 && k.resumed == 0 && !k.refused);
  CU_OK(px_checkpoint_step(&c, &list, 1, &err), err);
  CU_ASSERT_EQUAL(c.kept_n, 0); /* not yet */
  c.next_s = 0;
  CU_OK(px_checkpoint_step(&c, &list, 2, &err), err);
  CU_ASSERT_TRUE(c.kept_n == 1 && c.kept_step == 2 && k.step == 2 && c.spent_s > 0);
  CU_OK(px_checkpoint_step(&c, &list, 3, &err), err);
  CU_ASSERT_EQUAL(c.kept_n, 1);
  px_checkpoint_free(&c);
  s = (struct small){ .n = 0 };
  c = checkpoint_of(&k);
  CU_OK(px_checkpoint_resume(&c, &list, &step, &err), err);
  CU_ASSERT_TRUE(step == 2 && c.resumed_step == 2 && k.resumed == 2);
  CU_ASSERT_TRUE(s.x[0] == 1 && s.x[2] == 3 && s.n == 7);
  px_buf_free(&k.last);
}

static void asked_to_stop_it_keeps_the_state_first(void) {
  struct checkpointer k = KEEPER;
  struct small s = { { 1, 2, 3 }, 7 };
  const struct px_state list = list_of(&s);
  volatile sig_atomic_t stop = 0;
  struct px_checkpoint c = checkpoint_of(&k);
  struct px_err err;
  uint64_t step;
  c.every_ms = 3600 * 1000, c.stop = &stop;
  CU_OK(px_checkpoint_resume(&c, &list, &step, &err), err);
  CU_OK(px_checkpoint_step(&c, &list, 4, &err), err);
  stop = 1;
  CU_ASSERT_EQUAL(px_checkpoint_step(&c, &list, 5, &err), PX_E_WORKER_LOST);
  CU_ASSERT_TRUE(c.kept_n == 1 && k.step == 5);
  px_checkpoint_free(&c);
  px_buf_free(&k.last);
}

static void a_state_that_is_not_finite_is_never_kept(void) {
  const float bad[] = { NAN, INFINITY, -INFINITY };
  for (int i = 0; i < 3; i++) {
    struct checkpointer k = KEEPER;
    struct small s = { { 1, bad[i], 3e38F }, 7 };
    const struct px_state list = list_of(&s);
    struct px_checkpoint c = checkpoint_of(&k);
    struct px_err err;
    uint64_t step;
    CU_OK(px_checkpoint_resume(&c, &list, &step, &err), err);
    CU_OK(px_checkpoint_step(&c, &list, 1, &err), err);
    CU_ASSERT_EQUAL(c.kept_n, 0);
    s.x[1] = -3e38F;
    CU_OK(px_checkpoint_step(&c, &list, 2, &err), err);
    CU_ASSERT_EQUAL(c.kept_n, 1);
    px_checkpoint_free(&c);
    px_buf_free(&k.last);
  }
}

static void only_a_lost_hold_ends_the_training(void) {
  struct small s = { { 1, 2, 3 }, 7 };
  const struct px_state list = list_of(&s);
  const enum px_status answers[] = { PX_E_UNAVAILABLE, PX_E_NO_SPACE, PX_E_FENCED, PX_E_CANCELLED };
  for (int i = 0; i < 4; i++) {
    struct checkpointer k = KEEPER;
    struct px_checkpoint c = checkpoint_of(&k);
    struct px_err err;
    uint64_t step;
    k.fails = answers[i];
    CU_OK(px_checkpoint_resume(&c, &list, &step, &err), err);
    CU_ASSERT_EQUAL(px_checkpoint_step(&c, &list, 1, &err), i < 2 ? PX_OK : answers[i]);
    CU_ASSERT_TRUE(c.kept_n == 0 && c.kept_step == 0);
    px_checkpoint_free(&c);
  }
}

/* Other arrays, another format, cut anywhere: refused, and nothing has changed. */
static void a_foreign_state_is_refused_and_training_starts_afresh(void) {
  struct checkpointer k = KEEPER;
  struct small s = { { 1, 2, 3 }, 7 };
  struct px_state list = list_of(&s);
  struct px_checkpoint c = checkpoint_of(&k);
  struct px_err err;
  uint64_t step;
  CU_OK(px_checkpoint_resume(&c, &list, &step, &err), err);
  CU_OK(px_checkpoint_step(&c, &list, 6, &err), err);
  px_checkpoint_free(&c);
  s = (struct small){ { 9, 9, 9 }, 9 };
  for (size_t n = 0; n < k.last.len; n += 7) {
    c = checkpoint_of(&k);
    c.from_n = n;
    CU_OK(px_checkpoint_resume(&c, &list, &step, &err), err);
    CU_ASSERT_TRUE(step == 0 && k.refused && s.x[0] == 9 && s.n == 9);
  }
  c = checkpoint_of(&k);
  list.n = 1;
  CU_OK(px_checkpoint_resume(&c, &list, &step, &err), err);
  CU_ASSERT_TRUE(step == 0 && k.refused);
  list.n = 2;
  char *format = memmem(k.last.data, k.last.len, "proxact-state", 13);
  CU_ASSERT_PTR_NOT_NULL_FATAL(format);
  *format = 'q';
  c = checkpoint_of(&k);
  CU_OK(px_checkpoint_resume(&c, &list, &step, &err), err);
  CU_ASSERT_TRUE(step == 0 && k.refused && s.x[0] == 9);
  px_buf_free(&k.last);
}

/* ---- whole trainings, cut off at random steps */

enum { O = 4, A = 2, ACTIONS = 3, TRAJ_N = 24, LONGEST = 30 };

static struct px_dataset *dataset(bool discrete) {
  struct trajs list = { .spaces = discrete ? trajs_discrete(O, ACTIONS) : trajs_spaces(O, A) };
  struct segments packed = { .n = 0 };
  struct px_dataset_builder *builder = px_dataset_builder_new(&list.spaces);
  struct px_dataset *ds = NULL;
  struct px_err err;
  trajs_fill(&list, TRAJ_N, LONGEST, 11);
  CU_ASSERT_EQUAL_FATAL(segments_pack(&packed, &list), PX_OK);
  for (size_t i = 0; i < packed.n; i++)
    CU_OK(px_dataset_builder_segment(builder, packed.items[i].bytes, packed.items[i].size, &err),
          err);
  CU_OK(px_dataset_builder_end(builder, &ds, &err), err);
  segments_free(&packed);
  trajs_free(&list);
  return ds;
}

/* One attempt after another, each cut off at its second to twentieth step, `cuts` times. */
typedef enum px_status (*attempt)(void *training, struct px_checkpoint *c, struct px_err *err);
static uint32_t run_with_cuts(attempt run, void *training, uint64_t seed, uint32_t cuts) {
  struct checkpointer k = KEEPER;
  struct px_rng rng = px_rng_at(seed, px_rng_stream("cuts", 0), 0);
  enum px_status status = PX_E_FENCED;
  uint32_t went_on = 0;
  for (uint32_t i = 0; status == PX_E_FENCED; i++) {
    struct px_checkpoint c = checkpoint_of(&k);
    struct px_err err;
    k.kept = 0;
    k.dies_at = i < cuts ? 2 + px_rng_below(&rng, 19) : 0;
    const uint64_t from = k.step;
    status = run(training, &c, &err);
    if (status != PX_E_FENCED) CU_OK(status, err);
    CU_ASSERT_EQUAL(k.resumed, from);
    CU_ASSERT_FALSE(k.refused);
    went_on += k.resumed > 0;
    px_checkpoint_free(&c);
  }
  px_buf_free(&k.last);
  return went_on;
}

struct policy_training {
  struct rl_spec spec;
  const struct px_actions_merged *u;
  struct rl_metrics metrics;
  struct px_buf file;
};

static enum px_status train_policy(void *ctx, struct px_checkpoint *c, struct px_err *err) {
  struct policy_training *t = ctx;
  struct rl_policy *policy = NULL;
  enum px_status status = rl_train(&t->spec, t->u, NULL, c, &policy, &t->metrics, err);
  t->file.len = 0;
  if (!status) status = rl_policy_save(policy, NULL, 0, &t->file, err);
  rl_policy_free(policy);
  return status;
}

static void set(struct rl_spec *spec, const char *name, double value) {
  struct px_err err;
  for (const struct flow_field *f = flow_algo_options(spec->algo); f->name; f++)
    if (strcmp(f->name, name) == 0) CU_OK(rl_spec_set(spec, name, value, &err), err);
}

static struct policy_training policy_training_of(const char *algo,
                                                 const struct px_actions_merged *u) {
  struct policy_training t = { .u = u, .file = PX_BUF(1 << 24) };
  struct px_err err;
  CU_OK(rl_spec_defaults(algo, &t.spec, &err), err);
  set(&t.spec, "hidden", 16), set(&t.spec, "batch", 16), set(&t.spec, "updates", 60),
    set(&t.spec, "top_percent", 100);
  /* Where an algorithm has them: what test_rl.c does not go on from. */
  set(&t.spec, "ema", 0.9), set(&t.spec, "pretrain", 0.3), set(&t.spec, "values", 1);
  return t;
}

static void policies_end_with_the_same_bytes_however_often_they_were_cut_off(void) {
  struct px_dataset *ds[2] = { dataset(false), dataset(true) };
  for (const struct flow_field *algo = flow_algos; algo->name; algo++)
    for (int discrete = 0; discrete < 2; discrete++) {
      if (!flow_algo_learns(algo->name, discrete)) continue;
      struct px_actions_merged *u;
      struct px_err err;
      CU_OK(px_actions_merged_new(ds[discrete], &u, &err), err);
      struct policy_training whole = policy_training_of(algo->name, u),
                             cut = policy_training_of(algo->name, u);
      CU_OK(train_policy(&whole, NULL, &err), err);
      for (uint32_t cuts = 1; cuts < 5; cuts++) {
        CU_ASSERT_TRUE(run_with_cuts(train_policy, &cut, cuts, cuts) > 0);
        CU_ASSERT_EQUAL_FATAL(cut.file.len, whole.file.len);
        CU_ASSERT_EQUAL(memcmp(cut.file.data, whole.file.data, whole.file.len), 0);
        cut.metrics.seconds = whole.metrics.seconds;
        CU_ASSERT_EQUAL(memcmp(&cut.metrics, &whole.metrics, sizeof whole.metrics), 0);
      }
      px_buf_free(&whole.file), px_buf_free(&cut.file);
      px_actions_merged_free(u);
    }
  px_dataset_free(ds[0]), px_dataset_free(ds[1]);
}

struct idm_training {
  const struct px_dataset *ds;
  struct idm_spec spec;
  struct idm_metrics metrics;
  struct px_buf file;
};

static enum px_status train_idm(void *ctx, struct px_checkpoint *c, struct px_err *err) {
  struct idm_training *t = ctx;
  struct idm_model *model = NULL;
  enum px_status status = idm_train_member(t->ds, &t->spec, 1, NULL, c, &model, &t->metrics, err);
  t->file.len = 0;
  if (!status) status = idm_model_save(model, NULL, 0, &t->file, err);
  idm_model_free(model);
  return status;
}

/* The metrics are in the file; only the seconds differ. */
static void same_model(struct idm_training *a, struct idm_training *b) {
  CU_ASSERT_EQUAL(a->metrics.steps, b->metrics.steps);
  CU_ASSERT_EQUAL(a->metrics.best_step, b->metrics.best_step);
  CU_ASSERT_EQUAL(a->metrics.val_mse, b->metrics.val_mse);
  CU_ASSERT_EQUAL(a->metrics.val_nll, b->metrics.val_nll);
  CU_ASSERT_EQUAL(a->metrics.val_accuracy, b->metrics.val_accuracy);
  struct px_safetensors *st[2];
  struct px_err err;
  CU_OK(px_safetensors_parse(a->file.data, a->file.len, &st[0], &err), err);
  CU_OK(px_safetensors_parse(b->file.data, b->file.len, &st[1], &err), err);
  CU_ASSERT_EQUAL_FATAL(px_safetensors_tensors_n(st[0]), px_safetensors_tensors_n(st[1]));
  for (size_t i = 0; i < px_safetensors_tensors_n(st[0]); i++) {
    const struct px_safetensors_tensor *x = px_safetensors_at(st[0], i),
                                       *y = px_safetensors_at(st[1], i);
    CU_ASSERT_TRUE(x->bytes == y->bytes && memcmp(x->data, y->data, x->bytes) == 0);
  }
  px_safetensors_free(st[0]), px_safetensors_free(st[1]);
}

static struct idm_training idm_training_of(const struct px_dataset *ds, int which) {
  struct idm_training t = { .ds = ds, .file = PX_BUF(IDM_MODEL_BYTES_MAX) };
  static const enum idm_head heads[] = { IDM_GAUSSIAN, IDM_SQUASHED, IDM_DETERMINISTIC,
                                         IDM_SOFTMAX };
  idm_spec_default(which ? IDM_FAST : IDM_PAPER, &t.spec);
  if (which) t.spec.head = heads[which - 1];
  if (t.spec.head == IDM_SOFTMAX) t.spec.mean_loss = IDM_NLL;
  t.spec.hidden = 16, t.spec.batch = 32, t.spec.members = 2, t.spec.steps = 60,
  t.spec.validate_every = 7;
  t.spec.dropout = which % 2 ? 0.2 : 0, t.spec.weight_decay = 1e-3,
  t.spec.patience = which == 2 ? 3 : 0;
  if (which == 2) t.spec.lr = 0.05; /* so that patience ends it */
  return t;
}

static void members_end_with_the_same_bytes_however_often_they_were_cut_off(void) {
  struct px_dataset *continuous = dataset(false), *discrete = dataset(true);
  for (int which = 0; which < 5; which++) {
    const struct px_dataset *ds = which == 4 ? discrete : continuous;
    struct idm_training whole = idm_training_of(ds, which), cut = idm_training_of(ds, which);
    struct px_err err;
    CU_OK(train_idm(&whole, NULL, &err), err);
    if (which == 2) CU_ASSERT_TRUE(whole.metrics.steps < 60);
    for (uint32_t cuts = 1; cuts < 5; cuts++) {
      CU_ASSERT_TRUE(run_with_cuts(train_idm, &cut, cuts, cuts) > 0);
      same_model(&whole, &cut);
    }
    px_buf_free(&whole.file), px_buf_free(&cut.file);
  }
  px_dataset_free(continuous), px_dataset_free(discrete);
}

struct value_training {
  const struct px_actions_merged *u;
  const float *actions;
  float values[TRAJ_N];
  struct fqe_result result;
};

static enum px_status train_values(void *ctx, struct px_checkpoint *c, struct px_err *err) {
  struct value_training *t = ctx;
  const struct fqe_spec spec = {
    .hidden = 16, .layers = 1, .batch = 16, .updates = 60, .lr = 1e-3, .gamma = 0.9, .tau = 0.1
  };
  return fqe_run(&spec, t->u, t->actions, NULL, c, t->values, &t->result, err);
}

static void fitted_values_are_the_same_however_often_they_were_cut_off(void) {
  struct px_dataset *ds = dataset(false);
  struct px_actions_merged *u;
  struct px_err err;
  float *actions = px_mem_calloc(ds->obs_n, A * sizeof *actions);
  CU_ASSERT_PTR_NOT_NULL_FATAL(actions);
  CU_OK(px_actions_merged_new(ds, &u, &err), err);
  struct value_training whole = { .u = u, .actions = actions }, cut = whole;
  CU_OK(train_values(&whole, NULL, &err), err);
  for (uint32_t cuts = 1; cuts < 5; cuts++) {
    CU_ASSERT_TRUE(run_with_cuts(train_values, &cut, cuts, cuts) > 0);
    CU_ASSERT_EQUAL(memcmp(cut.values, whole.values, sizeof whole.values), 0);
    CU_ASSERT_EQUAL(cut.result.td_rms, whole.result.td_rms);
  }
  free(actions);
  px_actions_merged_free(u);
  px_dataset_free(ds);
}

CU_MAIN("checkpoint", T(pauses_are_a_hundredth_of_the_time_within_bounds),
        T(a_state_is_kept_when_it_is_time_and_comes_back),
        T(asked_to_stop_it_keeps_the_state_first), T(a_state_that_is_not_finite_is_never_kept),
        T(only_a_lost_hold_ends_the_training),
        T(a_foreign_state_is_refused_and_training_starts_afresh),
        T(policies_end_with_the_same_bytes_however_often_they_were_cut_off),
        T(fitted_values_are_the_same_however_often_they_were_cut_off),
        T(members_end_with_the_same_bytes_however_often_they_were_cut_off))
