/* SPDX-License-Identifier: Apache-2.0 */
/*
 * train_inverse: a net that inverts a simulator, published as a model, from which the shards of a
 * label job start. It sees no action of the data.
 */
#include <stdlib.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "lib/data/dataset.h"
#include "lib/flow/labellers.h"
#include "lib/store/models.h"
#include "worker/jobs/checkpointer.h"
#include "worker/jobs/job_inputs.h"
#include "worker/jobs/job_spec.h"
#include "worker/jobs/simulator.h"
#include "worker/sim/net.h"

static enum px_status read_spec(const json_t *spec, struct sim_net_spec *net, struct px_err *err) {
  *net = (struct sim_net_spec){ .seed = job_spec_uint(spec, "seed", 0) };
  return flow_bind(flow_labeller_inverse_fields, job_spec_inverse_net, json_object_get(spec, "net"),
                   net, err);
}

/* Simulated steps of the model as the check left it. */
static enum px_status simulate(struct job *job, const struct px_dataset *ds,
                               const struct sim_net_spec *spec, struct simulator **simulator,
                               struct sim_pairs **pairs, struct px_err *err) {
  struct sim_options options = sim_options_default();
  double *std = NULL;
  enum px_status status = simulator_spread(ds, &std, err);
  options.std = std;
  if (!status)
    status = simulator_open(job, job_spec_text(job->spec, "simulator"), ds, simulator, err);
  if (!status) status = simulator_take_check(*simulator, job, &options.replay_median, err);
  if (!status)
    status = simulator_pairs(*simulator, &options, ds, spec->seed, spec->pairs, &job->progress,
                             pairs, err);
  free(std);
  return status;
}

static enum px_status publish(struct job *job, struct sim_net *net, double loss, double seconds,
                              struct px_err *err) {
  struct px_buf bytes = PX_BUF(SIM_NET_BYTES_MAX);
  json_t *document =
    json_pack("{s:s, s:f, s:f}", "simulator", job_spec_text(job->spec, "simulator"), "loss", loss,
              "seconds", seconds);
  char *text = document ? px_json_dumps(document, JSON_COMPACT) : NULL;
  json_decref(document);
  enum px_status status =
    text ? sim_net_save(net, &bytes, err) : px_fail(err, PX_E_NO_MEMORY, "reporting the training");
  if (!status)
    status = store_model_publish(job->store, &job->hold, job_spec_text(job->spec, "dataset"),
                                 "inverse", "net", bytes.data, bytes.len, text, err);
  free(text);
  px_buf_free(&bytes);
  return status;
}

enum px_status job_train_inverse(struct job *job, struct px_err *err) {
  struct sim_net_spec spec;
  struct px_dataset *ds = NULL;
  struct simulator *simulator = NULL;
  struct sim_pairs *pairs = NULL;
  struct sim_net *net = NULL;
  struct checkpointer checkpointer = { .job = NULL };
  double loss = 0;
  const double begun_s = px_clock_s();
  enum px_status status = read_spec(job->spec, &spec, err);
  if (!status) status = job_inputs_states(job, &ds, err);
  if (!status) status = simulate(job, ds, &spec, &simulator, &pairs, err);
  if (!status) {
    /* From here on SIGTERM means: keep the state and stop. */
    status = checkpointer_open(&checkpointer, job, simulator_profile(simulator), err);
    if (!status)
      status = sim_net_train(pairs, &ds->spaces, &spec, &job->progress, &checkpointer.checkpoint,
                             &net, &loss, err);
    if (status == PX_E_NAN_LOSS) checkpointer_explain(&checkpointer, err);
    checkpointer_close(&checkpointer);
  }
  if (!status) status = publish(job, net, loss, px_clock_s() - begun_s, err);
  sim_net_free(net);
  sim_pairs_free(pairs);
  simulator_close(simulator);
  px_dataset_free(ds);
  return status;
}
