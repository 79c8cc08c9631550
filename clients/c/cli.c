/* SPDX-License-Identifier: Apache-2.0 */
/* Commands, options and help: see cli.h. */
#include "clients/c/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clients/c/text.h"
#include "lib/base/fail.h"
#include "lib/base/json.h"

const struct cli_option CLI_COMMON[] = {
  { "help", NULL, "Show this, and do nothing else; also -h" },
  { "json", NULL, "Print the server's answer as JSON" },
  { "url", "URL", "The server (default: PROXACT_URL, or the one of 'proxact login')" },
  { NULL, NULL, NULL },
};

static size_t options_n(const struct cli_option *options) {
  size_t n = 0;
  while (options && options[n].name) n++;
  return n;
}

/* The option's place in cli->values, or -1. */
static int option_index(const struct cli_command *command, const char *name, size_t len) {
  const size_t own = options_n(command->options);
  for (size_t i = 0; i < own; i++)
    if (strncmp(command->options[i].name, name, len) == 0 && !command->options[i].name[len])
      return (int)i;
  for (size_t i = 0; CLI_COMMON[i].name; i++)
    if (strncmp(CLI_COMMON[i].name, name, len) == 0 && !CLI_COMMON[i].name[len])
      return (int)(own + i);
  return -1;
}

static const struct cli_option *option_at(const struct cli_command *command, int index) {
  const size_t own = options_n(command->options);
  return (size_t)index < own ? &command->options[index] : &CLI_COMMON[(size_t)index - own];
}

static const struct cli_command *find(const struct cli_command *const *tables, const char *group,
                                      const char *verb) {
  for (const struct cli_command *const *table = tables; *table; table++)
    for (const struct cli_command *c = *table; c->group; c++) {
      if (strcmp(c->group, group) != 0) continue;
      if (!verb || !c->verb || strcmp(c->verb, verb) == 0) return c;
    }
  return NULL;
}

static void put_name(char *list, size_t n, const char *dashes, const char *name) {
  const size_t used = strlen(list);
  snprintf(list + used, n - used, "%s%s%s", used ? ", " : "", dashes, name);
}

/* What there is instead. */
static enum px_status wrong_option(const struct cli_command *command, struct px_err *err,
                                   const char *text) {
  char known[400] = "";
  for (const struct cli_option *o = command->options; o && o->name; o++)
    put_name(known, sizeof known, "--", o->name);
  for (const struct cli_option *o = CLI_COMMON; o->name; o++)
    put_name(known, sizeof known, "--", o->name);
  px_fail(err, PX_E_BAD_FIELD, "there is no option '%.200s'", text);
  px_fail_hint(err, "Options here: %s. 'proxact help %s' explains them.", known, command->group);
  return PX_E_BAD_FIELD;
}

static enum px_status wrong_command(const struct cli_command *const *tables, const char *group,
                                    const char *verb, struct px_err *err) {
  char known[400] = "";
  const char *last = "";
  for (const struct cli_command *const *table = tables; *table; table++)
    for (const struct cli_command *c = *table; c->group; c++) {
      if (verb && strcmp(c->group, group) == 0 && c->verb)
        put_name(known, sizeof known, "", c->verb);
      if (!verb && strcmp(c->group, last) != 0) put_name(known, sizeof known, "", c->group);
      last = c->group;
    }
  px_fail(err, PX_E_BAD_FIELD,
          verb ? "there is no command '%.100s %.100s'" : "there is no command '%.100s'", group,
          verb);
  if (verb) px_fail_hint(err, "Commands of %s: %s.", group, known);
  else px_fail_hint(err, "Commands: %s. 'proxact help' explains them.", known);
  return PX_E_BAD_FIELD;
}

static enum px_status wrong(const struct cli_command *command, struct px_err *err, const char *what,
                            const char *text) {
  px_fail(err, PX_E_BAD_FIELD, "%s '%.200s'", what, text);
  px_fail_hint(err, "'proxact help %s' shows how it is used.", command->group);
  return PX_E_BAD_FIELD;
}

/* "--name=value" or "--name value"; moves *at on. */
static enum px_status read_option(struct cli *cli, int argc, char **argv, int *at,
                                  struct px_err *err) {
  const char *name = argv[*at] + 2, *equals = strchr(name, '=');
  const int index =
    option_index(cli->command, name, equals ? (size_t)(equals - name) : strlen(name));
  if (index < 0) return wrong_option(cli->command, err, argv[*at]);
  const bool flag = option_at(cli->command, index)->value == NULL;
  if (flag && equals) return wrong(cli->command, err, "this option takes no value:", argv[*at]);
  if (!flag && !equals && *at + 1 >= argc)
    return wrong(cli->command, err, "this option needs a value:", argv[*at]);
  cli->values[index] = flag ? "" : equals ? equals + 1 : argv[++*at];
  return PX_OK;
}

/* Whether an option that stands before the command is known takes the argument behind it. */
static bool takes_value(const struct cli_command *const *tables, const char *group,
                        const char *name) {
  for (const struct cli_option *o = CLI_COMMON; o->name; o++)
    if (strcmp(o->name, name) == 0) return o->value != NULL;
  for (const struct cli_command *const *table = tables; *table; table++)
    for (const struct cli_command *c = *table; group && c->group; c++)
      for (const struct cli_option *o = strcmp(c->group, group) == 0 ? c->options : NULL;
           o && o->name; o++)
        if (strcmp(o->name, name) == 0) return o->value != NULL;
  return false;
}

/* Where the first two words are, 0: not there; and whether help is asked for. */
static void find_words(const struct cli_command *const *tables, struct cli *cli, int argc,
                       char **argv, int word[2]) {
  word[0] = word[1] = 0;
  for (int at = 1; at < argc && strcmp(argv[at], "--") != 0; at++) {
    if (strcmp(argv[at], "-h") == 0 || strcmp(argv[at], "--help") == 0) cli->help = true;
    else if (strncmp(argv[at], "--", 2) == 0)
      at +=
        !strchr(argv[at], '=') && takes_value(tables, word[0] ? argv[word[0]] : NULL, argv[at] + 2);
    else if (!word[0]) word[0] = at;
    else if (!word[1]) word[1] = at;
  }
}

/* Sets cli->command; *words: how many of the first words name it. */
static enum px_status find_command(const struct cli_command *const *tables, struct cli *cli,
                                   const char *group, const char *verb, int *words,
                                   struct px_err *err) {
  const struct cli_command *first = find(tables, group, NULL);
  if (!first) return wrong_command(tables, group, NULL, err);
  *words = verb && first->verb ? 2 : 1;
  cli->command = find(tables, group, *words == 2 ? verb : NULL);
  return cli->command ? PX_OK : wrong_command(tables, group, verb, err);
}

static enum px_status read_arguments(struct cli *cli, int argc, char **argv, const int word[2],
                                     struct px_err *err) {
  bool plain_only = false;
  for (int at = 1; at < argc; at++) {
    if (at == word[0] || at == word[1]) continue;
    if (!plain_only && strcmp(argv[at], "--") == 0) {
      plain_only = true;
    } else if (!plain_only && strncmp(argv[at], "--", 2) == 0) {
      const enum px_status status = read_option(cli, argc, argv, &at, err);
      if (status) return status;
    } else if (!plain_only && argv[at][0] == '-' && argv[at][1]) {
      return wrong_option(cli->command, err, argv[at]);
    } else if (cli->args_n == cli->command->args_max) {
      return wrong(cli->command, err, "there is one argument too many:", argv[at]);
    } else {
      cli->args[cli->args_n++] = argv[at];
    }
  }
  return cli->args_n < cli->command->args_min
           ? wrong(cli->command, err, "it needs", cli->command->args)
           : PX_OK;
}

enum px_status cli_parse(const struct cli_command *const *tables, struct cli *cli, int argc,
                         char **argv, struct px_err *err) {
  *cli = (struct cli){ .tables = tables };
  int word[2], words = 0;
  find_words(tables, cli, argc, argv, word);
  if (!word[0] && cli->help) return PX_OK;
  if (!word[0]) return wrong_command(tables, argc > 1 ? argv[1] : "", NULL, err);
  const enum px_status status =
    find_command(tables, cli, argv[word[0]], word[1] ? argv[word[1]] : NULL, &words, err);
  cli->verb_given = words == 2;
  if (status || cli->help) return status;
  if (words < 2) word[1] = 0;
  return read_arguments(cli, argc, argv, word, err);
}

const char *cli_option(const struct cli *cli, const char *name) {
  const int index = option_index(cli->command, name, strlen(name));
  return index < 0 ? NULL : cli->values[index];
}

static enum px_status to_int(const char *name, const char *text, long long min, long long max,
                             long long *out, struct px_err *err) {
  char *end;
  errno = 0;
  const long long value = strtoll(text, &end, 10);
  if (end == text || *end || errno || value < min || value > max)
    return px_fail_at(err, PX_E_BAD_FIELD, name,
                      "--%s takes a whole number from %lld to %lld, not '%.64s'", name, min, max,
                      text);
  *out = value;
  return PX_OK;
}

enum px_status cli_option_int(const struct cli *cli, const char *name, long long min, long long max,
                              long long *out, struct px_err *err) {
  const char *text = cli_option(cli, name);
  return text ? to_int(name, text, min, max, out, err) : PX_OK;
}

enum px_status cli_option_list(const struct cli *cli, const char *name, bool whole, json_t **out,
                               struct px_err *err) {
  const char *text = cli_option(cli, name);
  json_t *list = json_array();
  enum px_status status = list ? PX_OK : px_fail(err, PX_E_NO_MEMORY, "list");
  while (!status && text && *text) {
    const size_t len = strcspn(text, ",");
    char item[64];
    long long number = 0;
    if (len == 0 || len >= sizeof item) {
      status = px_fail_at(err, PX_E_BAD_FIELD, name, "--%s takes values separated by commas", name);
      break;
    }
    snprintf(item, sizeof item, "%.*s", (int)len, text);
    if (whole) status = to_int(name, item, 0, (1LL << 53) - 1, &number, err);
    if (!status &&
        json_array_append_new(list, whole ? json_integer(number) : json_string(item)) != 0)
      status = px_fail(err, PX_E_BAD_FIELD, "--%s is not UTF-8 text", name);
    text += len + (text[len] == ',');
  }
  if (status) json_decref(list);
  else *out = list;
  return status;
}

static void help_options(const struct cli_option *options, FILE *out) {
  for (size_t i = 0; options && options[i].name; i++) {
    char left[64];
    snprintf(left, sizeof left, "--%s%s%s", options[i].name, options[i].value ? " " : "",
             options[i].value ? options[i].value : "");
    fprintf(out, "      %-24s %s\n", left, options[i].help);
  }
}

bool cli_help(const struct cli_command *const *tables, const char *group, const char *verb,
              FILE *out) {
  bool found = false;
  if (!group)
    fprintf(out,
            "proxact " PX_VERSION ": trajectories in, proxy action labels and policies out\n\n");
  for (const struct cli_command *const *table = tables; *table; table++)
    for (const struct cli_command *c = *table; c->group; c++) {
      if (group && strcmp(c->group, group) != 0) continue;
      if (verb && c->verb && strcmp(c->verb, verb) != 0) continue;
      char left[80];
      snprintf(left, sizeof left, "%s%s%s %s", c->group, c->verb ? " " : "", c->verb ? c->verb : "",
               c->args);
      fprintf(out, group ? "  proxact %s\n      %s\n" : "  proxact %-34s %s\n", left, c->help);
      if (group) help_options(c->options, out);
      found = true;
    }
  if (!found) return false;
  fprintf(out, group ? "  everywhere\n" : "\nOptions everywhere:\n");
  help_options(CLI_COMMON, out);
  if (!group) fprintf(out, "\n'proxact help COMMAND' shows a command's own options.\n");
  return true;
}

enum px_status cli_connect(struct cli *cli, struct px_err *err) {
  struct cli_credentials known;
  const char *url = cli_option(cli, "url");
  if (url && setenv("PROXACT_URL", url, 1) != 0) return px_fail(err, PX_E_NO_MEMORY, "address");
  enum px_status status = cli_credentials_load(&known, err);
  if (!status) status = client_open(known.url, known.token, &cli->client, err);
  explicit_bzero(&known, sizeof known);
  return status;
}
