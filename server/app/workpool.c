/* SPDX-License-Identifier: Apache-2.0 */
/* The work pool: see workpool.h. */
#include "server/app/workpool.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "server/http/http.h"

enum { THREADS_MAX = 64, NICE = 10 };

struct lane {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  struct http_request *first; /* by turn; linked through next_deferred */
  uint64_t turn;              /* the latest that was taken */
  bool stopping, nice;
  int threads_n, waiting_n, running_n;
  pthread_t threads[THREADS_MAX];
  uint64_t running[THREADS_MAX]; /* tokens of what is worked on: running_n of them */
};

struct workpool {
  struct lane lanes[HTTP_LANES_N];
};

static int running_of(const struct lane *lane, uint64_t token) {
  int n = 0;
  for (int i = 0; i < lane->running_n; i++) n += lane->running[i] == token;
  return n;
}

/* The next in turn of a token that may have one more thread; NULL if there is none. */
static struct http_request *dequeue(struct lane *lane) {
  const int most = lane->threads_n > 1 ? lane->threads_n - 1 : 1;
  for (struct http_request **at = &lane->first; *at; at = &(*at)->next_deferred) {
    struct http_request *req = *at;
    if (running_of(lane, req->token) >= most) continue;
    *at = req->next_deferred;
    if (req->turn > lane->turn) lane->turn = req->turn;
    lane->waiting_n--;
    lane->running[lane->running_n++] = req->token;
    return req;
  }
  return NULL;
}

static void leave(struct lane *lane, uint64_t token) {
  int i = 0;
  while (lane->running[i] != token) i++;
  lane->running[i] = lane->running[--lane->running_n];
  pthread_cond_broadcast(&lane->changed); /* the token's next may go on now */
}

static void *lane_main(void *arg) {
  struct lane *lane = arg;
  /* Of this thread and of the helpers that it starts: when processors are short, answers come
   * before long work. */
  if (lane->nice) setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
  pthread_mutex_lock(&lane->lock);
  for (;;) {
    struct http_request *req = dequeue(lane);
    if (!req && lane->stopping) break;
    if (!req) {
      pthread_cond_wait(&lane->changed, &lane->lock);
      continue;
    }
    const uint64_t token = req->token;
    pthread_mutex_unlock(&lane->lock);
    http_run_deferred(req);
    pthread_mutex_lock(&lane->lock);
    leave(lane, token);
  }
  pthread_mutex_unlock(&lane->lock);
  return NULL;
}

enum px_status workpool_new(int threads, struct workpool **out, struct px_err *err) {
  struct workpool *pool = calloc(1, sizeof *pool);
  if (!pool) return px_fail(err, PX_E_NO_MEMORY, "work pool");
  for (int i = 0; i < HTTP_LANES_N; i++) {
    struct lane *lane = &pool->lanes[i];
    pthread_mutex_init(&lane->lock, NULL);
    pthread_cond_init(&lane->changed, NULL);
    lane->nice = i != HTTP_SUBMIT && i != HTTP_PREDICT;
  }
  if (threads > THREADS_MAX) threads = THREADS_MAX;
  for (int i = 0; i < HTTP_LANES_N * threads; i++) {
    struct lane *lane = &pool->lanes[i / threads];
    if (pthread_create(&lane->threads[i % threads], NULL, lane_main, lane) != 0) {
      workpool_free(pool);
      return px_fail(err, PX_E_NO_MEMORY, "starting a thread");
    }
    pthread_mutex_lock(&lane->lock);
    lane->threads_n++;
    pthread_mutex_unlock(&lane->lock);
  }
  *out = pool;
  return PX_OK;
}

static void lane_end(struct lane *lane) {
  pthread_mutex_lock(&lane->lock);
  lane->stopping = true;
  pthread_cond_broadcast(&lane->changed);
  pthread_mutex_unlock(&lane->lock);
  for (int i = 0; i < lane->threads_n; i++) pthread_join(lane->threads[i], NULL);
  pthread_cond_destroy(&lane->changed);
  pthread_mutex_destroy(&lane->lock);
}

void workpool_free(struct workpool *pool) {
  if (!pool) return;
  for (int i = 0; i < HTTP_LANES_N; i++) lane_end(&pool->lanes[i]);
  free(pool);
}

/* A token's requests have turns one after another, the first of them right after the latest taken;
 * so tokens alternate. */
static void enqueue(struct lane *lane, struct http_request *req) {
  req->turn = lane->turn + 1;
  for (const struct http_request *other = lane->first; other; other = other->next_deferred)
    if (other->token == req->token && other->turn >= req->turn) req->turn = other->turn + 1;
  struct http_request **at = &lane->first;
  while (*at && (*at)->turn <= req->turn) at = &(*at)->next_deferred;
  req->next_deferred = *at;
  *at = req;
  lane->waiting_n++;
  pthread_cond_broadcast(&lane->changed);
}

static int waiting_of(const struct lane *lane, uint64_t token) {
  int n = 0;
  for (const struct http_request *req = lane->first; req; req = req->next_deferred)
    n += req->token == token;
  return n;
}

enum px_status workpool_put(struct workpool *pool, struct http_request *req, bool begun,
                            struct px_err *err) {
  struct lane *lane = &pool->lanes[req->lane];
  enum px_status status = PX_OK;
  pthread_mutex_lock(&lane->lock);
  if (!begun && waiting_of(lane, req->token) >= DEFER_QUEUE_MAX)
    status =
      px_fail(err, PX_E_RATE_LIMITED, "%d requests of this token wait already", DEFER_QUEUE_MAX);
  else enqueue(lane, req);
  pthread_mutex_unlock(&lane->lock);
  return status;
}

struct workpool_load workpool_load(struct workpool *pool, int lane_n) {
  struct lane *lane = &pool->lanes[lane_n];
  pthread_mutex_lock(&lane->lock);
  const struct workpool_load load = { lane->waiting_n, lane->running_n };
  pthread_mutex_unlock(&lane->lock);
  return load;
}
