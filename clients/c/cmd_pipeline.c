/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline, report: the whole job in one call, and what came out of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/c/cli.h"
#include "clients/c/text.h"
#include "lib/base/fail.h"

static void show_plan(const json_t *plan) {
  static const struct text_column COLUMNS[] = {
    { "KIND", "kind" },
    { "MEMORY", "memory_bytes" },
    { "AT MOST S", "limit_s" },
    { "NAME", "name" },
  };
  const json_t *jobs = json_object_get(plan, "jobs");
  text_table(stdout, jobs, COLUMNS, sizeof COLUMNS / sizeof *COLUMNS);
  fprintf(stderr, "%zu jobs; nothing was started\n", json_array_size(jobs));
}

enum px_status cli_submit(struct cli *cli, const char *path, const json_t *body,
                          struct px_err *err) {
  json_t *answer = NULL;
  char job[64], whole[CLI_PATH_MAX];
  snprintf(whole, sizeof whole, "%s", path);
  enum px_status status = cli_put_query(cli, whole, sizeof whole, "dry-run", "dry_run", err);
  if (!status) status = cli_put_query(cli, whole, sizeof whole, "dedupe-key", "dedupe_key", err);
  if (!status) status = client_post(cli->client, whole, body, &answer, NULL, err);
  if (!status) {
    const bool planned = cli_option(cli, "dry-run") != NULL;
    text_cell(answer, "id", job, sizeof job);
    if (cli_wants_json(cli)) cli_print_json(answer);
    else if (planned) show_plan(answer);
    else printf("%s\n", job);
    fflush(stdout);
    text_warnings(stderr, answer); /* old names that it used */
    if (cli_option(cli, "watch") && !planned) status = cli_watch(cli, job, NULL, err);
  }
  json_decref(answer);
  return status;
}

/* "P,Q" or "P,Q,SEED" in percent. */
static enum px_status put_mask(const struct cli *cli, json_t *body, struct px_err *err) {
  const char *text = cli_option(cli, "mask");
  if (!text) return PX_OK;
  double p, q;
  long long seed = 0;
  char rest;
  const int n = sscanf(text, "%lf,%lf,%lld%c", &p, &q, &seed, &rest);
  if (n != 3 && !(n == 2 && strchr(text, ',') == strrchr(text, ',')))
    return px_fail_at(err, PX_E_BAD_FIELD, "mask",
                      "--mask takes P,Q or P,Q,SEED, such as 10,50,0, not '%.64s'", text);
  json_t *mask = json_pack("{s:s, s:f, s:f, s:I}", "protocol", "coupled", "p", p, "q", q, "seed",
                           (json_int_t)seed);
  return mask && json_object_set_new(body, "mask", mask) == 0
           ? PX_OK
           : px_fail(err, PX_E_NO_MEMORY, "mask");
}

static enum px_status put_list(const struct cli *cli, json_t *body, const char *option,
                               const char *field, bool whole, struct px_err *err) {
  json_t *items = NULL;
  if (!cli_option(cli, option)) return PX_OK;
  const enum px_status status = cli_option_list(cli, option, whole, &items, err);
  if (status) return status;
  return json_object_set_new(body, field, items) == 0 ? PX_OK
                                                      : px_fail(err, PX_E_NO_MEMORY, "%s", field);
}

static enum px_status put_text(const struct cli *cli, json_t *body, const char *name,
                               struct px_err *err) {
  const char *text = cli_option(cli, name);
  if (!text) return PX_OK;
  return json_object_set_new(body, name, json_string(text)) == 0
           ? PX_OK
           : px_fail(err, PX_E_BAD_FIELD, "--%s is not text", name);
}

/* The options' fields win over those of --spec. */
static enum px_status new_body(const struct cli *cli, json_t **out, struct px_err *err) {
  json_t *body = NULL;
  const enum px_status status = cli_spec(cli, &body, err);
  if (status) return status;
  if (json_object_set_new(body, "dataset", json_string(cli->args[0])) != 0) {
    json_decref(body);
    return px_fail(err, PX_E_BAD_FIELD, "the dataset is not UTF-8 text");
  }
  *out = body;
  return PX_OK;
}

static enum px_status put_body(const struct cli *cli, json_t *body, struct px_err *err) {
  long long episodes = 0;
  enum px_status status = put_mask(cli, body, err);
  if (!status) status = put_text(cli, body, "idm", err);
  if (!status) status = put_text(cli, body, "env", err);
  if (!status) status = put_text(cli, body, "labeller", err);
  if (!status) status = put_list(cli, body, "policy", "policies", false, err);
  if (!status) status = put_list(cli, body, "seeds", "seeds", true, err);
  if (!status) status = put_list(cli, body, "baselines", "baselines", false, err);
  if (!status) status = cli_option_int(cli, "episodes", 1, 1000, &episodes, err);
  if (!status && episodes && json_object_set_new(body, "episodes", json_integer(episodes)) != 0)
    status = px_fail(err, PX_E_NO_MEMORY, "episodes");
  return status;
}

static enum px_status pipeline(struct cli *cli, struct px_err *err) {
  json_t *body = NULL;
  enum px_status status = new_body(cli, &body, err);
  if (!status) status = put_body(cli, body, err);
  if (!status) status = cli_connect(cli, err);
  if (!status) status = cli_submit(cli, "/v1/pipelines", body, err);
  json_decref(body);
  return status;
}

static const struct cli_option PIPELINE[] = {
  { "policy", "A,B", CLI_ALGOS },
  { "seeds", "N,N", "Each is trained once with each seed (default: 0)" },
  { "mask", "P,Q[,SEED]",
    "Hide known actions to measure with: P% stay known, of the lowest Q% by return" },
  { "baselines", "A,B", "Train these beside: labelled_only, oracle" },
  { "idm", "PROFILE", CLI_IDMS },
  { "labeller", "NAME", CLI_LABELLERS },
  { "env", "NAME", CLI_ENVS },
  { "episodes", "N", "Episodes to roll out" },
  { "spec", "JSON", "More fields as JSON, such as '{\"idm\": {\"members\": 5}}'; the options win" },
  { "dry-run", NULL, "Print the plan, and start nothing" },
  { "dedupe-key", "KEY", "While a pipeline with this key is unfinished, that one is the answer" },
  { "watch", NULL, "Follow it to its end" },
  { NULL, NULL, NULL },
};

const struct cli_command CLI_PIPELINE[] = {
  { "pipeline", NULL, "DATASET", 1, 1, PIPELINE,
    "Inverse dynamics model, labels, policies and report in one call", pipeline, "createPipeline" },
  { 0 },
};
