#include "worker/rl/rl.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "worker/rl/bc.h"
#include "worker/rl/iql.h"
#include "worker/rl/td3bc.h"

/* Names as in lib/flow/algos.c. */
static const struct { const char *name; const struct rl_algo *algo; } algos[] = {
  { "td3bc", &td3bc_algo },
  { "bc", &bc_algo },
  { "10%bc", &bc_algo },
  { "iql", &iql_algo },
};

const struct rl_algo *rl_algo_find(const char *name) {
  for (size_t i = 0; i < sizeof algos / sizeof *algos; i++)
    if (strcmp(name, algos[i].name) == 0) return algos[i].algo;
  return NULL;
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
  const uint64_t updates = (uint64_t)rl_option(spec, "updates");
  for (uint64_t step = 0; step < updates; step++) {
    algo->step(state, step, window.last);
    enum px_status status = look_at(algo, &window, step, err);
    if (status) return status;
    metrics->updates = step + 1;
    const bool last = step + 1 == updates;
    if (!last && (step % CLOCK_EVERY || px_clock_ms() < next)) continue;
    next = px_clock_ms() + REPORT_MS;
    metrics->seconds = (double)(px_clock_ms() - start) * 1e-3;
    const size_t losses_n = take_means(algo, &window, metrics);
    status = px_progress_report(progress, "train", (int64_t)step + 1, (int64_t)updates, metrics->losses, losses_n);
    if (status) return px_fail(err, status, "training stopped at update %" PRIu64, step + 1);
  }
  return PX_OK;
}

enum px_status rl_train(const struct rl_spec *spec, const struct px_union *u, const struct px_progress *progress,
                        struct rl_policy **policy, struct rl_metrics *metrics, struct px_err *err) {
  struct rl_data *data = NULL;
  void *state = NULL;
  struct rl_nets nets = { 0 };
  struct rl_metrics found = { 0 };
  const struct rl_algo *algo = rl_algo_find(spec->algo);
  enum px_status status = algo ? PX_OK : px_fail_at(err, PX_E_BAD_FIELD, "/algo", "there is no algorithm '%s'", spec->algo);
  if (!status && !(algo->actions & (u->ds->spaces.act_count ? RL_DISCRETE : RL_CONTINUOUS)))
    status = px_fail_at(err, PX_E_BAD_FIELD, "/algo", "%s cannot learn %s actions, which this dataset has", spec->algo,
                        u->ds->spaces.act_count ? "discrete" : "continuous");
  if (status) return status;
  if ((status = rl_data_new(u, spec, &data, err))) goto out;
  if ((status = algo->init(spec, data, &state, err))) goto out;
  found.transitions_n = data->n, found.true_n = data->true_n, found.proxy_n = data->proxy_n;
  found.effective_n = data->effective_n;
  if ((status = run(spec, algo, state, progress, &found, err))) goto out;
  algo->take(state, &nets);
  if ((status = rl_policy_new(spec, data, &nets, policy, err))) goto out;
  *metrics = found;
out:
  if (state) algo->free(state);
  rl_data_free(data);
  return status;
}
