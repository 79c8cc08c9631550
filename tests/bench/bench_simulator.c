/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labels from the simulator beside the true actions.
 *
 *   build/tests/bench/bench_simulator OUT.csv [-n trajectories] [-r restarts] [-a]
 *                                     [-p pairs] [-s steps] [-w width] [-i] [FILE.hdf5...]
 *                                                              (make bench-simulator)
 *
 * Without files: hopper-medium-expert, hopper-medium-replay and halfcheetah-medium-expert of
 * $PROXACT_DATA; none there prints SKIP. A file's name begins with its environment's. -n: so many
 * trajectories, evenly (16; 0: all). -a: with an amortised start too, of -p pairs, -s steps and
 * hidden layers of -w; "all" are the set's labels a second with the net's own training. -i: models
 * with wrong numbers too, before and after their identification. No action is used but to judge,
 * and by -i those that the coupled mask 1 of p 10%, q 50% leaves. Seconds are CPU seconds of this
 * thread.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/dataset.h"
#include "tests/bench/bench.h"
#include "tests/support/d4rl.h"
#include "tests/support/helpers.h"
#include "worker/sim/identify.h"
#include "worker/sim/model.h"
#include "worker/sim/net.h"

struct arguments {
  uint32_t trajectories;
  bool identify, net;
  struct sim_net_spec spec; /* of the net */
  struct sim_options options;
};

struct tally {
  uint64_t n, verified, wrong_n; /* wrong: verified, and the root mean square is above 0.1 */
  double squares, verified_squares, seconds;
  uint64_t simulations;
  double z2; /* sum of (error / std)^2 over dims */
};

static void count(struct tally *t, const struct px_dataset *ds, const struct sim_labels *l) {
  const uint32_t dims = l->act_dim;
  const float *truth = ds->actions + ds->step_start[l->traj_from] * dims;
  for (uint64_t i = 0; i < l->steps_n; i++) {
    if (!l->known[i]) continue;
    double one = 0;
    for (uint32_t j = 0; j < dims; j++) {
      const double e = (double)l->actions[i * dims + j] - (double)truth[i * dims + j];
      one += e * e / dims;
      t->z2 +=
        e * e / fmax(1e-12, (double)l->std[i * dims + j] * (double)l->std[i * dims + j]) / dims;
    }
    t->n++;
    t->squares += one;
    t->verified += l->verified[i];
    if (l->verified[i]) t->verified_squares += one;
    t->wrong_n += l->verified[i] && one > 0.01;
  }
  t->simulations += l->simulations_n;
}

/* ---- one file */

struct subject {
  const char *name;
  struct px_dataset *ds;
  const struct arguments *a;
  struct sim_layout layout;
  double std[SIM_OBS_MAX];
  FILE *csv;
};

/* net: NULL, or the solver's start, which took net_s; without `solve` its answer is the label. */
static void label_with(const struct subject *s, struct sim *sim, const char *model,
                       const struct sim_net *net, double net_s, bool solve) {
  struct px_err err = { 0 };
  struct sim_options options = s->a->options;
  struct sim_labels *labels;
  struct tally t = { 0 };
  options.std = s->std;
  options.solve = solve;
  const uint32_t all = s->ds->traj_n,
                 want = s->a->trajectories && s->a->trajectories < all ? s->a->trajectories : all;
  for (uint32_t i = 0; i < want; i++) {
    const uint32_t traj = (uint32_t)((uint64_t)i * all / want);
    const double start = bench_cpu_s();
    const size_t steps = s->ds->step_start[traj + 1] - s->ds->step_start[traj];
    float *begin = net ? px_mem_calloc(steps * s->ds->spaces.act_dim, sizeof *begin) : NULL;
    const struct sim_starts starts = { net != NULL, { begin } };
    if (net) bench_must(sim_net_apply(net, s->ds, traj, traj + 1, begin, &err), &err);
    bench_must(sim_label(sim, &options, s->ds, traj, traj + 1, &starts, NULL, &labels, &err), &err);
    free(begin);
    t.seconds += bench_cpu_s() - start;
    count(&t, s->ds, labels);
    sim_labels_free(labels);
  }
  const double steps = (double)s->ds->steps_n,
               whole = steps / (net_s + steps * t.seconds / (double)t.n);
  const double n = (double)t.n, sure = fmax((double)t.verified, 1);
  printf("  %-34s MSE %.6f, verified %.4f (MSE %.1e, %.5f off by 0.1), error/std %.2f; %.0f "
         "labels/s (all: %.0f), %.1f simulations\n",
         model, t.squares / n, (double)t.verified / n, t.verified_squares / sure,
         (double)t.wrong_n / sure, sqrt(t.z2 / n), n / t.seconds, whole, (double)t.simulations / n);
  fprintf(s->csv, "%s,%s,%u,%.0f,%.8f,%.5f,%.3e,%.0f,%.0f,%.2f\n", s->name, model, want, n,
          t.squares / n, (double)t.verified / n, t.verified_squares / sure, n / t.seconds, whole,
          (double)t.simulations / n);
  fflush(stdout);
}

static void label(const struct subject *s, struct sim *sim, const char *model) {
  label_with(s, sim, model, NULL, 0, true);
}

static void amortise(const struct subject *s, struct sim *sim) {
  struct px_err err = { 0 };
  struct sim_pairs *pairs;
  struct sim_net *net;
  const struct sim_options options = { .std = s->std };
  double loss;
  const double start = bench_cpu_s();
  bench_must(sim_pairs_make(sim, &options, s->ds, 0, s->a->spec.pairs, NULL, &pairs, &err), &err);
  bench_must(sim_net_train(pairs, &s->ds->spaces, &s->a->spec, NULL, NULL, &net, &loss, &err),
             &err);
  sim_pairs_free(pairs);
  const double took_s = bench_cpu_s() - start;
  printf("  net trained in %.0f s, loss %.5f\n", took_s, loss);
  label_with(s, sim, "right: net alone", net, took_s, false);
  label_with(s, sim, "right: net, then solver", net, took_s, true);
  sim_net_free(net);
}

/* ---- models that are wrong on purpose */

static const struct wrong {
  const char *name;
  double factor[SIM_FACTORS_N]; /* mass, gain, damping, armature, friction, time step */
} WRONG[] = {
  { "mass 1.02", { 1.02, 1, 1, 1, 1, 1 } },
  { "mass 1.1", { 1.1, 1, 1, 1, 1, 1 } },
  { "gain 0.8", { 1, 0.8, 1, 1, 1, 1 } },
  { "damping 1.5, armature 0.7", { 1, 1, 1.5, 0.7, 1, 1 } },
  { "mass 0.9, gain 1.1, friction 0.8", { 0.9, 1.1, 1, 1, 0.8, 1 } },
};

/* The perturbed model becomes the one that was opened. */
static struct sim *open_wrong(const struct subject *s, const struct wrong *wrong) {
  struct px_err err = { 0 };
  struct sim *sim;
  bench_must(sim_open(&s->layout, &sim, &err), &err);
  struct sim_adjustment to = sim_identify_none(sim);
  memcpy(to.factor, wrong->factor, sizeof to.factor);
  bench_must(sim_identify_adjust(sim, &to, &err), &err);
  mj_deleteModel(sim->own);
  sim->own = NULL;
  return sim;
}

static void identify(const struct subject *s, struct px_dataset *labelled,
                     const struct wrong *wrong) {
  struct px_err err = { 0 };
  struct sim_identified found;
  struct sim_options options = s->a->options;
  struct sim *sim = open_wrong(s, wrong);
  options.std = s->std;
  char name[80];
  snprintf(name, sizeof name, "%s", wrong->name);
  label(s, sim, name);
  const double start = bench_cpu_s();
  bench_must(sim_identify(sim, &options, labelled, 2, NULL, &found, &err), &err);
  printf("    identified in %.1f s: median residual %.1e -> %.1e, delay %u;", bench_cpu_s() - start,
         found.median_before, found.median_after, found.adjustment.delay);
  for (int k = 0; k < SIM_FACTORS_N; k++)
    printf(" %s %.4f (x wrong %.4f, std %.1e)", sim_identify_factor_name[k],
           found.adjustment.factor[k], found.adjustment.factor[k] * wrong->factor[k], found.std[k]);
  snprintf(name, sizeof name, "%s: identified", wrong->name);
  printf("\n");
  label(s, sim, name);
  sim_close(sim);
}

static void measure(const char *path, const struct arguments *a, FILE *csv) {
  struct px_err err = { 0 };
  struct subject s = { .a = a,
                       .csv = csv,
                       .name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path };
  struct px_dataset *labelled;
  struct sim *sim;
  struct sim_fit fit;
  struct sim_options options = a->options;
  char env[64] = "";
  snprintf(env, sizeof env, "%.*s", (int)strcspn(s.name, "-"), s.name);
  bench_must(d4rl_load(path, &s.ds, &err), &err);
  bench_must(d4rl_load(path, &labelled, &err), &err);
  bench_must(d4rl_hide(labelled, 0.1, 0.5, 1, &err), &err);
  bench_must(sim_layout_builtin(env, &s.layout, &err), &err);
  bench_must(sim_open(&s.layout, &sim, &err), &err);
  sim_spread(s.ds, s.std);
  options.std = s.std;
  const double start = bench_cpu_s();
  bench_must(sim_check(sim, &options, labelled, NULL, &fit, &err), &err);
  printf("%s: %llu labelled steps replayed in %.1f s: %.4f within %g, median %.1e\n", s.name,
         (unsigned long long)fit.steps_n, bench_cpu_s() - start, fit.within, options.verified_below,
         fit.median);
  label(&s, sim, "right");
  if (a->net) amortise(&s, sim);
  for (size_t i = 0; a->identify && i < sizeof WRONG / sizeof *WRONG; i++)
    identify(&s, labelled, &WRONG[i]);
  sim_close(sim);
  px_dataset_free(labelled);
  px_dataset_free(s.ds);
}

int main(int argc, char **argv) {
  const int helper = helpers_main(argc, argv);
  if (helper >= 0) return helper;
  struct arguments a = { .trajectories = 16,
                         .spec = sim_net_spec_default(),
                         .options = sim_options_default() };
  FILE *csv = argc > 1 ? fopen(argv[1], "w") : NULL;
  if (!csv) {
    fprintf(
      stderr,
      "usage: %s OUT.csv [-n trajectories] [-r restarts] [-a] [-p pairs] [-s steps] [-w width]"
      " [-i] [FILE.hdf5...]\n",
      argv[0]);
    return 2;
  }
  optind = 2;
  for (int c; (c = getopt(argc, argv, "n:r:iap:s:w:")) != -1;) {
    if (c == '?') return 2;
    if (c == 'a') a.net = true;
    if (c == 'i') a.identify = true;
    if (c == 'p') a.spec.pairs = (uint32_t)strtoul(optarg, NULL, 10);
    if (c == 's') a.spec.steps = (uint32_t)strtoul(optarg, NULL, 10);
    if (c == 'w') a.spec.hidden = (uint32_t)strtoul(optarg, NULL, 10);
    if (c == 'n') a.trajectories = (uint32_t)strtoul(optarg, NULL, 10);
    if (c == 'r') a.options.restarts = (uint32_t)strtoul(optarg, NULL, 10);
  }
  static const char *const names[] = { "hopper-medium-expert", "hopper-medium-replay",
                                       "halfcheetah-medium-expert" };
  const char *folder = getenv("PROXACT_DATA") ? getenv("PROXACT_DATA") : "../shared/data";
  fputs("file,model,trajectories,labels,mse,verified,verified_mse,labels_per_cpu_s,"
        "labels_per_cpu_s_with_the_net_for_all,"
        "simulations_per_label\n",
        csv);
  for (int i = optind; i < argc; i++) measure(argv[i], &a, csv);
  for (size_t i = 0; i < sizeof names / sizeof *names && optind == argc; i++) {
    char path[600];
    snprintf(path, sizeof path, "%s/%s.hdf5", folder, names[i]);
    if (access(path, R_OK) == 0) measure(path, &a, csv);
    else printf("SKIP: no %s\n", path);
  }
  fclose(csv);
  return 0;
}
