/* SPDX-License-Identifier: Apache-2.0 */
/* Whether database and Redis answer: see pulse.h. */
#include "server/app/pulse.h"

#include <pthread.h>
#include <stdlib.h>

#include "lib/base/clock.h"
#include "lib/base/fail.h"
#include "lib/base/log.h"
#include "lib/redis/queue.h"
#include "lib/store/store.h"

/* A failure that took less than SILENT_MS is an answer: of a database that is away, say, which
 * costs nobody a wait. */
enum { PAUSE_MS = 500, REDIS_MS = 1000, ANSWER_MS = 2000, SILENT_MS = 1000 };

struct pulse {
  struct store *store;
  struct queue *queue;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool stopping;
  int64_t redis_asked_ms;
  atomic_bool silent, redis_up;
};

/* A Redis that is away is tried at most once a second, as over every other connection. */
static void look_at_redis(struct pulse *p) {
  const int64_t now = px_clock_ms();
  if (p->redis_asked_ms && now - p->redis_asked_ms < REDIS_MS) return;
  p->redis_asked_ms = now;
  atomic_store(&p->redis_up, queue_ping(p->queue));
}

static void look_at_database(struct pulse *p) {
  struct px_err err = { 0 };
  const int64_t began_ms = px_clock_ms();
  const bool silent = store_ping(p->store, &err) != PX_OK && px_clock_ms() - began_ms >= SILENT_MS;
  if (atomic_exchange(&p->silent, silent) == silent) return;
  if (silent) px_log_err("database_silent", &err, "after_ms", PX_I(px_clock_ms() - began_ms));
  else px_log(PX_LOG_INFO, "database_answers", NULL);
}

static void *pulse_main(void *arg) {
  struct pulse *p = arg;
  pthread_mutex_lock(&p->lock);
  while (!p->stopping) {
    pthread_mutex_unlock(&p->lock);
    look_at_redis(p);
    look_at_database(p);
    pthread_mutex_lock(&p->lock);
    if (!p->stopping) px_clock_cond_wait(&p->changed, &p->lock, PAUSE_MS);
  }
  pthread_mutex_unlock(&p->lock);
  return NULL;
}

static void pulse_free(struct pulse *p) {
  pthread_cond_destroy(&p->changed);
  pthread_mutex_destroy(&p->lock);
  store_close(p->store);
  queue_close(p->queue);
  free(p);
}

enum px_status pulse_start(const char *db_url, const char *redis_url, struct pulse **out,
                           struct px_err *err) {
  struct pulse *p = calloc(1, sizeof *p);
  if (!p) return px_fail(err, PX_E_NO_MEMORY, "watching the database");
  pthread_mutex_init(&p->lock, NULL);
  px_clock_cond_init(&p->changed);
  enum px_status status = store_new(db_url, "proxact-server pulse", &p->store, err);
  if (!status) status = queue_open(redis_url, &p->queue, err);
  if (!status) {
    store_set_answer(p->store, ANSWER_MS);
    look_at_redis(p);
    if (pthread_create(&p->thread, NULL, pulse_main, p) != 0)
      status = px_fail(err, PX_E_NO_MEMORY, "starting a thread");
  }
  if (status) pulse_free(p);
  else *out = p;
  return status;
}

void pulse_stop(struct pulse *p) {
  if (!p) return;
  pthread_mutex_lock(&p->lock);
  p->stopping = true;
  pthread_cond_signal(&p->changed);
  pthread_mutex_unlock(&p->lock);
  pthread_join(p->thread, NULL);
  pulse_free(p);
}

const atomic_bool *pulse_silent(const struct pulse *p) { return &p->silent; }
bool pulse_redis_up(const struct pulse *p) { return atomic_load(&p->redis_up); }
