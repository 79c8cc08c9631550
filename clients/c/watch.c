/* SPDX-License-Identifier: Apache-2.0 */
/* Following a job: see cli.h. Long polls, so that a change is shown at once and an idle server is
 * left alone. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clients/c/cli.h"
#include "clients/c/text.h"
#include "lib/base/clock.h"
#include "lib/base/fail.h"

enum { LINE_MAX_BYTES = 256, GIVE_UP_AFTER_S = 60 };

static void describe(const json_t *job, char *out, size_t n) {
  char state[32], phase[48], eta[48] = "";
  text_cell(job, "state", state, sizeof state);
  text_cell(job, "phase", phase, sizeof phase);
  const json_t *progress = json_object_get(job, "progress");
  const double step = json_number_value(json_object_get(progress, "step"));
  const double total = json_number_value(json_object_get(progress, "total"));
  const json_t *eta_s = json_object_get(progress, "eta_s");
  if (json_is_number(eta_s)) {
    char left[32];
    text_duration(json_number_value(eta_s), left, sizeof left);
    snprintf(eta, sizeof eta, ", %s left", left);
  }
  if (total > 0) snprintf(out, n, "%s  %s  %.0f%%%s", state, phase, 100 * step / total, eta);
  else snprintf(out, n, "%s  %s", state, phase);
}

/* On a terminal the line is rewritten; elsewhere only changes of state or phase are new lines. */
static void show(const json_t *job, char last[LINE_MAX_BYTES]) {
  char line[LINE_MAX_BYTES], key[LINE_MAX_BYTES], state[32], phase[48];
  describe(job, line, sizeof line);
  if (isatty(STDERR_FILENO)) {
    fprintf(stderr, "\r\033[K%s", line);
    return;
  }
  text_cell(job, "state", state, sizeof state);
  text_cell(job, "phase", phase, sizeof phase);
  snprintf(key, sizeof key, "%s %s", state, phase);
  if (strcmp(key, last) != 0) fprintf(stderr, "%s\n", line);
  snprintf(last, LINE_MAX_BYTES, "%s", key);
}

static bool has_ended(const json_t *job) {
  const char *state = json_string_value(json_object_get(job, "state"));
  return state && (strcmp(state, "succeeded") == 0 || strcmp(state, "failed") == 0 ||
                   strcmp(state, "cancelled") == 0);
}

static enum px_status ended_by(enum px_status code, const char *what, const char *reason,
                               struct px_err *err) {
  px_fail(err, code, "%s%s", what, reason);
  px_fail_hint(err, "%s", px_status_hint(code));
  return code;
}

/* A failed job's own error becomes the command's. */
static enum px_status outcome(const json_t *job, struct px_err *err) {
  const char *state = json_string_value(json_object_get(job, "state"));
  if (strcmp(state, "succeeded") == 0) return PX_OK;
  if (strcmp(state, "cancelled") == 0)
    return ended_by(PX_E_CANCELLED, "the job was cancelled", "", err);
  const json_t *error = json_object_get(job, "error");
  if (json_is_object(error)) return client_problem(500, error, err);
  const char *reason = json_string_value(json_object_get(job, "reason"));
  return ended_by(px_status_from_slug(reason ? reason : ""),
                  "the job failed: ", reason ? reason : "no reason given", err);
}

enum px_status cli_watch(struct cli *cli, const char *job, json_t **out, struct px_err *err) {
  char path[CLI_PATH_MAX], line[LINE_MAX_BYTES] = "";
  struct client_reply reply = { 0 };
  json_t *last = NULL;
  double answered_s = px_clock_s();
  enum px_status status = client_path(path, sizeof path, err, "/v1/jobs/{}?wait=20s", job, NULL);
  while (!status && !(last && has_ended(last))) {
    char etag[sizeof reply.etag];
    json_t *next = NULL;
    memcpy(etag, reply.etag, sizeof etag);
    status = client_get(cli->client, path, etag, &next, &reply, err);
    if (status && client_reached(cli->client) && px_status_retry(status) != PX_RETRY_NEVER &&
        px_clock_s() - answered_s < GIVE_UP_AFTER_S) {
      /* The server restarts, or the network fails: the job goes on without us. */
      memcpy(reply.etag, etag, sizeof etag);
      sleep(
        (unsigned)(reply.retry_after_s > 0 && reply.retry_after_s < 10 ? reply.retry_after_s : 1));
      status = PX_OK;
      continue;
    }
    if (status) break;
    answered_s = px_clock_s();
    if (!next) { /* 304: nothing changed while it waited */
      memcpy(reply.etag, etag, sizeof etag);
      if (!last) status = px_fail(err, PX_E_BAD_DATA, "the server answered without a document");
      continue;
    }
    json_decref(last);
    last = next;
    show(last, line);
  }
  if (last && isatty(STDERR_FILENO)) fputc('\n', stderr);
  if (!status) status = outcome(last, err);
  text_warnings(stderr, json_object_get(last, "result"));
  if (out) *out = last;
  else json_decref(last);
  return status;
}
