/* SPDX-License-Identifier: Apache-2.0 */
/* proxact: the command line client. Exit status 0, or 1 after an error, 2 when it was called
 * wrongly. */
#include <stdio.h>
#include <string.h>

#include "clients/c/cli.h"
#include "lib/base/fail.h"

static void report(const struct px_err *err) {
  fprintf(stderr, "proxact: %s\n", err->message);
  if (*err->pointer) fprintf(stderr, "  at:   %s\n", err->pointer);
  /* The table's hints are for whoever asks a server: client_problem has taken them where a server
   * spoke. */
  if (*err->hint) fprintf(stderr, "  hint: %s\n", err->hint);
}

static enum px_status run(struct cli *cli, struct px_err *err) {
  enum px_status status = client_global_setup(err);
  if (status) return status;
  status = cli->command->run(cli, err);
  if (status == PX_E_BAD_FIELD && !*err->hint)
    px_fail_hint(err, "'proxact help %s' shows how it is used.", cli->command->group);
  client_close(cli->client);
  client_global_end();
  return status;
}

static int help(const char *group, const char *verb) {
  if (cli_help(CLI_TABLES, group, verb, stdout)) return 0;
  fprintf(stderr, "proxact: there is no command '%s'; 'proxact help' lists them\n", group);
  return 2;
}

int main(int argc, char **argv) {
  const char *first = argc > 1 ? argv[1] : "";
  if (strcmp(first, "--version") == 0 || strcmp(first, "version") == 0) {
    puts("proxact " PX_VERSION);
    return 0;
  }
  if (argc < 2) {
    cli_help(CLI_TABLES, NULL, NULL, stderr);
    return 2;
  }
  if (strcmp(first, "help") == 0) return help(argc > 2 ? argv[2] : NULL, argc > 3 ? argv[3] : NULL);
  struct cli cli;
  struct px_err err = { 0 };
  enum px_status status = cli_parse(CLI_TABLES, &cli, argc, argv, &err);
  if (status) return report(&err), 2;
  if (cli.help)
    return help(cli.command ? cli.command->group : NULL, cli.verb_given ? cli.command->verb : NULL);
  status = run(&cli, &err);
  if (status) report(&err);
  return status ? 1 : 0;
}
