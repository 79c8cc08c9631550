/* The work pool: see defer.h. */
#include "server/defer.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "server/http.h"

enum { THREADS_MAX = 64, NICE = 10 };

struct defer {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  struct http_request *first, *last; /* linked through next_deferred */
  size_t n;
  bool stopping;
  pthread_t threads[THREADS_MAX];
  int threads_n;
};

static void *defer_main(void *arg) {
  struct defer *defer = arg;
  /* Of this thread and of the helpers that it starts: when processors are short, answers come before long work. */
  setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
  pthread_mutex_lock(&defer->lock);
  for (;;) {
    while (!defer->stopping && defer->n == 0) pthread_cond_wait(&defer->changed, &defer->lock);
    if (defer->n == 0) break;
    struct http_request *req = defer->first;
    defer->first = req->next_deferred;
    defer->n--;
    pthread_mutex_unlock(&defer->lock);
    http_run_deferred(req);
    pthread_mutex_lock(&defer->lock);
  }
  pthread_mutex_unlock(&defer->lock);
  return NULL;
}

enum px_status defer_new(int threads, struct defer **out, struct px_err *err) {
  struct defer *defer = calloc(1, sizeof *defer);
  if (!defer) return px_fail(err, PX_E_NO_MEMORY, "work pool");
  pthread_mutex_init(&defer->lock, NULL);
  pthread_cond_init(&defer->changed, NULL);
  if (threads > THREADS_MAX) threads = THREADS_MAX;
  for (; defer->threads_n < threads; defer->threads_n++)
    if (pthread_create(&defer->threads[defer->threads_n], NULL, defer_main, defer) != 0) {
      defer_free(defer);
      return px_fail(err, PX_E_NO_MEMORY, "starting a thread");
    }
  *out = defer;
  return PX_OK;
}

void defer_free(struct defer *defer) {
  if (!defer) return;
  pthread_mutex_lock(&defer->lock);
  defer->stopping = true;
  pthread_cond_broadcast(&defer->changed);
  pthread_mutex_unlock(&defer->lock);
  for (int i = 0; i < defer->threads_n; i++) pthread_join(defer->threads[i], NULL);
  pthread_cond_destroy(&defer->changed);
  pthread_mutex_destroy(&defer->lock);
  free(defer);
}

enum px_status defer_put(struct defer *defer, struct http_request *req, bool begun, struct px_err *err) {
  enum px_status status = PX_OK;
  pthread_mutex_lock(&defer->lock);
  if (!begun && defer->n >= DEFER_QUEUE_MAX) {
    status = px_fail(err, PX_E_RATE_LIMITED, "%d requests wait for the work pool already", DEFER_QUEUE_MAX);
  } else {
    req->next_deferred = NULL;
    if (defer->n++) defer->last->next_deferred = req;
    else defer->first = req;
    defer->last = req;
    pthread_cond_signal(&defer->changed);
  }
  pthread_mutex_unlock(&defer->lock);
  return status;
}
