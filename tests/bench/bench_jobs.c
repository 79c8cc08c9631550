/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast jobs go: claimed and finished a second, with what the storm does to it, and how long a
 * job that becomes ready waits until a worker that waits for work has it, with Redis and without.
 *
 *   bench_jobs wake FILE.csv          PROXACT_DB_URL, PROXACT_REDIS_URL
 *   bench_jobs finish SECONDS FILE.csv WHAT    four clients for so long; in nemesis, through
 *                                              PROXACT_WORKER_DB_URL
 *
 * The database must sync (deploy/stack.sh start without --throwaway). Prints and appends CSV: what,
 * median, lowest, highest, unit; for waits the highest is the 99th percentile.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/fail.h"
#include "lib/base/rng.h"
#include "lib/base/stop.h"
#include "lib/redis/queue.h"
#include "lib/store/jobs.h"
#include "lib/store/store.h"
#include "tests/bench/bench.h"

enum {
  CLIENTS = 4,
  BATCH = 500,
  AHEAD = 2000,
  LEASE_MS = 2000,
  REAP_MS = 200,
  RETRY_MS = 50,
  POLL_MS = 1000,
  WITH_REDIS = 1000,
  WITHOUT_REDIS = 100,
  WAITS_MAX = 1000
};
static const char *const KIND = "evaluate";

static void pause_ms(double ms) {
  nanosleep(&(struct timespec){ .tv_sec = (time_t)(ms / 1000),
                                .tv_nsec = (long)(ms * 1e6) % 1000000000L },
            NULL);
}

static struct store *connect_to(const char *url) {
  struct store *store;
  struct px_err err;
  bench_need(!store_open(url, "bench_jobs", &store, &err), "connecting", &err);
  return store;
}

static void row(const char *csv, const char *what, double median, double lowest, double highest,
                const char *unit) {
  printf("%-52s %9.2f  (%.2f to %.2f) %s\n", what, median, lowest, highest, unit);
  FILE *f = fopen(csv, "ae");
  bench_need(f != NULL, "opening the CSV file", NULL);
  fprintf(f, "\"%s\",%.3f,%.3f,%.3f,%s\n", what, median, lowest, highest, unit);
  fclose(f);
}

static enum px_status submit(struct store *store, int n, struct px_err *err) {
  static struct store_job_draft drafts[BATCH];
  static char ids[BATCH][STORE_ID_MAX];
  for (int i = 0; i < n; i++) {
    store_job_new_id(ids[i]);
    drafts[i] =
      (struct store_job_draft){ .id = ids[i], .kind = KIND, .name = "bench", .spec_json = "{}" };
  }
  return store_jobs_submit(store, drafts, (size_t)n, err);
}

/* ---- claimed and finished */

static struct {
  int64_t until_ms;
  atomic_long submitted, finished; /* acknowledged, both */
} jobs;

static void *submitter(void *arg) {
  struct px_err err;
  while (px_clock_ms() < jobs.until_ms) {
    if (atomic_load(&jobs.submitted) - atomic_load(&jobs.finished) > AHEAD) pause_ms(RETRY_MS);
    else if (!submit(arg, BATCH, &err)) atomic_fetch_add(&jobs.submitted, BATCH);
  }
  return NULL;
}

/* As a supervisor claims: a claim whose answer was lost may have taken a job. False when there was
 * none to be had. */
static bool take_and_finish(struct store *store, const char *worker, bool *blind) {
  struct store_job *job = NULL;
  struct px_err err;
  const enum px_status status =
    *blind ? store_job_adopt(store, worker, LEASE_MS, &job, &err)
           : store_job_claim(store, worker, &KIND, 1, LEASE_MS, 0, &job, &err);
  if (status == PX_E_UNSETTLED || !status) *blind = status == PX_E_UNSETTLED;
  if (!job) return false;
  if (!store_job_succeed(store, &job->hold, "{}", &err)) atomic_fetch_add(&jobs.finished, 1);
  store_job_free(job);
  return true;
}

static void *client(void *arg) {
  char worker[32];
  snprintf(worker, sizeof worker, "bench:%p", arg);
  bool blind = false;
  struct store_reaped reaped;
  struct px_err err;
  for (int64_t reap_at_ms = 0; px_clock_ms() < jobs.until_ms;) {
    const int64_t now = px_clock_ms();
    if (now >= reap_at_ms && !store_jobs_reap(arg, &reaped, &err)) reap_at_ms = now + REAP_MS;
    if (!take_and_finish(arg, worker, &blind)) pause_ms(RETRY_MS);
  }
  return NULL;
}

static int finish(int seconds, const char *csv, const char *what) {
  const char *url = getenv("PROXACT_WORKER_DB_URL");
  pthread_t thread[CLIENTS], from;
  struct store *store[CLIENTS];
  struct px_err err;
  bench_need(url != NULL, "PROXACT_WORKER_DB_URL (nemesis sets it)", NULL);
  struct store *direct = connect_to(getenv("PROXACT_DB_URL"));
  store_set_patience(direct, 30000);
  for (int i = 0; i < CLIENTS; i++) {
    bench_need(!store_new(url, "bench_jobs", &store[i], &err), "a connection", &err);
    store_set_answer(store[i], LEASE_MS / 3);
    store_set_patience(store[i], LEASE_MS);
  }
  while (atomic_load(&jobs.submitted) < AHEAD) {
    bench_need(!submit(direct, BATCH, &err), "submitting", &err);
    atomic_fetch_add(&jobs.submitted, BATCH);
  }
  jobs.until_ms = px_clock_ms() + seconds * 1000LL;
  bench_need(pthread_create(&from, NULL, submitter, direct) == 0, "a thread", NULL);
  for (int i = 0; i < CLIENTS; i++)
    bench_need(pthread_create(&thread[i], NULL, client, store[i]) == 0, "a thread", NULL);
  for (int i = 0; i < CLIENTS; i++) pthread_join(thread[i], NULL);
  pthread_join(from, NULL);
  const double rate = (double)atomic_load(&jobs.finished) / seconds;
  row(csv, what, rate, rate, rate, "jobs/s");
  for (int i = 0; i < CLIENTS; i++) store_close(store[i]);
  store_close(direct);
  return 0;
}

/* ---- waiting for work */

static struct {
  pthread_mutex_t lock;
  pthread_cond_t taken;
  const char *redis;
  double at_s; /* when the job was claimed; 0: not yet */
  bool over;
} wait = { .lock = PTHREAD_MUTEX_INITIALIZER, .taken = PTHREAD_COND_INITIALIZER };

/* A supervisor's loop without the job. */
static void *waiter(void *arg) {
  struct queue *queue;
  struct px_err err;
  bench_need(!queue_open(wait.redis, &queue, &err), "opening the queue", &err);
  for (bool over = false; !over;) {
    struct store_job *job = NULL;
    bench_need(!store_job_claim(arg, "bench", &KIND, 1, 30000, 0, &job, &err), "claiming", &err);
    if (job) bench_need(!store_job_succeed(arg, &job->hold, "{}", &err), "finishing", &err);
    pthread_mutex_lock(&wait.lock);
    if (job) {
      wait.at_s = px_clock_s();
      pthread_cond_signal(&wait.taken);
    }
    over = wait.over;
    pthread_mutex_unlock(&wait.lock);
    store_job_free(job);
    if (!job) queue_wait(queue, POLL_MS, -1);
  }
  queue_close(queue);
  return NULL;
}

static int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void measure_waits(const char *url, const char *redis, int n, double pause_max_ms,
                          const char *csv, const char *what) {
  static double ms[WAITS_MAX];
  struct store *store = connect_to(url), *waiting = connect_to(url);
  struct px_rng rng = px_rng_at(1, px_rng_stream("wake", 0), 0);
  struct queue *queue;
  struct px_err err;
  pthread_t thread;
  wait.redis = redis;
  wait.over = false;
  bench_need(!queue_open(redis, &queue, &err), "opening the queue", &err);
  bench_need(pthread_create(&thread, NULL, waiter, waiting) == 0, "a thread", NULL);
  for (int i = 0; i < n; i++) {
    pause_ms(5 + px_rng_double(&rng) * pause_max_ms);
    wait.at_s = 0;
    bench_need(!submit(store, 1, &err), "submitting", &err);
    const double ready_s = px_clock_s();
    queue_wake(queue, 1);
    pthread_mutex_lock(&wait.lock);
    while (wait.at_s == 0) pthread_cond_wait(&wait.taken, &wait.lock);
    pthread_mutex_unlock(&wait.lock);
    ms[i] = (wait.at_s - ready_s) * 1000;
  }
  pthread_mutex_lock(&wait.lock);
  wait.over = true;
  pthread_mutex_unlock(&wait.lock);
  pthread_join(thread, NULL);
  qsort(ms, (size_t)n, sizeof *ms, ascending);
  row(csv, what, ms[n / 2], ms[0], ms[n * 99 / 100], "ms (lowest to p99)");
  queue_close(queue);
  store_close(waiting);
  store_close(store);
}

int main(int argc, char **argv) {
  const char *url = getenv("PROXACT_DB_URL"), *redis = getenv("PROXACT_REDIS_URL");
  struct px_err err;
  int stop_fd;
  if (px_stop_setup(&stop_fd, &err)) return 1; /* a lost connection must not end the process */
  if (url && redis && argc == 3 && strcmp(argv[1], "wake") == 0) {
    measure_waits(url, redis, WITH_REDIS, 30, argv[2], "ready until claimed, with Redis");
    measure_waits(url, "", WITHOUT_REDIS, POLL_MS, argv[2], "ready until claimed, without Redis");
    return 0;
  }
  if (url && argc == 5 && strcmp(argv[1], "finish") == 0)
    return finish((int)strtol(argv[2], NULL, 10), argv[3], argv[4]);
  fprintf(stderr, "usage: bench_jobs wake FILE.csv | finish SECONDS FILE.csv WHAT\n");
  return 2;
}
