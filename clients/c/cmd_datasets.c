/* datasets, upload. */
#include <stdio.h>
#include <string.h>

#include "clients/c/cli.h"
#include "clients/c/text.h"

static enum px_status list(struct cli *cli, struct px_err *err) {
  static const struct text_column COLUMNS[] = {
    { "ID", "id" }, { "NAME", "name" }, { "TRAJECTORIES", "trajectories" }, { "TRANSITIONS", "transitions" },
    { "LABELLED", "labelled_transitions" }, { "ENV", "env" }, { "LABELS", "label_set" },
  };
  json_t *answer = NULL;
  const json_t *items = NULL;
  enum px_status status = cli_connect(cli, err);
  if (!status) status = client_get(cli->client, "/v1/datasets?limit=200", NULL, &answer, NULL, err);
  if (!status) status = cli_items(answer, &items, err);
  if (!status && cli_wants_json(cli)) cli_print_json(answer);
  else if (!status) text_table(stdout, items, COLUMNS, sizeof COLUMNS / sizeof *COLUMNS);
  json_decref(answer);
  return status;
}

static enum px_status show(struct cli *cli, struct px_err *err) {
  json_t *answer = NULL;
  char path[CLI_PATH_MAX];
  enum px_status status = cli_connect(cli, err);
  if (!status) status = client_path(path, sizeof path, err, "/v1/datasets/{}", cli->args[0], NULL);
  if (!status) status = client_get(cli->client, path, NULL, &answer, NULL, err);
  if (!status) cli_print_json(answer);
  json_decref(answer);
  return status;
}

static enum px_status create(struct cli *cli, struct px_err *err) {
  long long observation_n = 0, action_n = 0;
  enum px_status status = cli_option_int(cli, "observations", 1, 4096, &observation_n, err);
  if (!status) status = cli_option_int(cli, "actions", 1, 4096, &action_n, err);
  if (!status && (!observation_n || !action_n)) {
    status = px_fail(err, PX_E_BAD_FIELD, "a dataset needs --observations and --actions");
    px_err_hint(err, "They are the lengths of one observation and one action, such as 11 and 3.");
  }
  const char *env = cli_option(cli, "env");
  json_t *answer = NULL;
  json_t *body = json_pack("{s:s, s:{s:i}, s:{s:i}, s:s*}", "name", cli->args[0], "observation_space", "dim",
                           (int)observation_n, "action_space", "dim", (int)action_n, "env", env);
  if (!status && !body) status = px_fail(err, PX_E_BAD_FIELD, "the name is not UTF-8 text");
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

static enum px_status upload(struct cli *cli, struct px_err *err) {
  const char *dataset = cli->args[0], *file = cli->args[1], *type = client_media_type(file);
  char path[CLI_PATH_MAX], job[64];
  json_t *answer = NULL;
  if (!type) {
    px_fail(err, PX_E_UNSUPPORTED_MEDIA, "the format of %s is not known from its name", file);
    px_err_hint(err, "Files end in .hdf5, .h5, .npz, .jsonl, .ndjson or .safetensors.");
    return PX_E_UNSUPPORTED_MEDIA;
  }
  enum px_status status = cli_connect(cli, err);
  if (!status) status = client_path(path, sizeof path, err, "/v1/datasets/{}/trajectories", dataset, NULL);
  if (status) return status;
  struct text_meter meter = text_meter_start(file);
  status = client_upload(cli->client, path, file, type, text_meter_show, &meter, &answer, NULL, err);
  text_meter_end(&meter);
  if (!status) {
    text_cell(answer, "id", job, sizeof job);
    if (cli_wants_json(cli)) cli_print_json(answer);
    else printf("%s\n", job);
    if (cli_option(cli, "watch")) status = cli_watch(cli, job, NULL, err);
  }
  json_decref(answer);
  return status;
}

static const struct cli_option CREATE[] = {
  { "observations", "N", "Length of one observation" },
  { "actions", "N", "Length of one action" },
  { "env", "NAME", "Simulator it comes from: hopper, walker2d or halfcheetah" },
  { NULL, NULL, NULL },
};
static const struct cli_option UPLOAD[] = {
  { "watch", NULL, "Wait until the file has been read into the dataset" },
  { NULL, NULL, NULL },
};

const struct cli_command CLI_DATASETS[] = {
  { "datasets", "list", "", 0, 0, NULL, "Datasets, with how much of each is labelled", list },
  { "datasets", "show", "DATASET", 1, 1, NULL, "Counts, statistics and the current label set", show },
  { "datasets", "create", "NAME", 1, 1, CREATE, "Make an empty dataset; prints its id", create },
  { "upload", NULL, "DATASET FILE", 2, 2, UPLOAD, "Send a file of trajectories; prints the job that reads it", upload },
  { NULL, NULL, NULL, 0, 0, NULL, NULL, NULL },
};
