/* SPDX-License-Identifier: Apache-2.0 */
/* The child process of a job: see child.h. */
#include "worker/child.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/crash.h"
#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "lib/base/log.h"
#include "lib/flow/aliases.h"
#include "worker/jobs/jobs.h"
#include "worker/limits.h"

enum {
  FRAMES_FD = 3,
  JOB_JSON_MAX = 4 << 20,
  METRICS_EVERY_MS = 1000,
  PROGRESS_EVERY_MS = 200,
  EXIT_FAILED = 1
};

_Static_assert(sizeof(struct child_frame) <= 4096, "a frame must be written to a pipe whole");

/* ---- the supervisor's side ---- */

/* The job, and what the child has to know of the configuration, wherever that came from. */
static json_t *job_document(const struct store_job *job, const struct px_config *config) {
  json_t *spec = px_json_parse(job->spec_json, strlen(job->spec_json), 0, NULL);
  return spec
           ? json_pack("{s:s, s:I, s:s, s:s, s:o, s:s, s:I, s:I, s:I, s:b}", "job", job->hold.job,
                       "epoch", (json_int_t)job->hold.epoch, "kind", job->kind, "dataset",
                       job->dataset_id, "spec", spec, "db_url", px_config_text(config, "db_url"),
                       "memory_mb", (json_int_t)px_config_int(config, "memory_mb"), "checkpoint_ms",
                       (json_int_t)px_config_int(config, "checkpoint_ms"), "db_wait_ms",
                       (json_int_t)px_config_int(config, "db_wait_ms"), "log_json",
                       (int)px_config_flag(config, "log_json"))
           : NULL;
}

/* Specs are at most 1 MiB, more than a pipe holds: a file in memory never blocks. */
static int job_input(const struct store_job *job, const struct px_config *config) {
  struct px_json_making making;
  px_json_begin(&making);
  json_t *document = job_document(job, config);
  char *text = document ? px_json_dumps(document, JSON_COMPACT) : NULL;
  json_decref(document);
  const bool whole = px_json_end(&making);
  if (!whole) errno = ENOMEM;
  int fd = text && whole ? memfd_create("proxact-job", MFD_CLOEXEC) : -1;
  const size_t n = text ? strlen(text) : 0;
  if (fd >= 0 && (write(fd, text, n) != (ssize_t)n || lseek(fd, 0, SEEK_SET) < 0)) {
    close(fd);
    fd = -1;
  }
  free(text);
  return fd;
}

static int spawn(int input, int output, pid_t *pid) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  sigset_t none;
  sigemptyset(&none);
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output, FRAMES_FD);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  char *argv[] = { "proxact-worker", "child", NULL };
  const int rc = posix_spawn(pid, "/proc/self/exe", &actions, &attributes, argv, environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return rc;
}

enum px_status child_start(const struct store_job *job, const struct px_config *config,
                           struct child *out, struct px_err *err) {
  int pipe_fds[2] = { -1, -1 };
  const int input = job_input(job, config);
  enum px_status status = PX_OK;
  if (input < 0 || pipe2(pipe_fds, O_CLOEXEC) < 0) {
    status = px_fail_errno(err, "starting a process for job %s", job->hold.job);
  } else {
    fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK);
    errno = spawn(input, pipe_fds[1], &out->pid);
    if (errno) status = px_fail_errno(err, "starting a process for job %s", job->hold.job);
  }
  if (input >= 0) close(input);
  if (pipe_fds[1] >= 0) close(pipe_fds[1]);
  if (status && pipe_fds[0] >= 0) close(pipe_fds[0]);
  if (!status) out->frames_fd = pipe_fds[0];
  return status;
}

int child_read(const struct child *child, struct child_frame *frame) {
  const ssize_t n = read(child->frames_fd, frame, sizeof *frame);
  if (n == (ssize_t)sizeof *frame) return 1;
  return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

enum px_status child_reap(struct child *child, bool lacked, struct px_err *err) {
  int how = 0;
  while (waitpid(child->pid, &how, 0) < 0 && errno == EINTR) continue;
  close(child->frames_fd);
  child->frames_fd = -1;
  child->pid = 0;
  if (WIFEXITED(how) && WEXITSTATUS(how) == 0) return PX_OK;
  if (WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL && lacked)
    return px_fail(err, PX_E_OOM, "the kernel killed the job's process for want of memory");
  if (WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL)
    return px_fail(
      err, PX_E_CHILD_CRASHED,
      "the job's process was killed (SIGKILL) by somebody else; memory had not run out");
  if (WIFSIGNALED(how))
    return px_fail(err, PX_E_CHILD_CRASHED, "the job's process died of signal %d (%s)",
                   WTERMSIG(how), strsignal(WTERMSIG(how)));
  return px_fail(err, PX_E_CHILD_CRASHED, "the job's process ended with status %d and no word",
                 WEXITSTATUS(how));
}

/* ---- the child's side ---- */

struct reporter {
  struct job *job;
  int64_t sent_ms, metrics_ms;
  char phase[24];
  bool broken; /* the supervisor is gone */
};

static bool send_frame(const struct child_frame *frame) {
  ssize_t n;
  do n = write(FRAMES_FD, frame, sizeof *frame);
  while (n < 0 && errno == EINTR);
  return n == (ssize_t)sizeof *frame;
}

static enum px_status put_metrics(struct reporter *r, int64_t step, const struct px_metric *metrics,
                                  size_t n) {
  enum { MOST = 16 };
  struct store_metric rows[MOST];
  if (n > MOST) n = MOST;
  for (size_t i = 0; i < n; i++)
    rows[i] = (struct store_metric){ metrics[i].name, step, metrics[i].value };
  struct px_err err;
  const enum px_status status = store_job_metrics_put(r->job->store, &r->job->hold, rows, n, &err);
  /* Only a lost hold ends the work: curves are worth less than the job. */
  if (status && status != PX_E_FENCED)
    px_log_err("metrics_not_stored", &err, "job", r->job->hold.job);
  return status == PX_E_FENCED ? status : PX_OK;
}

static enum px_status report(void *ctx, const char *phase, int64_t step, int64_t total,
                             const struct px_metric *metrics, size_t metrics_n) {
  struct reporter *r = ctx;
  const int64_t now = px_clock_ms();
  const bool fresh = strncmp(r->phase, phase, sizeof r->phase - 1) != 0;
  if (fresh || now - r->sent_ms >= PROGRESS_EVERY_MS) {
    struct child_frame frame;
    memset(&frame, 0, sizeof frame);
    frame.kind = CHILD_PROGRESS;
    frame.step = step;
    frame.total = total;
    snprintf(frame.phase, sizeof frame.phase, "%s", phase);
    memcpy(r->phase, frame.phase, sizeof r->phase);
    r->sent_ms = now;
    if (!send_frame(&frame)) r->broken = true;
  }
  if (r->broken) return PX_E_FENCED;
  if (metrics_n == 0 || (now - r->metrics_ms < METRICS_EVERY_MS && step < total)) return PX_OK;
  r->metrics_ms = now;
  return put_metrics(r, step, metrics, metrics_n);
}

static enum px_status read_job(json_t **out, struct px_err *err) {
  struct px_buf text = PX_BUF(JOB_JSON_MAX);
  enum px_status status = PX_OK;
  for (ssize_t n = 1; !status && n > 0;) {
    char piece[65536];
    n = read(STDIN_FILENO, piece, sizeof piece);
    if (n < 0) status = px_fail_errno(err, "reading the job given to the child");
    if (n > 0 && px_buf_put(&text, piece, (size_t)n))
      status = px_fail(err, PX_E_NO_MEMORY, "the job given to the child");
  }
  json_error_t why;
  json_t *document = status ? NULL : px_json_parse(text.data, text.len, 0, &why);
  px_buf_free(&text);
  if (status) return status;
  if (!document && json_error_code(&why) == json_error_out_of_memory)
    return px_fail(err, PX_E_NO_MEMORY, "the job given to the child");
  if (!document) return px_fail(err, PX_E_INTERNAL, "the job given to the child does not parse");
  *out = document;
  return PX_OK;
}

static enum px_status run(const json_t *document, struct px_err *err) {
  struct job job = { .checkpoint_ms =
                       (int)json_integer_value(json_object_get(document, "checkpoint_ms")),
                     .dataset_id = json_string_value(json_object_get(document, "dataset")),
                     .hold.epoch = json_integer_value(json_object_get(document, "epoch")) };
  snprintf(job.hold.job, sizeof job.hold.job, "%s",
           json_string_value(json_object_get(document, "job")));
  struct reporter reporter = { .job = &job };
  job.progress = (struct px_progress){ &reporter, report };
  enum flow_kind kind;
  enum px_status status =
    flow_kind_from(json_string_value(json_object_get(document, "kind")), &kind, err);
  json_t *spec = NULL;
  if (!status)
    status = flow_aliases_replace(flow_kind_info(kind)->fields, json_object_get(document, "spec"),
                                  "/spec", NULL, &spec, err);
  if (status) return status;
  job.spec = spec;
  char application[64];
  snprintf(application, sizeof application, "px %s %lld", job.hold.job, (long long)job.hold.epoch);
  limits_apply(json_integer_value(json_object_get(document, "memory_mb")));
  px_crash_context(json_string_value(json_object_get(document, "kind")));
  px_log_setup("worker", PX_LOG_INFO, json_is_true(json_object_get(document, "log_json")));
  status =
    store_new(json_string_value(json_object_get(document, "db_url")), application, &job.store, err);
  if (!status)
    store_set_patience(job.store, (int)json_integer_value(json_object_get(document, "db_wait_ms")));
  if (!status) status = jobs_function(kind)(&job, err);
  store_close(job.store);
  json_decref(spec);
  return status;
}

int child_main(void) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  struct child_frame frame;
  memset(&frame, 0, sizeof frame);
  json_t *document = NULL;
  enum px_status status = read_job(&document, &frame.err);
  struct px_json_making making; /* all that the job tells */
  px_json_begin(&making);
  if (!status) status = run(document, &frame.err);
  if (!px_json_end(&making) && px_status_retry(status) == PX_RETRY_NEVER && status &&
      status != PX_E_FENCED)
    status = px_fail(&frame.err, PX_E_NO_MEMORY, "no memory for a document");
  json_decref(document);
  frame.err.code = status; /* a lower layer may have answered a code without details */
  frame.kind = status ? CHILD_FAILED : CHILD_DONE;
  return send_frame(&frame) && !status ? 0 : EXIT_FAILED;
}
