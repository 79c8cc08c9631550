/* SPDX-License-Identifier: Apache-2.0 */
/* The report's part on policies: see report_runs.h. */
#include "worker/jobs/report_runs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/base/warn.h"
#include "lib/store/results.h"
#include "lib/store/store.h"
#include "worker/env/env.h"
#include "worker/jobs/figures.h"
#include "worker/jobs/job_inputs.h"
#include "worker/jobs/job_spec.h"
#include "worker/jobs/report_choice.h"

static const char *const VARIANTS[] = { "ss", "labelled_only", "oracle" };
enum { VARIANTS_N = 3 };

/* What a job found, and its warnings in the report too. `job_id` NULL: nothing. */
static enum px_status take_result(struct job *job, const char *job_id, json_t *report, json_t **out,
                                  struct px_err *err) {
  *out = NULL;
  const enum px_status status = job_id ? job_inputs_result(job, job_id, out, err) : PX_OK;
  if (!status) px_warn_add_all(report, *out, job_id);
  return status;
}

/* Which labels the run's policy learned from, how many true and proxy actions, and its training's
 * warnings. Runs that are compared keep the labels that they stand for. */
static enum px_status add_training(struct job *job, json_t *run, json_t *report,
                                   struct px_err *err) {
  static const char *const found[] = { "labels", "true_transitions", "proxy_transitions",
                                       "true_share" };
  char id[STORE_ID_MAX];
  json_t *result = NULL;
  store_result_id("job", job_spec_text(run, "model"), id);
  const enum px_status status = take_result(job, id, report, &result, err);
  for (size_t i = 0; i < sizeof found / sizeof *found; i++) {
    json_t *one = json_object_get(result, found[i]);
    if (one && !(i == 0 && report_choice_compared(run))) json_object_set(run, found[i], one);
  }
  json_decref(result);
  return status;
}

/* Adds to `run` what its jobs found: of an evaluation all, of one that selects labels the mean, and
 * an assessment's findings under `assessed`. */
static enum px_status add_results(struct job *job, json_t *run, json_t *report,
                                  struct px_err *err) {
  json_t *result = NULL;
  enum px_status status = add_training(job, run, report, err);
  if (!status) status = take_result(job, job_spec_text(run, "evaluation"), report, &result, err);
  if (result) json_object_update(run, result);
  json_decref(result);
  result = NULL;
  if (!status) status = take_result(job, job_spec_text(run, "selection"), report, &result, err);
  if (result) json_object_set(run, "selection_return_mean", json_object_get(result, "return_mean"));
  json_decref(result);
  result = NULL;
  if (!status) status = take_result(job, job_spec_text(run, "assessment"), report, &result, err);
  if (result) json_object_set_new(run, "assessed", result);
  return status;
}

/* Copies of the runs with their results. */
static enum px_status with_results(struct job *job, json_t *report, json_t **out,
                                   struct px_err *err) {
  json_t *runs = json_array();
  enum px_status status = PX_OK;
  size_t i;
  json_t *run;
  json_array_foreach(json_object_get(job->spec, "runs"), i, run) {
    json_t *copy = json_deep_copy(run);
    status = add_results(job, copy, report, err);
    json_array_append_new(runs, copy);
    if (status) break;
  }
  if (status) json_decref(runs);
  else *out = runs;
  return status;
}

/* Of runs that differ in their labels only the chosen ones count. */
static bool is_run(const json_t *run, const char *algo, const char *variant) {
  if (report_choice_compared(run) && !json_is_true(json_object_get(run, "chosen"))) return false;
  return strcmp(job_spec_text(run, "policy"), algo) == 0 &&
         strcmp(job_spec_text(run, "variant"), variant) == 0;
}

/* The models behind a summary, one for each seed. */
static json_t *models_of(const json_t *runs, const char *algo, const char *variant) {
  json_t *models = json_array(), *run;
  size_t i;
  json_array_foreach(runs, i, run) if (is_run(run, algo, variant))
    json_array_append(models, json_object_get(run, "model"));
  return models;
}

/* Means of the seeds, or the episodes of the only one. NULL when nothing was evaluated. */
static json_t *summary(const json_t *runs, const char *algo, const char *variant,
                       const struct px_env_info *env, json_t *report) {
  json_t *run, *value, *means = json_array(), *only = NULL;
  size_t i, k;
  long long episodes = 0;
  json_array_foreach(runs, i, run) {
    if (!is_run(run, algo, variant) || !json_object_get(run, "returns")) continue;
    only = json_object_get(run, "returns");
    json_array_append(means, json_object_get(run, "return_mean"));
    episodes += (long long)json_array_size(only);
  }
  const size_t seeds = json_array_size(means);
  json_t *samples = seeds == 1 ? only : means, *out = NULL;
  double *x = px_mem_calloc(json_array_size(samples) + 1, sizeof *x);
  if (seeds > 0 && x) {
    json_array_foreach(samples, k, value) x[k] = json_number_value(value);
    double mean;
    const char *over = seeds == 1 ? "episodes" : "seeds";
    json_t *ci95 =
      figures_interval(x, (uint32_t)json_array_size(samples), "return_mean", over, report, &mean);
    out = json_pack("{s:f, s:o, s:s, s:f, s:I, s:i}", "return_mean", mean, "return_ci95", ci95,
                    "ci95_over", over, "normalized", px_env_score(env, mean), "episodes",
                    (json_int_t)episodes, "seeds", (int)seeds);
  }
  free(x);
  json_decref(means);
  return out;
}

/* The mean over seeds of one number in the runs' assessments, if they have it; null if one of them
 * was refused. */
static void add_mean(const json_t *runs, const char *algo, const char *variant, const char *part,
                     const char *number, const char *as, json_t *out) {
  json_t *run;
  size_t i, n = 0;
  double sum = 0;
  json_array_foreach(runs, i, run) {
    const json_t *assessed = json_object_get(run, "assessed"),
                 *found = json_object_get(assessed, part);
    if (!found && assessed)
      found = json_object_get(json_object_get(assessed, "action_agreement"), part);
    found = json_object_get(found, number);
    if (!is_run(run, algo, variant) || !found) continue;
    sum += json_is_number(found) ? json_number_value(found) : (double)NAN;
    n++;
  }
  if (n) json_object_set_new(out, as, px_json_number(sum / (double)n));
}

/* What the runs of one algorithm and variant came to; NULL if nothing judged them. */
static json_t *judged(const json_t *runs, const char *algo, const char *variant,
                      const struct px_env_info *env, json_t *report) {
  json_t *out = env ? summary(runs, algo, variant, env, report) : NULL;
  if (!out) out = json_object();
  add_mean(runs, algo, variant, "fqe", "mean", "fqe_value", out);
  add_mean(runs, algo, variant, "initial_state_value", "mean", "initial_state_value", out);
  add_mean(runs, algo, variant, "behaviour_value", "mean", "behaviour_value", out);
  add_mean(runs, algo, variant, "held_out", "mse", "held_out_action_mse", out);
  add_mean(runs, algo, variant, "held_out", "accuracy", "held_out_action_accuracy", out);
  json_t *models = json_object_size(out) > 0 ? models_of(runs, algo, variant) : NULL;
  if (models && json_object_set_new(out, "models", models) == 0) return out;
  json_decref(out);
  return NULL;
}

/* A share of the oracle's score means something only where the oracle has one: near 0 or below, its
 * sign would no more say which is better. */
static void add_gap(json_t *variants, const char *algo, json_t *report) {
  static const double least = 1; /* of 100 */
  const json_t *oracle = json_object_get(variants, "oracle");
  json_t *ss = json_object_get(variants, "ss");
  if (!json_object_get(oracle, "normalized") || !json_object_get(ss, "normalized")) return;
  const double best = json_number_value(json_object_get(oracle, "normalized"));
  const double ours = json_number_value(json_object_get(ss, "normalized"));
  json_object_set_new(ss, "gap",
                      best >= least ? px_json_number((best - ours) / best) : json_null());
  if (best >= least) return;
  json_t *found =
    px_warn(report, PX_W_GAP_UNDEFINED,
            "there is no gap for %s: with all true actions its normalised score is %.3g, no"
            " better than random actions",
            algo, best);
  px_warn_figure(found, "oracle_normalized", best);
  px_warn_figure(found, "ss_normalized", ours);
}

enum px_status report_runs(struct job *job, json_t *report, struct px_err *err) {
  json_t *runs = NULL, *algorithms = json_object(), *only = NULL, *run, *rehearsal = NULL;
  json_t *counted = NULL, *candidates = NULL;
  enum px_status status = with_results(job, report, &runs, err);
  if (!status)
    status = take_result(job, job_spec_text(job->spec, "rehearsal"), report, &rehearsal, err);
  json_object_del(rehearsal, "warnings");
  const struct px_env_info *env = NULL;
  const char *name = job_spec_text(job->spec, "env");
  if (!status && name) status = px_env_find(name, &env, err);
  size_t i;
  json_array_foreach(runs, i, run) {
    const char *algo = job_spec_text(run, "policy");
    if (status || json_object_get(algorithms, algo)) continue;
    json_t *variants = json_object(), *choice = report_choice_make(runs, algo);
    for (int v = 0; v < VARIANTS_N; v++) {
      json_t *found = judged(runs, algo, VARIANTS[v], env, report);
      if (found) json_object_set_new(variants, VARIANTS[v], found);
    }
    add_gap(variants, algo, report);
    if (choice) json_object_set_new(json_object_get(variants, "ss"), "labels", choice);
    else if (rehearsal) json_object_set(json_object_get(variants, "ss"), "labels", rehearsal);
    json_object_set_new(algorithms, algo, variants);
    only = json_object_size(algorithms) == 1 ? variants : NULL;
  }
  if (!status) status = report_choice_split(runs, &counted, &candidates, err);
  if (!status &&
      (json_object_set(report, "runs", counted) < 0 ||
       json_object_set(report, "candidates", candidates) < 0 ||
       json_object_set(report, "algorithms", algorithms) < 0 ||
       json_object_set_new(report, "policies", json_deep_copy(only ? only : algorithms)) < 0 ||
       (env && json_object_set_new(report, "note", json_string(env->score_note)) < 0)))
    status = px_fail(err, PX_E_NO_MEMORY, "writing the report");
  json_decref(counted);
  json_decref(candidates);
  json_decref(rehearsal);
  json_decref(algorithms);
  json_decref(runs);
  return status;
}
