/* SPDX-License-Identifier: Apache-2.0 */
/* Estimates of memory and time: see estimate.h. Sizes are of float32 unless said otherwise. */
#include "lib/flow/estimate.h"

#include "lib/base/fail.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double MIB = 1 << 20, F32 = 4, F64 = 8;
/* The program with its libraries; buffers of the database's client. */
static const double PROCESS_BYTES = 96.0 * (1 << 20);
static const double CHUNK = 512; /* rows that a net takes at a time: PX_MLP_CHUNK */
/* A training's parameters: net, target, gradients and two moments; the checkpoint's copy of all but
 * the gradients grows by doubling, and the database's client holds one more. */
static const double COPIES = 5 + 4 * 3;
static const double FLOPS = 1e9; /* of a very slow core */
static const double LEAST_S = 3600;
/* a model, its state, and the pipes to its process */
static const double SIMULATOR_BYTES = 64.0 * (1 << 20);
/* of lib/idm/ridge.c and linear.c */
static const double RIDGE_SIDE = 2048, RIDGE_BLOCK = 256;

static double number(const json_t *object, const char *name, double fallback) {
  const json_t *value = json_object_get(object, name);
  return value ? json_number_value(value) : fallback;
}
static bool says(const json_t *object, const char *name, const char *word) {
  const char *text = json_string_value(json_object_get(object, name));
  return text && strcmp(text, word) == 0;
}

/* ---- nets */

static double mlp(double in, double out, double hidden, double layers) {
  return in * hidden + (layers - 1) * hidden * hidden + hidden * out + 3 * layers * hidden + out;
}
static double transformer(const json_t *policy, const struct flow_dims *dims) {
  const double width = number(policy, "hidden", 0), layers = number(policy, "layers", 0),
               timesteps = 4096;
  const double actions = dims->act_count ? dims->act_count : dims->act_dim;
  return layers * (12 * width * width + 13 * width) +
         width * (timesteps + dims->obs_dim + 3 * actions + 10);
}

/* How many nets of about the actor's size an algorithm trains and keeps in its file. */
static double nets_n(const char *algo) {
  static const struct {
    const char *algo;
    double n;
  } NETS[] = { { "td3bc", 3 }, { "cql", 3 }, { "iql", 4 }, { "rebrac", 3 }, { "awac", 3 } };
  for (size_t i = 0; i < sizeof NETS / sizeof *NETS; i++)
    if (strcmp(NETS[i].algo, algo) == 0) return NETS[i].n;
  return 1;
}

static double policy_params(const json_t *policy, const struct flow_dims *dims) {
  const char *algo = json_string_value(json_object_get(policy, "algo"));
  const double actions = dims->act_count ? dims->act_count : 2.0 * dims->act_dim;
  if (!algo) return 0;
  if (strcmp(algo, "dt") == 0) return transformer(policy, dims);
  return nets_n(algo) * mlp(dims->obs_dim + actions, actions, number(policy, "hidden", 0),
                            number(policy, "layers", 0));
}

static double idm_inputs(const json_t *idm, const struct flow_dims *dims) {
  return dims->obs_dim * (number(idm, "k", 0) + 2 + number(idm, "f", 0)) + number(idm, "f", 0);
}
static double idm_outputs(const struct flow_dims *dims) {
  return dims->act_count ? dims->act_count : dims->act_dim;
}

static double idm_params(const json_t *idm, const struct flow_dims *dims) {
  const double in = idm_inputs(idm, dims), out = idm_outputs(dims);
  const double one = mlp(in, out, number(idm, "hidden", 0), number(idm, "layers", 0));
  const bool spread = !says(idm, "head", "deterministic") && !says(idm, "head", "softmax");
  return one * (spread ? 2 : 1) +
         (json_is_true(json_object_get(idm, "linear")) ? out * (in + 1) : 0);
}

/* ---- data */

struct data {
  double steps, rows, obs, act, segments, segment_bytes;
};

static struct data data_of(const json_t *spec, const struct flow_dims *dims,
                           const struct flow_size *size) {
  const double share = size->segments_n > 0
                         ? fmin(1, number(spec, "segments", size->segments_n) / size->segments_n)
                         : 1;
  return (struct data){ .steps = size->steps_n * share,
                        .rows = (size->steps_n + size->trajectories_n) * share,
                        .obs = dims->obs_dim,
                        .act = dims->act_dim,
                        .segments = number(spec, "segments", size->segments_n),
                        .segment_bytes =
                          size->segments_n > 0 ? size->size_bytes / size->segments_n : 0 };
}
/* Arrays grow by half and are cut at the end; a segment is there as it came and as text of the
 * database's client. */
static double loaded(const struct data *d) {
  return 1.5 * (d->rows * d->obs * F32 + d->steps * (d->act * F32 + 5)) + 3 * d->segment_bytes;
}
static double merged(const struct data *d) { return d->steps * (d->act * F32 + 6); }
static double transitions(const struct data *d) { return d->steps * (d->act * F32 + 20); }

/* ---- trainings */

static double activations(const json_t *options, double in, double nets) {
  return nets * CHUNK *
         (number(options, "hidden", 0) * (number(options, "layers", 0) + 3) * 3 + in * 2) * F32;
}

/* Normal equations, or their dual where rows are fewer or inputs are many: its side has at most
 * RIDGE_SIDE rows. */
static double ridge_side(double in, double rows) { return fmin(fmin(in + 1, rows), RIDGE_SIDE); }
/* Two matrices and one that is solved; rows are gathered in two blocks. */
static double ridge(double in, double rows) {
  const double n = ridge_side(in, rows);
  return 3 * n * n * F64 + 2 * RIDGE_BLOCK * in * F32;
}

/* Noise of a batch for the actions that cql samples, and a chunk of them with their densities. */
static double sampled(const json_t *policy, const struct data *d) {
  const double n = number(policy, "n_action_samples", 1), each = d->act + 1;
  return (3 * number(policy, "batch", 0) * n * d->act + CHUNK * (1 + 5 * n) * each) * F32;
}

static double policy_bytes(const json_t *policy, const struct data *d,
                           const struct flow_dims *dims) {
  const double batch = number(policy, "batch", 0), context = number(policy, "context", 1),
               params = policy_params(policy, dims);
  double work = activations(policy, d->obs + d->act, 4);
  if (says(policy, "algo", "cql")) work = 4 * work + sampled(policy, d);
  if (says(policy, "algo",
           "dt")) /* activations of a chunk of about 960 tokens, and scores of attention */
    work = fmax(960, 3 * context) * number(policy, "layers", 0) *
           (30 * number(policy, "hidden", 0) + number(policy, "heads", 1) * 3 * context) * F32;
  return params * F32 * COPIES + work + batch * context * (2 * d->obs + 4 * d->act + 16) * F32;
}
static double policy_work(const json_t *policy, const struct flow_dims *dims) {
  const double samples =
    says(policy, "algo", "cql") ? 1 + 3 * number(policy, "n_action_samples", 1) : 1;
  const double tokens = says(policy, "algo", "dt") ? 3 * number(policy, "context", 1) : 1;
  return number(policy, "updates", 0) * number(policy, "batch", 0) * tokens * samples * 12 *
         policy_params(policy, dims);
}

static double idm_bytes(const json_t *idm, const struct data *d, const struct flow_dims *dims) {
  const double in = idm_inputs(idm, dims);
  const double linear = json_is_true(json_object_get(idm, "linear")) ? ridge(in, d->steps) : 0;
  return idm_params(idm, dims) * F32 * COPIES + linear + activations(idm, in, 2) +
         2 * CHUNK * in * F32 + d->steps * 24;
}
static double idm_work(const json_t *idm, const struct data *d, const struct flow_dims *dims) {
  const double in = idm_inputs(idm, dims), n = ridge_side(in, d->steps),
               rounds = 1 + number(idm, "rounds", 0);
  const double linear =
    json_is_true(json_object_get(idm, "linear")) ? 4 * d->steps * in * n + 40 * n * n * n : 0;
  return rounds * (number(idm, "steps", 0) * number(idm, "batch", 0) * 12 + d->steps * 20) *
           idm_params(idm, dims) +
         linear;
}

/* What the report compares labels with: nearest neighbours among at most 20,000 rows and 64 MiB of
 * pairs of states, and a ridge on such pairs. */
static double baselines(const struct data *d) {
  const double near = fmin(fmin(d->steps, 20000), 64 * MIB / (2 * d->obs * F32));
  return near * (2 * d->obs + d->act + 256) * F32 + ridge(2 * d->obs, d->steps);
}

static double fqe_params(const json_t *spec, const struct flow_dims *dims) {
  const double actions = dims->act_count ? dims->act_count : dims->act_dim;
  return mlp(dims->obs_dim + actions, 1, number(spec, "hidden", 0), number(spec, "layers", 0));
}

/* ---- jobs */

/* A user's has a process of its own, which gets the share of the data that a call is about, and
 * answers with half a dozen numbers a step and dimension. Its model may take more, up to 1 GiB:
 * then the worker's bound ends the job. */
static double simulator(const json_t *from, const struct data *d, double share) {
  const char *name = json_string_value(json_object_get(from, "simulator"));
  if (!name || strncmp(name, "sim_", 4) != 0) return SIMULATOR_BYTES;
  return SIMULATOR_BYTES + PROCESS_BYTES +
         share * (d->rows * d->obs * F32 + d->steps * (8 * d->act + 8) * F32);
}
/* Of one segment in all of them. */
static double one_segment(const struct data *d) { return d->segments > 1 ? 1 / d->segments : 1; }

/* Twice an observation and an action for each simulated step, and a net that learns from them. */
static double inverse_params(const json_t *net, const struct flow_dims *dims) {
  return mlp(2.0 * dims->obs_dim, dims->act_dim, number(net, "hidden", 0),
             number(net, "layers", 0));
}
static double inverse_bytes(const json_t *net, const struct data *d, const struct flow_dims *dims) {
  return number(net, "pairs", 0) * (2 * d->obs + d->act) * F32 +
         inverse_params(net, dims) * F32 * COPIES + activations(net, 2 * d->obs, 1);
}
static double inverse_work(const json_t *net, const struct flow_dims *dims) {
  return number(net, "pairs", 0) * 1e8 +
         number(net, "steps", 0) * number(net, "batch", 0) * 12 * inverse_params(net, dims);
}

static double memory(enum flow_kind kind, const json_t *spec, const struct flow_dims *dims,
                     const struct data *d) {
  const json_t *idm = json_object_get(spec, "idm"), *policy = json_object_get(spec, "policy");
  switch (kind) {
    case FLOW_TRAIN_IDM: return loaded(d) + idm_bytes(idm, d, dims);
    case FLOW_TRAIN_POLICY:
      return loaded(d) + merged(d) + transitions(d) + policy_bytes(policy, d, dims);
    case FLOW_OPE:
      return loaded(d) + merged(d) + transitions(d) + d->rows * d->act * F32 +
             fqe_params(spec, dims) * F32 * COPIES + activations(spec, d->obs + d->act, 2);
    /* a clone is small beside the model; actions are there thrice, and labels with their spread */
    case FLOW_REHEARSE:
      return loaded(d) + merged(d) + transitions(d) + (d->rows * 3 + d->steps * 4) * d->act * F32 +
             idm_bytes(idm, d, dims);
    case FLOW_REPORT: return loaded(d) + merged(d) + baselines(d);
    case FLOW_LABEL_SHARD: return 6 * d->segment_bytes;
    case FLOW_SIMULATE_SHARD:
      return loaded(d) + 6 * d->segment_bytes +
             simulator(json_object_get(spec, "labeller"), d, one_segment(d));
    case FLOW_CHECK_SIMULATOR: return loaded(d) + simulator(spec, d, 1);
    case FLOW_TRAIN_INVERSE:
      return loaded(d) + simulator(spec, d, 1) +
             inverse_bytes(json_object_get(spec, "net"), d, dims);
    case FLOW_EXPORT: return 6 * d->segment_bytes;
    case FLOW_INGEST:
    case FLOW_LABEL:
    case FLOW_EVALUATE:
    case FLOW_PIPELINE: return 0;
    default: return loaded(d);
  }
}

/* Sensitivity plays at most 10 episodes for each of at most 6 dimensions, for two factors and for
 * noise. */
static double changed_episodes(const json_t *spec) {
  return json_is_true(json_object_get(spec, "sensitivity"))
           ? 9 * fmin(number(spec, "episodes", 0), 10)
           : 0;
}

static double flops(enum flow_kind kind, const json_t *spec, const struct flow_dims *dims,
                    const struct data *d) {
  switch (kind) {
    case FLOW_TRAIN_IDM: return idm_work(json_object_get(spec, "idm"), d, dims);
    case FLOW_TRAIN_POLICY: return policy_work(json_object_get(spec, "policy"), dims);
    case FLOW_OPE:
      return number(spec, "updates", 0) * number(spec, "batch", 0) * 12 * fqe_params(spec, dims) +
             d->rows * 1e7;
    case FLOW_REHEARSE:
      return 2 * idm_work(json_object_get(spec, "idm"), d, dims) + d->steps * 2 * 1e7 + 1e13;
    case FLOW_LABEL_SHARD: return d->steps * 16 * 1e7;
    case FLOW_SIMULATE_SHARD: return d->steps * 1e9;
    /* some 20,000 steps replayed, 2,000 of them for each factor */
    case FLOW_CHECK_SIMULATOR: return 2e13;
    case FLOW_TRAIN_INVERSE: return inverse_work(json_object_get(spec, "net"), dims);
    case FLOW_EVALUATE: return (number(spec, "episodes", 0) + changed_episodes(spec)) * 1000 * 1e7;
    case FLOW_REPORT: return d->steps * 20000 * (4 * d->obs + 8) + 40 * pow(2 * d->obs, 3);
    default: return d->steps * 1e6;
  }
}

struct flow_cost flow_estimate(enum flow_kind kind, const json_t *spec,
                               const struct flow_dims *dims, const struct flow_size *size) {
  const struct data d = data_of(spec, dims, size);
  if (kind == FLOW_PIPELINE) return (struct flow_cost){ 0, 0 };
  const double seconds = LEAST_S + flops(kind, spec, dims, &d) / FLOPS;
  return (struct flow_cost){ (int64_t)(PROCESS_BYTES + memory(kind, spec, dims, &d)),
                             (int64_t)fmin(seconds, 1e9) };
}

static enum px_status too_large(double params, const char *what, const char *at,
                                struct px_err *err) {
  if (params * F32 <= FLOW_MODEL_BYTES_MAX) return PX_OK;
  char place[96];
  snprintf(place, sizeof place, "%s/hidden", at);
  px_fail_at(err, PX_E_BAD_FIELD, place, "%s would take %.0f MiB; at most %.0f are kept", what,
             params * F32 / MIB, FLOW_MODEL_BYTES_MAX / MIB);
  px_fail_hint(err, "Choose a smaller hidden, or fewer layers.");
  return PX_E_BAD_FIELD;
}

enum px_status flow_estimate_check_policy(const json_t *policy, const struct flow_dims *dims,
                                          const char *at, struct px_err *err) {
  return too_large(policy_params(policy, dims), "the policy", at, err);
}
enum px_status flow_estimate_check_idm(const json_t *idm, const struct flow_dims *dims,
                                       const char *at, struct px_err *err) {
  return too_large(idm_params(idm, dims), "the model", at, err);
}

void flow_estimate_bytes_text(double bytes, char out[FLOW_BYTES_TEXT]) {
  if (bytes >= 1024 * MIB) (void)snprintf(out, FLOW_BYTES_TEXT, "%.1f GiB", bytes / MIB / 1024);
  else (void)snprintf(out, FLOW_BYTES_TEXT, "%.0f MiB", bytes / MIB);
}
