/* SPDX-License-Identifier: Apache-2.0 */
/* datasets actions, segments, delete-segment, versions, diff: data that changes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/c/cli.h"
#include "clients/c/text.h"
#include "lib/base/fail.h"

#define COLUMNS_N(columns) (sizeof(columns) / sizeof *(columns))

/* The ETag that an edit is to name: of --version, or the present one. */
static enum px_status find_etag(struct cli *cli, char *etag, size_t n, struct px_err *err) {
  long long version = 0;
  char path[CLI_PATH_MAX];
  json_t *document = NULL;
  struct client_reply reply = { 0 };
  enum px_status status = cli_option_int(cli, "version", 1, 1LL << 53, &version, err);
  if (!status) status = cli_connect(cli, err);
  if (!status && version) {
    snprintf(etag, n, "\"%lld\"", version);
    return PX_OK;
  }
  if (!status) status = client_path(path, sizeof path, err, "/v1/datasets/{}", cli->args[0], NULL);
  if (!status) status = client_get(cli->client, path, NULL, &document, &reply, err);
  if (!status) snprintf(etag, n, "%s", reply.etag);
  json_decref(document);
  return status;
}

static enum px_status carry_out(struct cli *cli, const struct client_edit *wanted,
                                struct px_err *err) {
  char etag[96], cell[32];
  json_t *answer = NULL;
  struct client_edit edit = *wanted;
  edit.etag = etag;
  enum px_status status = find_etag(cli, etag, sizeof etag, err);
  if (!status) status = client_edit(cli->client, &edit, &answer, err);
  if (!status && cli_wants_json(cli)) cli_print_json(answer);
  else if (!status) {
    text_cell(answer, "version", cell, sizeof cell);
    printf("version %s", cell);
    if (edit.file) {
      text_cell(answer, "steps", cell, sizeof cell);
      printf(", %s steps got an action", cell);
    }
    putchar('\n');
  }
  json_decref(answer);
  return status;
}

/* ".json", ".jsonl" or ".npz". */
static const char *media_type(const char *file) {
  const char *dot = strrchr(file, '.');
  return dot && strcmp(dot, ".json") == 0 ? "application/json" : client_media_type(file);
}

static enum px_status actions(struct cli *cli, struct px_err *err) {
  const char *file = cli->args[1], *slash = strrchr(file, '/'), *type = media_type(file);
  const char *trajectory = cli_option(cli, "trajectory"), *name = slash ? slash + 1 : file;
  char path[CLI_PATH_MAX];
  if (!type) {
    px_fail(err, PX_E_UNSUPPORTED_MEDIA, "the format of %s is not known from its name", file);
    px_fail_hint(err, "Actions come as .json, .jsonl or .npz.");
    return PX_E_UNSUPPORTED_MEDIA;
  }
  enum px_status status =
    trajectory
      ? client_path(path, sizeof path, err, "/v1/datasets/{}/trajectories/{}/actions?filename={}",
                    cli->args[0], trajectory, name, NULL)
      : client_path(path, sizeof path, err, "/v1/datasets/{}/actions?filename={}", cli->args[0],
                    name, NULL);
  if (!status) status = cli_put_query(cli, path, sizeof path, "replace", "replace", err);
  const struct client_edit edit = { .method = trajectory ? CLIENT_EDIT_PUT : CLIENT_EDIT_POST,
                                    .path = path,
                                    .file = file,
                                    .media_type = type };
  return status ? status : carry_out(cli, &edit, err);
}

static enum px_status delete_segment(struct cli *cli, struct px_err *err) {
  char path[CLI_PATH_MAX];
  const enum px_status status = client_path(path, sizeof path, err, "/v1/datasets/{}/segments/{}",
                                            cli->args[0], cli->args[1], NULL);
  const struct client_edit edit = { .method = CLIENT_EDIT_DELETE, .path = path };
  return status ? status : carry_out(cli, &edit, err);
}

static enum px_status segments(struct cli *cli, struct px_err *err) {
  static const struct text_column COLUMNS[] = {
    { "SEGMENT", "segment" },           { "FIRST", "first_trajectory" },
    { "TRAJECTORIES", "trajectories" }, { "STEPS", "steps" },
    { "LABELLED", "labelled_steps" },   { "SINCE", "since_version" },
    { "CREATED", "created_at" },
  };
  const struct cli_listing listing = { "/v1/datasets/{}/segments", "from", NULL, COLUMNS,
                                       COLUMNS_N(COLUMNS) };
  return cli_list(cli, &listing, err);
}

static enum px_status versions(struct cli *cli, struct px_err *err) {
  static const struct text_column COLUMNS[] = {
    { "VERSION", "version" }, { "CHANGE", "change" },           { "TRAJECTORIES", "trajectories" },
    { "STEPS", "steps" },     { "LABELLED", "labelled_steps" }, { "CREATED", "created_at" },
  };
  const struct cli_listing listing = { "/v1/datasets/{}/versions", "before", NULL, COLUMNS,
                                       COLUMNS_N(COLUMNS) };
  return cli_list(cli, &listing, err);
}

static enum px_status diff(struct cli *cli, struct px_err *err) {
  return cli_show(cli,
                  cli->args_n > 2 ? "/v1/datasets/{}/diff?from={}&to={}"
                                  : "/v1/datasets/{}/diff?from={}",
                  err);
}

static const struct cli_option LIST[] = {
  { "limit", "N", "Show at most so many (default: 100)" },
  { NULL, NULL, NULL },
};
#define VERSION \
  { "version", "N", "Refuse if the dataset has another version by now (default: the present one)" }
static const struct cli_option ACTIONS[] = {
  { "trajectory", "N", "The trajectory that the actions are of, where the file does not name it" },
  { "replace", NULL, "Also steps that have a true action already" },
  VERSION,
  { NULL, NULL, NULL },
};
static const struct cli_option SEGMENT[] = { VERSION, { NULL, NULL, NULL } };

const struct cli_command CLI_EDITS[] = {
  { "datasets", "actions", "DATASET FILE", 2, 2, ACTIONS,
    "Add true actions to stored trajectories, from JSON, JSON lines or npz", actions,
    "putActions addActions getDataset" },
  { "datasets", "segments", "DATASET", 1, 1, LIST, "Its segments: each upload makes one or several",
    segments, "listSegments" },
  { "datasets", "delete-segment", "DATASET SEGMENT", 2, 2, SEGMENT,
    "Take a segment out; earlier versions keep it", delete_segment, "deleteSegment getDataset" },
  { "datasets", "versions", "DATASET", 1, 1, LIST, "What changed its data, newest first", versions,
    "listVersions" },
  { "datasets", "diff", "DATASET FROM [TO]", 2, 3, NULL, "What differs between two versions", diff,
    "diffVersions" },
  { 0 },
};
