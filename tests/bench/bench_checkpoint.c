/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What checkpoints cost and what a crash loses, on a real database: td3bc at
 * its default size and at the largest that its bounds allow, by training for a
 * while with states kept as a worker keeps them; then a real worker whose job's
 * process is killed at random times. Run by `make bench-checkpoint` inside
 * tests/support/stack.sh; CHECKPOINT_S (60) is the seconds each training runs at least.
 *
 * Prints a line per figure. Overhead is the share of the time that goes into
 * keeping once the pauses follow the cost (lib/nn/checkpoint.h); a crash
 * loses up to a pause and the time of a checkpoint, half of that on average.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/fail.h"
#include "lib/base/rng.h"
#include "lib/data/actions_merged.h"
#include "lib/data/dataset.h"
#include "lib/nn/mat.h"
#include "lib/rl/rl.h"
#include "lib/store/checkpoints.h"
#include "lib/store/jobs.h"
#include "lib/store/store.h"
#include "tests/support/trajs.h"
#include "tests/support/workers.h"

enum { O = 11, A = 3, TRAJ_N = 100, LONGEST = 1000, EVERY_MS = 30000, KILLS = 5 };

static struct store *store;

/* ---- the cost of keeping */

struct keeping {
  struct store_lease hold;
  size_t bytes;
  char profile[PX_MAT_PROFILE_MAX];
};

static enum px_status keep(void *ctx, uint64_t step, const void *bytes, size_t n,
                           struct px_err *err) {
  struct keeping *k = ctx;
  k->bytes = n;
  return store_checkpoint_keep(store, &k->hold, (int64_t)step, k->profile, bytes, n, err);
}

/* Until two states were kept, and for at least so long. */
struct until {
  const struct px_checkpoint *checkpoint;
  double start_s, seconds;
  int64_t step;
};

static enum px_status until_enough(void *ctx, const char *phase, int64_t step, int64_t total,
                                   const struct px_metric *metrics, size_t metrics_n) {
  (void)phase, (void)total, (void)metrics, (void)metrics_n;
  struct until *u = ctx;
  u->step = step;
  return u->checkpoint->kept_n >= 2 && px_clock_s() - u->start_s >= u->seconds ? PX_E_CANCELLED
                                                                               : PX_OK;
}

static struct px_dataset *dataset(void) {
  struct trajs list = { .spaces = trajs_spaces(O, A) };
  struct segments packed = { .n = 0 };
  struct px_dataset_builder *builder = px_dataset_builder_new(&list.spaces);
  struct px_dataset *ds = NULL;
  struct px_err err;
  for (uint64_t i = 0; i < TRAJ_N; i++) trajs_add(&list, LONGEST, TRAJS_ALL, i);
  CU_ASSERT_EQUAL_FATAL(segments_pack(&packed, &list), PX_OK);
  for (size_t i = 0; i < packed.n; i++)
    CU_OK(px_dataset_builder_segment(builder, packed.items[i].bytes, packed.items[i].size, &err),
          err);
  CU_OK(px_dataset_builder_end(builder, &ds, &err), err);
  segments_free(&packed);
  trajs_free(&list);
  return ds;
}

static void measure(const struct px_actions_merged *u, const char *what, double hidden,
                    double layers, double seconds) {
  char id[STORE_ID_MAX];
  struct rl_spec spec;
  struct rl_policy *policy = NULL;
  struct rl_metrics metrics;
  struct px_err err;
  db_submit(store, "train_policy", NULL, id);
  struct keeping k = { .hold = db_claim(store, "train_policy") };
  px_mat_profile(k.profile);
  struct px_checkpoint c = { .name = id, .ctx = &k, .keep = keep, .every_ms = EVERY_MS };
  struct until until = { .checkpoint = &c, .start_s = px_clock_s(), .seconds = seconds };
  const struct px_progress progress = { &until, until_enough };
  CU_OK(rl_spec_defaults("td3bc", &spec, &err), err);
  CU_OK(rl_spec_set(&spec, "hidden", hidden, &err), err);
  CU_OK(rl_spec_set(&spec, "layers", layers, &err), err);
  CU_OK(rl_spec_set(&spec, "updates", 1e7, &err), err);
  CU_ASSERT_EQUAL(rl_train(&spec, u, &progress, &c, &policy, &metrics, &err), PX_E_CANCELLED);
  const double all_s = px_clock_s() - until.start_s, cost_s = c.spent_s / (double)c.kept_n;
  const double pause_s = px_checkpoint_pause_s(EVERY_MS, cost_s),
               step_s = (all_s - c.spent_s) / (double)until.step;
  printf("\n  %-28s state %7.1f MB, kept in %7.1f ms (of %llu), every %5.1f s: overhead %.2f%% of "
         "the time;"
         " a crash loses up to %.1f s, %.1f s on average (a step takes %.4f s)",
         what, (double)k.bytes / 1e6, cost_s * 1e3, (unsigned long long)c.kept_n, pause_s,
         100 * cost_s / (cost_s + pause_s), pause_s + cost_s + step_s,
         (pause_s + cost_s + step_s) / 2, step_s);
  px_checkpoint_free(&c);
  CU_OK(store_job_succeed(store, &k.hold, "{}", &err), err);
}

static void what_keeping_costs(void) {
  const char *seconds = getenv("CHECKPOINT_S");
  struct px_dataset *ds = dataset();
  struct px_actions_merged *u;
  struct px_err err;
  if (!store) store = db_test_open("bench_checkpoint");
  CU_OK(px_actions_merged_new(ds, &u, &err), err);
  const double s = seconds ? strtod(seconds, NULL) : 60;
  measure(u, "td3bc, 2 x 256, the default", 256, 2, s);
  measure(u, "td3bc, 4 x 2048, the largest", 2048, 4, s);
  px_actions_merged_free(u);
  px_dataset_free(ds);
}

/* ---- what crashes lose */

/* Of the job's row. */
static double number(const char *expression, const char *job) {
  return strtod(db_sql("select %s from jobs where id = '%s'", expression, job), NULL);
}

static void what_a_killed_process_loses(void) {
  char dataset_id[STORE_ID_MAX], job[STORE_ID_MAX];
  struct px_rng rng = px_rng_at(5, px_rng_stream("kills", 0), 0);
  struct px_err err;
  double sum = 0, most = 0;
  if (!store) store = db_test_open("bench_checkpoint");
  snprintf(dataset_id, sizeof dataset_id, "%s", workers_dataset(store, "bench", 500, 0, 1));
  workers_submit(store, dataset_id, FLOW_TRAIN_POLICY,
                 "{\"policy\": {\"algo\": \"td3bc\", \"updates\": 10000000}}", job);
  const pid_t worker = workers_start(NULL);
  for (int i = 0; i < KILLS; i++) {
    workers_await("t", 60,
                  "select exists (select from job_checkpoints where job_id = '%s' and epoch = %d)",
                  job, i + 1);
    workers_await("t", 20, "select pg_sleep(%g) is not null", 8 * px_rng_double(&rng));
    /* The newest heartbeat's step, and how fast it goes, say where the process was. */
    const double per_s = number(
      "(step - coalesce(resumed_from, 0)) / extract(epoch from clock_timestamp() - started_at)",
      job);
    const double at = number("step", job);
    kill(workers_child(worker), SIGKILL);
    workers_await("t", 60,
                  "select epoch = %d and resumed_from is not null from jobs where id = '%s'", i + 2,
                  job);
    const double lost_s = (at - number("resumed_from", job)) / per_s;
    printf("\n  killed at step %.0f, went on from %.0f: %.1f s of work lost", at,
           number("resumed_from", job), lost_s);
    sum += lost_s;
    if (lost_s > most) most = lost_s;
  }
  printf(
    "\n  work lost in a crash, td3bc at its default size: %.1f s on average, %.1f s at most, of %d",
    sum / KILLS, most, KILLS);
  CU_OK(store_job_cancel(store, job, &err), err);
  workers_await("cancelled", 20, "select state from jobs where id = '%s'", job);
  workers_end(worker, SIGTERM);
}

CU_MAIN("bench_checkpoint", T(what_keeping_costs), T(what_a_killed_process_loses))
