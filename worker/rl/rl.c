#include "worker/rl/rl.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "worker/rl/bc.h"
#include "worker/rl/td3bc.h"

static const struct rl_algo *const algos[] = { &td3bc_algo, &bc_algo };
enum { ALGOS_N = sizeof algos / sizeof *algos };

const struct rl_algo *rl_algo_find(const char *name) {
  for (size_t i = 0; i < ALGOS_N; i++)
    if (strcmp(name, algos[i]->name) == 0) return algos[i];
  return NULL;
}

/* ---- specs */

enum field_type { FIELD_U32, FIELD_U64, FIELD_DOUBLE };
static const struct field {
  const char *name;
  size_t at;
  enum field_type type;
  double low, high;
} fields[] = {
  { "hidden", offsetof(struct rl_spec, hidden), FIELD_U32, 1, 4096 },
  { "layers", offsetof(struct rl_spec, layers), FIELD_U32, 1, PX_MLP_HIDDEN_LAYERS_MAX },
  { "batch", offsetof(struct rl_spec, batch), FIELD_U32, 1, 65536 },
  { "updates", offsetof(struct rl_spec, updates), FIELD_U64, 1, 1e9 },
  { "seed", offsetof(struct rl_spec, seed), FIELD_U64, 0, 0x1p64 },
  { "lr", offsetof(struct rl_spec, lr), FIELD_DOUBLE, 1e-9, 1 },
  { "gamma", offsetof(struct rl_spec, gamma), FIELD_DOUBLE, 0, 1 },
  { "tau", offsetof(struct rl_spec, tau), FIELD_DOUBLE, 0, 1 },
  { "policy_noise", offsetof(struct rl_spec, policy_noise), FIELD_DOUBLE, 0, 10 },
  { "noise_clip", offsetof(struct rl_spec, noise_clip), FIELD_DOUBLE, 0, 10 },
  { "alpha", offsetof(struct rl_spec, alpha), FIELD_DOUBLE, 0, 1e6 },
  { "policy_every", offsetof(struct rl_spec, policy_every), FIELD_U32, 1, 1000 },
  { "top_percent", offsetof(struct rl_spec, top_percent), FIELD_DOUBLE, 1e-6, 100 },
  { "labels", offsetof(struct rl_spec, labels), FIELD_U32, 0, RL_LABELS_PROXY_BELOW },
  { "proxy_below", offsetof(struct rl_spec, proxy_below), FIELD_DOUBLE, 0, 1e9 },
  { "weighting", offsetof(struct rl_spec, weighting), FIELD_U32, 0, RL_WEIGHT_EXP },
  { "weight_temperature", offsetof(struct rl_spec, weight_temperature), FIELD_DOUBLE, 1e-9, 1e9 },
  { "weight_floor", offsetof(struct rl_spec, weight_floor), FIELD_DOUBLE, 0, 1 },
};
enum { FIELDS_N = sizeof fields / sizeof *fields };
_Static_assert((int)FIELDS_N < (int)RL_SPEC_FIELDS_MAX, "rl_spec_meta's room");

static double field_value(const struct rl_spec *spec, const struct field *f) {
  const char *at = (const char *)spec + f->at;
  uint32_t small;
  uint64_t large;
  double real;
  switch (f->type) {
    case FIELD_U32: memcpy(&small, at, sizeof small); return small;
    case FIELD_U64: memcpy(&large, at, sizeof large); return (double)large;
    case FIELD_DOUBLE: break;
  }
  memcpy(&real, at, sizeof real);
  return real;
}

enum px_status rl_spec_defaults(const char *algo, struct rl_spec *spec, struct px_err *err) {
  const struct rl_algo *found = rl_algo_find(algo);
  if (!found) {
    const enum px_status status = px_fail_at(err, PX_E_BAD_FIELD, "/algo", "there is no algorithm '%.32s'", algo);
    px_err_hint(err, "Choose one of: td3bc, bc.");
    return status;
  }
  *spec = (struct rl_spec){ .hidden = 256, .layers = 2, .batch = 256, .updates = 50000, .lr = 3e-4, .gamma = 0.99,
                            .tau = 0.005, .policy_noise = 0.2, .noise_clip = 0.5, .alpha = 2.5, .policy_every = 2,
                            .top_percent = 100, .labels = RL_LABELS_ALL, .proxy_below = 0.1,
                            .weighting = RL_WEIGHT_NONE, .weight_temperature = 0.1, .weight_floor = 0.05 };
  snprintf(spec->algo, sizeof spec->algo, "%s", found->name);
  found->defaults(spec);
  return PX_OK;
}

enum px_status rl_spec_check(const struct rl_spec *spec, struct px_err *err) {
  if (!rl_algo_find(spec->algo)) return px_fail_at(err, PX_E_BAD_FIELD, "/algo", "there is no algorithm '%s'", spec->algo);
  for (size_t i = 0; i < FIELDS_N; i++) {
    const struct field *f = &fields[i];
    const double value = field_value(spec, f);
    char pointer[64];
    snprintf(pointer, sizeof pointer, "/%s", f->name);
    if (!(value >= f->low && value <= f->high))
      return px_fail_at(err, PX_E_BAD_FIELD, pointer, "%s is %g; it must be from %g to %g", f->name, value, f->low,
                        f->high);
  }
  return PX_OK;
}

size_t rl_spec_meta(const struct rl_spec *spec, struct rl_spec_text *text, struct px_st_meta *meta) {
  meta[0] = (struct px_st_meta){ "algo", spec->algo };
  for (size_t i = 0; i < FIELDS_N; i++) {
    const struct field *f = &fields[i];
    if (f->type == FIELD_U64) {
      uint64_t whole;
      memcpy(&whole, (const char *)spec + f->at, sizeof whole);
      snprintf(text->value[i], RL_SPEC_VALUE_MAX, "%" PRIu64, whole);
    } else {
      snprintf(text->value[i], RL_SPEC_VALUE_MAX, "%.9g", field_value(spec, f));
    }
    meta[i + 1] = (struct px_st_meta){ f->name, text->value[i] };
  }
  return FIELDS_N + 1;
}

/* ---- training */

/* No loss of a training that works comes near it, whatever the rewards' scale. */
static const double loss_max = 1e15;

struct window { double sums[RL_LOSSES_MAX], last[RL_LOSSES_MAX]; uint64_t n; };

static enum px_status look_at(const struct rl_algo *algo, struct window *w, uint64_t step, struct px_err *err) {
  for (size_t i = 0; i < RL_LOSSES_MAX; i++) {
    if (!(fabs(w->last[i]) < loss_max))
      return px_fail(err, PX_E_NAN_LOSS, "%s is %g at update %" PRIu64, algo->losses[i], w->last[i], step + 1);
    w->sums[i] += w->last[i];
  }
  w->n++;
  return PX_OK;
}

/* The window's means become the metrics, and a new window starts. */
static size_t take_means(const struct rl_algo *algo, struct window *w, struct rl_metrics *metrics) {
  size_t n = 0;
  for (; n < RL_LOSSES_MAX && algo->losses[n]; n++) {
    metrics->losses[n] = (struct px_metric){ algo->losses[n], w->n ? w->sums[n] / (double)w->n : w->last[n] };
    w->sums[n] = 0;
  }
  w->n = 0;
  return n;
}

static enum px_status run(const struct rl_spec *spec, const struct rl_algo *algo, void *state,
                          const struct px_progress *progress, struct rl_metrics *metrics, struct px_err *err) {
  enum { CLOCK_EVERY = 8, REPORT_MS = 500 };
  struct window window = { 0 };
  const int64_t start = px_clock_ms();
  int64_t next = start + REPORT_MS;
  for (uint64_t step = 0; step < spec->updates; step++) {
    algo->step(state, step, window.last);
    enum px_status status = look_at(algo, &window, step, err);
    if (status) return status;
    metrics->updates = step + 1;
    const bool last = step + 1 == spec->updates;
    if (!last && (step % CLOCK_EVERY || px_clock_ms() < next)) continue;
    next = px_clock_ms() + REPORT_MS;
    metrics->seconds = (double)(px_clock_ms() - start) * 1e-3;
    const size_t losses_n = take_means(algo, &window, metrics);
    status = px_progress_report(progress, "train", (int64_t)step + 1, (int64_t)spec->updates, metrics->losses, losses_n);
    if (status) return px_fail(err, status, "training stopped at update %" PRIu64, step + 1);
  }
  return PX_OK;
}

enum px_status rl_train(const struct rl_spec *spec, const struct px_union *u, const struct px_progress *progress,
                        struct rl_policy **policy, struct rl_metrics *metrics, struct px_err *err) {
  struct rl_data *data = NULL;
  void *state = NULL;
  struct px_mlp *actor = NULL, *critic = NULL;
  struct rl_metrics found = { 0 };
  enum px_status status = rl_spec_check(spec, err);
  if (status) return status;
  const struct rl_algo *algo = rl_algo_find(spec->algo);
  if (u->ds->spaces.act_count)
    return px_fail_at(err, PX_E_BAD_FIELD, "/algo", "%s learns continuous actions; this dataset's are discrete", algo->name);
  if ((status = rl_data_new(u, spec, &data, err))) goto out;
  if ((status = algo->init(spec, data, &state, err))) goto out;
  found.transitions_n = data->n, found.true_n = data->true_n, found.proxy_n = data->proxy_n;
  found.effective_n = data->effective_n;
  if ((status = run(spec, algo, state, progress, &found, err))) goto out;
  algo->take(state, &actor, &critic);
  if ((status = rl_policy_new(spec, data, actor, critic, policy, err))) goto out;
  *metrics = found;
out:
  if (state) algo->free(state);
  rl_data_free(data);
  return status;
}
