/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line client: a table of commands, their options, and what they
 * share (connection, output). Used by clients/c/cmd_*.c and main.c only.
 */
#ifndef PX_CLIENTS_C_CLI_H
#define PX_CLIENTS_C_CLI_H

#include <stdio.h>

#include "clients/c/client.h"
#include "lib/base/fail.h"

enum { CLI_ARGS_MAX = 16, CLI_OPTIONS_MAX = 24, CLI_PATH_MAX = 1024 };

/* Which words there are, from the tables in schema: "Simulator: hopper ...". */
extern const char CLI_ALGOS[], CLI_ENVS[], CLI_UPLOADS[], CLI_EXPORTS[], CLI_DUPLICATES[],
  CLI_ACTIONS[], CLI_STATES[], CLI_WEIGHTS[], CLI_LABELLERS[], CLI_IDMS[];

struct cli_option {
  const char *name;  /* long name without the dashes; NULL ends a table */
  const char *value; /* what it takes, for the help; NULL: a flag */
  const char *help;
};

struct cli;
struct cli_command {
  const char *group, *verb; /* "jobs", "watch"; verb NULL where there is only one */
  const char *args;         /* for the help, such as "DATASET FILE" */
  int args_min, args_max;
  const struct cli_option *options; /* NULL: none beside the common ones */
  const char *help;
  enum px_status (*run)(struct cli *cli, struct px_err *err);
  const char *api; /* the operations of schema/openapi.yaml that it calls, with spaces; or NULL */
};

struct cli {
  const struct cli_command *const *tables; /* of cli_parse; borrowed */
  const struct cli_command *command;
  const char *args[CLI_ARGS_MAX]; /* borrowed from argv */
  int args_n;
  /* of command->options, then the common ones; "" for a flag that is set */
  const char *values[CLI_OPTIONS_MAX];
  bool verb_given;
  /* -h or --help was given: nothing but help is wanted, and command may be NULL */
  bool help;
  struct client *client; /* NULL until cli_connect */
};

/* The commands, one table per file, each ended by a command whose group is NULL;
 * the list of tables ends with NULL. In a group the first verb is the default. */
extern const struct cli_command CLI_ACCOUNT[], CLI_DATASETS[], CLI_EDITS[], CLI_UPLOAD[],
  CLI_PIPELINE[], CLI_JOBS[], CLI_RESULTS[], CLI_SIMULATORS[], CLI_SERVER[], CLI_SHELL[];
/* All of them: main's, for cli_parse and cli_help. */
extern const struct cli_command *const CLI_TABLES[];

/* Finds the command and reads its arguments; options may stand anywhere, before the command too.
 * BAD_FIELD when they are wrong. */
enum px_status cli_parse(const struct cli_command *const *tables, struct cli *cli, int argc,
                         char **argv, struct px_err *err) PX_MUST_CHECK;
/* The option's value; "" for a flag that is set; NULL if it was not given. */
const char *cli_option(const struct cli *cli, const char *name);
/* As a whole number within bounds; *out untouched when it was not given. */
enum px_status cli_option_int(const struct cli *cli, const char *name, long long min, long long max,
                              long long *out, struct px_err *err) PX_MUST_CHECK;
/* Splits "a,b,c" into an array: of integers (`whole`), or text. BAD_FIELD names the option. */
enum px_status cli_option_list(const struct cli *cli, const char *name, bool whole, json_t **out,
                               struct px_err *err) PX_MUST_CHECK;
/* group NULL: all commands; verb NULL: those of the group. False if there is none. */
bool cli_help(const struct cli_command *const *tables, const char *group, const char *verb,
              FILE *out);

/* Opens the connection: --url, PROXACT_URL or the stored address, and the token that belongs to
 * it. */
enum px_status cli_connect(struct cli *cli, struct px_err *err) PX_MUST_CHECK;

/* Whether --json was given: then a command prints the server's answer as it is. */
bool cli_wants_json(const struct cli *cli);
void cli_print_json(const json_t *json);
/* Fails unless the answer is an object or array: *items borrows the list within it. */
enum px_status cli_items(const json_t *answer, const json_t **items,
                         struct px_err *err) PX_MUST_CHECK;

struct text_column;
/* A list of the API: `pattern` is its path, as in client_path, of the command's arguments. */
struct cli_listing {
  const char *pattern;
  const char *cursor; /* the parameter that takes a page's `next`; NULL: there is one page */
  const char *const *filters; /* options that are parameters of the same name, ended by NULL */
  const struct text_column *columns;
  size_t columns_n;
};
/* GETs it, page by page up to --limit (100), and prints a table; with --json one page of all. */
enum px_status cli_list(struct cli *cli, const struct cli_listing *listing,
                        struct px_err *err) PX_MUST_CHECK;
/* GETs a document, of which the arguments fill the pattern, and prints it. */
enum px_status cli_show(struct cli *cli, const char *pattern, struct px_err *err) PX_MUST_CHECK;
/* The same with --labels as the parameter label_set. */
enum px_status cli_show_labelled(struct cli *cli, const char *pattern,
                                 struct px_err *err) PX_MUST_CHECK;
/* DELETEs what the first argument names; `pattern` is the path, such as "/v1/jobs/{}". */
enum px_status cli_delete(struct cli *cli, const char *pattern, struct px_err *err) PX_MUST_CHECK;
/* client_download with a meter, and a word at its end. */
enum px_status cli_download(struct cli *cli, const char *path, const char *file,
                            struct px_err *err) PX_MUST_CHECK;
/* Puts an option, where it was given, behind a path as a parameter: the first with '?'. */
enum px_status cli_put_query(const struct cli *cli, char *path, size_t n, const char *option,
                             const char *parameter, struct px_err *err) PX_MUST_CHECK;
/* The object of --spec, {} without it; the caller owns it. */
enum px_status cli_spec(const struct cli *cli, json_t **out, struct px_err *err) PX_MUST_CHECK;
/* For the help, and for what a shell completes. */
extern const struct cli_option CLI_COMMON[];
/* The words that an option's value may be, "hopper walker2d ..."; NULL: any. */
const char *cli_option_words(const struct cli_option *option);

/* Where the server is and the token for it. Environment before file. */
struct cli_credentials {
  char url[512], token[512];
};
enum px_status cli_credentials_load(struct cli_credentials *out, struct px_err *err) PX_MUST_CHECK;
/* Writes ~/.config/proxact/credentials (XDG_CONFIG_HOME), readable by its owner only. */
enum px_status cli_credentials_save(const struct cli_credentials *credentials, char *path,
                                    size_t path_bytes, struct px_err *err) PX_MUST_CHECK;

/* Follows a job until it ends: live lines on a terminal, one line per change otherwise. Fails with
 * the job's own error when it failed. *out (owned by the caller, may be asked as NULL) is its last
 * document. */
enum px_status cli_watch(struct cli *cli, const char *job, json_t **out,
                         struct px_err *err) PX_MUST_CHECK;
/* POSTs a body with --dry-run and --dedupe-key. Prints the plan; or the job that was made, which is
 * followed when --watch was given. */
enum px_status cli_submit(struct cli *cli, const char *path, const json_t *body,
                          struct px_err *err) PX_MUST_CHECK;

#endif
