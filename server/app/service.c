/* SPDX-License-Identifier: Apache-2.0 */
/* What handlers share: see service.h. */
#include "server/app/service.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/fail.h"
#include "lib/base/log.h"
#include "lib/base/scratch.h"
#include "lib/base/secret.h"
#include "lib/base/text.h"
#include "lib/store/store.h"
#include "lib/store/uploads.h"
#include "server/app/longpoll.h"
#include "server/app/pulse.h"
#include "server/app/token_cache.h"
#include "server/app/workpool.h"

enum { TOKEN_BYTES = 32, LIVE_MS = 250 };
static const char TOKEN_PREFIX[] = "pxa_";

struct service {
  struct service_options options;
  pthread_key_t store_key;
  bool has_key;
  struct token_cache *tokens;
  struct pulse *pulse;
  pthread_mutex_t queue_lock;
  struct queue *queue;
  struct cache *recent;
  struct predictors *predictors;
  struct workpool *workpool;
  struct diskspace *room;
  struct longpoll *longpoll;
};

static void close_store(void *store) { store_close(store); }

enum px_status service_new(const struct service_options *options, struct service **out,
                           struct px_err *err) {
  struct service *s = calloc(1, sizeof *s);
  if (!s) return px_fail(err, PX_E_NO_MEMORY, "service");
  s->options = *options;
  pthread_mutex_init(&s->queue_lock, NULL);
  enum px_status status = PX_OK;
  s->has_key = pthread_key_create(&s->store_key, close_store) == 0;
  if (!s->has_key) status = px_fail(err, PX_E_NO_MEMORY, "a key for connections");
  if (!status && !(s->tokens = token_cache_new(options->rate_per_s, options->rate_burst)))
    status = px_fail(err, PX_E_NO_MEMORY, "tokens");
  if (!status && !(s->recent = cache_new()))
    status = px_fail(err, PX_E_NO_MEMORY, "recent answers");
  if (!status && !(s->predictors = predictors_new(options->predict_cache_bytes)))
    status = px_fail(err, PX_E_NO_MEMORY, "models");
  if (!status) status = diskspace_new(&options->room, &s->room, err);
  if (!status) status = queue_open(options->redis_url, &s->queue, err);
  if (!status) status = pulse_start(options->db_url, options->redis_url, &s->pulse, err);
  if (!status) status = workpool_new(options->work_threads, &s->workpool, err);
  if (!status) {
    const struct longpoll_options polls = { options->db_url, options->redis_url,
                                            pulse_silent(s->pulse) };
    status = longpoll_new(&polls, &s->longpoll, err);
  }
  if (status) {
    service_free(s);
    return status;
  }
  *out = s;
  return PX_OK;
}

void service_free(struct service *s) {
  if (!s) return;
  longpoll_free(s->longpoll);
  workpool_free(s->workpool);
  pulse_stop(s->pulse);
  queue_close(s->queue);
  if (s->has_key) {
    /* Destructors run when a thread ends; this one goes on. */
    store_close(pthread_getspecific(s->store_key));
    pthread_key_delete(s->store_key);
  }
  pthread_mutex_destroy(&s->queue_lock);
  token_cache_free(s->tokens);
  cache_free(s->recent);
  predictors_free(s->predictors);
  diskspace_free(s->room);
  free(s);
}

const struct service_options *service_options(const struct service *s) { return &s->options; }

struct diskspace *service_diskspace(struct service *s) {
  return s->room;
}

enum px_status service_claim(struct service *s, struct store *store, struct diskspace_claim *claim,
                             uint64_t spool_bytes, uint64_t db_bytes, struct px_err *err) {
  uint64_t promised = 0;
  const enum px_status status =
    diskspace_sees_db(s->room) ? store_uploads_promised(store, &promised, err) : PX_OK;
  return status ? status : diskspace_claim(s->room, claim, spool_bytes, db_bytes, promised, err);
}

enum px_status service_store(struct service *s, bool patient, struct store **out,
                             struct px_err *err) {
  struct store *store = pthread_getspecific(s->store_key);
  if (!patient && atomic_load(pulse_silent(s->pulse)))
    return px_fail(err, PX_E_UNAVAILABLE, "the database does not answer");
  if (!store) {
    const enum px_status status = store_new(s->options.db_url, "proxact-server", &store, err);
    if (status) return status;
    if (pthread_setspecific(s->store_key, store) != 0) {
      store_close(store);
      return px_fail(err, PX_E_NO_MEMORY, "keeping a connection");
    }
  }
  store_set_patience(store, patient ? s->options.db_wait_ms : 0);
  store_set_silent(store, patient ? NULL : pulse_silent(s->pulse));
  *out = store;
  return PX_OK;
}

void service_wake(struct service *s, int n) {
  pthread_mutex_lock(&s->queue_lock);
  queue_wake(s->queue, n);
  pthread_mutex_unlock(&s->queue_lock);
}

bool service_queue_up(struct service *s) { return pulse_redis_up(s->pulse); }

/* Many clients that follow one job ask Redis a few times a second together. */
bool service_job_progress(struct service *s, const char *job, struct px_buf *json) {
  const int64_t now = px_clock_ms() / LIVE_MS;
  if (cache_get(s->recent, job, now, json)) return json->len > 0;
  pthread_mutex_lock(&s->queue_lock);
  const bool any = queue_progress_get(s->queue, job, json);
  pthread_mutex_unlock(&s->queue_lock);
  cache_put(s->recent, job, now, any ? json->data : "");
  return any;
}

struct cache *service_cache(struct service *s) {
  return s->recent;
}

struct predictors *service_predictors(struct service *s) {
  return s->predictors;
}

void service_job_changed(struct service *s, const char *job) {
  pthread_mutex_lock(&s->queue_lock);
  queue_changed(s->queue, job);
  pthread_mutex_unlock(&s->queue_lock);
}

static enum px_status look_up(struct service *s, const uint8_t digest[PX_SHA256_BYTES],
                              enum token_cache_answer *answer, struct px_err *err) {
  struct store *store = NULL;
  enum px_status status = service_store(s, false, &store, err);
  if (!status) status = store_token_check(store, digest, err);
  if (!status) *answer = token_cache_trust(s->tokens, digest);
  else if (status == PX_E_UNAUTHORIZED) token_cache_refuse(s->tokens, digest);
  return status;
}

enum px_status service_authorize(struct service *s, const char *authorization, uint64_t address,
                                 uint8_t digest[PX_SHA256_BYTES], struct px_err *err) {
  if (!authorization) return px_fail(err, PX_E_UNAUTHORIZED, "there is no Authorization header");
  if (strncasecmp(authorization, "Bearer ", 7) != 0)
    return px_fail(err, PX_E_UNAUTHORIZED,
                   "the Authorization header does not begin with 'Bearer '");
  const char *token = authorization + 7 + strspn(authorization + 7, " ");
  uint8_t given[PX_SHA256_BYTES];
  px_digest_sha256(token, strlen(token), given);
  enum token_cache_answer answer = token_cache_take(s->tokens, given, address);
  if (answer == TOKENS_UNKNOWN) {
    const enum px_status status = look_up(s, given, &answer, err);
    if (status) return status;
  }
  if (answer == TOKENS_BAD)
    return px_fail(err, PX_E_UNAUTHORIZED, "this token is not known, or has expired");
  if (answer == TOKENS_TOO_MANY_UNKNOWN)
    return px_fail(err, PX_E_RATE_LIMITED, "too many unknown tokens have come from this address");
  memcpy(digest, given, sizeof given);
  if (answer == TOKENS_GOOD) return PX_OK;
  return px_fail(err, PX_E_RATE_LIMITED, "this token sends more than %lld requests a second",
                 (long long)s->options.rate_per_s);
}

enum px_status service_token_create(struct store *store, const char *name,
                                    char token[SERVICE_TOKEN_MAX], struct px_err *err) {
  uint8_t bytes[TOKEN_BYTES], digest[PX_SHA256_BYTES];
  if (px_secret_random(bytes, sizeof bytes))
    return px_fail(err, PX_E_IO, "the system gave no random bytes");
  char text[SERVICE_TOKEN_MAX];
  snprintf(text, sizeof text, "%s", TOKEN_PREFIX);
  px_text_hex(bytes, sizeof bytes, text + sizeof TOKEN_PREFIX - 1);
  px_digest_sha256(text, strlen(text), digest);
  const enum px_status status = store_token_create(store, name, digest, err);
  if (!status) memcpy(token, text, sizeof text);
  return status;
}

enum px_status service_spool(struct service *s, int *fd, struct px_err *err) {
  return px_scratch_file(s->options.spool_dir, fd, err);
}

enum px_status service_run_later(struct service *s, struct http_request *req, bool begun,
                                 struct px_err *err) {
  return workpool_put(s->workpool, req, begun, err);
}

struct workpool_load service_load(struct service *s, int lane) {
  return workpool_load(s->workpool, lane);
}

enum px_status service_park(struct service *s, struct http_request *req, const char *job,
                            int64_t version, int wait_ms, struct px_err *err) {
  return longpoll_put(s->longpoll, req, job, version, wait_ms, err);
}

void service_end_waits(struct service *s) { longpoll_end_all(s->longpoll); }
