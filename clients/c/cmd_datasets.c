/* SPDX-License-Identifier: Apache-2.0 */
/* datasets, upload, uploads. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "clients/c/cli.h"
#include "clients/c/folder.h"
#include "clients/c/text.h"
#include "lib/base/fail.h"

enum { WHOLE_MAX_BYTES = 8 << 20 }; /* larger files are sent in parts */

#define COLUMNS_N(columns) (sizeof(columns) / sizeof *(columns))

static enum px_status list(struct cli *cli, struct px_err *err) {
  static const struct text_column COLUMNS[] = {
    { "ID", "id" },
    { "NAME", "name" },
    { "TRAJECTORIES", "trajectories" },
    { "STEPS", "steps" },
    { "LABELLED", "labelled_steps" },
    { "ENV", "env" },
    { "LABEL SET", "label_set_id" },
  };
  return cli_list(
    cli, &(struct cli_listing){ "/v1/datasets", "after", NULL, COLUMNS, COLUMNS_N(COLUMNS) }, err);
}

static enum px_status show(struct cli *cli, struct px_err *err) {
  return cli_show(cli, "/v1/datasets/{}", err);
}

static enum px_status remove_dataset(struct cli *cli, struct px_err *err) {
  return cli_delete(cli, "/v1/datasets/{}", err);
}

static enum px_status trajectories(struct cli *cli, struct px_err *err) {
  static const struct text_column COLUMNS[] = {
    { "N", "n" },
    { "STEPS", "length" },
    { "RETURN", "return" },
    { "LABELLED", "labelled_steps" },
    { "TERMINATED", "terminated" },
    { "TRUNCATED", "truncated" },
  };
  const struct cli_listing listing = { "/v1/datasets/{}/trajectories", "from", NULL, COLUMNS,
                                       COLUMNS_N(COLUMNS) };
  return cli_list(cli, &listing, err);
}

static enum px_status lint(struct cli *cli, struct px_err *err) {
  static const char *const FILTERS[] = { "limit", NULL };
  static const struct text_column COLUMNS[] = { { "SEVERITY", "severity" },
                                                { "CODE", "code" },
                                                { "TRAJECTORY", "trajectory" },
                                                { "STEP", "step" },
                                                { "FOUND", "message" } };
  const struct cli_listing listing = { "/v1/datasets/{}/lint", NULL, FILTERS, COLUMNS,
                                       COLUMNS_N(COLUMNS) };
  return cli_list(cli, &listing, err);
}

static enum px_status trajectory(struct cli *cli, struct px_err *err) {
  return cli_show_labelled(cli, "/v1/datasets/{}/trajectories/{}", err);
}

/* A number, or several separated by commas. */
static enum px_status put_range(const struct cli *cli, json_t *body, const char *option,
                                const char *field, struct px_err *err) {
  const char *text = cli_option(cli, option);
  if (!text) return PX_OK;
  json_t *list = json_array();
  for (char *end; list; text = end + 1) {
    const double value = strtod(text, &end);
    if (end == text || (*end && *end != ',') || !isfinite(value)) {
      json_decref(list);
      return px_fail_at(err, PX_E_BAD_FIELD, option,
                        "--%s takes a number, or one for each dimension with commas", option);
    }
    json_array_append_new(list, json_real(value));
    if (!*end) break;
  }
  json_t *one = json_array_size(list) == 1 ? json_incref(json_array_get(list, 0)) : NULL;
  const bool set = json_object_set_new(body, field, one ? one : json_incref(list)) == 0;
  json_decref(list);
  return set ? PX_OK : px_fail(err, PX_E_NO_MEMORY, "%s", field);
}

static enum px_status create(struct cli *cli, struct px_err *err) {
  long long obs_dim = 0, act_dim = 0, act_count = 0;
  enum px_status status = cli_option_int(cli, "obs", 1, 4096, &obs_dim, err);
  if (!status) status = cli_option_int(cli, "act", 1, 4096, &act_dim, err);
  if (!status) status = cli_option_int(cli, "act-count", 2, 1024, &act_count, err);
  if (!status && (!obs_dim || !act_dim == !act_count)) {
    status = px_fail(err, PX_E_BAD_FIELD, "a dataset needs --obs and either --act or --act-count");
    px_fail_hint(
      err, "--obs and --act are the lengths of one observation and one action, such as 11 and 3.");
  }
  json_t *answer = NULL;
  json_t *body =
    json_pack("{s:s, s:I, s:I, s:s*}", "name", cli->args[0], "obs_dim", (json_int_t)obs_dim,
              act_count ? "act_count" : "act_dim", (json_int_t)(act_count ? act_count : act_dim),
              "env", cli_option(cli, "env"));
  if (!status && !body) status = px_fail(err, PX_E_BAD_FIELD, "the name is not UTF-8 text");
  if (!status) status = put_range(cli, body, "act-low", "act_low", err);
  if (!status) status = put_range(cli, body, "act-high", "act_high", err);
  if (!status) status = cli_connect(cli, err);
  if (!status) status = client_post(cli->client, "/v1/datasets", body, &answer, NULL, err);
  if (!status && cli_wants_json(cli)) cli_print_json(answer);
  else if (!status) {
    char id[64];
    text_cell(answer, "id", id, sizeof id);
    puts(id);
  }
  json_decref(body);
  json_decref(answer);
  return status;
}

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

static const struct cli_option LIST[] = {
  { "limit", "N", "Show at most so many (default: 100)" },
  { NULL, NULL, NULL },
};
static const struct cli_option TRAJECTORIES[] = {
  { "from", "N", "The first to show, counted from 0" },
  { "limit", "N", "Show at most so many (default: 100)" },
  { NULL, NULL, NULL },
};
static const struct cli_option LINT[] = {
  { "limit", "N", "Show at most so many (default: 200)" },
  { NULL, NULL, NULL },
};
static const struct cli_option TRAJECTORY[] = {
  { "labels", "ID", "Label set whose proxy actions are shown (default: the newest)" },
  { NULL, NULL, NULL },
};
static const struct cli_option CREATE[] = {
  { "obs", "N", "Numbers in an observation" },
  { "act", "N", "Numbers in an action" },
  { "act-count", "N", "Instead of --act: how many discrete actions there are" },
  { "act-low", "N[,N]", "Lowest action, one number or one for each dimension (default: -1)" },
  { "act-high", "N[,N]", "Highest action (default: 1)" },
  { "env", "NAME", CLI_ENVS },
  { NULL, NULL, NULL },
};
static const struct cli_option UPLOAD[] = {
  { "format", "NAME", "Its format, where the file's name does not tell it" },
  { "obs-keys", "A,B",
    "Observations to lay side by side, in this order, where the file has several arrays" },
  { "split", "NAME", "Of a robomimic file: the demonstrations of mask/NAME alone" },
  { "ignore-actions", NULL, "Take each step as unlabelled" },
  { "on-duplicate", "WORD", CLI_DUPLICATES },
  { "async", NULL, "Leave reading it to a worker; prints the job" },
  { "watch", NULL, "The same, and follow the job to its end" },
  { NULL, NULL, NULL },
};

const struct cli_command CLI_DATASETS[] = {
  { "datasets", "list", "", 0, 0, LIST, "Datasets, with how much of each is labelled", list,
    "listDatasets" },
  { "datasets", "show", "DATASET", 1, 1, NULL, "Counts, statistics and the current label set", show,
    "getDataset" },
  { "datasets", "create", "NAME", 1, 1, CREATE, "Make an empty dataset; prints its id", create,
    "createDataset" },
  { "datasets", "delete", "DATASET", 1, 1, NULL, "Remove a dataset with its labels and models",
    remove_dataset, "deleteDataset" },
  { "datasets", "trajectories", "DATASET", 1, 1, TRAJECTORIES,
    "Length, return and labelled steps of each trajectory", trajectories, "listTrajectories" },
  { "datasets", "lint", "DATASET", 1, 1, LINT, "What is probably a mistake in its data", lint,
    "getLint" },
  { "datasets", "trajectory", "DATASET N", 2, 2, TRAJECTORY,
    "One trajectory with its true and proxy actions, as JSON", trajectory, "getTrajectory" },
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
