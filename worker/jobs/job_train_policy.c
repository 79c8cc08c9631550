/* SPDX-License-Identifier: Apache-2.0 */
/* train_policy: offline RL on true and proxy transitions, published as a model. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "lib/base/warn.h"
#include "lib/data/actions_merged.h"
#include "lib/data/dataset.h"
#include "lib/rl/rl.h"
#include "lib/store/models.h"
#include "worker/jobs/checkpointer.h"
#include "worker/jobs/job_inputs.h"
#include "worker/jobs/job_spec.h"

enum { POLICY_BYTES_MAX = 512 << 20 };

/* Which actions a training learned from, and how many proxies it was offered. */
struct usage {
  /* the spec's, auto and prefer_verified resolved; true_only without a label set */
  char labels[RL_WORD_MAX];
  uint64_t offered_n, verified_n;
  bool unverified; /* prefer_verified found nothing to prefer */
};

static void use(const struct rl_spec *spec, const struct px_actions_merged *u, bool labelled,
                struct usage *out) {
  *out = (struct usage){ .labels = "true_only" };
  if (labelled) rl_word(spec, "labels", out->labels);
  if (strcmp(out->labels, "true_only") != 0) out->offered_n = u->proxy_n;
  for (uint64_t i = 0; i < u->ds->steps_n; i++)
    out->verified_n += u->source[i] == PX_SOURCE_PROXY && u->verified[i];
}

static void warn_unused(json_t *document, const struct usage *use) {
  json_t *found = px_warn(document, PX_W_NO_PROXIES,
                          "none of the %" PRIu64 " proxy actions was used: the policy learned from"
                          " true actions alone",
                          use->offered_n);
  px_warn_figure(found, "proxies", (double)use->offered_n);
  if (strcmp(use->labels, "verified") != 0) return;
  const double share = (double)use->verified_n / (double)use->offered_n;
  char hint[400];
  snprintf(hint, sizeof hint,
           "labels is verified, and verified_share is %.3g: compare the simulator's model and "
           "layout with the"
           " data (check_simulator), raise the labeller's threshold, or take labels all to learn "
           "from labels that are not"
           " verified.",
           share);
  px_warn_hint(found, hint);
  px_warn_figure(found, "verified_share", share);
}

static void warn_unverified(json_t *document, const struct usage *use) {
  json_t *found =
    px_warn(document, PX_W_FEW_VERIFIED,
            "the simulator verified none of the %" PRIu64 " proxy actions, and there is"
            " no true action: the policy learned from all proxies",
            use->offered_n);
  px_warn_figure(found, "verified_share", 0);
}

static char *metrics_text(const struct rl_metrics *m, const struct usage *use) {
  json_t *document =
    json_pack("{s:I, s:s, s:i, s:i, s:i, s:f, s:f, s:f}", "updates", (json_int_t)m->updates,
              "labels", use->labels, "transitions", (int)m->transitions_n, "true_transitions",
              (int)m->true_n, "proxy_transitions", (int)m->proxy_n, "true_share", m->true_share,
              "effective_sample_size", m->effective_n, "seconds", m->seconds);
  for (size_t i = 0; i < RL_LOSSES_MAX; i++)
    if (m->losses[i].name)
      json_object_set_new(document, m->losses[i].name, px_json_number(m->losses[i].value));
  px_warn_none(document);
  if (m->returns_equal)
    px_warn(document, PX_W_RETURNS_EQUAL,
            "the returns of all trajectories are equal up to rounding: rewards were not scaled by"
            " their range, and which trajectories are the best is chance");
  if (use->offered_n && !m->proxy_n) warn_unused(document, use);
  if (use->unverified) warn_unverified(document, use);
  char *text = px_json_dumps(document, JSON_COMPACT);
  json_decref(document);
  return text;
}

static enum px_status publish(struct job *job, const struct rl_policy *policy,
                              const struct rl_metrics *metrics, const struct usage *use,
                              struct px_err *err) {
  const char *dataset = job_spec_text(job->spec, "dataset"),
             *label_set = job_spec_text(job->spec, "label_set");
  const struct px_safetensors_meta lineage[] = { { "dataset", dataset },
                                                 { "job", job->hold.job },
                                                 { "label_set", label_set ? label_set : "" } };
  struct px_buf bytes = PX_BUF(POLICY_BYTES_MAX);
  char *text = metrics_text(metrics, use);
  enum px_status status = text ? rl_policy_save(policy, lineage, 3, &bytes, err)
                               : px_fail(err, PX_E_NO_MEMORY, "reporting the training");
  if (!status)
    status = store_model_publish(job->store, &job->hold, dataset, "policy",
                                 job_spec_text(json_object_get(job->spec, "policy"), "algo"),
                                 bytes.data, bytes.len, text, err);
  free(text);
  px_buf_free(&bytes);
  return status;
}

/* What `auto` stands for: what a rehearsal chose, or all. */
static enum px_status resolve_labels(struct job *job, struct rl_spec *spec, struct px_err *err) {
  const char *rehearsal = job_spec_text(job->spec, "rehearsal");
  json_t *result = NULL;
  if (!rl_says(spec, "labels", "auto")) return PX_OK;
  enum px_status status = rehearsal ? job_inputs_result(job, rehearsal, &result, err) : PX_OK;
  const char *chosen = rehearsal ? job_spec_text(result, "chosen") : "all";
  if (!status) status = rl_spec_say(spec, "labels", chosen ? chosen : "all", err);
  json_decref(result);
  return status;
}

/* What `prefer_verified` stands for: all, where nothing is verified or true. */
static enum px_status resolve_preference(struct rl_spec *spec, const struct px_actions_merged *u,
                                         bool *unverified, struct px_err *err) {
  *unverified = false;
  if (!rl_says(spec, "labels", "prefer_verified")) return PX_OK;
  bool any = false;
  for (uint64_t i = 0; i < u->ds->steps_n && !any; i++)
    any = u->source[i] == PX_SOURCE_TRUE || (u->source[i] == PX_SOURCE_PROXY && u->verified[i]);
  *unverified = !any;
  return rl_spec_say(spec, "labels", any ? "verified" : "all", err);
}

enum px_status job_train_policy(struct job *job, struct px_err *err) {
  struct rl_spec spec;
  struct px_dataset *ds = NULL;
  struct px_actions_merged *u = NULL;
  struct rl_policy *policy = NULL;
  struct rl_metrics metrics;
  bool unverified = false;
  struct checkpointer checkpointer = { .job = NULL };
  enum px_status status = rl_spec_read(json_object_get(job->spec, "policy"),
                                       job_spec_uint(job->spec, "seed", 0), &spec, err);
  if (!status) status = resolve_labels(job, &spec, err);
  if (!status) status = job_inputs_visible(job, &ds, err);
  if (!status) status = job_inputs_merged(job, ds, job_spec_text(job->spec, "label_set"), &u, err);
  if (!status) status = resolve_preference(&spec, u, &unverified, err);
  if (!status) status = checkpointer_open(&checkpointer, job, NULL, err);
  if (!status)
    status = rl_train(&spec, u, &job->progress, &checkpointer.checkpoint, &policy, &metrics, err);
  if (status == PX_E_NAN_LOSS) checkpointer_explain(&checkpointer, err);
  checkpointer_close(&checkpointer);
  if (!status) {
    struct usage usage;
    use(&spec, u, job_spec_text(job->spec, "label_set") != NULL, &usage);
    usage.unverified = unverified && usage.offered_n;
    status = publish(job, policy, &metrics, &usage, err);
  }
  rl_policy_free(policy);
  px_actions_merged_free(u);
  px_dataset_free(ds);
  return status;
}
