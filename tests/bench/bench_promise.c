/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What proxy labels are worth: policies from true actions where they are known and proxies
 * elsewhere, beside policies from the known ones alone and from all of them. One data set, one
 * mask; tests/bench/bench_promise.sh runs the grid.
 *
 *   bench_promise OUT.csv CACHE FILE Q MASK SEEDS ALGO SOURCES [NAME=NUMBER...]
 *
 * FILE's name begins with its environment's. 10% of the trajectories keep their actions, drawn from
 * the lowest Q% by return with the seed MASK. SEEDS are those of the policies ("0,1,2,3"), SOURCES
 * of labelled_only, idm, simulator, oracle, separated by commas. idm and simulator are tried with
 * the labels that a pipeline compares (docs/policies.md). NAME is an option of ALGO. Labels are
 * kept in the folder CACHE. A row that OUT.csv has already is not made again, so that a study that
 * was interrupted goes on.
 *
 * A row: dataset,q,mask,algo,options,source,labels,seed,transitions,true_transitions,
 * proxy_transitions,label_mse,selection,final,cpu_s. selection and final are D4RL-normalised means
 * over 20 episodes each, of different starts.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/actions_merged.h"
#include "lib/data/dataset.h"
#include "lib/data/labels.h"
#include "lib/idm/idm.h"
#include "lib/rl/rl.h"
#include "tests/bench/bench.h"
#include "tests/support/d4rl.h"
#include "tests/support/helpers.h"
#include "worker/env/rollout.h"
#include "worker/sim/sim.h"

enum { EPISODES = 20, LANES = 16, OPTIONS_MAX = 16 };
static const uint64_t SELECTION_SEED = (uint64_t)1 << 52; /* as pipelines do */

struct study {
  const char *csv, *cache, *file, *q, *mask, *algo;
  char dataset[64], env[32], options_text[256];
  int options_n;
  char **options;
  struct px_dataset *truth, *visible;
  struct px_label_rows labels[2]; /* of enum source IDM and SIMULATOR; steps_n 0: not made */
  double label_mse[2];
};

static struct px_err err;
/* ---- labels, kept in a file: actions, std, epistemic, score, known; a simulator's: verified */

struct part {
  const void **at;
  size_t size;
};
enum { PARTS_N = 6 };

static bool read_labels(const char *path, const struct part parts[PARTS_N]) {
  FILE *file = fopen(path, "rb");
  for (int i = 0; file && i < PARTS_N && parts[i].size; i++) {
    void *bytes = px_mem_calloc(parts[i].size, 1);
    if (!bytes || fread(bytes, 1, parts[i].size, file) != parts[i].size) bench_die(path);
    *parts[i].at = bytes;
  }
  if (file) fclose(file);
  return file != NULL;
}

static void write_labels(const char *path, const struct part parts[PARTS_N]) {
  char temporary[4096 + 16];
  snprintf(temporary, sizeof temporary, "%s.%d", path, (int)getpid());
  FILE *file = fopen(temporary, "wb");
  if (!file) bench_die(temporary);
  for (int i = 0; i < PARTS_N && parts[i].size; i++)
    if (fwrite(*parts[i].at, 1, parts[i].size, file) != parts[i].size) bench_die(temporary);
  if (fclose(file) || rename(temporary, path)) bench_die(path);
}

static void by_idm(const struct study *s, struct px_label_rows *out) {
  struct idm_model *models[IDM_MEMBERS_MAX];
  struct idm_metrics metrics;
  struct idm_labels *l;
  struct idm_spec spec;
  idm_spec_default(IDM_FAST, &spec);
  spec.seed = strtoull(s->mask, NULL, 10);
  for (uint32_t i = 0; i < spec.members; i++)
    bench_must(idm_train_member(s->visible, &spec, i, NULL, NULL, &models[i], &metrics, &err),
               &err);
  bench_must(idm_label(models, spec.members, s->visible, 0, s->visible->traj_n, NULL, &l, &err),
             &err);
  for (uint32_t i = 0; i < spec.members; i++) idm_model_free(models[i]);
  *out = (struct px_label_rows){ .actions = l->actions,
                                 .std = l->std,
                                 .epistemic = l->epistemic,
                                 .score = l->score,
                                 .known = l->known };
}

static void by_simulator(const struct study *s, struct px_label_rows *out) {
  struct sim_layout *layout = px_mem_calloc(1, sizeof *layout);
  struct sim *sim;
  struct sim_labels *l;
  double std[SIM_OBS_MAX];
  struct sim_options options = sim_options_default();
  if (!layout) bench_die("memory");
  bench_must(sim_layout_builtin(s->env, layout, &err), &err);
  bench_must(sim_open(layout, &sim, &err), &err);
  sim_spread(s->visible, std);
  options.std = std;
  bench_must(sim_label(sim, &options, s->visible, 0, s->visible->traj_n, NULL, NULL, &l, &err),
             &err);
  sim_close(sim);
  free(layout);
  *out = (struct px_label_rows){ .actions = l->actions,
                                 .std = l->std,
                                 .epistemic = l->epistemic,
                                 .score = l->score,
                                 .known = l->known,
                                 .verified = l->verified };
}

static double label_error(const struct study *s, const struct px_label_rows *l) {
  const uint32_t dims = s->truth->spaces.act_dim;
  double sum = 0;
  uint64_t n = 0;
  for (uint64_t i = 0; i < s->truth->steps_n; i++)
    for (uint32_t j = 0; l->known[i] && !s->visible->labelled[i] && j < dims; j++, n++) {
      const double e = (double)l->actions[i * dims + j] - (double)s->truth->actions[i * dims + j];
      sum += e * e;
    }
  return sum / (double)n;
}

/* Of a simulator they do not depend on the mask: it sees no action. */
static void get_labels(struct study *s, bool simulator) {
  char path[4096];
  const size_t n = s->truth->steps_n, numbers = n * s->truth->spaces.act_dim * sizeof(float);
  struct px_label_rows *l = &s->labels[simulator];
  const struct part parts[PARTS_N] = {
    { (const void **)&l->actions, numbers },   { (const void **)&l->std, numbers },
    { (const void **)&l->epistemic, numbers }, { (const void **)&l->score, n * sizeof(float) },
    { (const void **)&l->known, n },           { (const void **)&l->verified, simulator ? n : 0 }
  };
  if (l->steps_n) return;
  if (simulator) snprintf(path, sizeof path, "%s/%s-simulator-verified", s->cache, s->dataset);
  else snprintf(path, sizeof path, "%s/%s-idm-q%s-m%s", s->cache, s->dataset, s->q, s->mask);
  if (!read_labels(path, parts)) {
    if (simulator) by_simulator(s, l);
    else by_idm(s, l);
    write_labels(path, parts);
  }
  l->steps_n = n;
  if (simulator) l->origin = l->known; /* of all that are known: PX_ORIGIN_SIMULATOR */
  s->label_mse[simulator] = label_error(s, l);
}

/* ---- one policy */

static enum px_status act(void *ctx, const struct px_rollout_view *view, float *actions,
                          struct px_err *e) {
  (void)e;
  rl_player_act(ctx, &(struct rl_view){ view->n, view->obs, view->lane, view->step, view->reward },
                actions);
  return PX_OK;
}

static double play(const struct study *s, struct rl_policy *policy, uint64_t seed) {
  struct rl_player *player;
  struct px_rollout_result result = { 0 };
  const struct px_rollout_spec spec = { s->env, EPISODES, LANES, seed, 0.99 };
  bench_must(rl_player_new(policy, LANES, NULL, &player, &err), &err);
  bench_must(px_rollout_run(&spec, &(struct px_rollout_policy){ player, act }, NULL, &result, &err),
             &err);
  const double score = result.score_mean;
  rl_player_free(player);
  px_rollout_free(&result);
  return score;
}

static void set_options(const struct study *s, struct rl_spec *spec) {
  for (int i = 0; i < s->options_n; i++) {
    char name[64];
    const size_t n = strcspn(s->options[i], "=");
    snprintf(name, sizeof name, "%.*s", (int)n, s->options[i]);
    bench_must(rl_spec_set(spec, name, strtod(s->options[i] + n + 1, NULL), &err), &err);
  }
}

/* A row's first part, which says what it is of. An oracle has no mask. */
static void key_of(const struct study *s, const char *source, const char *labels, const char *seed,
                   char out[512]) {
  const bool oracle = strcmp(source, "oracle") == 0;
  snprintf(out, 512, "%s,%s,%s,%s,%s,%s,%s,%s,", s->dataset, oracle ? "-" : s->q,
           oracle ? "-" : s->mask, s->algo, s->options_text, source, labels, seed);
}

static bool is_done(const struct study *s, const char *key) {
  char line[1024];
  bool found = false;
  FILE *file = fopen(s->csv, "r");
  while (file && !found && fgets(line, sizeof line, file))
    found = strncmp(line, key, strlen(key)) == 0;
  if (file) fclose(file);
  return found;
}

static void append(const struct study *s, const char *key, const struct rl_metrics *m, double mse,
                   double selection, double final, double seconds) {
  char row[1024];
  const int n = snprintf(row, sizeof row, "%s%u,%u,%u,%.6f,%.2f,%.2f,%.1f\n", key, m->transitions_n,
                         m->true_n, m->proxy_n, mse, selection, final, seconds);
  const int fd = open(s->csv, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0 || write(fd, row, (size_t)n) != n || close(fd)) bench_die(s->csv);
  fputs(row, stdout);
  fflush(stdout);
}

static void train(struct study *s, const char *source, const char *labels, const char *seed) {
  char key[512];
  struct px_actions_merged *u;
  struct rl_spec spec;
  struct rl_policy *policy;
  struct rl_metrics metrics;
  const bool simulator = strcmp(source, "simulator") == 0,
             proxies = simulator || strcmp(source, "idm") == 0;
  key_of(s, source, labels, seed, key);
  if (is_done(s, key)) return;
  if (proxies) get_labels(s, simulator);
  bench_must(px_actions_merged_new(strcmp(source, "oracle") == 0 ? s->truth : s->visible, &u, &err),
             &err);
  if (proxies) px_actions_merged_add_rows(u, 0, &s->labels[simulator]);
  bench_must(rl_spec_defaults(s->algo, &spec, &err), &err);
  set_options(s, &spec);
  bench_must(rl_spec_say(&spec, "labels", labels, &err), &err);
  spec.seed = strtoull(seed, NULL, 10);
  const double start = bench_cpu_s();
  bench_must(rl_train(&spec, u, NULL, NULL, &policy, &metrics, &err), &err);
  const double seconds = bench_cpu_s() - start;
  append(s, key, &metrics, proxies ? s->label_mse[simulator] : 0,
         play(s, policy, spec.seed ^ SELECTION_SEED), play(s, policy, spec.seed), seconds);
  rl_policy_free(policy);
  px_actions_merged_free(u);
}

/* ---- command line */

static void run(struct study *s, const char *seeds, const char *sources) {
  static const struct {
    const char *source, *labels;
  } RUNS[] = { { "labelled_only", "all" },
               { "idm", "all" },
               { "idm", "confident" },
               { "simulator", "all" },
               { "oracle", "all" } };
  char list[128];
  snprintf(list, sizeof list, "%s", seeds);
  for (char *save, *seed = strtok_r(list, ",", &save); seed; seed = strtok_r(NULL, ",", &save))
    for (size_t i = 0; i < sizeof RUNS / sizeof *RUNS; i++)
      if (strstr(sources, RUNS[i].source)) train(s, RUNS[i].source, RUNS[i].labels, seed);
}

static void name_all(struct study *s) {
  const char *slash = strrchr(s->file, '/'), *base = slash ? slash + 1 : s->file;
  snprintf(s->dataset, sizeof s->dataset, "%.*s", (int)strcspn(base, "."), base);
  snprintf(s->env, sizeof s->env, "%.*s", (int)strcspn(base, "-"), base);
  for (int i = 0; i < s->options_n; i++) {
    const size_t used = strlen(s->options_text);
    snprintf(s->options_text + used, sizeof s->options_text - used, "%s%s", used ? " " : "",
             s->options[i]);
  }
}

int main(int argc, char **argv) {
  const int helper = helpers_main(argc, argv);
  if (helper >= 0) return helper;
  if (argc < 9 || argc > 9 + OPTIONS_MAX) {
    fprintf(stderr, "usage: %s OUT.csv CACHE FILE Q MASK SEEDS ALGO SOURCES [NAME=NUMBER...]\n",
            argv[0]);
    return 2;
  }
  struct study s = { .csv = argv[1],
                     .cache = argv[2],
                     .file = argv[3],
                     .q = argv[4],
                     .mask = argv[5],
                     .algo = argv[7],
                     .options = argv + 9,
                     .options_n = argc - 9 };
  name_all(&s);
  bench_must(d4rl_load(s.file, &s.truth, &err), &err);
  bench_must(d4rl_load(s.file, &s.visible, &err), &err);
  bench_must(d4rl_hide(s.visible, 0.1, strtod(s.q, NULL) / 100, strtoull(s.mask, NULL, 10), &err),
             &err);
  run(&s, argv[6], argv[8]);
  px_dataset_free(s.truth);
  px_dataset_free(s.visible);
  return 0;
}
