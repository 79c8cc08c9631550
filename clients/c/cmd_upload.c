/* SPDX-License-Identifier: Apache-2.0 */
/* upload, uploads. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "clients/c/cli.h"
#include "clients/c/folder.h"
#include "clients/c/text.h"
#include "lib/base/fail.h"

enum { WHOLE_MAX_BYTES = 8 << 20 }; /* larger files are sent in parts */

static void show_stored(const json_t *result) {
  char trajectories[32], steps[32], labelled[32];
  text_cell(result, "trajectories", trajectories, sizeof trajectories);
  text_cell(result, "steps", steps, sizeof steps);
  text_cell(result, "labelled_steps", labelled, sizeof labelled);
  printf("stored %s trajectories, %s steps, %s of them with actions\n", trajectories, steps,
         labelled);
  const json_t *notes = json_object_get(result, "notes");
  for (size_t i = 0; i < json_array_size(notes); i++)
    printf("note: %s\n", json_string_value(json_array_get(notes, i)));
  const json_t *findings = json_object_get(result, "findings"), *found;
  size_t k;
  json_array_foreach(findings, k, found)
    printf("%s: %s\n", json_string_value(json_object_get(found, "severity")),
           json_string_value(json_object_get(found, "message")));
}

/* What came of an upload: stored at once (a summary), or a job that reads it later. */
static enum px_status show_upload(struct cli *cli, const json_t *answer, struct px_err *err) {
  if (cli_wants_json(cli)) cli_print_json(answer);
  const char *job = json_string_value(json_object_get(answer, "id"));
  if (job) {
    if (!cli_wants_json(cli)) puts(job);
    fflush(stdout);
    return cli_option(cli, "watch") ? cli_watch(cli, job, NULL, err) : PX_OK;
  }
  if (!cli_wants_json(cli)) show_stored(answer);
  return PX_OK;
}

/* A large file in parts. Its job is the server's way of reading it: one that did not ask for a job
 * sees what was stored. */
static enum px_status upload_parts(struct cli *cli, struct px_err *err) {
  const char *file = cli->args[1], *slash = strrchr(file, '/');
  char job[64];
  json_t *document = NULL;
  struct text_meter meter = text_meter_start(file);
  const struct client_parts upload = { .dataset = cli->args[0],
                                       .file = file,
                                       .file_name = slash ? slash + 1 : file,
                                       .on_duplicate = cli_option(cli, "on-duplicate"),
                                       .format = cli_option(cli, "format"),
                                       .obs_keys = cli_option(cli, "obs-keys"),
                                       .split = cli_option(cli, "split"),
                                       .source = cli_option(cli, "source"),
                                       .ignore_actions = cli_option(cli, "ignore-actions") };
  enum px_status status =
    client_upload_parts(cli->client, &upload, text_meter_show, &meter, job, sizeof job, err);
  text_meter_end(&meter);
  if (status) return status;
  const bool later = cli_option(cli, "async") || cli_option(cli, "watch");
  if (later && !cli_wants_json(cli)) puts(job);
  fflush(stdout);
  if (!cli_option(cli, "async")) status = cli_watch(cli, job, &document, err);
  if (!status && cli_wants_json(cli) && !document) {
    char path[CLI_PATH_MAX];
    status = client_path(path, sizeof path, err, "/v1/jobs/{}", job, NULL);
    if (!status) status = client_get(cli->client, path, NULL, &document, NULL, err);
  }
  if (!status && cli_wants_json(cli)) cli_print_json(document);
  else if (!status && !later) show_stored(json_object_get(document, "result"));
  json_decref(document);
  return status;
}

static bool is_large(const char *file) {
  struct stat st;
  return stat(file, &st) == 0 && st.st_size > WHOLE_MAX_BYTES;
}

static enum px_status upload_path(const struct cli *cli, char *path, size_t n, struct px_err *err) {
  static const char *const PARAMETERS[][2] = { { "on-duplicate", "on_duplicate" },
                                               { "format", "format" },
                                               { "obs-keys", "obs_keys" },
                                               { "split", "split" },
                                               { "source", "source" },
                                               { "ignore-actions", "ignore_actions" } };
  const char *slash = strrchr(cli->args[1], '/');
  const bool later = cli_option(cli, "async") || cli_option(cli, "watch");
  enum px_status status = client_path(path, n, err,
                                      later ? "/v1/datasets/{}/trajectories?filename={}&async=true"
                                            : "/v1/datasets/{}/trajectories?filename={}",
                                      cli->args[0], slash ? slash + 1 : cli->args[1], NULL);
  for (size_t i = 0; i < sizeof PARAMETERS / sizeof *PARAMETERS && !status; i++)
    status = cli_put_query(cli, path, n, PARAMETERS[i][0], PARAMETERS[i][1], err);
  return status;
}

static enum px_status upload_file(struct cli *cli, struct px_err *err) {
  const char *file = cli->args[1], *type = client_media_type(file);
  char path[CLI_PATH_MAX];
  json_t *answer = NULL;
  if (!type && !cli_option(cli, "format")) {
    px_fail(err, PX_E_UNSUPPORTED_MEDIA, "the format of %s is not known from its name", file);
    px_fail_hint(err, "%s; --format says it where the name does not.", CLI_UPLOADS);
    return PX_E_UNSUPPORTED_MEDIA;
  }
  enum px_status status = cli_connect(cli, err);
  if (!status && is_large(file)) return upload_parts(cli, err);
  if (!status) status = upload_path(cli, path, sizeof path, err);
  if (status) return status;
  struct text_meter meter = text_meter_start(file);
  status = client_upload(cli->client, path, file, cli_option(cli, "format") ? NULL : type,
                         text_meter_show, &meter, &answer, NULL, err);
  text_meter_end(&meter);
  if (!status) status = show_upload(cli, answer, err);
  json_decref(answer);
  return status;
}

static enum px_status upload(struct cli *cli, struct px_err *err) {
  const char *path = cli->args[1];
  struct folder folder;
  if (!folder_is(path)) return upload_file(cli, err);
  enum px_status status = folder_pack(path, &folder, err);
  if (status) return status;
  cli->args[1] = folder.path;
  status = upload_file(cli, err);
  cli->args[1] = path;
  folder_release(&folder);
  return status;
}

static enum px_status show_partial(struct cli *cli, struct px_err *err) {
  return cli_show(cli, "/v1/uploads/{}", err);
}

static enum px_status remove_partial(struct cli *cli, struct px_err *err) {
  return cli_delete(cli, "/v1/uploads/{}", err);
}

static const struct cli_option UPLOAD[] = {
  { "format", "NAME", "Its format, where the file's name does not tell it" },
  { "obs-keys", "A,B",
    "Observations to lay side by side, in this order, where the file has several arrays" },
  { "split", "NAME", "Of a robomimic file: the demonstrations of mask/NAME alone" },
  { "source", "TEXT", "Where the trajectories came from, kept with each of them" },
  { "ignore-actions", NULL, "Take each step as unlabelled" },
  { "on-duplicate", "WORD", CLI_DUPLICATES },
  { "async", NULL, "Leave reading it to a worker; prints the job" },
  { "watch", NULL, "The same, and follow the job to its end" },
  { NULL, NULL, NULL },
};

const struct cli_command CLI_UPLOAD[] = {
  { "upload", NULL, "DATASET FILE|FOLDER", 2, 2, UPLOAD,
    "Send a file of trajectories, or a LeRobot folder; a large one in parts that survive cuts; all "
    "of it is stored, or nothing",
    upload, "uploadTrajectories createUpload appendUpload getUpload" },
  { "uploads", "show", "UPLOAD", 1, 1, NULL, "How far an upload in parts is", show_partial,
    "getUpload" },
  { "uploads", "delete", "UPLOAD", 1, 1, NULL, "Give an upload in parts up", remove_partial,
    "deleteUpload" },
  { 0 },
};
