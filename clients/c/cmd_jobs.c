/* SPDX-License-Identifier: Apache-2.0 */
/* jobs: list, show, watch, cancel, delete, checkpoint. */
#include <stdio.h>
#include <string.h>

#include "clients/c/cli.h"

#include "clients/c/text.h"
#include "lib/base/fail.h"

static enum px_status list(struct cli *cli, struct px_err *err) {
  static const struct text_column COLUMNS[] = {
    { "ID", "id" },         { "KIND", "kind" },          { "STATE", "state" },
    { "PHASE", "phase" },   { "STEP", "progress.step" }, { "OF", "progress.total" },
    { "REASON", "reason" }, { "NAME", "name" },
  };
  char path[CLI_PATH_MAX];
  json_t *answer = NULL;
  const json_t *items = NULL;
  const char *filter[] = { "dataset", "kind", "state", "parent" };
  enum px_status status = cli_connect(cli, err);
  if (!status) status = client_path(path, sizeof path, err, "/v1/jobs?limit=100", NULL);
  for (size_t i = 0; i < sizeof filter / sizeof *filter && !status; i++) {
    const size_t used = strlen(path);
    const char *value = cli_option(cli, filter[i]);
    if (value)
      status = client_path(path + used, sizeof path - used, err, "&{}={}", filter[i], value, NULL);
  }
  if (!status) status = client_get(cli->client, path, NULL, &answer, NULL, err);
  if (!status) status = cli_items(answer, &items, err);
  if (!status && cli_wants_json(cli)) cli_print_json(answer);
  else if (!status) text_table(stdout, items, COLUMNS, sizeof COLUMNS / sizeof *COLUMNS);
  json_decref(answer);
  return status;
}

static enum px_status show(struct cli *cli, struct px_err *err) {
  char path[CLI_PATH_MAX];
  json_t *answer = NULL;
  enum px_status status = cli_connect(cli, err);
  if (!status) status = client_path(path, sizeof path, err, "/v1/jobs/{}", cli->args[0], NULL);
  if (!status) status = client_get(cli->client, path, NULL, &answer, NULL, err);
  if (!status) cli_print_json(answer);
  text_warnings(stderr, json_object_get(answer, "result"));
  json_decref(answer);
  return status;
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
  { "dataset", "ID", "Only those of this dataset" },
  { "kind", "KIND", "Only of this kind" },
  { "state", "STATE", "Only in this state" },
  { "parent", "JOB", "Only those of this pipeline" },
  { NULL, NULL, NULL },
};

static const struct cli_option OUTPUT[] = {
  { "output", "FILE", "Where to write; '-' is standard output (default: JOB.safetensors)" },
  { NULL, NULL, NULL },
};

const struct cli_command CLI_JOBS[] = {
  { "jobs", "list", "", 0, 0, LIST, "Jobs, newest first", list },
  { "jobs", "show", "JOB", 1, 1, NULL, "One job: state, progress, result or error", show },
  { "jobs", "watch", "JOB", 1, 1, NULL, "Follow a job or a pipeline to its end; fails if it fails",
    watch },
  { "jobs", "cancel", "JOB", 1, 1, NULL, "Cancel a job, or a pipeline with all its jobs", cancel },
  { "jobs", "delete", "JOB", 1, 1, NULL,
    "Remove a finished job with all that it left; of a pipeline, its jobs too", remove_job },
  { "jobs", "checkpoint", "JOB", 1, 1, OUTPUT,
    "Write the last kept state of a training that runs or failed (safetensors)", checkpoint },
  { NULL, NULL, NULL, 0, 0, NULL, NULL, NULL },
};
