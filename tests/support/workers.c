/* SPDX-License-Identifier: Apache-2.0 */
/* Real worker processes for tests: see workers.h. */
#include "tests/support/workers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/fail.h"
#include "lib/base/rng.h"
#include "lib/base/text.h"
#include "lib/data/safetensors.h"
#include "lib/data/segment.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"
#include "lib/store/append.h"
#include "lib/store/datasets.h"
#include "lib/store/models.h"
#include "lib/store/results.h"
#include "lib/store/store.h"
#include "worker/env/env.h"

enum {
  ARGS_MAX = 24,
  WORKERS_MAX = 64,
  O = 5,
  A = 2,
  STEPS = WORKERS_STEPS,
  HOPPER_O = 11,
  HOPPER_A = 3
};

/* build/tests/integration/test_x -> build/proxact-worker */
static const char *worker_path(void) {
  static char path[4096];
  const ssize_t n = readlink("/proc/self/exe", path, sizeof path - 32);
  CU_ASSERT_FATAL(n > 0);
  path[n] = '\0';
  for (int up = 0; up < 3; up++) *strrchr(path, '/') = '\0';
  const size_t used = strlen(path);
  snprintf(path + used, sizeof path - used, "/proxact-worker");
  return path;
}

/* What a failed test left running must not take the next one's jobs. */
static pid_t running[WORKERS_MAX];

static void remember(pid_t worker, pid_t in_place_of) {
  for (int i = 0; i < WORKERS_MAX; i++)
    if (running[i] == in_place_of) {
      running[i] = worker;
      return;
    }
}

void workers_end_all(void) {
  for (int i = 0; i < WORKERS_MAX; i++)
    if (running[i]) workers_end(running[i], SIGKILL);
}

pid_t workers_start(const char *const *options) {
  static bool cleaned;
  if (!cleaned) cleaned = atexit(workers_end_all) == 0;
  char *argv[ARGS_MAX] = { (char *)worker_path(), "--lease-ms=1500", "--heartbeat-ms=300",
                           "--reap-ms=200", "--poll-ms=100" };
  int n = 5;
  for (; options && *options && n < ARGS_MAX - 1; options++) argv[n++] = (char *)*options;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  const char *var = getenv("PROXACT_VAR");
  char log[512];
  snprintf(log, sizeof log, "%s/log/test-workers.log", var ? var : "/tmp");
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, log, O_WRONLY | O_CREAT | O_APPEND,
                                   0600);
  pid_t pid = 0;
  CU_ASSERT_EQUAL_FATAL(posix_spawn(&pid, argv[0], &actions, NULL, argv, environ), 0);
  posix_spawn_file_actions_destroy(&actions);
  remember(pid, 0);
  return pid;
}

int workers_end(pid_t worker, int signal) {
  int how = 0;
  kill(worker, signal);
  remember(0, worker);
  while (waitpid(worker, &how, 0) < 0 && errno == EINTR) continue;
  return WIFEXITED(how) ? WEXITSTATUS(how) : -WTERMSIG(how);
}

pid_t workers_child(pid_t worker) {
  char path[64], text[64] = "";
  snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)worker, (int)worker);
  FILE *f = fopen(path, "re");
  if (!f) return 0;
  const bool any = fgets(text, sizeof text, f) != NULL;
  fclose(f);
  return any ? (pid_t)strtol(text, NULL, 10) : 0;
}

struct made {
  struct store *store;
  struct store_append *append;
};

static enum px_status put_segment(void *ctx, const struct px_segment *segment, struct px_err *err) {
  const struct made *m = ctx;
  return store_append_segment(m->append, m->store, segment, err);
}

/* State i moves by a linear map of the action and a little noise. */
static void make_trajectory(int n, bool flipped, float reward_scale, float *obs, float *act,
                            float *rewards) {
  struct px_rng rng = px_rng_at(7, px_rng_stream("trajectory", (uint64_t)n), 0);
  for (int i = 0; i < O; i++) obs[i] = px_rng_float(&rng);
  for (int t = 0; t < STEPS; t++) {
    for (int j = 0; j < A; j++) act[t * A + j] = 1.8f * px_rng_float(&rng) - 0.9f;
    for (int i = 0; i < O; i++)
      obs[(t + 1) * O + i] = 0.9f * obs[t * O + i] + 0.3f * act[t * A + i % A] * (float)(1 + i) +
                             0.01f * px_rng_float(&rng);
    rewards[t] = reward_scale * ((float)n * 0.01f + 0.1f * px_rng_float(&rng));
    for (int j = 0; j < A && flipped; j++) act[t * A + j] *= -0.5f;
  }
}

/* The first four numbers of a state, and the first of an action as its sign. */
static void make_discrete(bool flipped, float *obs, float *act) {
  for (int t = 0; t <= STEPS; t++) memmove(obs + t * (O - 1), obs + t * O, (O - 1) * sizeof *obs);
  for (int t = 0; t < STEPS; t++) act[t] = (act[t * A] > 0) != flipped ? 1 : 0;
}

/* An episode of hopper under random actions, which soon falls; its length. `flipped`: the actions
 * have the wrong sign. */
static int make_hopper(int n, bool flipped, float *obs, float *act, float *rewards) {
  struct px_rng rng = px_rng_at(7, px_rng_stream("hopper", (uint64_t)n), 0);
  struct px_env *env = NULL;
  struct px_env_step step = { .terminated = false };
  struct px_err err;
  int t = 0;
  CU_OK(px_env_open("hopper", &env, &err), err);
  CU_OK(px_env_reset(env, 7, (uint64_t)n, obs, &err), err);
  for (; t < STEPS && !step.terminated; t++) {
    float *a = act + t * HOPPER_A;
    for (int j = 0; j < HOPPER_A; j++) a[j] = 1.8f * px_rng_float(&rng) - 0.9f;
    CU_OK(px_env_step(env, a, obs + (t + 1) * HOPPER_O, &step, &err), err);
    rewards[t] = (float)step.reward;
    for (int j = 0; j < HOPPER_A && flipped; j++) a[j] = -a[j];
  }
  px_env_close(env);
  return t;
}

const char *workers_dataset(struct store *store, const char *name, int trajectories, int flip,
                            float reward_scale) {
  const struct workers_world world = { .trajectories = trajectories,
                                       .flip = flip,
                                       .reward_scale = reward_scale };
  return workers_dataset_of(store, name, &world);
}

const char *workers_dataset_of(struct store *store, const char *name,
                               const struct workers_world *world) {
  static char id[STORE_ID_MAX];
  static uint8_t labelled[STEPS];
  static float obs[(STEPS + 1) * HOPPER_O], act[STEPS * HOPPER_A], rewards[STEPS];
  struct px_spaces *spaces = calloc(1, sizeof *spaces);
  struct px_err err;
  CU_ASSERT_PTR_NOT_NULL_FATAL(spaces);
  *spaces =
    (struct px_spaces){ .obs_dim = O, .act_dim = A, .act_low = { -1, -1 }, .act_high = { 1, 1 } };
  if (world->discrete) spaces->obs_dim = O - 1, px_spaces_set_discrete(spaces, 2);
  if (world->hopper)
    spaces->obs_dim = HOPPER_O, spaces->act_dim = HOPPER_A, spaces->act_low[2] = -1,
    spaces->act_high[2] = 1;
  CU_OK(store_dataset_create(store, name, spaces,
                             world->discrete ? "cartpole"
                             : world->hopper ? "hopper"
                                             : NULL,
                             id, &err),
        err);
  struct made m = { .store = store };
  CU_OK(store_append_begin(id, spaces->obs_dim, &m.append, &err), err);
  struct px_segment_builder *builder =
    px_segment_builder_new(spaces, (struct px_segment_sink){ &m, put_segment });
  const struct px_traj_sink sink = px_segment_builder_traj_sink(builder);
  for (int n = 0; n < world->trajectories; n++) {
    const bool flipped = world->flip && (world->hopper || n >= world->trajectories / 2);
    int steps = STEPS;
    if (world->hopper) steps = make_hopper(n, flipped, obs, act, rewards);
    else make_trajectory(n, flipped && !world->discrete, world->reward_scale, obs, act, rewards);
    if (world->discrete) make_discrete(flipped, obs, act);
    for (int i = 0; i < (steps + 1) * (int)spaces->obs_dim && world->stretched; i++) obs[i] *= 2;
    bool any = false;
    for (int t = 0; t < steps; t++) {
      labelled[t] = !world->known || world->known(n, t);
      any |= labelled[t];
      for (uint32_t j = 0; j < spaces->act_dim && !labelled[t]; j++)
        act[t * (int)spaces->act_dim + (int)j] = 0;
    }
    const struct px_traj traj = { .steps = (uint32_t)steps,
                                  .observations = obs,
                                  .actions = any ? act : NULL,
                                  .rewards = rewards,
                                  .labelled = any && world->known ? labelled : NULL,
                                  .truncated = true,
                                  .has_final = !world->without_final };
    CU_OK(sink.put(sink.ctx, &traj, &err), err);
  }
  CU_OK(px_segment_builder_end(builder, &err), err);
  CU_OK(store_append_commit(m.append, store, NULL, NULL, &err), err);
  store_append_free(m.append);
  px_segment_builder_free(builder);
  free(spaces);
  return id;
}

void workers_submit(struct store *store, const char *dataset, enum flow_kind kind, const char *spec,
                    char id[STORE_ID_MAX]) {
  struct store_dataset *about = calloc(1, sizeof *about);
  struct px_err err;
  CU_OK(store_dataset_get(store, dataset, about, &err), err);
  const uint64_t known_n = about->labelled_steps_n ? about->trajectories_n : 0;
  const struct flow_snapshot snapshot = { .version = about->data_version,
                                          .segments_n = about->segments_n,
                                          .trajectories_n = about->trajectories_n,
                                          .labelled_trajectories_n = known_n,
                                          .whole_trajectories_n = known_n,
                                          .env = about->env,
                                          .obs_dim = about->spaces.obs_dim,
                                          .act_dim = about->spaces.act_dim,
                                          .act_count = about->spaces.act_count,
                                          .size = { (double)about->steps_n,
                                                    (double)about->trajectories_n,
                                                    (double)about->size_bytes, about->segments_n },
                                          .new_id = store_job_new_id };
  json_t *json = json_loads(spec, 0, NULL);
  CU_ASSERT_PTR_NOT_NULL_FATAL(json);
  if (kind != FLOW_EVALUATE) json_object_set_new(json, "dataset", json_string(dataset));
  struct flow_plan plan;
  CU_OK(flow_plan(kind, json, &snapshot, &plan, &err), err);
  json_decref(json);
  struct store_job_draft *drafts = calloc(plan.n, sizeof *drafts);
  const char **needs = calloc(plan.n * plan.n, sizeof *needs);
  for (size_t i = 0; i < plan.n; i++) {
    const struct flow_job *job = &plan.jobs[i];
    for (size_t k = 0; k < job->needs_n; k++) needs[i * plan.n + k] = job->needs[k];
    drafts[i] = (struct store_job_draft){ .id = job->id,
                                          .kind = flow_kind_info(job->kind)->name,
                                          .name = job->name,
                                          .spec_json = job->spec_json,
                                          .dataset_id = dataset,
                                          .parent_id = *job->parent ? job->parent : NULL,
                                          .needs = needs + i * plan.n,
                                          .needs_n = job->needs_n,
                                          .priority = job->priority,
                                          .memory_bytes = job->cost.memory_bytes,
                                          .limit_s = job->cost.limit_s };
  }
  CU_OK(store_jobs_submit(store, drafts, plan.n, &err), err);
  snprintf(id, STORE_ID_MAX, "%s", plan.jobs[0].id);
  free(needs);
  free(drafts);
  flow_plan_free(&plan);
  free(about);
}

void workers_await(const char *expected, double timeout_s, const char *sql, ...) {
  char query[1024];
  va_list args;
  va_start(args, sql);
  vsnprintf(query, sizeof query, sql, args);
  va_end(args);
  timeout_s *= cu_patience();
  const double until = px_clock_s() + timeout_s;
  const char *found = "";
  while (px_clock_s() < until) {
    found = db_sql("%s", query);
    if (strcmp(found, expected) == 0) return;
    const struct timespec pause = { 0, 20000000 };
    nanosleep(&pause, NULL);
  }
  printf("\n  '%s' and not '%s' after %g s: %s\n", found, expected, timeout_s, query);
  CU_FAIL_FATAL("waited in vain");
}

json_t *workers_result(struct store *store, const char *job) {
  struct px_buf text = PX_BUF(4 << 20);
  struct px_err err;
  CU_OK(store_job_result(store, job, &text, &err), err);
  json_t *json = json_loads(text.data, 0, NULL);
  px_buf_free(&text);
  return json;
}

struct store *workers_store(const char *application) {
  static struct store *store;
  workers_end_all();
  if (!store) store = db_test_open(application);
  db_sql("delete from jobs");
  db_sql("delete from datasets");
  return store;
}

void workers_model_digest(struct store *store, const char *job, char hex[PX_SHA256_HEX]) {
  char model[STORE_ID_MAX];
  struct px_buf bytes = PX_BUF(64 << 20);
  struct px_safetensors *st;
  struct px_err err;
  uint8_t digest[PX_SHA256_BYTES];
  store_result_id("mdl", job, model);
  CU_OK(store_model_read(store, model, &bytes, &err), err);
  CU_OK(px_safetensors_parse(bytes.data, bytes.len, &st, &err), err);
  struct px_digest *hash = px_digest_new(PX_DIGEST_SHA256);
  CU_ASSERT_PTR_NOT_NULL_FATAL(hash);
  for (size_t i = 0; i < px_safetensors_tensors_n(st); i++) {
    const struct px_safetensors_tensor *t = px_safetensors_at(st, i);
    px_digest_put(hash, t->name, strlen(t->name));
    px_digest_put(hash, t->data, t->bytes);
  }
  px_digest_end(hash, digest);
  px_text_hex(digest, sizeof digest, hex);
  px_safetensors_free(st);
  px_buf_free(&bytes);
}
