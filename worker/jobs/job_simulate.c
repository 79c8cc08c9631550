/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_simulator: replays known actions in a simulator, and fails with the numbers where it does
 * not fit the data. simulate_shard: proxy actions for a range of segments by a simulator. The
 * solver starts from the labels of inverse dynamics models, where there are any, and from the
 * answers of a net that inverts the simulator (train_inverse), which label alone where nothing is
 * solved. The models' labels stand where the simulator's is not verified and has the larger score.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/data/dataset.h"
#include "lib/data/labels.h"
#include "lib/flow/labellers.h"
#include "lib/nn/mat.h"
#include "lib/store/jobs.h"
#include "worker/jobs/job_inputs.h"
#include "worker/jobs/job_spec.h"
#include "worker/jobs/simulator.h"
#include "worker/jobs/staging.h"
#include "worker/sim/net.h"

static bool flag(const json_t *spec, const char *name) {
  return json_is_true(json_object_get(spec, name));
}

/* ---- check_simulator */

enum { DELAY_MAX = 4 };

/* The model's numbers are fitted where it misses the true actions, and kept where that explains
 * them better. *found is NULL where there was nothing to do. */
static enum px_status identify(struct job *job, struct simulator *simulator,
                               const struct sim_options *options, const struct px_dataset *ds,
                               struct sim_fit *fit, json_t **found, struct px_err *err) {
  if (!flag(job->spec, "identify") || fit->median <= options->verified_below) return PX_OK;
  struct sim_identified identified;
  enum px_status status =
    simulator_identify(simulator, options, ds, DELAY_MAX, &job->progress, &identified, err);
  if (!status) status = simulator_check(simulator, options, ds, &job->progress, fit, err);
  if (!status && identified.median_after < identified.median_before)
    *found = simulator_adjustment(&identified);
  return status;
}

static enum px_status report_fit(struct job *job, const struct sim_fit *fit, json_t *adjustment,
                                 struct px_err *err) {
  json_t *error = json_array();
  for (uint32_t i = 0; i < fit->obs_dim; i++) json_array_append_new(error, json_real(fit->rms[i]));
  json_t *document =
    json_pack("{s:s, s:I, s:I, s:f, s:o, s:o}", "simulator", job_spec_text(job->spec, "simulator"),
              "replayed_steps", (json_int_t)fit->steps_n, "unstable_steps",
              (json_int_t)fit->unstable_n, "verified_share", fit->within, "median_residual",
              px_json_number(fit->median), "replay_error", error);
  if (adjustment) json_object_set(document, "adjustment", adjustment);
  char *text = document ? px_json_dumps(document, JSON_COMPACT) : NULL;
  json_decref(document);
  const enum px_status status = text ? store_job_succeed(job->store, &job->hold, text, err)
                                     : px_fail(err, PX_E_NO_MEMORY, "reporting the check");
  free(text);
  return status;
}

enum px_status job_check_simulator(struct job *job, struct px_err *err) {
  struct px_dataset *ds = NULL;
  struct simulator *simulator = NULL;
  struct sim_options options = sim_options_default();
  double *std = NULL;
  json_t *adjustment = NULL;
  options.verified_below = job_spec_number(job->spec, "threshold", options.verified_below);
  struct sim_fit *fit = px_mem_calloc(1, sizeof *fit);
  enum px_status status =
    fit ? job_inputs_visible(job, &ds, err) : px_fail(err, PX_E_NO_MEMORY, "checking a simulator");
  if (!status) status = simulator_spread(ds, &std, err);
  options.std = std;
  if (!status)
    status = simulator_open(job, job_spec_text(job->spec, "simulator"), ds, &simulator, err);
  if (!status) status = simulator_check(simulator, &options, ds, &job->progress, fit, err);
  if (!status) status = identify(job, simulator, &options, ds, fit, &adjustment, err);
  if (!status) status = sim_fit_judge(fit, err);
  if (!status) status = report_fit(job, fit, adjustment, err);
  json_decref(adjustment);
  simulator_close(simulator);
  free(std);
  free(fit);
  px_dataset_free(ds);
  return status;
}

/* ---- simulate_shard */

struct shard {
  struct job *job;
  struct px_dataset *ds; /* the whole snapshot's states; no true action is left in it */
  struct job_inputs_idm idm;
  struct sim_net *net; /* NULL: none was trained */
  struct simulator *simulator;
  struct sim_options options;
  double *std;
  char profile[STAGING_PROFILE_MAX];
};

/* The model's label of row t in place of the simulator's. */
static void take_model(struct sim_labels *l, const struct idm_labels *model, uint64_t t) {
  const size_t dims = l->act_dim, width = dims * sizeof(float);
  memcpy(l->actions + t * dims, model->actions + t * dims, width);
  memcpy(l->std + t * dims, model->std + t * dims, width);
  memcpy(l->epistemic + t * dims, model->epistemic + t * dims, width);
  l->score[t] = model->score[t];
  l->known[t] = 1;
}

/* Whose label stands, step by step: origin [steps_n]. */
static void choose(struct sim_labels *l, const struct idm_labels *model, uint8_t *origin) {
  for (uint64_t t = 0; t < l->steps_n; t++) {
    const bool better = !l->known[t] || (!l->verified[t] && model && model->score[t] < l->score[t]);
    if (model && model->known[t] && better) take_model(l, model, t);
    else origin[t] = l->known[t] ? PX_ORIGIN_SIMULATOR : PX_ORIGIN_IDM;
  }
}

static enum px_status stage(struct shard *shard, struct sim_labels *l,
                            const struct idm_labels *model, uint32_t seq, struct px_err *err) {
  uint8_t *origin = px_mem_calloc(l->steps_n, 1);
  if (!origin) return px_fail(err, PX_E_NO_MEMORY, "no memory to label segment %u", seq);
  choose(l, model, origin);
  const struct px_label_rows rows = { .steps_n = l->steps_n,
                                      .actions = l->actions,
                                      .std = l->std,
                                      .epistemic = l->epistemic,
                                      .score = l->score,
                                      .known = l->known,
                                      .residual = l->residual,
                                      .verified = l->verified,
                                      .origin = origin };
  const enum px_status status =
    staging_put(shard->job, &shard->ds->spaces, &rows, seq, shard->profile, err);
  free(origin);
  return status;
}

/* The models' labels, then the net's answers. Where nothing is solved and there is a net, its
 * answers alone. */
static enum px_status gather_starts(const struct shard *s, uint32_t from, uint32_t to,
                                    const struct idm_labels *model, float **answers,
                                    struct sim_starts *starts, struct px_err *err) {
  const struct px_dataset *ds = s->ds;
  const uint64_t steps = ds->step_start[to] - ds->step_start[from];
  if (model && (s->options.solve || !s->net)) starts->actions[starts->n++] = model->actions;
  if (!s->net) return PX_OK;
  *answers = px_mem_calloc(steps, ds->spaces.act_dim * sizeof **answers);
  starts->actions[starts->n++] = *answers;
  return *answers ? sim_net_apply(s->net, ds, from, to, *answers, err)
                  : px_fail(err, PX_E_NO_MEMORY, "no memory for a net's answers");
}

static enum px_status label_segment(void *ctx, uint32_t seq, struct px_err *err) {
  struct shard *s = ctx;
  const struct px_dataset *ds = s->ds;
  const uint32_t from = ds->segment_traj[seq], to = ds->segment_traj[seq + 1];
  struct idm_labels *model = NULL;
  struct sim_labels *labels = NULL;
  float *answers = NULL;
  struct sim_starts starts = { .n = 0 };
  enum px_status status = PX_OK;
  if (from == to) return PX_OK; /* the segment was taken out */
  if (s->idm.n)
    status = idm_label(s->idm.models, s->idm.n, ds, from, to, &s->job->progress, &model, err);
  if (!status) status = gather_starts(s, from, to, model, &answers, &starts, err);
  if (!status)
    status = simulator_label(s->simulator, &s->options, ds, from, to, &starts, &s->job->progress,
                             &labels, err);
  if (!status) status = stage(s, labels, model, seq, err);
  sim_labels_free(labels);
  idm_labels_free(model);
  free(answers);
  return status;
}

static void profile_of(struct shard *s) {
  char machine[PX_MAT_PROFILE_MAX] = "";
  if (s->idm.n || s->net) px_mat_profile(machine);
  snprintf(s->profile, sizeof s->profile, "simulator-2, %s, %s", simulator_profile(s->simulator),
           machine);
}

enum px_status job_simulate_shard(struct job *job, struct px_err *err) {
  const json_t *labeller = json_object_get(job->spec, "labeller");
  struct shard s = { .job = job, .options = sim_options_default() };
  enum px_status status =
    flow_bind(flow_labeller_simulator_fields, job_spec_simulator, labeller, &s.options, err);
  if (!status) status = job_inputs_states(job, &s.ds, err);
  if (!status) status = simulator_spread(s.ds, &s.std, err);
  s.options.std = s.std;
  if (!status) status = job_inputs_idm(job, &s.idm, err);
  if (!status) status = job_inputs_inverse(job, &s.net, err);
  if (!status)
    status = simulator_open(job, job_spec_text(labeller, "simulator"), s.ds, &s.simulator, err);
  if (!status) status = simulator_take_check(s.simulator, job, &s.options.replay_median, err);
  if (!status) {
    profile_of(&s);
    status = staging_run(job, s.profile, label_segment, &s, err);
  }
  simulator_close(s.simulator);
  job_inputs_idm_free(&s.idm);
  sim_net_free(s.net);
  free(s.std);
  px_dataset_free(s.ds);
  return status ? status : store_job_succeed(job->store, &job->hold, "{}", err);
}
