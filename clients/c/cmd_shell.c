/* SPDX-License-Identifier: Apache-2.0 */
/* completion, man: the table of commands as a shell and man read it. Neither asks a server. */
#include <stdio.h>
#include <string.h>

#include "clients/c/cli.h"
#include "lib/base/fail.h"

/* The i-th of all commands; NULL behind the last. */
static const struct cli_command *command_at(const struct cli_command *const *tables, size_t i) {
  for (const struct cli_command *const *table = tables; *table; table++)
    for (const struct cli_command *c = *table; c->group; c++)
      if (i-- == 0) return c;
  return NULL;
}

/* Whether a command is its group's first. */
static bool opens_group(const struct cli_command *const *tables,
                        const struct cli_command *command) {
  size_t i = 0;
  while (strcmp(command_at(tables, i)->group, command->group) != 0) i++;
  return command_at(tables, i) == command;
}

/* --- bash --- */

static void bash_options(const struct cli_option *options) {
  for (const struct cli_option *o = options; o && o->name; o++) printf(" --%s", o->name);
}

/* The verbs of a group, as words; none where it has one command. */
static void bash_verbs(const struct cli_command *const *tables, const char *group) {
  for (size_t i = 0; command_at(tables, i); i++) {
    const struct cli_command *c = command_at(tables, i);
    if (c->verb && strcmp(c->group, group) == 0) printf(" %s", c->verb);
  }
}

/* Whether a command is the first that has an option of this name. */
static bool opens_name(const struct cli_command *const *tables, const struct cli_command *command,
                       const char *name) {
  for (size_t i = 0; command_at(tables, i); i++)
    for (const struct cli_option *o = command_at(tables, i)->options; o && o->name; o++)
      if (strcmp(o->name, name) == 0) return command_at(tables, i) == command;
  return false;
}

/* "name|name": options with a value, whose next word is no command. */
static void put_valued(const struct cli_command *const *tables) {
  printf("--url");
  for (size_t i = 0; command_at(tables, i); i++)
    for (const struct cli_option *o = command_at(tables, i)->options; o && o->name; o++)
      if (o->value && opens_name(tables, command_at(tables, i), o->name)) printf("|--%s", o->name);
}

/* A case for each option whose value is one of a few words. */
static void put_words(const struct cli_command *const *tables, const char *before,
                      const char *after) {
  for (size_t i = 0; command_at(tables, i); i++)
    for (const struct cli_option *o = command_at(tables, i)->options; o && o->name; o++) {
      const char *words = cli_option_words(o);
      if (words)
        printf("    %s:--%s) %s%s%s ;;\n", command_at(tables, i)->group, o->name, before, words,
               after);
    }
}

/* Sets group and verb to the command's words before the cursor. */
static void put_walk(const struct cli_command *const *tables, const char *word, const char *last) {
  printf("  for ((i = %s; i < %s; i++)); do\n    case ${%s[i]} in\n      ",
         strcmp(word, "words") == 0 ? "2" : "1", last, word);
  put_valued(tables);
  printf(") ((i++)) ;;\n      -*) ;;\n"
         "      *) if [ -z \"$group\" ]; then group=${%s[i]}; elif [ -z \"$verb\" ]; then "
         "verb=${%s[i]}; fi ;;\n    esac\n  done\n",
         word, word);
}

static void bash(const struct cli_command *const *tables) {
  printf("# Completion of proxact for bash, made by 'proxact completion bash'.\n"
         "_proxact() {\n"
         "  local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}\n"
         "  local group='' verb='' words='' i\n");
  put_walk(tables, "COMP_WORDS", "COMP_CWORD");
  printf("  case $group:$before in\n");
  put_words(tables, "words='", "'");
  printf(
    "  esac\n  if [ -z \"$words\" ]; then\n    case $group:$verb in\n      :) words='help version");
  for (size_t i = 0; command_at(tables, i); i++) {
    const struct cli_command *c = command_at(tables, i);
    if (opens_group(tables, c)) printf(" %s", c->group);
  }
  printf("' ;;\n");
  for (size_t i = 0; command_at(tables, i); i++) {
    const struct cli_command *c = command_at(tables, i);
    if (opens_group(tables, c) && c->verb) {
      printf("      %s:) words='", c->group);
      bash_verbs(tables, c->group);
      bash_options(c->options);
      printf("' ;;\n");
    }
    printf("      %s:%s) words='", c->group, c->verb ? c->verb : "*");
    bash_options(c->options);
    printf("' ;;\n");
  }
  printf("    esac\n    words+='");
  bash_options(CLI_COMMON);
  /* Without a word that fits, the shell offers files. */
  printf("'\n  fi\n"
         "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
         "}\ncomplete -o default -F _proxact proxact\n");
}

/* --- zsh --- */

/* Inside single quotes, with the colon that ends a name escaped. */
static void zsh_quoted(const char *text) {
  for (; *text; text++) {
    if (*text == '\'') printf("'\\''");
    else if (*text == ':') printf("\\:");
    else putchar(*text);
  }
}

static void zsh_entry(const char *dashes, const char *name, const char *help) {
  printf(" '%s%s:", dashes, name);
  zsh_quoted(help);
  putchar('\'');
}

static void zsh_options(const struct cli_option *options) {
  for (const struct cli_option *o = options; o && o->name; o++) zsh_entry("--", o->name, o->help);
}

static void zsh_verbs(const struct cli_command *const *tables, const char *group) {
  for (size_t i = 0; command_at(tables, i); i++) {
    const struct cli_command *c = command_at(tables, i);
    if (c->verb && strcmp(c->group, group) == 0) zsh_entry("", c->verb, c->help);
  }
}

static void zsh(const struct cli_command *const *tables) {
  printf("#compdef proxact\n# Completion of proxact for zsh, made by 'proxact completion zsh'.\n"
         "_proxact() {\n  local group='' verb='' before=${words[CURRENT-1]} i\n"
         "  local -a found\n");
  put_walk(tables, "words", "CURRENT");
  printf("  case $group:$before in\n");
  put_words(tables, "found=(", ")");
  printf(
    "  esac\n  if (( $#found )); then\n    _describe -t values value found\n    return\n  fi\n"
    "  case $group:$verb in\n    :) found=('help:Explain a command' 'version:Print the version'");
  for (size_t i = 0; command_at(tables, i); i++) {
    const struct cli_command *c = command_at(tables, i);
    if (opens_group(tables, c)) zsh_entry("", c->group, c->help);
  }
  printf(") ;;\n");
  for (size_t i = 0; command_at(tables, i); i++) {
    const struct cli_command *c = command_at(tables, i);
    if (opens_group(tables, c) && c->verb) {
      printf("    %s:) found=(", c->group);
      zsh_verbs(tables, c->group);
      zsh_options(c->options);
      printf(") ;;\n");
    }
    printf("    %s:%s) found=(", c->group, c->verb ? c->verb : "*");
    zsh_options(c->options);
    printf(") ;;\n");
  }
  printf("  esac\n  found+=(");
  zsh_options(CLI_COMMON);
  printf(
    ")\n  _describe -t commands 'command or option' found\n  _files\n}\n"
    "if [ \"$funcstack[1]\" = _proxact ]; then _proxact \"$@\"; else compdef _proxact proxact; "
    "fi\n");
}

static enum px_status completion(struct cli *cli, struct px_err *err) {
  if (strcmp(cli->args[0], "bash") == 0) bash(cli->tables);
  else if (strcmp(cli->args[0], "zsh") == 0) zsh(cli->tables);
  else
    return px_fail(err, PX_E_BAD_FIELD, "there is completion for bash and zsh, not for '%.64s'",
                   cli->args[0]);
  return PX_OK;
}

/* --- man --- */

/* roff: a backslash and a hyphen are escaped, and no line begins with a dot or a quote. */
static void roff(const char *text) {
  if (*text == '.' || *text == '\'') printf("\\&");
  for (; *text; text++) {
    if (*text == '\\') printf("\\e");
    else if (*text == '-') printf("\\-");
    else putchar(*text);
  }
}

static void man_options(const struct cli_option *options) {
  for (const struct cli_option *o = options; o && o->name; o++) {
    printf(".TP\n.B \\-\\-");
    roff(o->name);
    if (o->value) printf(" \\fI%s\\fR", o->value);
    putchar('\n');
    roff(o->help);
    putchar('\n');
  }
}

static void man_command(const struct cli_command *c) {
  printf(".SS \"proxact %s%s%s%s%s\"\n", c->group, c->verb ? " " : "", c->verb ? c->verb : "",
         *c->args ? " " : "", c->args);
  roff(c->help);
  printf(".\n");
  if (!c->options) return;
  printf(".RS\n");
  man_options(c->options);
  printf(".RE\n");
}

static enum px_status man(struct cli *cli, struct px_err *err) {
  (void)err;
  printf(".TH PROXACT 1 \"\" \"Proxact " PX_VERSION "\" \"User Commands\"\n.SH NAME\n"
         "proxact \\- trajectories in, proxy action labels and policies out\n.SH SYNOPSIS\n"
         ".B proxact\n.I COMMAND\n[\\fIOPTION\\fR]... [\\fIARGUMENT\\fR]...\n.SH DESCRIPTION\n"
         "The command line client of a Proxact server. Options may stand anywhere; \\fB\\-\\-\\fR "
         "ends them. In a group of commands the first one may be left out: \\fBproxact jobs\\fR is "
         "\\fBproxact jobs list\\fR. A dataset is given by its name or its id.\n.SH COMMANDS\n");
  for (size_t i = 0; command_at(cli->tables, i); i++) man_command(command_at(cli->tables, i));
  printf(".SH OPTIONS EVERYWHERE\n");
  man_options(CLI_COMMON);
  printf(
    ".SH ENVIRONMENT\n.TP\n.B PROXACT_URL, PROXACT_TOKEN\nThe server and its token; they win "
    "over what \\fBproxact login\\fR stored.\n.TP\n.B XDG_CONFIG_HOME\nThe folder of the file "
    "below; \\fI~/.config\\fR unless it is set.\n.SH FILES\n.TP\n"
    ".I ~/.config/proxact/credentials\nThe address and the token of \\fBproxact login\\fR. The "
    "token is sent to no other address.\n.SH EXIT STATUS\n0 after a success, 1 after an error, "
    "2 when it was called wrongly.\n.SH EXAMPLES\n.nf\n"
    "proxact datasets create hopper \\-\\-obs 11 \\-\\-act 3 \\-\\-env hopper\n"
    "proxact upload hopper hopper.hdf5\n"
    "proxact pipeline hopper \\-\\-policy bc \\-\\-watch\n"
    "proxact labels export hopper \\-\\-output labelled.hdf5\n.fi\n");
  return PX_OK;
}

const struct cli_command CLI_SHELL[] = {
  { "completion", NULL, "SHELL", 1, 1, NULL,
    "Print what completes commands and options in bash or zsh", completion, NULL },
  { "man", NULL, "", 0, 0, NULL, "Print the manual page", man, NULL },
  { 0 },
};
