/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Label quality on real trajectories: the coupled protocol (10% of the
 * trajectories keep their actions, drawn from the bottom half by return), the
 * ensemble beside the baselines, judged on the hidden actions.
 *
 *   build/tests/bench/bench_labels OUT.csv [-s seeds] [-i] [-m members] [-p fast|paper] [-o
 *   field=value]... [FILE.hdf5...]
 *                                                                          (make bench-labels)
 *
 * Without files: every *.hdf5 in $PROXACT_DATA (default ../shared/data); none
 * there prints SKIP. -i leaves the baselines out, -m all members but the first so many. Seed s is
 * the mask's and the model's. -o changes a field of the IDM, to compare recipes. Seconds are CPU
 * seconds of the one thread that computes, so that neighbours on the machine disturb little.
 */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/data/dataset.h"
#include "lib/idm/baseline.h"
#include "lib/idm/bias.h"
#include "lib/idm/quality.h"
#include "tests/bench/bench.h"
#include "tests/support/d4rl.h"
#include "tests/support/helpers.h"

enum { FIGURES_N = 1 + IDM_BASELINES_N };

static struct px_dataset *load(const char *path) {
  struct px_err err = { 0 };
  struct px_dataset *ds = NULL;
  bench_must(d4rl_load(path, &ds, &err), &err);
  return ds;
}

/* ---- one dataset, one seed */

struct result {
  /* the IDM's first, then the baselines' */
  struct idm_quality_figures all[FIGURES_N], inside, outside;
  struct idm_bias_figures bias[IDM_QUALITY_PARTS_N];
  double train_s, label_s;
};

static struct idm_quality *judge(const struct px_dataset *truth, const struct px_dataset *masked,
                                 const struct idm_labels *l, struct idm_quality_figures *all) {
  struct px_err err = { 0 };
  struct idm_quality *q;
  bench_must(idm_quality_new(truth, masked, &q, &err), &err);
  idm_quality_add(q, 0, truth->traj_n, l->actions, l->std, l->epistemic, l->known);
  idm_quality_figures(q, IDM_ALL, all);
  return q;
}

static void measure_bias(const struct px_dataset *truth, const struct px_dataset *masked,
                         const struct idm_labels *l, const struct idm_quality *q,
                         struct idm_bias_figures out[IDM_QUALITY_PARTS_N]) {
  struct px_err err = { 0 };
  struct idm_bias *b;
  bench_must(idm_bias_new(truth, masked, &b, &err), &err);
  idm_bias_add(b, 0, truth->traj_n, l->actions, l->known);
  bench_must(idm_bias_measure(b, q, NULL, out, &err), &err);
  idm_bias_free(b);
}

static void run_idm(const struct px_dataset *truth, const struct px_dataset *masked,
                    const struct idm_spec *spec, uint32_t members, struct result *r) {
  struct idm_model *models[IDM_MEMBERS_MAX];
  struct idm_metrics metrics;
  struct idm_labels *labels;
  struct px_err err = { 0 };
  double start = bench_cpu_s();
  for (uint32_t i = 0; i < members; i++)
    bench_must(idm_train_member(masked, spec, i, NULL, NULL, &models[i], &metrics, &err), &err);
  r->train_s = bench_cpu_s() - start;
  start = bench_cpu_s();
  bench_must(idm_label(models, members, masked, 0, masked->traj_n, NULL, &labels, &err), &err);
  r->label_s = bench_cpu_s() - start;
  struct idm_quality *q = judge(truth, masked, labels, &r->all[0]);
  idm_quality_figures(q, IDM_INSIDE, &r->inside);
  idm_quality_figures(q, IDM_OUTSIDE, &r->outside);
  measure_bias(truth, masked, labels, q, r->bias);
  idm_quality_free(q);
  idm_labels_free(labels);
  for (uint32_t i = 0; i < members; i++) idm_model_free(models[i]);
}

static void run_baselines(const struct px_dataset *truth, const struct px_dataset *masked,
                          const struct idm_spec *spec, struct result *r) {
  struct idm_baselines *baselines;
  struct idm_labels *labels;
  struct px_err err = { 0 };
  bench_must(idm_baselines_fit(masked, spec->k, spec->f, NULL, &baselines, &err), &err);
  for (int which = 0; which < IDM_BASELINES_N; which++) {
    bench_must(idm_baselines_label(baselines, (enum idm_baseline)which, masked, 0, masked->traj_n,
                                   NULL, &labels, &err),
               &err);
    idm_quality_free(judge(truth, masked, labels, &r->all[1 + which]));
    idm_labels_free(labels);
  }
  idm_baselines_free(baselines);
}

static void print_row(FILE *csv, const char *name, uint32_t seed, const struct px_dataset *ds,
                      const struct result *r) {
  const struct idm_quality_figures *idm = &r->all[0];
  const double rate = (double)ds->steps_n / r->label_s;
  printf("%-32s %4u  %.4f (%.4f / %.4f)  %6.3f %.2f %.2f | %.4f %.4f %.4f | %.2f %.2f %.2f | %6.1f "
         "%8.0f\n",
         name, seed, idm->mse, r->inside.mse, r->outside.mse, idm->r2, r->bias[IDM_ALL].bias_share,
         r->bias[IDM_ALL].lean, r->all[1].mse, r->all[2].mse, r->all[3].mse, idm->coverage[0],
         idm->coverage[1], idm->coverage[2], r->train_s, rate);
  fprintf(csv,
          "%s,%u,%.6f,%.6f,%.6f,%.4f,%.4f,%.4f,%.6f,%.6f,%.6f,%.4f,%.4f,%.4f,%.4f,%.2f,%.0f,%.4f,%."
          "4f,%.4f,%.4f\n",
          name, seed, idm->mse, r->inside.mse, r->outside.mse, idm->r2, r->inside.r2, r->outside.r2,
          r->all[1].mse, r->all[2].mse, r->all[3].mse, idm->nll, idm->coverage[0], idm->coverage[1],
          idm->coverage[2], r->train_s, rate, r->bias[IDM_ALL].bias_share,
          r->bias[IDM_OUTSIDE].bias_share, r->bias[IDM_ALL].lean, r->bias[IDM_OUTSIDE].lean);
  fflush(csv);
}

/* How much of the work is done: masks, members of each ensemble (0: all), and whether baselines
 * too. */
struct extent {
  uint32_t seeds, members;
  bool idm_alone;
};

static void run_file(const char *path, const struct idm_spec *given, struct extent extent,
                     FILE *csv) {
  const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
  struct px_dataset *truth = load(path);
  double mean[FIGURES_N] = { 0 };
  for (uint32_t seed = 0; seed < extent.seeds; seed++) {
    struct px_dataset *masked = load(path);
    struct idm_spec spec = *given;
    struct result r = { .train_s = 0 };
    spec.seed = seed;
    struct px_err err = { 0 };
    bench_must(d4rl_hide(masked, 0.1, 0.5, seed, &err), &err);
    const bool fewer = extent.members && extent.members < spec.members;
    run_idm(truth, masked, &spec, fewer ? extent.members : spec.members, &r);
    if (!extent.idm_alone) run_baselines(truth, masked, &spec, &r);
    print_row(csv, name, seed, truth, &r);
    for (int i = 0; i < FIGURES_N; i++) mean[i] += r.all[i].mse / extent.seeds;
    px_dataset_free(masked);
  }
  printf("%-32s mean  %.4f %27s %.4f %.4f %.4f\n", name, mean[0], "|", mean[1], mean[2], mean[3]);
  px_dataset_free(truth);
}

/* ---- command line */

static enum px_status set_option(struct idm_spec *spec, char *text, struct px_err *err) {
  char *equals = strchr(text, '=');
  if (!equals) return px_fail(err, PX_E_BAD_FIELD, "-o takes option=value, not %s", text);
  *equals = '\0';
  return idm_spec_set(spec, text, equals + 1, err);
}

int main(int argc, char **argv) {
  const int helper = helpers_main(argc, argv);
  if (helper >= 0) return helper;
  struct idm_spec spec;
  enum idm_profile profile;
  struct extent extent = { .seeds = 3 };
  struct px_err err = { 0 };
  idm_spec_default(IDM_FAST, &spec);
  for (int option; (option = getopt(argc, argv, "is:m:p:o:")) != -1;) {
    if (option == 's') extent.seeds = (uint32_t)strtoul(optarg, NULL, 10);
    else if (option == 'm') extent.members = (uint32_t)strtoul(optarg, NULL, 10);
    else if (option == 'i') extent.idm_alone = true;
    else if (option == 'p' && idm_profile_from(optarg, &profile)) idm_spec_default(profile, &spec);
    else if (option == 'o') bench_must(set_option(&spec, optarg, &err), &err);
    else return 2;
  }
  bench_must(idm_spec_check(&spec, &err), &err);
  FILE *csv = optind < argc ? fopen(argv[optind++], "w") : NULL;
  if (!csv) return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  fprintf(
    csv,
    "dataset,seed,mse,mse_inside,mse_outside,r2,r2_inside,r2_outside,mse_mean,mse_ridge,mse_"
    "nearest,nll,"
    "coverage_50,coverage_80,coverage_95,train_cpu_s,label_per_cpu_s,bias_share,bias_share_outside,"
    "lean,lean_outside\n");
  printf("%-32s seed  idm mse (inside / outside)  r2 bias lean | mean   ridge  nearest| coverage   "
         "    | train s  label/s\n",
         "dataset");
  glob_t found = { 0 };
  char pattern[4096];
  const char *folder = getenv("PROXACT_DATA");
  (void)snprintf(pattern, sizeof pattern, "%s/*.hdf5", folder ? folder : "../shared/data");
  if (optind == argc && glob(pattern, 0, NULL, &found))
    printf("SKIP bench_labels: no %s\n", pattern);
  for (size_t i = 0; i < found.gl_pathc; i++) run_file(found.gl_pathv[i], &spec, extent, csv);
  for (; optind < argc; optind++) run_file(argv[optind], &spec, extent, csv);
  globfree(&found);
  fclose(csv);
  return 0;
}
