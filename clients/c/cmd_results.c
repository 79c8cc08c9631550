/* SPDX-License-Identifier: Apache-2.0 */
/* labels, policy, models, eval: what jobs leave. */
#include <stdio.h>
#include <string.h>

#include "clients/c/cli.h"
#include "clients/c/text.h"
#include "lib/base/fail.h"

#define COLUMNS_N(columns) (sizeof(columns) / sizeof *(columns))

static enum px_status labels_list(struct cli *cli, struct px_err *err) {
  static const struct text_column COLUMNS[] = {
    { "ID", "id" },           { "DATASET", "dataset_id" },
    { "STEPS", "steps" },     { "MEAN SCORE", "mean_score" },
    { "CURRENT", "current" }, { "CREATED", "created_at" },
  };
  static const char *const FILTERS[] = { "dataset", NULL };
  const struct cli_listing listing = { "/v1/label_sets", "before", FILTERS, COLUMNS,
                                       COLUMNS_N(COLUMNS) };
  return cli_list(cli, &listing, err);
}

static enum px_status labels_show(struct cli *cli, struct px_err *err) {
  return cli_show(cli, "/v1/label_sets/{}", err);
}

static enum px_status policy_list(struct cli *cli, struct px_err *err) {
  static const struct text_column COLUMNS[] = {
    { "ID", "id" },
    { "ROLE", "role" },
    { "ALGORITHM", "algo" },
    { "DATASET", "dataset_id" },
    { "CREATED", "created_at" },
  };
  static const char *const FILTERS[] = { "dataset", "role", NULL };
  return cli_list(cli,
                  &(struct cli_listing){ "/v1/models", "before", FILTERS, COLUMNS,
                                         COLUMNS_N(COLUMNS) },
                  err);
}

static enum px_status labels_export(struct cli *cli, struct px_err *err) {
  const char *format = cli_option(cli, "format"), *actions = cli_option(cli, "actions"),
             *file = cli_option(cli, "output");
  char path[CLI_PATH_MAX], name[256];
  if (!format) format = "hdf5";
  snprintf(name, sizeof name, "%.200s.%.32s", cli->args[0], format);
  enum px_status status = cli_connect(cli, err);
  if (!status)
    status = client_path(path, sizeof path, err, "/v1/datasets/{}/export?format={}&actions={}",
                         cli->args[0], format, actions ? actions : "both", NULL);
  if (!status) status = cli_put_query(cli, path, sizeof path, "labels", "label_set", err);
  if (!status) status = cli_put_query(cli, path, sizeof path, "about", "about", err);
  return status ? status : cli_download(cli, path, file ? file : name, err);
}

static enum px_status policy_download(struct cli *cli, struct px_err *err) {
  const char *file = cli_option(cli, "output"), *format = cli_option(cli, "format");
  char path[CLI_PATH_MAX], name[256];
  if (!format) format = "safetensors";
  snprintf(name, sizeof name, "%.200s.%.32s", cli->args[0], format);
  enum px_status status = cli_connect(cli, err);
  if (!status)
    status = client_path(path, sizeof path, err, "/v1/models/{}/weights?format={}", cli->args[0],
                         format, NULL);
  return status ? status : cli_download(cli, path, file ? file : name, err);
}

static enum px_status policy_show(struct cli *cli, struct px_err *err) {
  return cli_show(cli, "/v1/models/{}", err);
}

static enum px_status predict(struct cli *cli, struct px_err *err) {
  char path[CLI_PATH_MAX];
  json_t *answer = NULL;
  enum px_status status = cli_connect(cli, err);
  if (!status)
    status = client_path(path, sizeof path, err, "/v1/models/{}:predict", cli->args[0], NULL);
  if (!status)
    status = client_upload(cli->client, path, cli->args[1], "application/json", NULL, NULL, &answer,
                           NULL, err);
  if (!status) cli_print_json(answer);
  json_decref(answer);
  return status;
}

static enum px_status policy_delete(struct cli *cli, struct px_err *err) {
  return cli_delete(cli, "/v1/models/{}", err);
}

static enum px_status evaluate(struct cli *cli, struct px_err *err) {
  long long episodes = 20, seed = 0;
  const char *env = cli_option(cli, "env");
  if (!env)
    return px_fail_at(err, PX_E_BAD_FIELD, "env", "an evaluation needs --env. %s", CLI_ENVS);
  enum px_status status = cli_option_int(cli, "episodes", 1, 1000, &episodes, err);
  if (!status) status = cli_option_int(cli, "seed", 0, (1LL << 53) - 1, &seed, err);
  json_t *body =
    json_pack("{s:s, s:{s:s, s:s, s:I, s:I}}", "kind", "evaluate", "spec", "model", cli->args[0],
              "env", env, "episodes", (json_int_t)episodes, "seed", (json_int_t)seed);
  if (!status && !body)
    status = px_fail(err, PX_E_BAD_FIELD, "the model or the simulator is not text");
  if (!status) status = cli_connect(cli, err);
  if (!status) status = cli_submit(cli, "/v1/jobs", body, err);
  json_decref(body);
  return status;
}

static enum px_status ope(struct cli *cli, struct px_err *err) {
  long long updates = 10000, seed = 0;
  const char *label_set = cli_option(cli, "labels");
  enum px_status status = cli_option_int(cli, "updates", 1, 1000000, &updates, err);
  if (!status) status = cli_option_int(cli, "seed", 0, (1LL << 53) - 1, &seed, err);
  json_t *body = json_pack("{s:s, s:{s:s, s:s, s:I, s:I, s:s*}}", "kind", "ope", "spec", "model",
                           cli->args[0], "dataset", cli->args[1], "updates", (json_int_t)updates,
                           "seed", (json_int_t)seed, "label_set", label_set);
  if (!status && !body)
    status = px_fail(err, PX_E_BAD_FIELD, "the model, the dataset or the label set is not text");
  if (!status) status = cli_connect(cli, err);
  if (!status) status = cli_submit(cli, "/v1/jobs", body, err);
  json_decref(body);
  return status;
}

static const struct cli_option LABELS[] = {
  { "dataset", "DATASET", "Only those of this dataset" },
  { "limit", "N", "Show at most so many (default: 100)" },
  { NULL, NULL, NULL },
};
static const struct cli_option MODELS[] = {
  { "dataset", "DATASET", "Only those of this dataset" },
  { "role", "ROLE", "Only of this role, such as policy" },
  { "limit", "N", "Show at most so many (default: 100)" },
  { NULL, NULL, NULL },
};
static const struct cli_option EXPORT[] = {
  { "format", "NAME", CLI_EXPORTS },
  { "actions", "WHICH", CLI_ACTIONS },
  { "labels", "ID", "Label set whose proxy actions are written (default: the newest)" },
  { "about", "BOOL", "false: leave out which data it is, so that equal data give equal bytes" },
  { "output", "FILE", "Where to write; '-' is standard output (default: DATASET.FORMAT)" },
  { NULL, NULL, NULL },
};
static const struct cli_option OUTPUT[] = {
  { "format", "NAME", CLI_WEIGHTS },
  { "output", "FILE", "Where to write; '-' is standard output (default: MODEL.FORMAT)" },
  { NULL, NULL, NULL },
};
static const struct cli_option EVAL[] = {
  { "env", "NAME", CLI_ENVS },
  { "episodes", "N", "Episodes to roll out (default: 20)" },
  { "seed", "N", "Seed of the initial states (default: 0)" },
  { "watch", NULL, "Follow it to its end" },
  { NULL, NULL, NULL },
};

static const struct cli_option OPE[] = {
  { "labels", "ID", "Label set whose proxy actions count too" },
  { "updates", "N", "Gradient steps of fitted Q evaluation (default: 10000)" },
  { "seed", "N", "Seed of its initial weights and batches (default: 0)" },
  { "watch", NULL, "Follow it to its end" },
  { NULL, NULL, NULL },
};

const struct cli_command CLI_RESULTS[] = {
  { "labels", "list", "", 0, 0, LABELS, "Label sets: proxy actions, published", labels_list,
    "listLabelSets" },
  { "labels", "show", "LABELS", 1, 1, NULL, "How good a label set is, and who labelled",
    labels_show, "getLabelSet" },
  { "labels", "export", "DATASET", 1, 1, EXPORT,
    "Write the dataset to a file, with its proxy actions", labels_export, "exportDataset" },
  { "policy", "list", "", 0, 0, MODELS, "Models: inverse dynamics models and policies", policy_list,
    "listModels" },
  { "policy", "show", "MODEL", 1, 1, NULL, "A model's metrics and where it comes from", policy_show,
    "getModel" },
  { "policy", "download", "MODEL", 1, 1, OUTPUT, "Write a model's weights to a file",
    policy_download, "getModelWeights" },
  { "policy", "predict", "MODEL FILE", 2, 2, NULL,
    "Actions for the observations of a file, {\"observations\": [[...], ...]} as JSON", predict,
    "predict" },
  { "models", "list", "", 0, 0, MODELS, "The same as 'policy list'", policy_list, "listModels" },
  { "models", "delete", "MODEL", 1, 1, NULL,
    "Remove a model; refused while an unfinished job needs it", policy_delete, "deleteModel" },
  { "eval", NULL, "MODEL", 1, 1, EVAL, "Roll a policy out in a simulator; prints the job", evaluate,
    "createJob" },
  { "ope", NULL, "MODEL DATASET", 2, 2, OPE,
    "Evaluate a policy from data alone (off-policy evaluation); prints the job", ope, "createJob" },
  { "assess", NULL, "MODEL DATASET", 2, 2, OPE, "The old name of ope", ope, "createJob" },
  { 0 },
};
