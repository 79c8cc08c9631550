/* SPDX-License-Identifier: Apache-2.0 */
/* The choice between labels: see report_choice.h. */
#include "worker/jobs/report_choice.h"

#include <string.h>

#include "lib/base/json.h"

static const char *text(const json_t *run, const char *name) {
  return json_string_value(json_object_get(run, name));
}

bool report_choice_compared(const json_t *run) {
  return json_object_get(run, "labels") && json_object_get(run, "selection");
}

static bool belongs(const json_t *run, const char *algo, const char *labels) {
  return report_choice_compared(run) && strcmp(text(run, "policy"), algo) == 0 &&
         (!labels || strcmp(text(run, "labels"), labels) == 0);
}

static double mean_of(const json_t *runs, const char *algo, const char *labels,
                      const char *figure) {
  double sum = 0;
  size_t i, n = 0;
  json_t *run;
  json_array_foreach(runs, i, run) if (belongs(run, algo, labels)) sum +=
    json_number_value(json_object_get(run, figure)),
    n++;
  return sum / (double)n;
}

static bool is_listed(const json_t *considered, const char *labels) {
  size_t i;
  json_t *one;
  json_array_foreach(considered, i, one) if (strcmp(text(one, "labels"), labels) == 0) return true;
  return false;
}

/* Each kind of labels once, in the order of the runs. */
static json_t *consider(const json_t *runs, const char *algo) {
  static const char *const FIGURES[] = { "selection_return_mean", "return_mean" };
  json_t *considered = json_array(), *run;
  size_t i;
  json_array_foreach(runs, i, run) {
    if (!belongs(run, algo, NULL) || is_listed(considered, text(run, "labels"))) continue;
    json_t *one = json_pack("{s:O}", "labels", json_object_get(run, "labels"));
    for (size_t k = 0; k < sizeof FIGURES / sizeof *FIGURES; k++)
      json_object_set_new(one, FIGURES[k],
                          px_json_number(mean_of(runs, algo, text(run, "labels"), FIGURES[k])));
    json_array_append_new(considered, one);
  }
  return considered;
}

json_t *report_choice_make(json_t *runs, const char *algo) {
  json_t *considered = consider(runs, algo), *best = NULL, *one, *run;
  size_t i;
  json_array_foreach(considered, i, one) {
    const double value = json_number_value(json_object_get(one, "selection_return_mean"));
    if (!best || value > json_number_value(json_object_get(best, "selection_return_mean")))
      best = one;
  }
  if (!best) {
    json_decref(considered);
    return NULL;
  }
  json_array_foreach(runs, i, run) if (belongs(run, algo, NULL))
    json_object_set_new(run, "chosen",
                        json_boolean(strcmp(text(run, "labels"), text(best, "labels")) == 0));
  return json_pack("{s:O, s:s, s:o}", "chosen", json_object_get(best, "labels"), "by",
                   "highest mean return over episodes that the final figure does not use",
                   "considered", considered);
}

enum px_status report_choice_split(json_t *runs, json_t **out_runs, json_t **out_candidates,
                                   struct px_err *err) {
  json_t *kept = json_array(), *candidates = json_array(), *run;
  bool incomplete = !kept || !candidates;
  size_t i;
  json_array_foreach(runs, i, run) {
    const bool passed_over = json_is_false(json_object_get(run, "chosen"));
    json_object_del(run, "chosen");
    incomplete |= json_array_append(passed_over ? candidates : kept, run) < 0;
  }
  if (!incomplete) {
    *out_runs = kept;
    *out_candidates = candidates;
    return PX_OK;
  }
  json_decref(kept);
  json_decref(candidates);
  return px_fail(err, PX_E_NO_MEMORY, "sorting the runs of the report");
}
