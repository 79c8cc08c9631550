/* SPDX-License-Identifier: Apache-2.0 */
/* Long polls: see longpoll.h. */
#include "server/app/longpoll.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fail.h"
#include "lib/base/log.h"
#include "lib/redis/queue.h"
#include "lib/store/jobs.h"
#include "lib/store/store.h"
#include "server/http/http.h"

enum { POLL_MS = 1000 };

struct held {
  struct http_request *req;
  char job[STORE_ID_MAX];
  int64_t version, until_ms;
};

/* The jobs waited for, copied so that the query runs without the lock. */
struct look {
  char ids[WAIT_MAX][STORE_ID_MAX];
  const char *pointers[WAIT_MAX];
  int64_t versions[WAIT_MAX];
  bool final[WAIT_MAX];
};

struct longpoll {
  struct longpoll_options options;
  struct store *store; /* of its thread */
  struct queue *queue;
  pthread_mutex_t lock;
  pthread_t thread;
  int kick_fd;           /* readable: look now */
  bool stopping, ending; /* the thread ends; every wait ends at once */
  struct held held[WAIT_MAX];
  size_t n;
  int64_t heard_ms;  /* when it looked last whether the clients are still there */
  struct look *look; /* the thread's */
};

static void kick(struct longpoll *w) {
  const uint64_t one = 1;
  if (write(w->kick_fd, &one, sizeof one) < 0) px_log(PX_LOG_WARN, "waiter_kick_failed", NULL);
}

static size_t copy_ids(struct longpoll *w, struct look *look) {
  pthread_mutex_lock(&w->lock);
  const size_t n = w->n;
  for (size_t i = 0; i < n; i++) {
    memcpy(look->ids[i], w->held[i].job, STORE_ID_MAX);
    look->pointers[i] = look->ids[i];
  }
  pthread_mutex_unlock(&w->lock);
  return n;
}

/* Requests are only added at the end and only removed here, so the first
 * looked_n are still those that were copied. */
static void resume_changed(struct longpoll *w, const struct look *look, size_t looked_n,
                           bool versions_known) {
  const int64_t now = px_clock_ms();
  pthread_mutex_lock(&w->lock);
  size_t kept = 0;
  for (size_t i = 0; i < w->n; i++) {
    const struct held *h = &w->held[i];
    const bool changed = versions_known && i < looked_n && look->versions[i] != h->version;
    if (changed || w->ending || h->until_ms <= now) http_resume(h->req);
    else w->held[kept++] = *h;
  }
  w->n = kept;
  pthread_mutex_unlock(&w->lock);
}

/* libmicrohttpd does not look at a connection that sleeps: a client that has gone would keep its
 * place until its time is over. Its wait ends now, and what is answered to nobody ends the
 * connection. */
static void end_of_gone(struct longpoll *w) {
  const int64_t now = px_clock_ms();
  if (now - w->heard_ms < POLL_MS) return;
  w->heard_ms = now;
  pthread_mutex_lock(&w->lock);
  for (size_t i = 0; i < w->n; i++)
    if (http_client_gone(w->held[i].req)) w->held[i].until_ms = now;
  pthread_mutex_unlock(&w->lock);
}

static int next_ms(struct longpoll *w) {
  const int64_t now = px_clock_ms();
  int64_t soonest = now + POLL_MS;
  pthread_mutex_lock(&w->lock);
  for (size_t i = 0; i < w->n; i++)
    if (w->held[i].until_ms < soonest) soonest = w->held[i].until_ms;
  pthread_mutex_unlock(&w->lock);
  return soonest > now ? (int)(soonest - now) : 0;
}

static bool has_to_stop(struct longpoll *w) {
  pthread_mutex_lock(&w->lock);
  const bool stopping = w->stopping;
  pthread_mutex_unlock(&w->lock);
  return stopping;
}

static void *wait_main(void *arg) {
  struct longpoll *w = arg;
  struct look *look = w->look;
  while (!has_to_stop(w)) {
    queue_wait_changed(w->queue, next_ms(w), w->kick_fd);
    uint64_t kicks;
    /* empty: Redis or the time woke us */
    if (read(w->kick_fd, &kicks, sizeof kicks) < 0) kicks = 0;
    const size_t n = copy_ids(w, look);
    struct px_err err = { 0 };
    enum px_status status = PX_OK;
    if (n && w->options.silent && atomic_load(w->options.silent))
      status = px_fail(&err, PX_E_UNAVAILABLE, "the database does not answer");
    if (n && !status)
      status = store_job_versions(w->store, look->pointers, n, look->versions, look->final, &err);
    if (status) px_log_err("waiter_failed", &err, "requests", PX_I(n));
    end_of_gone(w);
    resume_changed(w, look, n, n && !status);
  }
  return NULL;
}

enum px_status longpoll_new(const struct longpoll_options *options, struct longpoll **out,
                            struct px_err *err) {
  struct longpoll *w = calloc(1, sizeof *w);
  if (!w) return px_fail(err, PX_E_NO_MEMORY, "waiter");
  w->options = *options;
  w->look = calloc(1, sizeof *w->look);
  pthread_mutex_init(&w->lock, NULL);
  w->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  enum px_status status = w->kick_fd < 0 ? px_fail_errno(err, "eventfd") : PX_OK;
  if (!status && !w->look) status = px_fail(err, PX_E_NO_MEMORY, "waiter");
  if (!status) status = queue_open(options->redis_url, &w->queue, err);
  if (!status) status = store_new(options->db_url, "proxact-server long polls", &w->store, err);
  if (!status) store_set_silent(w->store, options->silent);
  if (!status && pthread_create(&w->thread, NULL, wait_main, w) != 0)
    status = px_fail(err, PX_E_NO_MEMORY, "starting a thread");
  if (status) {
    if (w->queue) queue_close(w->queue);
    store_close(w->store);
    if (w->kick_fd >= 0) close(w->kick_fd);
    pthread_mutex_destroy(&w->lock);
    free(w->look);
    free(w);
    return status;
  }
  *out = w;
  return PX_OK;
}

void longpoll_free(struct longpoll *w) {
  if (!w) return;
  pthread_mutex_lock(&w->lock);
  w->stopping = true;
  pthread_mutex_unlock(&w->lock);
  kick(w);
  pthread_join(w->thread, NULL);
  queue_close(w->queue);
  store_close(w->store);
  close(w->kick_fd);
  pthread_mutex_destroy(&w->lock);
  free(w->look);
  free(w);
}

enum px_status longpoll_put(struct longpoll *w, struct http_request *req, const char *job,
                            int64_t version, int wait_ms, struct px_err *err) {
  enum px_status status = PX_OK;
  pthread_mutex_lock(&w->lock);
  if (w->n == WAIT_MAX) {
    status = px_fail(err, PX_E_UNAVAILABLE, "%d requests wait for jobs already", WAIT_MAX);
  } else {
    struct held *h = &w->held[w->n++];
    *h = (struct held){ .req = req, .version = version, .until_ms = px_clock_ms() + wait_ms };
    snprintf(h->job, sizeof h->job, "%s", job);
  }
  pthread_mutex_unlock(&w->lock);
  if (!status) kick(w); /* it may have changed between the handler's look and now */
  return status;
}

void longpoll_end_all(struct longpoll *w) {
  pthread_mutex_lock(&w->lock);
  w->ending = true;
  pthread_mutex_unlock(&w->lock);
  kick(w);
}
