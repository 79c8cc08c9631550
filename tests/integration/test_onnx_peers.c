/* SPDX-License-Identifier: Apache-2.0 */
/* Every algorithm's policy, and inverse dynamics models, as ONNX: checked by onnx.checker, and run
 * by onnxruntime-web against what this project's own code did. */
#include <fcntl.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/base/scratch.h"
#include "lib/data/labels.h"
#include "lib/data/safetensors.h"
#include "lib/onnx/onnx.h"
#include "tests/support/idm_world.h"
#include "tests/support/npm.h"
#include "tests/support/rl_world.h"

enum { TENSORS_MAX = 8, FILE_BYTES_MAX = 16 << 20, MEMBERS = 3 };

/* ---- files for the peers */

static void put_file(const char *dir, const char *name, const char *ending,
                     const struct px_buf *bytes) {
  char path[PX_SCRATCH_PATH_MAX + 64];
  snprintf(path, sizeof path, "%s/%s.%s", dir, name, ending);
  const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  CU_ASSERT_TRUE_FATAL(fd >= 0);
  CU_ASSERT_EQUAL(write(fd, bytes->data, bytes->len), (ssize_t)bytes->len);
  close(fd);
}

struct acted {
  struct px_safetensors_tensor tensors[TENSORS_MAX];
  size_t n;
};

static void tell(struct acted *a, const char *name, enum px_dtype dtype, const void *data,
                 uint32_t rank, uint64_t d0, uint64_t d1, uint64_t d2) {
  a->tensors[a->n++] = (struct px_safetensors_tensor){
    .name = name, .dtype = dtype, .rank = rank, .dims = { d0, d1, d2 }, .data = data
  };
}

static void put_acted(const char *dir, const char *name, struct acted *a) {
  struct px_buf file = PX_BUF(FILE_BYTES_MAX);
  struct px_err err;
  CU_OK(px_safetensors_write(a->tensors, a->n, NULL, 0, &file, &err), err);
  put_file(dir, name, "acted", &file);
  px_buf_free(&file);
}

static void put_onnx(const char *dir, const char *name, const struct px_buf *saved, uint32_t n) {
  const struct px_safetensors *files[PX_ONNX_MEMBERS_MAX];
  struct px_safetensors *parsed[PX_ONNX_MEMBERS_MAX];
  struct px_buf onnx = PX_BUF(FILE_BYTES_MAX);
  struct px_err err;
  for (uint32_t i = 0; i < n; i++) {
    CU_OK(px_safetensors_parse(saved[i].data, saved[i].len, &parsed[i], &err), err);
    files[i] = parsed[i];
  }
  CU_OK(px_onnx_write(files, n, &onnx, &err), err);
  put_file(dir, name, "onnx", &onnx);
  for (uint32_t i = 0; i < n; i++) px_safetensors_free(parsed[i]);
  px_buf_free(&onnx);
}

/* Class indices as the int64 that ONNX gives. */
static int64_t *whole(const float *numbers, uint64_t n) {
  int64_t *out = px_mem_calloc(n, sizeof *out);
  for (uint64_t i = 0; i < n; i++) out[i] = (int64_t)numbers[i];
  return out;
}

static int python(const char *dir, const char *least) {
  char script[] = "tests/onnx/check.py", program[] = "/usr/bin/python3", *folder = strdup(dir),
       *number = strdup(least);
  char *const argv[] = { program, script, folder, number, NULL };
  pid_t pid;
  int status = -1;
  fflush(stdout);
  const bool ran =
    posix_spawn(&pid, program, NULL, NULL, argv, environ) == 0 && waitpid(pid, &status, 0) == pid;
  free(folder);
  free(number);
  return ran && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void check_all(const char *dir, const char *least) {
  const char *const arguments[] = { dir, least, NULL };
  CU_ASSERT_EQUAL(python(dir, least), 0);
  CU_ASSERT_EQUAL(npm_run("onnx_peers", "tests/onnx/run.mjs", arguments), 0);
}

/* ---- policies */

/* What a policy did not see: numbers far outside, which are clipped, of either sign. */
static void disturb(struct px_dataset *ds) {
  for (uint64_t row = 0; row < ds->obs_n; row += 7)
    ds->observations[row * O + row % O] *= row % 2 ? 1e6F : -30;
}

static void tell_episodes(struct acted *a, const struct rl_world *w, const struct rl_policy *policy,
                          const float *actions, float numbers[4]) {
  double target = 0;
  CU_ASSERT_TRUE(rl_policy_target(policy, &target));
  numbers[0] = TRAJ_N, numbers[1] = 20, numbers[2] = (float)target,
  numbers[3] = w->ds.spaces.act_count > 0;
  static const char *const names[] = { "episodes", "context", "target", "discrete" };
  for (int i = 0; i < 4; i++) tell(a, names[i], PX_DTYPE_F32, numbers + i, 1, 1, 0, 0);
  tell(a, "observations", PX_DTYPE_F32, w->ds.observations, 2, w->ds.steps_n, O, 0);
  tell(a, "rewards", PX_DTYPE_F32, w->ds.rewards, 1, w->ds.steps_n, 0, 0);
  tell(a, "actions", PX_DTYPE_F32, actions, 2, w->ds.steps_n, w->ds.spaces.act_dim, 0);
}

static void tell_rows(struct acted *a, const struct rl_world *w, const float *actions,
                      int64_t **classes) {
  tell(a, "in.observations", PX_DTYPE_F32, w->ds.observations, 2, w->ds.obs_n, O, 0);
  if (w->ds.spaces.act_count) {
    *classes = whole(actions, w->ds.obs_n);
    tell(a, "out.actions", PX_DTYPE_I64, *classes, 1, w->ds.obs_n, 0, 0);
  } else {
    tell(a, "out.actions", PX_DTYPE_F32, actions, 2, w->ds.obs_n, w->ds.spaces.act_dim, 0);
  }
}

/* Trained on the world; acts on it disturbed. layer_norm: where the algorithm has the option. */
static void train_and_act(const char *dir, const char *name, const char *algo, bool layer_norm,
                          const struct rl_world *train, const struct rl_world *w) {
  struct rl_spec spec = rl_world_spec(algo, 40);
  struct rl_policy *policy;
  struct rl_metrics metrics;
  struct px_err err;
  struct px_buf file = PX_BUF(FILE_BYTES_MAX);
  struct acted acted = { .n = 0 };
  int64_t *classes = NULL;
  float numbers[4], *actions = px_mem_calloc(w->ds.obs_n, sizeof(float) * A);
  if (layer_norm) rl_world_set(&spec, "layer_norm", 1);
  CU_OK(rl_train(&spec, &train->u, NULL, NULL, &policy, &metrics, &err), err);
  CU_OK(rl_policy_save(policy, NULL, 0, &file, &err), err);
  CU_OK(rl_policy_along(policy, &w->ds, NULL, actions, &err), err);
  if (strcmp(algo, "dt") == 0) tell_episodes(&acted, w, policy, actions, numbers);
  else tell_rows(&acted, w, actions, &classes);
  put_onnx(dir, name, &file, 1);
  put_acted(dir, name, &acted);
  free(classes);
  free(actions);
  px_buf_free(&file);
  rl_policy_free(policy);
}

/* One row for each step, so that episodes are cut alike. */
static void without_last_states(struct px_dataset *ds) {
  for (uint32_t i = 0; i < TRAJ_N; i++)
    memmove(ds->observations + ds->step_start[i] * O, ds->observations + ds->obs_start[i] * O,
            sizeof(float) * STEPS * O);
  for (uint32_t i = 0; i <= TRAJ_N; i++) ds->obs_start[i] = ds->step_start[i];
  memset(ds->has_final, 0, TRAJ_N);
  ds->obs_n = ds->steps_n;
}

static void policies(bool discrete, int least) {
  struct px_scratch dir;
  struct px_err err;
  struct rl_world train, w;
  char name[48], number[16];
  int n = 0;
  CU_OK(px_scratch_open(px_scratch_home(), &dir, &err), err);
  rl_world_open(&train), rl_world_open(&w);
  if (discrete) rl_world_discrete(&train), rl_world_discrete(&w);
  disturb(&w.ds);
  without_last_states(&w.ds);
  for (const struct flow_field *one = flow_algos; one->name; one++) {
    if (!flow_algo_learns(one->name, discrete)) continue;
    struct rl_spec spec = rl_world_spec(one->name, 1);
    train_and_act(dir.path, one->name, one->name, false, &train, &w), n++;
    if (!rl_has(&spec, "layer_norm")) continue;
    snprintf(name, sizeof name, "%s-norms", one->name);
    train_and_act(dir.path, name, one->name, true, &train, &w), n++;
  }
  CU_ASSERT_TRUE(n >= least);
  snprintf(number, sizeof number, "%d", n);
  check_all(dir.path, number);
  rl_world_close(&train), rl_world_close(&w);
  px_scratch_close(&dir);
}

static void every_algorithm_with_continuous_actions(void) { policies(false, 8); }
static void every_algorithm_with_discrete_actions(void) { policies(true, 5); }

/* ---- inverse dynamics models */

/* The windows of all steps whose next state is known, as ONNX takes them; their number. */
static uint64_t windows(const struct px_dataset *ds, const struct idm_spec *spec, float *out) {
  const uint32_t dims = ds->spaces.obs_dim;
  uint64_t n = 0;
  for (uint32_t i = 0; i < ds->traj_n; i++)
    for (uint64_t t = 0; t < ds->step_start[i + 1] - ds->step_start[i]; t++) {
      if (!px_dataset_next_known(ds, i, t)) continue;
      n++;
      for (int64_t at = (int64_t)t - spec->k; at <= (int64_t)t + 1 + spec->f; at++)
        for (uint32_t j = 0; j < dims; j++) {
          const int64_t row = (int64_t)ds->obs_start[i] + at;
          *out++ = at < 0 || row >= (int64_t)ds->obs_start[i + 1]
                     ? NAN
                     : ds->observations[(uint64_t)row * dims + j];
        }
    }
  return n;
}

/* rows [n, dims] of those labels that are known, moved to the front. */
static void only_known(const struct idm_labels *l, uint32_t dims, float *rows) {
  uint64_t n = 0;
  for (uint64_t i = 0; i < l->steps_n; i++)
    if (l->known[i]) memmove(rows + n++ * dims, rows + i * dims, sizeof(float) * dims);
}

static void label_and_tell(const char *dir, const char *name, struct idm_model *const *models,
                           const struct px_dataset *ds, const struct idm_spec *spec) {
  const uint32_t a = ds->spaces.act_dim, rank = ds->spaces.act_count ? 1 : 2;
  const uint32_t places = spec->k + 2 + spec->f;
  struct idm_labels *l;
  struct px_err err;
  struct acted acted = { .n = 0 };
  CU_OK(idm_label(models, spec->members, ds, 0, ds->traj_n, NULL, &l, &err), err);
  float *given = px_mem_calloc(l->steps_n * places * ds->spaces.obs_dim, sizeof *given),
        *total = px_mem_calloc(l->steps_n * a, sizeof *total);
  px_label_totals(&ds->spaces, l->std, l->epistemic, l->steps_n, total);
  only_known(l, a, l->actions), only_known(l, a, total), only_known(l, a, l->epistemic);
  const uint64_t n = windows(ds, spec, given);
  int64_t *classes = whole(l->actions, n);
  tell(&acted, "in.observations", PX_DTYPE_F32, given, 3, n, places, ds->spaces.obs_dim);
  tell(&acted, "out.actions", rank == 1 ? PX_DTYPE_I64 : PX_DTYPE_F32,
       rank == 1 ? (const void *)classes : l->actions, rank, n, a, 0);
  tell(&acted, "out.action_std", PX_DTYPE_F32, total, rank, n, a, 0);
  tell(&acted, "out.action_epistemic", PX_DTYPE_F32, l->epistemic, rank, n, a, 0);
  put_acted(dir, name, &acted);
  idm_labels_free(l);
  free(given), free(total), free(classes);
}

static void train_and_label(const char *dir, const char *name, const struct px_dataset *train,
                            const struct px_dataset *ds, const struct idm_spec *spec) {
  struct idm_model *models[PX_ONNX_MEMBERS_MAX];
  struct px_buf saved[PX_ONNX_MEMBERS_MAX];
  struct idm_metrics metrics;
  for (uint32_t i = 0; i < spec->members; i++) {
    models[i] = world_trained(train, spec, i, &metrics);
    saved[i] = world_saved(models[i]);
  }
  label_and_tell(dir, name, models, ds, spec);
  put_onnx(dir, name, saved, spec->members);
  for (uint32_t i = 0; i < spec->members; i++) idm_model_free(models[i]), px_buf_free(&saved[i]);
}

/* The first coordinate integrates the second, so that residuals take its place. */
static void integrate(struct px_dataset *ds) {
  for (uint32_t i = 0; i < ds->traj_n; i++)
    for (uint64_t row = ds->obs_start[i] + 1; row < ds->obs_start[i + 1]; row++) {
      float *s = ds->observations + row * WORLD_O;
      s[0] = s[-WORLD_O] + 0.05F * (s[1] + s[1 - WORLD_O]) + 0.002F * (float)(row % 5);
    }
}

static void inverse_models_and_their_ensembles(void) {
  struct px_scratch dir;
  struct px_err err;
  struct px_dataset *train = world_new(8), *ds = world_new(8), *moving = world_new(8);
  struct idm_spec fast = world_spec(MEMBERS, 40), one = world_spec(1, 40), wide, paper;
  CU_OK(px_scratch_open(px_scratch_home(), &dir, &err), err);
  for (uint64_t row = 0; row < ds->obs_n; row += 9)
    ds->observations[row * WORLD_O + row % WORLD_O] *= 30;
  integrate(moving);
  wide = fast, wide.k = 2, wide.f = 2, wide.residuals = false;
  idm_spec_default(IDM_PAPER, &paper);
  paper.hidden = 32, paper.steps = 60, paper.batch = 64, paper.validate_every = 20, paper.k = 2;
  train_and_label(dir.path, "fast", train, ds, &fast);
  train_and_label(dir.path, "one", train, ds, &one);
  train_and_label(dir.path, "wide", train, ds, &wide);
  train_and_label(dir.path, "moving", moving, moving, &fast);
  train_and_label(dir.path, "paper", train, ds, &paper);
  fast.head = IDM_DETERMINISTIC;
  train_and_label(dir.path, "deterministic", train, ds, &fast);
  px_spaces_set_discrete(&train->spaces, 4);
  for (uint64_t i = 0; i < train->steps_n; i++) train->actions[i] = (float)(i % 4);
  px_spaces_set_discrete(&ds->spaces, 4);
  fast.head = IDM_SOFTMAX, fast.mean_loss = IDM_NLL;
  train_and_label(dir.path, "softmax", train, ds, &fast);
  check_all(dir.path, "7");
  world_free(train), world_free(ds), world_free(moving);
  px_scratch_close(&dir);
}

CU_MAIN("onnx_peers", T(every_algorithm_with_continuous_actions),
        T(every_algorithm_with_discrete_actions), T(inverse_models_and_their_ensembles))
