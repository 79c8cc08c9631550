/* proxact: the command line client. Exit status 0, or 1 after an error, 2 when it was called wrongly. */
#include <stdio.h>
#include <string.h>

#include "clients/c/cli.h"

const struct cli_command *const CLI_TABLES[] = { CLI_ACCOUNT, CLI_DATASETS, CLI_PIPELINE, CLI_JOBS, CLI_RESULTS, NULL };

static void report(const struct px_err *err) {
  fprintf(stderr, "proxact: %s\n", err->message);
  if (*err->pointer) fprintf(stderr, "  at:   %s\n", err->pointer);
  const char *hint = *err->hint ? err->hint : px_status_hint(err->code);
  if (*hint) fprintf(stderr, "  hint: %s\n", hint);
}

static enum px_status run(int argc, char **argv, bool *usage, struct px_err *err) {
  struct cli cli;
  enum px_status status = cli_parse(&cli, argc, argv, err);
  *usage = status != PX_OK;
  if (!status) status = client_global_setup(err);
  if (status) return status;
  status = cli.command->run(&cli, err);
  client_close(cli.client);
  client_global_end();
  return status;
}

int main(int argc, char **argv) {
  const char *first = argc > 1 ? argv[1] : "";
  if (strcmp(first, "--version") == 0 || strcmp(first, "version") == 0) {
    puts("proxact " PX_VERSION);
    return 0;
  }
  if (argc < 2 || strcmp(first, "help") == 0 || strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0) {
    if (cli_help(argc > 2 ? argv[2] : NULL, argc < 2 ? stderr : stdout)) return argc < 2 ? 2 : 0;
    fprintf(stderr, "proxact: there is no command '%s'; 'proxact help' lists them\n", argv[2]);
    return 2;
  }
  if (argc > 2 && strcmp(argv[argc - 1], "--help") == 0) return cli_help(first, stdout) ? 0 : 2;
  struct px_err err = { 0 };
  bool usage = false;
  if (run(argc, argv, &usage, &err) == PX_OK) return 0;
  report(&err);
  return usage ? 2 : 1;
}
