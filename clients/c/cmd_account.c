/* SPDX-License-Identifier: Apache-2.0 */
/* login. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clients/c/cli.h"
#include "lib/base/fail.h"

/* From --token, PROXACT_TOKEN or the terminal, where it is asked for. */
static enum px_status read_token(const struct cli *cli, struct cli_credentials *credentials,
                                 struct px_err *err) {
  const char *given = cli_option(cli, "token");
  if (given) {
    if ((size_t)snprintf(credentials->token, sizeof credentials->token, "%s", given) >=
        sizeof credentials->token)
      return px_fail(err, PX_E_TOO_LARGE, "the token is too long");
    return PX_OK;
  }
  if (*credentials->token) return PX_OK;
  if (isatty(STDIN_FILENO)) fprintf(stderr, "Token: ");
  if (!fgets(credentials->token, sizeof credentials->token, stdin))
    return px_fail(err, PX_E_UNAUTHORIZED,
                   "no token was given; --token, PROXACT_TOKEN or standard input may hold one");
  credentials->token[strcspn(credentials->token, "\r\n")] = '\0';
  return PX_OK;
}

static enum px_status login(struct cli *cli, struct px_err *err) {
  struct cli_credentials credentials;
  const char *url = cli_option(cli, "url");
  char path[CLI_PATH_MAX] = "";
  enum px_status status = cli_credentials_load(&credentials, err);
  if (status && !url) return status;
  if (url) {
    if (strcmp(url, credentials.url) != 0) credentials.token[0] = '\0';
    snprintf(credentials.url, sizeof credentials.url, "%s", url);
  }
  status = read_token(cli, &credentials, err);
  /* Tried before it is kept. */
  if (!status) status = client_open(credentials.url, credentials.token, &cli->client, err);
  if (!status) status = client_get(cli->client, "/v1/datasets?limit=1", NULL, NULL, NULL, err);
  if (!status) status = cli_credentials_save(&credentials, path, sizeof path, err);
  if (!status) printf("logged in to %s; kept in %s\n", credentials.url, path);
  explicit_bzero(&credentials, sizeof credentials);
  return status;
}

static const struct cli_option LOGIN[] = {
  { "token", "TOKEN", "The token; else PROXACT_TOKEN, else it is read from standard input" },
  { NULL, NULL, NULL },
};

const struct cli_command CLI_ACCOUNT[] = {
  { "login", NULL, "", 0, 0, LOGIN, "Check an address and a token, and keep them for later", login,
    "listDatasets" },
  { 0 },
};
