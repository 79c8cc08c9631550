/* SPDX-License-Identifier: Apache-2.0 */
/* The command line client without a server: paths, problems, arguments, credentials. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clients/c/cli.h"
#include "clients/c/text.h"
#include "lib/base/fail.h"
#include "tests/support/cu.h"

/* main.c is not part of the library; the tests parse against the same tables. */

static void path_arguments_are_percent_encoded(void) {
  struct px_err err;
  char path[64];
  CU_OK(client_path(path, sizeof path, &err, "/v1/datasets/{}/export?format={}", "a b/c?d%e",
                    "hdf5", NULL),
        err);
  CU_ASSERT_STRING_EQUAL(path, "/v1/datasets/a%20b%2Fc%3Fd%25e/export?format=hdf5");
  CU_OK(client_path(path, sizeof path, &err, "/v1/{}", "\xc3\xa9~-._", NULL), err);
  CU_ASSERT_STRING_EQUAL(path, "/v1/%C3%A9~-._");
}

static void path_refuses_empty_dot_and_overlong_arguments(void) {
  struct px_err err;
  char path[32] = "kept";
  CU_ASSERT_EQUAL(client_path(path, sizeof path, &err, "/v1/jobs/{}", "", NULL), PX_E_BAD_FIELD);
  CU_ASSERT_EQUAL(client_path(path, sizeof path, &err, "/v1/jobs/{}", "..", NULL), PX_E_BAD_FIELD);
  CU_ASSERT_EQUAL(client_path(path, sizeof path, &err, "/v1/jobs/{}", ".", NULL), PX_E_BAD_FIELD);
  CU_ASSERT_EQUAL(client_path(path, sizeof path, &err, "/v1/jobs/{}", "////////////", NULL),
                  PX_E_TOO_LARGE);
  CU_ASSERT_EQUAL(client_path(path, sizeof path, &err, "/v1/jobs/01234567890123456789012", NULL),
                  PX_E_TOO_LARGE);
  CU_OK(client_path(path, sizeof path, &err, "/v1/jobs/{}", "0123456789012345678901", NULL), err);
  CU_ASSERT_EQUAL(strlen(path), 31);
}

static void problem_document_becomes_an_error(void) {
  json_t *problem = json_pack("{s:s, s:s, s:s, s:[{s:s, s:s}]}", "code", "bad_data", "detail",
                              "ragged lengths", "hint", "look there", "errors", "pointer",
                              "trajectory 3", "detail", "rewards are 5, not 6");
  struct px_err err;
  CU_ASSERT_EQUAL(client_problem(422, problem, &err), PX_E_BAD_DATA);
  CU_ASSERT_STRING_EQUAL(err.message, "ragged lengths");
  CU_ASSERT_STRING_EQUAL(err.pointer, "trajectory 3");
  CU_ASSERT_STRING_EQUAL(err.hint, "look there");
  json_decref(problem);
}

static void answer_without_problem_keeps_its_status(void) {
  struct px_err err;
  CU_ASSERT_EQUAL(client_problem(401, NULL, &err), PX_E_UNAUTHORIZED);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "401"));
  CU_ASSERT_EQUAL(client_problem(502, NULL, &err), PX_E_UNAVAILABLE);
  CU_ASSERT_EQUAL(client_problem(418, NULL, &err), PX_E_BAD_REQUEST);
}

static void media_type_comes_from_the_ending(void) {
  CU_ASSERT_STRING_EQUAL(client_media_type("a/hopper.HDF5"), "application/x-hdf5");
  CU_ASSERT_STRING_EQUAL(client_media_type("b.jsonl"), "application/jsonl");
  CU_ASSERT_STRING_EQUAL(client_media_type("c.csv"), "text/csv");
  CU_ASSERT_PTR_NULL(client_media_type("hopper.xlsx"));
  CU_ASSERT_PTR_NULL(client_media_type(".npz"));
}

static enum px_status parse(struct cli *cli, struct px_err *err, int argc, const char **argv) {
  return cli_parse(CLI_TABLES, cli, argc, (char **)argv, err);
}
#define PARSE(cli, err, ...) \
  parse(cli, err, (int)(sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *)), \
        (const char *[]){ __VA_ARGS__ })

static void commands_are_found_with_and_without_a_verb(void) {
  struct cli cli;
  struct px_err err;
  CU_OK(PARSE(&cli, &err, "proxact", "jobs"), err);
  CU_ASSERT_STRING_EQUAL(cli.command->verb, "list");
  CU_OK(PARSE(&cli, &err, "proxact", "jobs", "--json"), err);
  CU_ASSERT_STRING_EQUAL(cli.command->verb, "list");
  CU_ASSERT_TRUE(cli_wants_json(&cli));
  CU_OK(PARSE(&cli, &err, "proxact", "jobs", "watch", "job_1"), err);
  CU_ASSERT_STRING_EQUAL(cli.command->verb, "watch");
  CU_ASSERT_STRING_EQUAL(cli.args[0], "job_1");
  CU_OK(PARSE(&cli, &err, "proxact", "upload", "ds_1", "--watch", "--", "--odd.npz"), err);
  CU_ASSERT_STRING_EQUAL(cli.args[1], "--odd.npz");
}

static void wrong_calls_name_what_is_wrong(void) {
  struct cli cli;
  struct px_err err;
  CU_ASSERT_EQUAL(PARSE(&cli, &err, "proxact", "nonsense"), PX_E_BAD_FIELD);
  CU_ASSERT_EQUAL(PARSE(&cli, &err, "proxact", "jobs", "nonsense"), PX_E_BAD_FIELD);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "nonsense"));
  CU_ASSERT_EQUAL(PARSE(&cli, &err, "proxact", "jobs", "watch"), PX_E_BAD_FIELD);
  CU_ASSERT_EQUAL(PARSE(&cli, &err, "proxact", "jobs", "watch", "a", "b"), PX_E_BAD_FIELD);
  CU_ASSERT_EQUAL(PARSE(&cli, &err, "proxact", "upload", "a", "b", "--color"), PX_E_BAD_FIELD);
  CU_ASSERT_EQUAL(PARSE(&cli, &err, "proxact", "upload", "a", "b", "--watch=yes"), PX_E_BAD_FIELD);
  CU_ASSERT_EQUAL(PARSE(&cli, &err, "proxact", "jobs", "list", "--state"), PX_E_BAD_FIELD);
}

static void options_stand_anywhere(void) {
  struct cli cli;
  struct px_err err;
  CU_OK(PARSE(&cli, &err, "proxact", "--json", "jobs", "watch", "job_1"), err);
  CU_ASSERT_TRUE(cli_wants_json(&cli));
  CU_ASSERT_STRING_EQUAL(cli.command->verb, "watch");
  CU_ASSERT_STRING_EQUAL(cli.args[0], "job_1");
  CU_OK(PARSE(&cli, &err, "proxact", "jobs", "--json", "--state", "failed", "list",
              "--kind=export"),
        err);
  CU_ASSERT_STRING_EQUAL(cli.command->verb, "list");
  CU_ASSERT_STRING_EQUAL(cli_option(&cli, "state"), "failed");
  CU_ASSERT_STRING_EQUAL(cli_option(&cli, "kind"), "export");
  CU_OK(PARSE(&cli, &err, "proxact", "--url", "http://h:1", "upload", "--watch", "d", "--json",
              "f.npz"),
        err);
  CU_ASSERT_STRING_EQUAL(cli_option(&cli, "url"), "http://h:1");
  CU_ASSERT_STRING_EQUAL(cli.args[0], "d");
  CU_ASSERT_STRING_EQUAL(cli.args[1], "f.npz");
  CU_OK(PARSE(&cli, &err, "proxact", "labels", "--output", "-", "export", "d"), err);
  CU_ASSERT_STRING_EQUAL(cli_option(&cli, "output"), "-");
  CU_ASSERT_STRING_EQUAL(cli.command->verb, "export");
}

static void help_is_there_for_every_command(void) {
  struct cli cli;
  struct px_err err;
  CU_OK(PARSE(&cli, &err, "proxact", "-h"), err);
  CU_ASSERT_TRUE(cli.help && !cli.command);
  CU_OK(PARSE(&cli, &err, "proxact", "jobs", "-h"), err);
  CU_ASSERT_TRUE(cli.help && !cli.verb_given);
  for (const struct cli_command *const *table = CLI_TABLES; *table; table++)
    for (const struct cli_command *c = *table; c->group; c++) {
      CU_OK(PARSE(&cli, &err, "proxact", c->group, c->verb ? c->verb : "--json", "-h"), err);
      CU_ASSERT_TRUE(cli.help && cli.command == c && cli.verb_given == (c->verb != NULL));
      CU_OK(PARSE(&cli, &err, "proxact", "--help", c->group, c->verb ? c->verb : "too", "many",
                  "words"),
            err);
      CU_ASSERT_TRUE(cli.help && cli.command == c);
      char *text = NULL;
      size_t n = 0;
      FILE *out = open_memstream(&text, &n);
      CU_ASSERT_PTR_NOT_NULL_FATAL(out);
      CU_ASSERT_TRUE(cli_help(CLI_TABLES, c->group, c->verb, out));
      fclose(out);
      CU_ASSERT_PTR_NOT_NULL(strstr(text, c->help));
      for (const struct cli_option *o = c->options; o && o->name; o++)
        CU_ASSERT_PTR_NOT_NULL(strstr(text, o->help));
      free(text);
    }
  /* Not where it is a value, nor a name. */
  CU_OK(PARSE(&cli, &err, "proxact", "jobs", "list", "--state", "-h"), err);
  CU_ASSERT_FALSE(cli.help);
  CU_OK(PARSE(&cli, &err, "proxact", "datasets", "show", "--", "-h"), err);
  CU_ASSERT_FALSE(cli.help);
}

static void wrong_calls_say_what_there_is(void) {
  struct cli cli;
  struct px_err err;
  CU_ASSERT_EQUAL(PARSE(&cli, &err, "proxact", "upload", "a", "b", "--asink"), PX_E_BAD_FIELD);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.hint, "--async, --watch"));
  CU_ASSERT_EQUAL(PARSE(&cli, &err, "proxact", "upload", "a", "b", "-x"), PX_E_BAD_FIELD);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "-x"));
  CU_ASSERT_EQUAL(PARSE(&cli, &err, "proxact", "jobs", "wach", "a"), PX_E_BAD_FIELD);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.hint, "list, show, submit, watch"));
  CU_ASSERT_EQUAL(PARSE(&cli, &err, "proxact", "job"), PX_E_BAD_FIELD);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.hint, "datasets, upload, uploads, pipeline, jobs, workers"));
  CU_ASSERT_EQUAL(PARSE(&cli, &err, "proxact", "--json"), PX_E_BAD_FIELD);
}

/* Hints of the service's table are for what a service said: not for this machine's files, nor for
 * the line to it. */
static void what_fails_on_this_side_has_a_hint_of_this_side(void) {
  struct client *client;
  struct px_err err;
  CU_OK(client_open("http://127.0.0.1:1", "t", &client, &err), err);
  struct {
    const char *file;
    enum px_status code;
    const char *hint;
  } cases[] = {
    { "/nonexistent/none.npz", PX_E_IO, "Is the path right?" },
    { "/tmp", PX_E_IO, "That is a folder" },
    { "/dev/null", PX_E_BAD_FIELD, "write it to a file" },
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char job[64];
    CU_ASSERT_EQUAL(client_upload(client, "/v1/x", cases[i].file, "application/x-npz", NULL, NULL,
                                  NULL, NULL, &err),
                    cases[i].code);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.hint, cases[i].hint));
    const struct client_parts parts = { .dataset = "d",
                                        .file = cases[i].file,
                                        .file_name = "n.npz" };
    CU_ASSERT_EQUAL(client_upload_parts(client, &parts, NULL, NULL, job, sizeof job, &err),
                    cases[i].code);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.hint, cases[i].hint));
  }
  CU_ASSERT_EQUAL(client_download(client, "/v1/x", "/nonexistent/out", NULL, NULL, &err), PX_E_IO);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.hint, "Is the path right?"));
  CU_ASSERT_EQUAL(client_get(client, "/version", NULL, NULL, NULL, &err), PX_E_UNAVAILABLE);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.hint, "Is the server running there?"));
  client_close(client);
  json_t *problem = json_pack("{s:s}", "code", "io_error");
  CU_ASSERT_EQUAL(client_problem(500, problem, &err), PX_E_IO);
  CU_ASSERT_STRING_EQUAL(err.hint, px_status_hint(PX_E_IO));
  json_decref(problem);
}

/* A general hint of the service becomes what the client can do; one that is particular stays. */
static void hints_fit_this_side(void) {
  struct px_err err;
  json_t *problem =
    json_pack("{s:s, s:s}", "code", "unauthorized", "hint", px_status_hint(PX_E_UNAUTHORIZED));
  CU_ASSERT_EQUAL(client_problem(401, problem, &err), PX_E_UNAUTHORIZED);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.hint, "proxact login"));
  json_object_set_new(problem, "hint", json_string("ask Ann"));
  CU_ASSERT_EQUAL(client_problem(401, problem, &err), PX_E_UNAUTHORIZED);
  CU_ASSERT_STRING_EQUAL(err.hint, "ask Ann");
  json_decref(problem);
}

static void options_take_both_spellings_and_are_bounded(void) {
  struct cli cli;
  struct px_err err;
  long long n = 7;
  json_t *list = NULL;
  CU_OK(PARSE(&cli, &err, "proxact", "eval", "mdl_1", "--episodes=5", "--env", "hopper"), err);
  CU_OK(cli_option_int(&cli, "episodes", 1, 10, &n, &err), err);
  CU_ASSERT_EQUAL(n, 5);
  CU_ASSERT_STRING_EQUAL(cli_option(&cli, "env"), "hopper");
  CU_OK(cli_option_int(&cli, "seed", 0, 10, &n, &err), err);
  CU_ASSERT_EQUAL(n, 5);
  CU_ASSERT_EQUAL(cli_option_int(&cli, "episodes", 6, 10, &n, &err), PX_E_BAD_FIELD);
  CU_OK(PARSE(&cli, &err, "proxact", "pipeline", "ds_1", "--seeds", "0,12,9007199254740991"), err);
  CU_OK(cli_option_list(&cli, "seeds", true, &list, &err), err);
  CU_ASSERT_EQUAL(json_array_size(list), 3);
  CU_ASSERT_EQUAL(json_integer_value(json_array_get(list, 2)), 9007199254740991);
  json_decref(list);
  CU_OK(PARSE(&cli, &err, "proxact", "pipeline", "ds_1", "--seeds", "1,x"), err);
  CU_ASSERT_EQUAL(cli_option_list(&cli, "seeds", true, &list, &err), PX_E_BAD_FIELD);
  CU_OK(PARSE(&cli, &err, "proxact", "pipeline", "ds_1", "--seeds", "1,,2"), err);
  CU_ASSERT_EQUAL(cli_option_list(&cli, "seeds", true, &list, &err), PX_E_BAD_FIELD);
}

static void every_command_is_in_the_help(void) {
  char *text = NULL;
  size_t n = 0;
  FILE *out = open_memstream(&text, &n);
  CU_ASSERT_PTR_NOT_NULL_FATAL(out);
  CU_ASSERT_TRUE(cli_help(CLI_TABLES, NULL, NULL, out));
  CU_ASSERT_FALSE(cli_help(CLI_TABLES, "nonsense", NULL, out));
  fclose(out);
  for (const struct cli_command *const *table = CLI_TABLES; *table; table++)
    for (const struct cli_command *c = *table; c->group; c++) {
      CU_ASSERT_PTR_NOT_NULL(strstr(text, c->help));
      CU_ASSERT_TRUE(c->args_max <= CLI_ARGS_MAX);
      size_t options_n = 3; /* the common ones */
      while (c->options && c->options[options_n - 3].name) options_n++;
      CU_ASSERT_TRUE(options_n <= CLI_OPTIONS_MAX);
    }
  free(text);
}

/* Operations that have no command: a tus client's question, and the list of links. */
static const char *const WITHOUT[] = { "index", "discoverUploads" };

static bool has_word(const char *list, const char *word) {
  const size_t n = strlen(word);
  for (const char *at = list; at && (at = strstr(at, word)) != NULL; at += n)
    if ((at == list || at[-1] == ' ') && (at[n] == ' ' || !at[n])) return true;
  return false;
}

static bool some_command_calls(const char *operation) {
  for (size_t i = 0; i < sizeof WITHOUT / sizeof *WITHOUT; i++)
    if (strcmp(WITHOUT[i], operation) == 0) return true;
  for (const struct cli_command *const *table = CLI_TABLES; *table; table++)
    for (const struct cli_command *c = *table; c->group; c++)
      if (has_word(c->api, operation)) return true;
  return false;
}

/* The operations of the description, as one list with spaces; the caller frees it. */
static char *operations_of(const char *file) {
  static const char KEY[] = "\"operationId\": \"";
  char line[4096], *list = NULL;
  size_t n = 0;
  FILE *in = fopen(file, "re"), *out = open_memstream(&list, &n);
  while (in && out && fgets(line, sizeof line, in)) {
    char *at = strstr(line, KEY);
    if (at) fprintf(out, "%.*s ", (int)strcspn(at + strlen(KEY), "\""), at + strlen(KEY));
  }
  if (out) fclose(out);
  if (in) fclose(in);
  return list;
}

static void commands_call_what_the_api_has(void) {
  char *operations = operations_of("schema/openapi.yaml"), *rest = operations;
  CU_ASSERT_TRUE_FATAL(operations && has_word(operations, "listDatasets"));
  for (const struct cli_command *const *table = CLI_TABLES; *table; table++)
    for (const struct cli_command *c = *table; c->group; c++) {
      char names[256], *more = names;
      snprintf(names, sizeof names, "%s", c->api ? c->api : "");
      for (char *name; (name = strsep(&more, " ")) != NULL;)
        CU_ASSERT_TRUE(!*name || has_word(operations, name));
    }
  for (char *name; (name = strsep(&rest, " ")) != NULL;)
    if (*name && !some_command_calls(name)) printf("\nNOTE no command calls %s\n", name);
  free(operations);
}

static void words_of_options_are_those_of_their_help(void) {
  int n = 0;
  for (const struct cli_command *const *table = CLI_TABLES; *table; table++)
    for (const struct cli_command *c = *table; c->group; c++)
      for (const struct cli_option *o = c->options; o && o->name; o++) {
        const char *words = cli_option_words(o);
        if (!words) continue;
        n++;
        CU_ASSERT_TRUE(o->value && *words && *words != ' ' && strstr(o->help, words));
      }
  CU_ASSERT_TRUE(n >= 10);
}

static char home[64];
static void in_new_home(void) {
  snprintf(home, sizeof home, "/tmp/proxact-home-XXXXXX");
  CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(home));
  setenv("XDG_CONFIG_HOME", home, 1);
  unsetenv("PROXACT_URL");
  unsetenv("PROXACT_TOKEN");
}
static void leave_home(void) {
  char path[128];
  snprintf(path, sizeof path, "%s/proxact/credentials", home);
  unlink(path);
  snprintf(path, sizeof path, "%s/proxact", home);
  rmdir(path);
  CU_ASSERT_EQUAL(rmdir(home), 0); /* nothing else was left */
}

static void credentials_are_kept_for_their_owner_only(void) {
  struct cli_credentials out, in = { "http://h:1", "secret" };
  struct px_err err;
  struct stat st;
  char path[256];
  in_new_home();
  CU_ASSERT_EQUAL(cli_credentials_load(&out, &err), PX_E_UNAUTHORIZED);
  CU_OK(cli_credentials_save(&in, path, sizeof path, &err), err);
  CU_OK(cli_credentials_save(&in, path, sizeof path, &err), err);
  CU_ASSERT_EQUAL_FATAL(stat(path, &st), 0);
  CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
  CU_OK(cli_credentials_load(&out, &err), err);
  CU_ASSERT_STRING_EQUAL(out.url, "http://h:1");
  CU_ASSERT_STRING_EQUAL(out.token, "secret");
  leave_home();
}

static void stored_token_is_never_sent_to_another_address(void) {
  struct cli_credentials out, in = { "http://h:1", "secret" };
  struct px_err err;
  char path[256];
  in_new_home();
  CU_OK(cli_credentials_save(&in, path, sizeof path, &err), err);
  setenv("PROXACT_URL", "http://other:1", 1);
  CU_OK(cli_credentials_load(&out, &err), err);
  CU_ASSERT_STRING_EQUAL(out.url, "http://other:1");
  CU_ASSERT_STRING_EQUAL(out.token, "");
  setenv("PROXACT_TOKEN", "theirs", 1);
  CU_OK(cli_credentials_load(&out, &err), err);
  CU_ASSERT_STRING_EQUAL(out.token, "theirs");
  leave_home();
}

static void sizes_and_times_read_well(void) {
  char text[32];
  text_bytes(999, text, sizeof text);
  CU_ASSERT_STRING_EQUAL(text, "999 B");
  text_bytes(17172831, text, sizeof text);
  CU_ASSERT_STRING_EQUAL(text, "17.2 MB");
  text_bytes(999999, text, sizeof text);
  CU_ASSERT_STRING_EQUAL(text, "1.0 MB");
  text_duration(59.4, text, sizeof text);
  CU_ASSERT_STRING_EQUAL(text, "59 s");
  text_duration(185, text, sizeof text);
  CU_ASSERT_STRING_EQUAL(text, "3 min 05 s");
}

static void cells_hold_no_control_characters(void) {
  json_t *row =
    json_pack("{s:s, s:{s:f}, s:n}", "name", "a\x1b[31mb", "progress", "step", 0.25, "env");
  char cell[32];
  text_cell(row, "name", cell, sizeof cell);
  CU_ASSERT_STRING_EQUAL(cell, "a?[31mb");
  text_cell(row, "progress.step", cell, sizeof cell);
  CU_ASSERT_STRING_EQUAL(cell, "0.25");
  text_cell(row, "env", cell, sizeof cell);
  CU_ASSERT_STRING_EQUAL(cell, "-");
  text_cell(row, "missing.at.all", cell, sizeof cell);
  CU_ASSERT_STRING_EQUAL(cell, "-");
  json_decref(row);
}

static void warnings_are_told_with_their_hints(void) {
  char *text = NULL;
  size_t n = 0;
  FILE *out = open_memstream(&text, &n);
  json_t *result = json_pack("{s:[{s:s, s:s, s:s}, {s:s}]}", "warnings", "code", "labels_lag",
                             "message", "late \x1b[31m", "hint", "Shift.", "code", "odd");
  text_warnings(out, result);
  text_warnings(out, json_null());
  text_warnings(out, NULL);
  fclose(out);
  CU_ASSERT_STRING_EQUAL(text, "warning: labels_lag: late ?[31m\n  Shift.\nwarning: odd: -\n  -\n");
  free(text);
  json_decref(result);
}

CU_MAIN("client", T(warnings_are_told_with_their_hints), T(path_arguments_are_percent_encoded),
        T(path_refuses_empty_dot_and_overlong_arguments), T(problem_document_becomes_an_error),
        T(answer_without_problem_keeps_its_status), T(media_type_comes_from_the_ending),
        T(commands_are_found_with_and_without_a_verb), T(wrong_calls_name_what_is_wrong),
        T(options_stand_anywhere), T(help_is_there_for_every_command),
        T(wrong_calls_say_what_there_is), T(what_fails_on_this_side_has_a_hint_of_this_side),
        T(options_take_both_spellings_and_are_bounded), T(every_command_is_in_the_help),
        T(credentials_are_kept_for_their_owner_only),
        T(stored_token_is_never_sent_to_another_address), T(sizes_and_times_read_well),
        T(cells_hold_no_control_characters), T(hints_fit_this_side),
        T(commands_call_what_the_api_has), T(words_of_options_are_those_of_their_help))
