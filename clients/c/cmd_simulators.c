/* SPDX-License-Identifier: Apache-2.0 */
/* simulators: MuJoCo models that label. */
#include <stdio.h>
#include <stdlib.h>

#include "clients/c/cli.h"
#include "clients/c/request.h"
#include "clients/c/text.h"
#include "lib/base/fail.h"

enum { MODEL_MAX_BYTES = 512 << 10 };

static enum px_status list(struct cli *cli, struct px_err *err) {
  static const struct text_column COLUMNS[] = {
    { "ID", "id" },
    { "NAME", "name" },
    { "CREATED", "created_at" },
  };
  return cli_list(cli,
                  &(struct cli_listing){ "/v1/simulators", "before", NULL, COLUMNS,
                                         sizeof COLUMNS / sizeof *COLUMNS },
                  err);
}

static enum px_status show(struct cli *cli, struct px_err *err) {
  return cli_show(cli, "/v1/simulators/{}", err);
}

static enum px_status remove_simulator(struct cli *cli, struct px_err *err) {
  return cli_delete(cli, "/v1/simulators/{}", err);
}

/* The file's text as a JSON string. */
static enum px_status read_model(const char *file, json_t **out, struct px_err *err) {
  FILE *f = NULL;
  int64_t size = 0;
  enum px_status status = client_open_file(file, &f, &size, err);
  if (status) return status;
  char *text = size <= MODEL_MAX_BYTES ? malloc((size_t)size + 1) : NULL;
  const size_t n = text ? fread(text, 1, (size_t)size, f) : 0;
  fclose(f);
  if (size > MODEL_MAX_BYTES)
    status = px_fail(err, PX_E_TOO_LARGE, "%s is larger than %d bytes", file, MODEL_MAX_BYTES);
  else if (!text || n != (size_t)size)
    status = px_fail(err, PX_E_IO, "%s could not be read whole", file);
  else if ((*out = json_stringn(text, n)) == NULL)
    status = px_fail(err, PX_E_BAD_FIELD, "%s is not UTF-8 text", file);
  free(text);
  return status;
}

/* An option's list, or nothing where it was not given. */
static enum px_status put_list(const struct cli *cli, json_t *body, const char *name,
                               struct px_err *err) {
  json_t *items = NULL;
  if (!cli_option(cli, name)) return PX_OK;
  const enum px_status status = cli_option_list(cli, name, false, &items, err);
  if (status) return status;
  return json_object_set_new(body, name, items) == 0 ? PX_OK
                                                     : px_fail(err, PX_E_NO_MEMORY, "%s", name);
}

static enum px_status create(struct cli *cli, struct px_err *err) {
  json_t *body = NULL, *model = NULL, *answer = NULL;
  char id[64];
  enum px_status status = cli_spec(cli, &body, err);
  if (!status) status = read_model(cli->args[1], &model, err);
  if (!status && (json_object_set_new(body, "name", json_string(cli->args[0])) != 0 ||
                  json_object_set(body, "mjcf", model) != 0))
    status = px_fail(err, PX_E_BAD_FIELD, "the name is not UTF-8 text");
  if (!status) status = put_list(cli, body, "observations", err);
  if (!status) status = put_list(cli, body, "actions", err);
  if (!status) status = cli_connect(cli, err);
  if (!status) status = client_post(cli->client, "/v1/simulators", body, &answer, NULL, err);
  if (!status && cli_wants_json(cli)) cli_print_json(answer);
  else if (!status) {
    text_cell(answer, "id", id, sizeof id);
    puts(id);
  }
  json_decref(body);
  json_decref(model);
  json_decref(answer);
  return status;
}

static const struct cli_option LIST[] = {
  { "limit", "N", "Show at most so many (default: 100)" },
  { NULL, NULL, NULL },
};
static const struct cli_option CREATE[] = {
  { "observations", "A,B", "Parts of its state that make an observation: 'qpos[1:],qvel'" },
  { "actions", "A,B", "Controls that an action drives, in order (default: ctrl)" },
  { "spec", "JSON", "More fields as JSON, such as '{\"frame_skip\": 4}'" },
  { NULL, NULL, NULL },
};

const struct cli_command CLI_SIMULATORS[] = {
  { "simulators", "list", "", 0, 0, LIST, "Simulators of your own", list, "listSimulators" },
  { "simulators", "show", "SIMULATOR", 1, 1, NULL, "A simulator's layout", show, "getSimulator" },
  { "simulators", "create", "NAME FILE", 2, 2, CREATE,
    "Bring a MuJoCo model (MJCF) that labels; prints its id", create, "createSimulator" },
  { "simulators", "delete", "SIMULATOR", 1, 1, NULL, "Remove a simulator", remove_simulator,
    "deleteSimulator" },
  { 0 },
};
