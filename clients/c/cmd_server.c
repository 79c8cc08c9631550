/* SPDX-License-Identifier: Apache-2.0 */
/* server, doctor: the service itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clients/c/cli.h"
#include "clients/c/text.h"
#include "lib/base/clock.h"
#include "lib/base/fail.h"

enum { SKEW_MAX_S = 30, DOCTOR_STALL_S = 10, TEXT_MAX = 512 };

static enum px_status version(struct cli *cli, struct px_err *err) {
  return cli_show(cli, "/version", err);
}

static enum px_status ready(struct cli *cli, struct px_err *err) {
  return cli_show(cli, "/readyz", err);
}

static enum px_status openapi(struct cli *cli, struct px_err *err) {
  return cli_show(cli, "/openapi.json", err);
}

static enum px_status metrics(struct cli *cli, struct px_err *err) {
  const enum px_status status = cli_connect(cli, err);
  return status ? status : cli_download(cli, "/metrics", "-", err);
}

/* --- doctor --- */

enum verdict { VERDICT_OK, VERDICT_WARN, VERDICT_FAIL };
struct doctor {
  struct cli *cli;
  json_t *found; /* with --json: a list of all */
  int failed;
};

static void tell(struct doctor *d, enum verdict verdict, const char *check, const char *hint,
                 const char *fmt, ...) PX_PRINTF(5, 6);
static void tell(struct doctor *d, enum verdict verdict, const char *check, const char *hint,
                 const char *fmt, ...) {
  static const char *const WORDS[] = { "ok", "warn", "FAIL" };
  char text[TEXT_MAX];
  va_list args;
  va_start(args, fmt);
  vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  d->failed += verdict == VERDICT_FAIL;
  if (verdict == VERDICT_OK) hint = "";
  if (d->found)
    json_array_append_new(d->found, json_pack("{s:s, s:s, s:s, s:s}", "check", check, "state",
                                              WORDS[verdict], "detail", text, "hint", hint));
  else printf("%-5s%-9s %s\n", WORDS[verdict], check, text);
  if (!d->found && *hint) printf("               hint: %s\n", hint);
}

static void tell_error(struct doctor *d, const char *check, const struct px_err *err) {
  tell(d, VERDICT_FAIL, check, err->hint, "%s", err->message);
}

/* False: there is nobody to ask more. */
static bool check_server(struct doctor *d) {
  struct px_err err = { 0 };
  struct client_reply reply = { 0 };
  struct cli_credentials known;
  if (cli_connect(d->cli, &err)) {
    tell_error(d, "address", &err);
    return false;
  }
  client_set_stall(d->cli->client, DOCTOR_STALL_S);
  /* The address that cli_connect took is now the environment's, or the stored one. */
  tell(d, VERDICT_OK, "address", "", "%s",
       cli_credentials_load(&known, &err) ? "given" : known.url);
  explicit_bzero(&known, sizeof known);
  const double started_s = px_clock_s();
  if (client_get(d->cli->client, "/healthz", NULL, NULL, &reply, &err)) {
    tell_error(d, "server", &err);
    return false;
  }
  tell(d, VERDICT_OK, "server", "", "answers in %.0f ms", 1000 * (px_clock_s() - started_s));
  if (!reply.date_s) return true;
  const long long skew_s = (long long)(time(NULL) - reply.date_s);
  tell(d, llabs(skew_s) > SKEW_MAX_S ? VERDICT_WARN : VERDICT_OK, "clock",
       "Times in documents are the server's. Set both clocks by NTP.",
       "this machine's is %lld s %s the server's", llabs(skew_s),
       skew_s < 0 ? "behind" : "ahead of");
  return true;
}

static void check_version(struct doctor *d) {
  struct px_err err = { 0 };
  json_t *answer = NULL;
  char theirs[64];
  if (client_get(d->cli->client, "/version", NULL, &answer, NULL, &err)) {
    tell_error(d, "version", &err);
    return;
  }
  text_cell(answer, "version", theirs, sizeof theirs);
  tell(d, strcmp(theirs, PX_VERSION) ? VERDICT_WARN : VERDICT_OK, "version",
       "An older client may lack commands; install the one of the server's version.",
       "server %s, client %s", theirs, PX_VERSION);
  json_decref(answer);
}

static void check_ready(struct doctor *d) {
  struct px_err err = { 0 };
  json_t *answer = NULL;
  char redis[32], space[32];
  if (client_get(d->cli->client, "/readyz", NULL, &answer, NULL, &err)) {
    tell_error(d, "ready", &err);
    return;
  }
  text_cell(answer, "redis", redis, sizeof redis);
  text_cell(answer, "space", space, sizeof space);
  tell(d, VERDICT_OK, "database", "", "answers, and has this server's schema");
  tell(d, strcmp(redis, "up") ? VERDICT_WARN : VERDICT_OK, "redis",
       "All works without it, and jobs start a little later. Ask who runs the service.", "%s",
       redis);
  tell(d, strcmp(space, "ok") ? VERDICT_FAIL : VERDICT_OK, "disk",
       "The server's disk is below free_floor_bytes: it refuses uploads and exports until some "
       "space is free.",
       "space is %s", space);
  json_decref(answer);
}

static bool check_token(struct doctor *d) {
  struct px_err err = { 0 };
  if (client_get(d->cli->client, "/v1/datasets?limit=1", NULL, NULL, NULL, &err)) {
    tell_error(d, "token", &err);
    return false;
  }
  tell(d, VERDICT_OK, "token", "", "is valid");
  return true;
}

static void check_workers(struct doctor *d) {
  struct px_err err = { 0 };
  json_t *answer = NULL, *worker;
  size_t i, n = 0, other = 0;
  if (client_get(d->cli->client, "/v1/workers", NULL, &answer, NULL, &err)) {
    tell_error(d, "workers", &err);
    return;
  }
  json_array_foreach(json_object_get(answer, "items"), i, worker) {
    char theirs[64];
    text_cell(worker, "version", theirs, sizeof theirs);
    if (json_is_true(json_object_get(worker, "draining"))) continue;
    n++;
    other += strcmp(theirs, PX_VERSION) != 0;
  }
  if (other)
    tell(d, VERDICT_WARN, "workers",
         "During an upgrade that is right; 'proxact workers' shows them.",
         "%zu, and %zu of them have another version than this client", n, other);
  else
    tell(d, n ? VERDICT_OK : VERDICT_WARN, "workers",
         "Jobs wait until a worker runs; docs/operations.md says how to start one.", "%zu", n);
  json_decref(answer);
}

static enum px_status doctor(struct cli *cli, struct px_err *err) {
  struct doctor d = { .cli = cli, .found = cli_wants_json(cli) ? json_array() : NULL };
  if (check_server(&d)) {
    check_version(&d);
    check_ready(&d);
    if (check_token(&d)) check_workers(&d);
  }
  if (d.found) cli_print_json(d.found);
  json_decref(d.found);
  if (!d.failed) return PX_OK;
  px_fail(err, PX_E_UNAVAILABLE, "%d check%s failed", d.failed, d.failed == 1 ? "" : "s");
  return PX_E_UNAVAILABLE;
}

const struct cli_command CLI_SERVER[] = {
  { "doctor", NULL, "", 0, 0, NULL,
    "Check the address, the server, its disk, the token, clocks, versions and workers", doctor,
    "healthz readyz version listDatasets listWorkers" },
  { "server", "show", "", 0, 0, NULL, "The server's name and version", version, "version" },
  { "server", "ready", "", 0, 0, NULL, "Whether it can work, and whether its disk has space", ready,
    "readyz" },
  { "server", "metrics", "", 0, 0, NULL, "Its counters, as Prometheus reads them", metrics,
    "metrics" },
  { "server", "openapi", "", 0, 0, NULL, "The description of every route and field", openapi,
    "openapi" },
  { 0 },
};
