/* SPDX-License-Identifier: Apache-2.0 */
/* jobs and workers. */
#include <stdio.h>
#include <string.h>

#include "clients/c/cli.h"
#include "clients/c/text.h"
#include "lib/base/fail.h"

#define COLUMNS_N(columns) (sizeof(columns) / sizeof *(columns))

static enum px_status list(struct cli *cli, struct px_err *err) {
  static const struct text_column COLUMNS[] = {
    { "ID", "id" },         { "KIND", "kind" },          { "STATE", "state" },
    { "PHASE", "phase" },   { "STEP", "progress.step" }, { "OF", "progress.total" },
    { "REASON", "reason" }, { "NAME", "name" },
  };
  static const char *const FILTERS[] = { "dataset", "kind", "state", "parent", NULL };
  return cli_list(
    cli, &(struct cli_listing){ "/v1/jobs", "before", FILTERS, COLUMNS, COLUMNS_N(COLUMNS) }, err);
}

static enum px_status show(struct cli *cli, struct px_err *err) {
  return cli_show(cli, "/v1/jobs/{}", err);
}

static enum px_status events(struct cli *cli, struct px_err *err) {
  static const struct text_column COLUMNS[] = {
    { "AT", "at" },         { "FROM", "from" },     { "TO", "to" },
    { "REASON", "reason" }, { "WORKER", "worker" },
  };
  return cli_list(cli,
                  &(struct cli_listing){ "/v1/jobs/{}/events", NULL, NULL, COLUMNS,
                                         COLUMNS_N(COLUMNS) },
                  err);
}

static enum px_status metrics(struct cli *cli, struct px_err *err) {
  static const struct text_column COLUMNS[] = {
    { "NAME", "name" },
    { "STEP", "step" },
    { "VALUE", "value" },
  };
  return cli_list(cli,
                  &(struct cli_listing){ "/v1/jobs/{}/metrics", NULL, NULL, COLUMNS,
                                         COLUMNS_N(COLUMNS) },
                  err);
}

static enum px_status artifacts(struct cli *cli, struct px_err *err) {
  static const struct text_column COLUMNS[] = {
    { "NAME", "name" },
    { "TYPE", "media_type" },
    { "BYTES", "size_bytes" },
    { "CREATED", "created_at" },
  };
  return cli_list(cli,
                  &(struct cli_listing){ "/v1/jobs/{}/artifacts", NULL, NULL, COLUMNS,
                                         COLUMNS_N(COLUMNS) },
                  err);
}

static enum px_status artifact(struct cli *cli, struct px_err *err) {
  const char *file = cli_option(cli, "output"), *slash = strrchr(cli->args[1], '/');
  char path[CLI_PATH_MAX];
  enum px_status status = cli_connect(cli, err);
  if (!status)
    status = client_path(path, sizeof path, err, "/v1/jobs/{}/artifacts/{}", cli->args[0],
                         cli->args[1], NULL);
  if (!file) file = slash ? slash + 1 : cli->args[1];
  return status ? status : cli_download(cli, path, file, err);
}

static enum px_status workers(struct cli *cli, struct px_err *err) {
  static const struct text_column COLUMNS[] = {
    { "ID", "id" },
    { "HOST", "host" },
    { "PID", "pid" },
    { "VERSION", "version" },
    { "DRAINING", "draining" },
    { "MEMORY", "memory_bytes" },
    { "JOB", "jobs.0" },
    { "LAST SEEN", "last_seen_at" },
  };
  return cli_list(cli,
                  &(struct cli_listing){ "/v1/workers", NULL, NULL, COLUMNS, COLUMNS_N(COLUMNS) },
                  err);
}

static enum px_status submit(struct cli *cli, struct px_err *err) {
  json_t *spec = NULL;
  enum px_status status = cli_spec(cli, &spec, err);
  json_t *body = status ? NULL : json_pack("{s:s, s:o}", "kind", cli->args[0], "spec", spec);
  if (!status && !body) status = px_fail(err, PX_E_BAD_FIELD, "the kind is not UTF-8 text");
  if (!status) status = cli_connect(cli, err);
  if (!status) status = cli_submit(cli, "/v1/jobs", body, err);
  json_decref(body);
  return status;
}

static enum px_status retry(struct cli *cli, struct px_err *err) {
  char path[CLI_PATH_MAX];
  enum px_status status = cli_connect(cli, err);
  if (!status)
    status = client_path(path, sizeof path, err, "/v1/jobs/{}:retry", cli->args[0], NULL);
  return status ? status : cli_submit(cli, path, NULL, err);
}

static enum px_status watch(struct cli *cli, struct px_err *err) {
  json_t *last = NULL;
  enum px_status status = cli_connect(cli, err);
  if (!status) status = cli_watch(cli, cli->args[0], &last, err);
  if (last && cli_wants_json(cli)) cli_print_json(last);
  json_decref(last);
  return status;
}

static enum px_status cancel(struct cli *cli, struct px_err *err) {
  char path[CLI_PATH_MAX];
  json_t *answer = NULL;
  enum px_status status = cli_connect(cli, err);
  if (!status)
    status = client_path(path, sizeof path, err, "/v1/jobs/{}:cancel", cli->args[0], NULL);
  if (!status) status = client_post(cli->client, path, NULL, &answer, NULL, err);
  if (!status && cli_wants_json(cli)) cli_print_json(answer);
  else if (!status) puts("cancelled, or will be at its next heartbeat");
  json_decref(answer);
  return status;
}

static enum px_status remove_job(struct cli *cli, struct px_err *err) {
  return cli_delete(cli, "/v1/jobs/{}", err);
}

static enum px_status checkpoint(struct cli *cli, struct px_err *err) {
  const char *file = cli_option(cli, "output");
  char path[CLI_PATH_MAX], name[256];
  snprintf(name, sizeof name, "%.200s.safetensors", cli->args[0]);
  enum px_status status = cli_connect(cli, err);
  if (!status)
    status = client_path(path, sizeof path, err, "/v1/jobs/{}/checkpoint", cli->args[0], NULL);
  return status ? status : cli_download(cli, path, file ? file : name, err);
}

static const struct cli_option LIST[] = {
  { "dataset", "DATASET", "Only those of this dataset" },
  { "kind", "KIND", "Only of this kind" },
  { "state", "STATE", CLI_STATES },
  { "parent", "JOB", "Only those of this pipeline" },
  { "limit", "N", "Show at most so many (default: 100)" },
  { NULL, NULL, NULL },
};
static const struct cli_option CHECKPOINT[] = {
  { "output", "FILE", "Where to write; '-' is standard output (default: JOB.safetensors)" },
  { NULL, NULL, NULL },
};
static const struct cli_option ARTIFACT[] = {
  { "output", "FILE", "Where to write; '-' is standard output (default: its name)" },
  { NULL, NULL, NULL },
};
static const struct cli_option RETRY[] = {
  { "watch", NULL, "Follow it to its end" },
  { NULL, NULL, NULL },
};
static const struct cli_option SUBMIT[] = {
  { "spec", "JSON", "The job's fields, such as '{\"dataset\": \"hopper\"}'" },
  { "dry-run", NULL, "Print the plan, and start nothing" },
  { "dedupe-key", "KEY", "While a job with this key is unfinished, that one is the answer" },
  { "watch", NULL, "Follow it to its end" },
  { NULL, NULL, NULL },
};

const struct cli_command CLI_JOBS[] = {
  { "jobs", "list", "", 0, 0, LIST, "Jobs, newest first", list, "listJobs" },
  { "jobs", "show", "JOB", 1, 1, NULL, "One job: state, progress, result or error", show,
    "getJob" },
  { "jobs", "submit", "KIND", 1, 1, SUBMIT, "Start a single job of a kind; prints it", submit,
    "createJob" },
  { "jobs", "watch", "JOB", 1, 1, NULL, "Follow a job or a pipeline to its end; fails if it fails",
    watch, "getJob" },
  { "jobs", "cancel", "JOB", 1, 1, NULL, "Cancel a job, or a pipeline with all its jobs", cancel,
    "cancelJob" },
  { "jobs", "retry", "JOB", 1, 1, RETRY, "Start a fresh copy of a job that has ended", retry,
    "retryJob" },
  { "jobs", "delete", "JOB", 1, 1, NULL,
    "Remove a finished job with all that it left; of a pipeline, its jobs too", remove_job,
    "deleteJob" },
  { "jobs", "events", "JOB", 1, 1, NULL, "Each change of a job's state", events, "listJobEvents" },
  { "jobs", "metrics", "JOB", 1, 1, NULL, "The curves of a training", metrics, "listJobMetrics" },
  { "jobs", "artifacts", "JOB", 1, 1, NULL, "Files that a job left", artifacts, "listArtifacts" },
  { "jobs", "artifact", "JOB NAME", 2, 2, ARTIFACT, "Write one of these files here", artifact,
    "getArtifact" },
  { "jobs", "checkpoint", "JOB", 1, 1, CHECKPOINT,
    "Write the last kept state of a training that runs or failed (safetensors)", checkpoint,
    "getCheckpoint" },
  { "workers", NULL, "", 0, 0, NULL, "Workers that have shown themselves", workers, "listWorkers" },
  { 0 },
};
