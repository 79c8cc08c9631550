/*
 * Labels from the simulator beside the true actions.
 *
 *   build/tests/bench/bench_simulator OUT.csv [-n trajectories] [-r restarts] [FILE.hdf5...]   (make bench-simulator)
 *
 * Without files: hopper-medium-expert, hopper-medium-replay and halfcheetah-medium-expert of $PROXACT_DATA; none there
 * prints SKIP. A file's name begins with its environment's. -n: so many trajectories, evenly (16; 0: all). No action of
 * the file is used but to judge. Seconds are CPU seconds of this thread.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/data/helper.h"
#include "tests/support/d4rl.h"
#include "worker/sim/sim.h"

static double cpu_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void must(enum px_status status, const struct px_err *err) {
  if (!status) return;
  fprintf(stderr, "%s %s\n", err->message, err->pointer);
  exit(1);
}

struct arguments {
  uint32_t trajectories;
  struct sim_options options;
};

struct tally {
  uint64_t n, verified, wrong_n; /* wrong: verified, and further off than 0.1 in the root mean square */
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
      t->z2 += e * e / fmax(1e-12, (double)l->std[i * dims + j] * (double)l->std[i * dims + j]) / dims;
    }
    t->n++;
    t->squares += one;
    t->verified += l->verified[i];
    if (l->verified[i]) t->verified_squares += one;
    t->wrong_n += l->verified[i] && one > 0.01;
  }
  t->simulations += l->simulations_n;
}

static void measure(const char *path, const struct arguments *a, FILE *csv) {
  struct px_err err = { 0 };
  struct px_dataset *ds;
  struct sim_layout layout;
  struct sim *sim;
  struct sim_labels *labels;
  struct sim_options options = a->options;
  struct sim_fit fit;
  struct tally t = { 0 };
  double std[SIM_OBS_MAX];
  char env[64] = "";
  const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
  snprintf(env, sizeof env, "%.*s", (int)strcspn(base, "-"), base);
  must(d4rl_load(path, &ds, &err), &err);
  must(sim_layout_builtin(env, &layout, &err), &err);
  must(sim_open(&layout, &sim, &err), &err);
  sim_spread(ds, std);
  options.std = std;
  double start = cpu_s();
  must(sim_check(sim, &options, ds, NULL, &fit, &err), &err);
  printf("%s: replay of %llu steps in %.1f s: %.4f within %g, median %.2e\n", base, (unsigned long long)fit.steps_n,
         cpu_s() - start, fit.within, options.verified_below, fit.median);
  const uint32_t want = a->trajectories && a->trajectories < ds->traj_n ? a->trajectories : ds->traj_n;
  for (uint32_t i = 0; i < want; i++) {
    const uint32_t traj = (uint32_t)((uint64_t)i * ds->traj_n / want);
    start = cpu_s();
    must(sim_label(sim, &options, ds, traj, traj + 1, NULL, NULL, &labels, &err), &err);
    t.seconds += cpu_s() - start;
    count(&t, ds, labels);
    sim_labels_free(labels);
  }
  const double n = (double)t.n, sure = (double)t.verified;
  printf("%s: %u trajectories, %.0f labels: MSE %.6f, verified %.4f (MSE %.2e, wrong %.5f), z %.2f; %.0f labels a CPU "
         "second, %.1f simulations each\n", base, want, n, t.squares / n, sure / n, t.verified_squares / sure,
         (double)t.wrong_n / sure, sqrt(t.z2 / n), n / t.seconds, (double)t.simulations / n);
  fprintf(csv, "%s,%u,%.0f,%.8f,%.5f,%.3e,%.0f,%.2f\n", base, want, n, t.squares / n, sure / n,
          t.verified_squares / sure, n / t.seconds, (double)t.simulations / n);
  fflush(stdout);
  sim_close(sim);
  px_dataset_free(ds);
}

int main(int argc, char **argv) {
  const int helper = px_helper_main(argc, argv);
  if (helper >= 0) return helper;
  struct arguments a = { .trajectories = 16, .options = sim_options_default() };
  FILE *csv = argc > 1 ? fopen(argv[1], "w") : NULL;
  if (!csv) {
    fprintf(stderr, "usage: %s OUT.csv [-n trajectories] [-r restarts] [FILE.hdf5...]\n", argv[0]);
    return 2;
  }
  optind = 2;
  for (int c; (c = getopt(argc, argv, "n:r:")) != -1;) {
    if (c == '?') return 2;
    if (c == 'n') a.trajectories = (uint32_t)strtoul(optarg, NULL, 10);
    if (c == 'r') a.options.restarts = (uint32_t)strtoul(optarg, NULL, 10);
  }
  static const char *const names[] = { "hopper-medium-expert", "hopper-medium-replay", "halfcheetah-medium-expert" };
  const char *folder = getenv("PROXACT_DATA") ? getenv("PROXACT_DATA") : "../shared/data";
  fputs("file,trajectories,labels,mse,verified,verified_mse,labels_per_cpu_s,simulations_per_label\n", csv);
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
