/* SPDX-License-Identifier: Apache-2.0 */
/* Simulators that label: see simulator.h. */
#include "worker/jobs/simulator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/digest.h"
#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/data/dataset.h"
#include "lib/flow/simulators.h"
#include "lib/sim/physics.h"
#include "lib/store/simulators.h"
#include "lib/store/store.h"
#include "worker/jobs/job_inputs.h"
#include "worker/jobs/job_spec.h"
#include "worker/sim/sim_box.h"

struct simulator {
  struct sim *sim;     /* a built-in one, or */
  struct sim_box *box; /* a user's */
  char profile[160];
};

/* The terms that worker/sim takes. */
static void convert(const struct flow_sim_layout *from, struct sim_layout *to) {
  to->obs_dim = from->obs_dim, to->act_dim = from->act_dim;
  to->frame_skip = from->frame_skip, to->delay = from->delay, to->time_step = from->time_step;
  for (uint32_t i = 0; i < from->obs_dim; i++) {
    const struct flow_sim_term *t = &from->obs[i];
    to->obs[i] = (struct sim_term){ t->source == FLOW_SIM_QPOS ? SIM_QPOS : SIM_QVEL,
                                    t->index,
                                    t->scale,
                                    t->offset,
                                    t->clip_low,
                                    t->clip_high };
  }
  for (uint32_t j = 0; j < from->act_dim; j++)
    to->act[j] =
      (struct sim_control){ from->act[j].index, from->act[j].scale, from->act[j].offset };
}

static void profile_of(struct simulator *s, const struct store_simulator *stored) {
  uint8_t digest[PX_SHA256_BYTES];
  char hex[2 * 8 + 1];
  px_digest_sha256(stored->mjcf, strlen(stored->mjcf), digest);
  for (int i = 0; i < 8; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
  snprintf(s->profile, sizeof s->profile, "MuJoCo %s, %s, %s", px_physics_version(), stored->id,
           hex);
}

static enum px_status read_layout(const struct store_simulator *stored, struct sim_layout *out,
                                  struct px_err *err) {
  json_t *json = px_json_parse(stored->layout_json, strlen(stored->layout_json), 0, NULL);
  struct flow_sim_layout *flow = px_mem_calloc(1, sizeof *flow);
  const struct flow_sim_model model = { stored->nq, stored->nv, stored->nu };
  enum px_status status =
    json && flow ? flow_simulator_layout(json, &model, flow, err)
                 : px_fail(err, PX_E_NO_MEMORY, "no memory for simulator %s", stored->id);
  if (!status) convert(flow, out);
  out->mjcf = stored->mjcf;
  out->mjcf_n = strlen(stored->mjcf);
  free(flow);
  json_decref(json);
  return status;
}

static enum px_status open_uploaded(struct store *store, const char *id,
                                    const struct px_dataset *ds, struct sim_layout *layout,
                                    struct simulator *s, struct px_err *err) {
  struct store_simulator stored = { .mjcf = NULL };
  enum px_status status = store_simulator_get(store, id, &stored, err);
  if (!status) status = read_layout(&stored, layout, err);
  if (!status) status = sim_box_open(layout, ds, &s->box, err);
  if (!status) profile_of(s, &stored);
  store_simulator_free(&stored);
  return status;
}

static enum px_status open_builtin(const char *name, struct sim_layout *layout, struct simulator *s,
                                   struct px_err *err) {
  enum px_status status = sim_layout_builtin(name, layout, err);
  if (!status) status = sim_open(layout, &s->sim, err);
  snprintf(s->profile, sizeof s->profile, "MuJoCo %s, %s", px_physics_version(), name);
  return status;
}

enum px_status simulator_open(struct job *job, const char *name, const struct px_dataset *ds,
                              struct simulator **out, struct px_err *err) {
  struct simulator *s = px_mem_calloc(1, sizeof *s);
  struct sim_layout *layout =
    px_mem_calloc(1, sizeof *layout); /* tens of kilobytes: not for the stack */
  enum px_status status =
    s && layout ? PX_OK : px_fail(err, PX_E_NO_MEMORY, "no memory for a simulator");
  const bool uploaded = strncmp(name, "sim_", 4) == 0;
  if (!status)
    status = uploaded ? open_uploaded(job->store, name, ds, layout, s, err)
                      : open_builtin(name, layout, s, err);
  free(layout);
  if (status) simulator_close(s);
  else *out = s;
  return status;
}

void simulator_close(struct simulator *s) {
  if (!s) return;
  sim_close(s->sim);
  sim_box_close(s->box);
  free(s);
}

const char *simulator_profile(const struct simulator *s) { return s->profile; }

enum px_status simulator_identify(struct simulator *s, const struct sim_options *options,
                                  const struct px_dataset *ds, uint32_t delay_max,
                                  const struct px_progress *progress, struct sim_identified *out,
                                  struct px_err *err) {
  return s->box ? sim_box_identify(s->box, options, ds, delay_max, progress, out, err)
                : sim_identify(s->sim, options, ds, delay_max, progress, out, err);
}

json_t *simulator_adjustment(const struct sim_identified *found) {
  json_t *out = json_object();
  for (int i = 0; i < SIM_FACTORS_N; i++)
    json_object_set_new(out, sim_identify_factor_name[i], json_real(found->adjustment.factor[i]));
  json_object_set_new(out, "delay", json_integer(found->adjustment.delay));
  return out;
}

static enum px_status adjust(struct simulator *s, const json_t *document, struct px_err *err) {
  struct sim_adjustment to = { .delay = (uint32_t)job_spec_uint(document, "delay", 0) };
  for (int i = 0; i < SIM_FACTORS_N; i++)
    to.factor[i] = job_spec_number(document, sim_identify_factor_name[i], 1);
  return s->box ? sim_box_adjust(s->box, &to, err) : sim_identify_adjust(s->sim, &to, err);
}

enum px_status simulator_take_check(struct simulator *s, struct job *job, double *replay_median,
                                    struct px_err *err) {
  const char *check = job_spec_text(job->spec, "check");
  json_t *result = NULL;
  enum px_status status = check ? job_inputs_result(job, check, &result, err) : PX_OK;
  if (!status && check) *replay_median = job_spec_number(result, "median_residual", 0);
  const json_t *adjustment = json_object_get(result, "adjustment");
  if (!status && adjustment) status = adjust(s, adjustment, err);
  json_decref(result);
  return status;
}

enum px_status simulator_spread(const struct px_dataset *ds, double **std, struct px_err *err) {
  double *found = px_mem_calloc(ds->spaces.obs_dim, sizeof *found);
  if (!found) return px_fail(err, PX_E_NO_MEMORY, "no memory for the data's spread");
  sim_spread(ds, found);
  *std = found;
  return PX_OK;
}

enum px_status simulator_check(struct simulator *s, const struct sim_options *options,
                               const struct px_dataset *ds, const struct px_progress *progress,
                               struct sim_fit *out, struct px_err *err) {
  return s->box ? sim_box_check(s->box, options, ds, progress, out, err)
                : sim_check(s->sim, options, ds, progress, out, err);
}

enum px_status simulator_label(struct simulator *s, const struct sim_options *options,
                               const struct px_dataset *ds, uint32_t traj_from, uint32_t traj_to,
                               const struct sim_starts *starts, const struct px_progress *progress,
                               struct sim_labels **out, struct px_err *err) {
  return s->box ? sim_box_label(s->box, options, ds, traj_from, traj_to, starts, progress, out, err)
                : sim_label(s->sim, options, ds, traj_from, traj_to, starts, progress, out, err);
}

enum px_status simulator_pairs(struct simulator *s, const struct sim_options *options,
                               const struct px_dataset *ds, uint64_t seed, uint32_t n,
                               const struct px_progress *progress, struct sim_pairs **out,
                               struct px_err *err) {
  return s->box ? sim_box_pairs(s->box, options, ds, seed, n, progress, out, err)
                : sim_pairs_make(s->sim, options, ds, seed, n, progress, out, err);
}
