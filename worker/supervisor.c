/* SPDX-License-Identifier: Apache-2.0 */
/* The supervisor: see supervisor.h. */
#include "worker/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "lib/base/log.h"
#include "lib/base/rng.h"
#include "lib/base/scratch.h"
#include "lib/base/secret.h"
#include "lib/base/stop.h"
#include "lib/flow/estimate.h"
#include "lib/redis/queue.h"
#include "lib/store/jobs.h"
#include "lib/store/store.h"
#include "lib/store/workers.h"
#include "worker/child.h"
#include "worker/jobs/jobs.h"
#include "worker/limits.h"

enum {
  JANITOR_EVERY_MS = 60000,
  RETRY_MS = 500,
  CHECKPOINT_WITHIN_MS = 5000,
  EAGER_FOR_MS = 2000,
  EAGER_MS = 100,
  WORKER_ID_MAX = 96,
  WATCH_MS = 250
};

struct supervisor {
  const struct px_config *config;
  int stop_fd;
  struct store *store;
  struct queue *queue;
  char id[WORKER_ID_MAX], host[64];
  struct px_rng jitter;
  int64_t reap_at_ms, janitor_at_ms, seen_at_ms;
  /* a job that failed here is ready again after a short pause, which no wake-up tells of */
  int64_t eager_until_ms;
  int lease_ms, heartbeat_ms, reap_ms, poll_ms, drain_ms, stall_ms;
  int64_t memory_bytes;         /* that a job's process may take; 0: not known */
  struct store_keep keep;       /* of finished jobs */
  bool stopping, claimed_blind; /* ... a claim's answer was lost: it may have taken a job */
  bool outdated;                /* the schema has gone on without this build */
};

/* The job being watched. */
struct watch {
  const struct store_job *job;
  struct child child;
  char phase[24];
  int64_t step, total;
  /* where and when counting to this total began: a resumed training begins in the middle */
  int64_t first_step, first_ms;
  int64_t began_ms, beat_at_ms, moved_ms, drain_until_ms, kill_at_ms;
  /* the kernel's before it began; the most memory that was seen */
  int64_t oom_kills, resident_max;
  bool done, told; /* the child said how it ended; ... that it succeeded */
  bool fenced;     /* the hold is lost: nothing may be said of the job any more */
  struct px_err why;
};

static bool stopping(struct supervisor *s) {
  if (!s->stopping && px_stop_wait(s->stop_fd, 0)) {
    s->stopping = true;
    px_log(PX_LOG_INFO, "draining", "worker", s->id, NULL);
  }
  return s->stopping;
}

/* Plus or minus a quarter, so that many workers do not act in step. */
static int64_t jittered(struct supervisor *s, int64_t ms) {
  return ms * 3 / 4 + (int64_t)px_rng_below(&s->jitter, (uint32_t)(ms / 2 + 1));
}

static void reap(struct supervisor *s, int64_t now) {
  if (now < s->reap_at_ms) return;
  s->reap_at_ms = now + jittered(s, s->reap_ms);
  struct store_reaped reaped = { 0 };
  struct px_err err;
  if (store_jobs_reap(s->store, &reaped, &err)) {
    px_log_err("reap_failed", &err, "worker", s->id);
    return;
  }
  if (reaped.returned) queue_wake(s->queue, reaped.returned);
  if (reaped.returned || reaped.failed || reaped.cancelled || reaped.sessions_ended)
    px_log(PX_LOG_WARN, "reaped", "returned", PX_I(reaped.returned), "failed", PX_I(reaped.failed),
           "cancelled", PX_I(reaped.cancelled), "sessions_ended", PX_I(reaped.sessions_ended),
           NULL);
}

/* For whoever watches from outside, such as a container's health check: its age tells a worker that
 * hangs, or has lost the database, from one that is busy. */
static void touch_health_file(const struct supervisor *s) {
  const char *path = px_config_text(s->config, "health_file");
  if (!*path) return;
  const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0 || futimens(fd, NULL) < 0)
    px_log(PX_LOG_WARN, "health_file_failed", "path", path, NULL);
  if (fd >= 0) close(fd);
}

static void show_itself(struct supervisor *s, int64_t now) {
  struct px_err err;
  if (now < s->seen_at_ms) return;
  s->seen_at_ms = now + s->heartbeat_ms;
  if (store_worker_seen(s->store, s->id, s->host, (int)getpid(), s->stopping, s->memory_bytes,
                        &err)) {
    px_log_err("registration_failed", &err, "worker", s->id);
    return;
  }
  touch_health_file(s);
  const bool outdated = store_check_schema(s->store, &err) != PX_OK;
  if (outdated && !s->outdated) px_log_err("schema_not_served", &err, "worker", s->id);
  s->outdated = outdated;
}

/* What every worker does beside its job, on the supervisor's own connection. */
static void keep_house(struct supervisor *s) {
  const int64_t now = px_clock_ms();
  struct px_err err;
  reap(s, now);
  show_itself(s, now);
  if (now >= s->janitor_at_ms) {
    s->janitor_at_ms = now + jittered(s, JANITOR_EVERY_MS);
    const int folders = px_scratch_sweep(px_scratch_home());
    if (folders) px_log(PX_LOG_INFO, "janitor", "scratch_folders_removed", PX_I(folders), NULL);
    int removed = 0, old = 0;
    if (store_job_janitor(s->store, &removed, &err) ||
        store_job_janitor_old(s->store, &s->keep, &old, &err))
      px_log_err("janitor_failed", &err, "worker", s->id);
    else if (removed || old)
      px_log(PX_LOG_INFO, "janitor", "removed", PX_I(removed), "removed_with_age", PX_I(old), NULL);
  }
}

/* One that is given back is asked to keep a training's state first (checkpointer.h); nobody waits
 * for the others. */
static void kill_child(struct watch *w, enum px_status why, const char *message,
                       struct supervisor *s) {
  if (w->kill_at_ms) return;
  const bool give_back = why == PX_E_WORKER_LOST;
  px_fail(&w->why, why, "%s", message);
  px_log(PX_LOG_WARN, "child_stopped", "job", w->job->hold.job, "why", px_status_slug(why),
         "worker", s->id, NULL);
  kill(w->child.pid, give_back ? SIGTERM : SIGKILL);
  w->kill_at_ms = px_clock_ms() + (give_back ? CHECKPOINT_WITHIN_MS : 0);
}

static void beat(struct supervisor *s, struct watch *w) {
  const int64_t now = px_clock_ms();
  if (now < w->beat_at_ms || w->fenced) return;
  w->beat_at_ms = now + s->heartbeat_ms;
  bool cancel = false;
  struct px_err err;
  const enum px_status status =
    store_job_heartbeat(s->store, &w->job->hold, s->lease_ms, *w->phase ? w->phase : NULL, w->step,
                        w->total, &cancel, &err);
  if (status == PX_E_FENCED && !w->done) {
    w->fenced = true;
    kill_child(w, PX_E_FENCED, "another worker holds the job", s);
  } else if (status && status != PX_E_FENCED) {
    px_log_err("heartbeat_failed", &err, "job", w->job->hold.job);
    w->beat_at_ms = now + RETRY_MS; /* the lease may outlast a short outage */
  } else if (cancel) {
    kill_child(w, PX_E_CANCELLED, "the job was cancelled", s);
  }
  if (!status) queue_changed(s->queue, w->job->hold.job);
}

/* As job documents have it; the server lays it over the last heartbeat's. */
static void tell_progress(struct supervisor *s, const struct watch *w) {
  char json[200], eta[32] = "null";
  const double elapsed_s = (double)(px_clock_ms() - w->first_ms) / 1000;
  const int64_t done = w->step - w->first_step;
  if (done > 0 && w->total >= w->step)
    snprintf(eta, sizeof eta, "%.1f", elapsed_s * (double)(w->total - w->step) / (double)done);
  snprintf(
    json, sizeof json,
    "{\"epoch\":%lld,\"phase\":\"%s\",\"progress\":{\"step\":%lld,\"total\":%lld,\"eta_s\":%s}}",
    (long long)w->job->hold.epoch, w->phase, (long long)w->step, (long long)w->total, eta);
  queue_progress(s->queue, w->job->hold.job, json);
}

/* An allocation beyond the bound of its address space: the next attempt would end there too. */
static void tell_bound(struct px_err *why, int64_t memory_mb) {
  char what[sizeof why->message];
  snprintf(what, sizeof what, "%.200s", why->message);
  px_fail(why, PX_E_OOM, "%s: the worker gives a job %lld MiB", what, (long long)memory_mb);
}

static void take_frame(struct supervisor *s, struct watch *w, const struct child_frame *frame) {
  if (frame->kind == CHILD_PROGRESS) {
    const bool fresh = frame->step < w->step || frame->total != w->total;
    memcpy(w->phase, frame->phase, sizeof w->phase);
    w->phase[sizeof w->phase - 1] = '\0';
    w->step = frame->step > 0 ? frame->step : 0;
    w->total = frame->total > 0 ? frame->total : 0;
    w->moved_ms = px_clock_ms();
    if (fresh) w->first_step = w->step, w->first_ms = w->moved_ms;
    tell_progress(s, w);
    return;
  }
  w->done = true;
  w->told = frame->kind == CHILD_DONE;
  if (frame->kind == CHILD_FAILED && !w->kill_at_ms) w->why = frame->err;
  const int64_t memory_mb = px_config_int(s->config, "memory_mb");
  if (w->why.code == PX_E_NO_MEMORY && memory_mb > 0) tell_bound(&w->why, memory_mb);
}

/* Whether the pipe is still open. */
static bool drain_frames(struct supervisor *s, struct watch *w) {
  struct child_frame frame;
  for (;;) {
    const int n = child_read(&w->child, &frame);
    if (n <= 0) return n == 0;
    take_frame(s, w, &frame);
  }
}

/* Waits for the child's word, the next heartbeat or a stop, whichever is first. */
static void doze(struct supervisor *s, const struct watch *w) {
  const int64_t now = px_clock_ms(), until_beat = w->beat_at_ms > now ? w->beat_at_ms - now : 0;
  struct pollfd fds[2] = { { .fd = w->child.frames_fd, .events = POLLIN },
                           { .fd = s->stop_fd, .events = POLLIN } };
  const int wait_ms = until_beat < WATCH_MS ? (int)until_beat : WATCH_MS;
  if (poll(fds, s->stopping ? 1 : 2, wait_ms) < 0 && errno != EINTR)
    px_log(PX_LOG_ERROR, "poll_failed", NULL);
}

/* Memory beyond what the worker gives a job, and an attempt that goes on beyond all estimates. */
static void check_limits(struct supervisor *s, struct watch *w, int64_t now) {
  const int64_t resident = limits_resident_all(w->child.pid);
  char text[256], took[FLOW_BYTES_TEXT], may[FLOW_BYTES_TEXT];
  if (resident > w->resident_max) w->resident_max = resident;
  if (s->memory_bytes && resident > s->memory_bytes) {
    flow_estimate_bytes_text((double)resident, took);
    flow_estimate_bytes_text((double)s->memory_bytes, may);
    snprintf(text, sizeof text,
             "the job's process and its helpers took %s of memory, and this worker gives a job %s",
             took, may);
    kill_child(w, PX_E_OOM, text, s);
  }
  if (w->job->limit_s && now - w->began_ms > w->job->limit_s * 1000) {
    snprintf(
      text, sizeof text,
      "the attempt took longer than its limit of %lld s, which is far beyond what it should take",
      (long long)w->job->limit_s);
    kill_child(w, PX_E_TIME_LIMIT, text, s);
  }
}

/* Near the worker's bound, or the kernel has killed for want of memory while it ran. */
static bool lacked_memory(const struct supervisor *s, const struct watch *w) {
  return (s->memory_bytes && w->resident_max > s->memory_bytes / 10 * 9) ||
         limits_oom_kills() > w->oom_kills;
}

static void watch_child(struct supervisor *s, struct watch *w) {
  while (drain_frames(s, w)) {
    const int64_t now = px_clock_ms();
    beat(s, w);
    keep_house(s);
    if (stopping(s) && !w->drain_until_ms) w->drain_until_ms = now + s->drain_ms;
    if (w->drain_until_ms && now >= w->drain_until_ms)
      kill_child(w, PX_E_WORKER_LOST, "the worker is stopping", s);
    check_limits(s, w, now);
    if (now - w->moved_ms > s->stall_ms)
      kill_child(w, PX_E_TIMEOUT, "the job made no progress for too long", s);
    if (w->kill_at_ms && now >= w->kill_at_ms) kill(w->child.pid, SIGKILL);
    doze(s, w);
  }
}

/* Says how the job ended, trying again while the database is away or has no room: as long as the
 * lease could still be ours. */
static void settle(struct supervisor *s, const struct watch *w) {
  const int64_t until_ms = px_clock_ms() + s->lease_ms;
  struct px_err err;
  enum px_status status;
  s->eager_until_ms = px_clock_ms() + EAGER_FOR_MS;
  const bool give_back = w->kill_at_ms && w->why.code == PX_E_WORKER_LOST;
  do {
    status = give_back ? store_job_give_back(s->store, &w->job->hold, &err)
                       : store_job_fail(s->store, &w->job->hold, &w->why, &err);
    if (!status || px_status_retry(status) == PX_RETRY_NEVER) break;
    px_stop_wait(-1, RETRY_MS);
  } while (px_clock_ms() < until_ms);
  if (status && status != PX_E_FENCED) px_log_err("settling_failed", &err, "job", w->job->hold.job);
  px_log(give_back ? PX_LOG_INFO : PX_LOG_WARN, give_back ? "job_given_back" : "job_failed", "job",
         w->job->hold.job, "kind", w->job->kind, "code", px_status_slug(w->why.code), "message",
         w->why.message, NULL);
}

/* A worker for each job that this one has readied: one alone would leave the others to the next
 * poll. */
static void wake_others(struct supervisor *s, const char *job) {
  struct px_err err;
  int n = 1;
  if (store_job_readied(s->store, job, &n, &err)) px_log_err("wake_failed", &err, "job", job);
  queue_wake(s->queue, n);
}

static void work(struct supervisor *s, const struct store_job *job) {
  const int64_t start = px_clock_ms();
  struct watch w = { .job = job,
                     .beat_at_ms = start + s->heartbeat_ms,
                     .moved_ms = start,
                     .began_ms = start,
                     .oom_kills = limits_oom_kills() };
  px_log(PX_LOG_INFO, "job_claimed", "job", job->hold.job, "kind", job->kind, "name", job->name,
         "attempt", PX_I(job->attempt), "epoch", PX_I(job->hold.epoch), NULL);
  queue_changed(s->queue, job->hold.job);
  enum px_status status = child_start(job, s->config, &w.child, &w.why);
  if (!status) {
    watch_child(s, &w);
    struct px_err death;
    status = child_reap(&w.child, lacked_memory(s, &w), &death);
    if (status && !w.done && !w.kill_at_ms) w.why = death;
    if (status) px_scratch_sweep(px_scratch_home()); /* what it could not tidy up itself */
  }
  if (w.told) {
    px_log(PX_LOG_INFO, "job_succeeded", "job", job->hold.job, "kind", job->kind, "name", job->name,
           "seconds", PX_F((double)(px_clock_ms() - start) / 1000), NULL);
    wake_others(s, job->hold.job);
  } else if (!w.fenced && w.why.code != PX_E_FENCED) {
    settle(s, &w);
  } else {
    px_log(PX_LOG_WARN, "job_lost", "job", job->hold.job, "kind", job->kind, "epoch",
           PX_I(job->hold.epoch), NULL);
  }
  queue_changed(s->queue, job->hold.job);
  if (*job->parent_id) queue_changed(s->queue, job->parent_id);
}

static void loop(struct supervisor *s) {
  size_t kinds_n;
  const char *const *kinds = jobs_kinds(&kinds_n);
  bool away = false;
  while (!stopping(s)) {
    keep_house(s);
    struct store_job *job = NULL;
    struct px_err err;
    const enum px_status status =
      s->claimed_blind ? store_job_adopt(s->store, s->id, s->lease_ms, &job, &err)
      : s->outdated    ? PX_OK
                    : store_job_claim(s->store, s->id, kinds, kinds_n, s->lease_ms, s->memory_bytes,
                                      &job, &err);
    if (status == PX_E_UNSETTLED || !status) s->claimed_blind = status == PX_E_UNSETTLED;
    if (status && !away) px_log_err("claim_failed", &err, "worker", s->id);
    away = status != PX_OK;
    if (job) {
      work(s, job);
      store_job_free(job);
    } else {
      const int64_t until_reap = s->reap_at_ms - px_clock_ms();
      int wait_ms = away ? RETRY_MS : s->poll_ms;
      if (!away && px_clock_ms() < s->eager_until_ms && wait_ms > EAGER_MS) wait_ms = EAGER_MS;
      if (until_reap >= 0 && until_reap < wait_ms) wait_ms = (int)until_reap + 1;
      queue_wait(s->queue, wait_ms, s->stop_fd);
    }
  }
}

static enum px_status set_up(struct supervisor *s, struct px_err *err) {
  const struct px_config *c = s->config;
  s->lease_ms = (int)px_config_int(c, "lease_ms");
  s->heartbeat_ms = (int)px_config_int(c, "heartbeat_ms");
  s->reap_ms = (int)px_config_int(c, "reap_ms");
  s->poll_ms = (int)px_config_int(c, "poll_ms");
  s->drain_ms = (int)px_config_int(c, "drain_ms");
  s->stall_ms = (int)px_config_int(c, "stall_ms");
  s->memory_bytes = limits_memory(px_config_int(c, "memory_mb"));
  s->keep =
    (struct store_keep){ .jobs_days = (double)px_config_int(c, "keep_jobs_days"),
                         .jobs_n = px_config_int(c, "keep_jobs"),
                         .metrics_days = (double)px_config_int(c, "keep_metrics_days"),
                         .events_days = (double)px_config_int(c, "keep_events_days"),
                         .artifacts_days = (double)px_config_int(c, "keep_artifacts_days") };
  if (s->heartbeat_ms * 2 > s->lease_ms)
    return px_fail_at(err, PX_E_BAD_FIELD, "heartbeat_ms",
                      "heartbeat_ms must be at most half of lease_ms");
  uint64_t seed;
  enum px_status status = px_secret_random(&seed, sizeof seed);
  if (status) return px_fail(err, status, "no random numbers");
  s->jitter = px_rng_at(seed, 0, 0);
  if (gethostname(s->host, sizeof s->host - 1) < 0) snprintf(s->host, sizeof s->host, "unknown");
  snprintf(s->id, sizeof s->id, "%s:%d:%08x", s->host, (int)getpid(), (unsigned)seed);
  status = store_open(px_config_text(c, "db_url"), s->id, &s->store, err);
  if (!status) status = store_check_schema(s->store, err);
  if (!status) store_warn_of_functions(s->store);
  /* a silent connection must not cost the lease */
  if (!status) store_set_answer(s->store, s->lease_ms / 3);
  if (!status) status = queue_open(px_config_text(c, "redis_url"), &s->queue, err);
  return status;
}

enum px_status supervisor_run(const struct px_config *config, int stop_fd, struct px_err *err) {
  struct supervisor s = { .config = config, .stop_fd = stop_fd };
  enum px_status status = set_up(&s, err);
  if (!status) {
    px_log(PX_LOG_INFO, "worker_started", "worker", s.id, "version", PX_VERSION, NULL);
    loop(&s);
    struct px_err gone;
    if (store_worker_gone(s.store, s.id, &gone))
      px_log_err("deregistration_failed", &gone, "worker", s.id);
    px_log(PX_LOG_INFO, "worker_stopped", "worker", s.id, NULL);
  }
  queue_close(s.queue);
  store_close(s.store);
  return status;
}
