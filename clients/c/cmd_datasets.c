/* SPDX-License-Identifier: Apache-2.0 */
/* datasets. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "clients/c/cli.h"
#include "clients/c/text.h"
#include "lib/base/fail.h"

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
    { "SOURCE", "source" },
  };
  static const char *const FILTERS[] = { "source", NULL };
  const struct cli_listing listing = { "/v1/datasets/{}/trajectories", "from", FILTERS, COLUMNS,
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

static const struct cli_option LIST[] = {
  { "limit", "N", "Show at most so many (default: 100)" },
  { NULL, NULL, NULL },
};
static const struct cli_option TRAJECTORIES[] = {
  { "from", "N", "The first to show, counted from 0" },
  { "source", "TEXT", "Only those that came from there" },
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
  { 0 },
};
