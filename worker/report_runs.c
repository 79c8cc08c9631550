/* The report's part on policies: see report_runs.h. */
#include "worker/report_runs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/store/results.h"
#include "worker/env/rollout.h"
#include "worker/snapshot.h"

enum { RESULT_MAX = 4 << 20 };

static const char *const VARIANTS[] = { "ss", "labelled_only", "oracle" };
enum { VARIANTS_N = 3 };

/* Copies of the runs with what their evaluations found. */
static enum px_status with_results(struct job *job, json_t **out, struct px_err *err) {
  json_t *runs = json_array();
  enum px_status status = PX_OK;
  size_t i;
  json_t *run;
  json_array_foreach(json_object_get(job->spec, "runs"), i, run) {
    json_t *copy = json_deep_copy(run);
    const char *evaluation = spec_text(run, "evaluation");
    if (evaluation) {
      struct px_buf text = PX_BUF(RESULT_MAX);
      status = store_job_result(job->store, evaluation, &text, err);
      json_t *result = status ? NULL : json_loads(text.data, 0, NULL);
      px_buf_free(&text);
      if (!status && !result) status = px_fail(err, PX_E_INTERNAL, "the result of %s does not parse", evaluation);
      if (!status) json_object_update(copy, result);
      json_decref(result);
    }
    json_array_append_new(runs, copy);
    if (status) break;
  }
  if (status)
    json_decref(runs);
  else
    *out = runs;
  return status;
}

static bool is_run(const json_t *run, const char *algo, const char *variant) {
  return strcmp(spec_text(run, "policy"), algo) == 0 && strcmp(spec_text(run, "variant"), variant) == 0 &&
         json_object_get(run, "returns");
}

/* Means of the seeds, or the episodes of the only one. NULL when nothing was evaluated. */
static json_t *summary(const json_t *runs, const char *algo, const char *variant, const struct px_env_info *env) {
  json_t *run, *value, *means = json_array(), *only = NULL;
  size_t i, k;
  long long episodes = 0;
  json_array_foreach(runs, i, run) {
    if (!is_run(run, algo, variant)) continue;
    only = json_object_get(run, "returns");
    json_array_append(means, json_object_get(run, "return_mean"));
    episodes += (long long)json_array_size(only);
  }
  const size_t seeds = json_array_size(means);
  json_t *samples = seeds == 1 ? only : means, *out = NULL;
  double *x = px_calloc(json_array_size(samples) + 1, sizeof *x);
  if (seeds > 0 && x) {
    json_array_foreach(samples, k, value) x[k] = json_number_value(value);
    double mean, ci95[2];
    px_rollout_ci95(x, (uint32_t)json_array_size(samples), &mean, ci95);
    out = json_pack("{s:f, s:[f,f], s:s, s:f, s:I, s:i}", "return_mean", mean, "return_ci95", ci95[0], ci95[1], "ci95_over",
                    seeds == 1 ? "episodes" : "seeds", "normalized", px_env_score(env, mean), "episodes",
                    (json_int_t)episodes, "seeds", (int)seeds);
  }
  free(x);
  json_decref(means);
  return out;
}

static void add_gap(json_t *variants) {
  const json_t *oracle = json_object_get(variants, "oracle");
  json_t *ss = json_object_get(variants, "ss");
  if (!oracle || !ss) return;
  const double best = json_number_value(json_object_get(oracle, "normalized"));
  const double ours = json_number_value(json_object_get(ss, "normalized"));
  if (fabs(best) > 1e-9) json_object_set_new(ss, "gap", json_real((best - ours) / best));
}

enum px_status report_runs(struct job *job, json_t *report, struct px_err *err) {
  json_t *runs = NULL, *algorithms = json_object(), *first = NULL, *run;
  enum px_status status = with_results(job, &runs, err);
  const struct px_env_info *env = NULL;
  const char *name = spec_text(job->spec, "env");
  if (!status && name) status = px_env_find(name, &env, err);
  size_t i;
  json_array_foreach(runs, i, run) {
    const char *algo = spec_text(run, "policy");
    if (status || !env || json_object_get(algorithms, algo)) continue;
    json_t *variants = json_object();
    for (int v = 0; v < VARIANTS_N; v++) {
      json_t *found = summary(runs, algo, VARIANTS[v], env);
      if (found) json_object_set_new(variants, VARIANTS[v], found);
    }
    add_gap(variants);
    json_object_set_new(algorithms, algo, variants);
    if (!first) first = variants;
  }
  if (!status && (json_object_set(report, "runs", runs) < 0 || json_object_set(report, "algorithms", algorithms) < 0 ||
                  json_object_set_new(report, "policies", first ? json_deep_copy(first) : json_object()) < 0 ||
                  (env && json_object_set_new(report, "note", json_string(env->score_note)) < 0)))
    status = px_fail(err, PX_E_NO_MEMORY, "writing the report");
  json_decref(algorithms);
  json_decref(runs);
  return status;
}
