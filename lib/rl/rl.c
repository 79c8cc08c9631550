/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/rl/rl.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/fail.h"
#include "lib/data/actions_merged.h"
#include "lib/rl/rl_ema.h"

static const struct {
  const char *name;
  const struct rl_algo *algo;
} algos[] = {
#define PX_ALGO(name, OPTIONS, code, ...) { name, &code##_algo },
#include "schema/algos.def"
#undef PX_ALGO
};

const struct rl_algo *rl_algo_find(const char *name) {
  for (size_t i = 0; i < sizeof algos / sizeof *algos; i++)
    if (strcmp(name, algos[i].name) == 0) return algos[i].algo;
  return NULL;
}

/* ---- training */

/* No loss of a training that works comes near it, whatever the rewards' scale. */
static const double loss_max = 1e15;
/* Published losses are means over so many of the last updates: a number and not a time, so that
 * they are equal however fast the training went and however often it was cut off. */
enum { TAIL = 1000, CLOCK_EVERY = 8, REPORT_MS = 500 };

struct run {
  const struct rl_spec *spec;
  const struct rl_algo *algo;
  const struct rl_data *data;
  const struct px_progress *progress;
  void *state;
  struct rl_ema ema;
  uint64_t updates;
  /* of the last update; sums over TAIL; so far */
  double last[RL_LOSSES_MAX], tail[RL_LOSSES_MAX], seconds;
  double recent[RL_LOSSES_MAX]; /* sums since the last report: for the curves only */
  uint64_t recent_n;
  int64_t from_ms, report_ms;
};

/* All that the next updates and what is published depend on. */
static void list_state(struct run *r, struct px_state *list) {
  r->algo->state(r->state, list);
  rl_ema_state(&r->ema, list);
  px_state_doubles(list, "losses", "last", r->last, RL_LOSSES_MAX);
  px_state_doubles(list, "losses", "tail", r->tail, RL_LOSSES_MAX);
  px_state_doubles(list, "seconds", NULL, &r->seconds, 1);
}

/* "lr below 0.0003, batch above 256, ...": those of the algorithm's options that calm a training,
 * and which way. */
static void list_remedies(const struct rl_spec *spec, char *out, size_t size) {
  static const struct {
    const char *option, *way;
  } remedies[] = {
    { "lr", "below" }, { "tau", "below" }, { "batch", "above" }, { "conservative_weight", "above" }
  };
  size_t n = 0;
  out[0] = '\0';
  for (size_t i = 0; i < sizeof remedies / sizeof *remedies; i++) {
    const char *option = remedies[i].option;
    if (!rl_has(spec, option) || n >= size) continue;
    n += (size_t)snprintf(out + n, size - n, "%s%s %s %g", n ? ", " : "", option, remedies[i].way,
                          rl_option(spec, option));
  }
}

static enum px_status diverged(const struct run *r, size_t loss, uint64_t step,
                               struct px_err *err) {
  /* rewards up to here have not made a training diverge by themselves */
  const float usual = 100;
  float largest = 0;
  char remedies[128];
  for (uint32_t i = 0; i < r->data->n; i++) largest = fmaxf(largest, fabsf(r->data->reward[i]));
  px_fail(err, PX_E_NAN_LOSS, "%s is %g at update %" PRIu64, r->algo->losses[loss], r->last[loss],
          step + 1);
  list_remedies(r->spec, remedies, sizeof remedies);
  if (largest > usual)
    px_fail_hint(err,
                 "Divide the rewards, which reach %g, so that they are about 1; or try one of: %s.",
                 (double)largest, remedies);
  else px_fail_hint(err, "Try one of: %s.", remedies);
  return PX_E_NAN_LOSS;
}

static enum px_status check_losses(struct run *r, uint64_t step, struct px_err *err) {
  for (size_t i = 0; i < RL_LOSSES_MAX; i++) {
    if (!(fabs(r->last[i]) < loss_max)) return diverged(r, i, step, err);
    r->recent[i] += r->last[i];
    if (step + TAIL >= r->updates) r->tail[i] += r->last[i];
  }
  r->recent_n++;
  return PX_OK;
}

/* `done` updates of all; the curves' values are means since the last report. */
static enum px_status report(struct run *r, uint64_t done, struct px_err *err) {
  const int64_t now = px_clock_ms();
  struct px_metric means[RL_LOSSES_MAX];
  size_t n = 0;
  for (; r->recent_n && n < RL_LOSSES_MAX && r->algo->losses[n]; n++) {
    means[n] = (struct px_metric){ r->algo->losses[n], r->recent[n] / (double)r->recent_n };
    r->recent[n] = 0;
  }
  r->recent_n = 0;
  r->seconds += (double)(now - r->from_ms) * 1e-3;
  r->from_ms = now;
  r->report_ms = now + REPORT_MS;
  const enum px_status status =
    px_progress_report(r->progress, "train", (int64_t)done, (int64_t)r->updates, means, n);
  return status ? px_fail(err, status, "training stopped at update %" PRIu64, done) : PX_OK;
}

static enum px_status run(struct run *r, struct px_checkpoint *checkpoint, struct px_err *err) {
  struct px_state list = { .n = 0 };
  uint64_t done = 0;
  list_state(r, &list);
  enum px_status status = px_checkpoint_resume(checkpoint, &list, &done, err);
  r->from_ms = px_clock_ms();
  /* where it begins, which the time left is reckoned from */
  if (!status) status = report(r, done, err);
  for (r->report_ms = r->from_ms + REPORT_MS; !status && done < r->updates; done++) {
    const uint64_t step = done;
    r->algo->step(r->state, step, r->last);
    rl_ema_step(&r->ema);
    status = check_losses(r, step, err);
    const bool last = step + 1 == r->updates;
    if (!status && (last || (step % CLOCK_EVERY == 0 && px_clock_ms() >= r->report_ms)))
      status = report(r, step + 1, err);
    if (!status) status = px_checkpoint_step(checkpoint, &list, step + 1, err);
  }
  return status;
}

/* Whether returns decide anything in the training. */
static bool asks_for_returns(const struct rl_spec *spec) {
  return rl_option(spec, "top_percent") < 100 ||
         (rl_has(spec, "rewards") && rl_says(spec, "rewards", "return_range"));
}

static void publish(const struct run *r, struct rl_metrics *metrics) {
  const uint64_t tail_n = r->updates < TAIL ? r->updates : TAIL;
  *metrics =
    (struct rl_metrics){ .updates = r->updates,
                         .transitions_n = r->data->n,
                         .true_n = r->data->true_n,
                         .proxy_n = r->data->proxy_n,
                         .true_share = r->data->true_share,
                         .effective_n = r->data->effective_n,
                         .seconds = r->seconds,
                         .returns_equal = r->data->returns_equal && asks_for_returns(r->spec) };
  for (size_t i = 0; i < RL_LOSSES_MAX && r->algo->losses[i]; i++)
    metrics->losses[i] = (struct px_metric){ r->algo->losses[i], r->tail[i] / (double)tail_n };
}

enum px_status rl_train(const struct rl_spec *spec, const struct px_actions_merged *u,
                        const struct px_progress *progress, struct px_checkpoint *checkpoint,
                        struct rl_policy **policy, struct rl_metrics *metrics, struct px_err *err) {
  struct rl_data *data = NULL;
  struct rl_nets nets = { 0 };
  struct px_arena *arena = NULL;
  struct run r = { .spec = spec, .algo = rl_algo_find(spec->algo), .progress = progress };
  enum px_status status =
    r.algo ? PX_OK
           : px_fail_at(err, PX_E_BAD_FIELD, "/algo", "there is no algorithm '%s'", spec->algo);
  if (!status && !flow_algo_learns(spec->algo, u->ds->spaces.act_count > 0))
    status =
      px_fail_at(err, PX_E_BAD_FIELD, "/algo", "%s cannot learn %s actions, which this dataset has",
                 spec->algo, u->ds->spaces.act_count ? "discrete" : "continuous");
  if (status) return status;
  r.updates = (uint64_t)rl_option(spec, "updates");
  if ((status = rl_data_new(u, spec, &data, err))) goto out;
  r.data = data;
  if (!(arena = px_arena_new(RL_ARENA_BYTES_MAX))) {
    status = px_fail(err, PX_E_NO_MEMORY, "no memory for a training");
    goto out;
  }
  if ((status = r.algo->init(arena, spec, data, &r.state, err))) goto out;
  if ((status = rl_ema_init(arena, &r.ema, rl_option(spec, "ema"), r.algo->acting(r.state), err)))
    goto out;
  if ((status = run(&r, checkpoint, err))) goto out;
  rl_ema_finish(&r.ema);
  r.algo->finish(r.state, &nets);
  if ((status = rl_policy_new(spec, data, &nets, policy, err))) goto out;
  publish(&r, metrics);
out:
  px_arena_free(arena);
  rl_data_free(data);
  return status;
}
