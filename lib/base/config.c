/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration: see config.h. */
#include "lib/base/config.h"

#include "lib/base/fail.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ARGS_MAX = 16, LINE_MAX_BYTES = 1024, NAME_MAX_BYTES = 64 };

struct px_config {
  const struct px_option *table;
  size_t n;
  char (*values)[PX_OPTION_TEXT_MAX];
  const char *args[ARGS_MAX];
  int args_n;
};

static size_t index_of(const struct px_option *table, size_t n, const char *name) {
  for (size_t i = 0; i < n; i++)
    if (strcmp(table[i].name, name) == 0) return i;
  return n;
}

static enum px_status set(struct px_config *config, size_t i, const char *value, const char *source,
                          struct px_err *err) {
  const struct px_option *option = &config->table[i];
  if (strlen(value) >= PX_OPTION_TEXT_MAX)
    return px_fail_at(err, PX_E_BAD_FIELD, option->name, "%s from %s is longer than %d characters",
                      option->name, source, PX_OPTION_TEXT_MAX - 1);
  if (option->type == PX_OPT_INT) {
    char *end;
    errno = 0;
    const long long number = strtoll(value, &end, 10);
    if (errno || end == value || *end || number < option->min || number > option->max)
      return px_fail_at(err, PX_E_BAD_FIELD, option->name,
                        "%s from %s must be a whole number from %lld to %lld, not '%s'",
                        option->name, source, option->min, option->max, value);
  }
  if (option->type == PX_OPT_FLAG && strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
    return px_fail_at(err, PX_E_BAD_FIELD, option->name,
                      "%s from %s must be true or false, not '%s'", option->name, source, value);
  snprintf(config->values[i], PX_OPTION_TEXT_MAX, "%s", value);
  return PX_OK;
}

static char *trim(char *text) {
  while (isspace((unsigned char)*text)) text++;
  char *end = text + strlen(text);
  while (end > text && isspace((unsigned char)end[-1])) end--;
  *end = '\0';
  return text;
}

static enum px_status read_file(struct px_config *config, const char *path, struct px_err *err) {
  FILE *f = fopen(path, "re");
  if (!f) return px_fail_errno(err, "opening the configuration %s", path);
  enum px_status status = PX_OK;
  char line[LINE_MAX_BYTES];
  for (int number = 1; !status && fgets(line, sizeof line, f); number++) {
    char *text = trim(line);
    if (!*text || *text == '#') continue;
    char *equals = strchr(text, '=');
    if (!equals) {
      status = px_fail(err, PX_E_BAD_FIELD, "%s:%d: expected 'name = value'", path, number);
      break;
    }
    *equals = '\0';
    const char *name = trim(text);
    const size_t i = index_of(config->table, config->n, name);
    status = i == config->n ? px_fail_at(err, PX_E_BAD_FIELD, name,
                                         "%s:%d: there is no option '%s'", path, number, name)
                            : set(config, i, trim(equals + 1), path, err);
  }
  fclose(f);
  return status;
}

static enum px_status read_secret(struct px_config *config, size_t i, const char *path,
                                  struct px_err *err) {
  FILE *f = fopen(path, "re");
  if (!f) return px_fail_errno(err, "opening the secret %s", path);
  char line[PX_OPTION_TEXT_MAX];
  enum px_status status = fgets(line, sizeof line, f)
                            ? set(config, i, trim(line), path, err)
                            : px_fail(err, PX_E_BAD_FIELD, "the secret %s is empty", path);
  fclose(f);
  return status;
}

static enum px_status read_env(struct px_config *config, struct px_err *err) {
  for (size_t i = 0; i < config->n; i++) {
    char name[NAME_MAX_BYTES], file[NAME_MAX_BYTES + 8];
    snprintf(name, sizeof name, "PROXACT_%s", config->table[i].name);
    for (char *c = name; *c; c++) *c = (char)toupper((unsigned char)*c);
    snprintf(file, sizeof file, "%s_FILE", name);
    enum px_status status = PX_OK;
    const char *path = config->table[i].secret ? getenv(file) : NULL;
    if (path && *path) status = read_secret(config, i, path, err);
    const char *value = getenv(name);
    if (!status && value && *value) status = set(config, i, value, name, err);
    if (status) return status;
  }
  return PX_OK;
}

/* Whether a URL or a libpq connection string holds a password: "://user:password@", "password=". */
static bool holds_password(const char *text) {
  const char *rest = strstr(text, "://"), *sign = rest ? strchr(rest + 3, '@') : NULL;
  const char *colon = rest ? strchr(rest + 3, ':') : NULL;
  return (sign && colon && colon + 1 < sign) || strstr(text, "password=") != NULL;
}

/* Every user of the machine can read the command lines of all its processes. */
static enum px_status refuse_password(const struct px_option *option, struct px_err *err) {
  char name[NAME_MAX_BYTES];
  snprintf(name, sizeof name, "PROXACT_%s", option->name);
  for (char *c = name; *c; c++) *c = (char)toupper((unsigned char)*c);
  px_fail_at(err, PX_E_BAD_FIELD, option->name,
             "%s on the command line holds a password, which every user of this machine could read",
             option->name);
  px_fail_hint(err, "Set %s in the environment, or %s_FILE to the path of a file that holds it.",
               name, name);
  return PX_E_BAD_FIELD;
}

/* "--lease-ms=5" or "--lease-ms 5"; a flag option stands alone. Moves *at on. */
static enum px_status read_flag(struct px_config *config, int argc, char **argv, int *at,
                                struct px_err *err) {
  char name[NAME_MAX_BYTES];
  const char *text = argv[*at] + 2, *equals = strchr(text, '=');
  const size_t len = equals ? (size_t)(equals - text) : strlen(text);
  if (len >= sizeof name) return px_fail(err, PX_E_BAD_FIELD, "there is no option '%s'", argv[*at]);
  memcpy(name, text, len);
  name[len] = '\0';
  for (char *c = name; *c; c++)
    if (*c == '-') *c = '_';
  const size_t i = index_of(config->table, config->n, name);
  if (i == config->n) {
    px_fail_at(err, PX_E_BAD_FIELD, name, "there is no option '%s'", argv[*at]);
    px_fail_hint(err, "--help lists the options.");
    return PX_E_BAD_FIELD;
  }
  const char *value = equals ? equals + 1 : NULL;
  if (!value && config->table[i].type == PX_OPT_FLAG) value = "true";
  if (!value && *at + 1 < argc) value = argv[++*at];
  if (!value) return px_fail_at(err, PX_E_BAD_FIELD, name, "%s needs a value", argv[*at]);
  if (config->table[i].secret && holds_password(value))
    return refuse_password(&config->table[i], err);
  return set(config, i, value, "the command line", err);
}

static enum px_status read_args(struct px_config *config, int argc, char **argv,
                                struct px_err *err) {
  for (int at = 1; at < argc; at++) {
    if (strcmp(argv[at], "--config") == 0) {
      at++;
    } else if (strncmp(argv[at], "--config=", 9) == 0) {
      continue;
    } else if (strncmp(argv[at], "--", 2) == 0) {
      const enum px_status status = read_flag(config, argc, argv, &at, err);
      if (status) return status;
    } else if (config->args_n < ARGS_MAX) {
      config->args[config->args_n++] = argv[at];
    } else {
      return px_fail(err, PX_E_BAD_FIELD, "too many arguments");
    }
  }
  return PX_OK;
}

static const char *file_of(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--config") == 0 && i + 1 < argc) return argv[i + 1];
    if (strncmp(argv[i], "--config=", 9) == 0) return argv[i] + 9;
  }
  return getenv("PROXACT_CONFIG");
}

enum px_status px_config_read(const struct px_option *table, size_t n, int argc, char **argv,
                              struct px_config **out, struct px_err *err) {
  struct px_config *config = calloc(1, sizeof *config);
  if (!config) return px_fail(err, PX_E_NO_MEMORY, "configuration");
  config->table = table;
  config->n = n;
  config->values = calloc(n ? n : 1, sizeof *config->values);
  enum px_status status = config->values ? PX_OK : px_fail(err, PX_E_NO_MEMORY, "configuration");
  for (size_t i = 0; !status && i < n; i++)
    status = set(config, i, table[i].initial, "the default", err);
  const char *path = file_of(argc, argv);
  if (!status && path && *path) status = read_file(config, path, err);
  if (!status) status = read_env(config, err);
  if (!status) status = read_args(config, argc, argv, err);
  if (status) {
    px_config_free(config);
    return status;
  }
  *out = config;
  return PX_OK;
}

void px_config_free(struct px_config *config) {
  if (!config) return;
  free(config->values);
  free(config);
}

const char *px_config_text(const struct px_config *config, const char *name) {
  const size_t i = index_of(config->table, config->n, name);
  assert(i < config->n);
  return config->values[i];
}

long long px_config_int(const struct px_config *config, const char *name) {
  return strtoll(px_config_text(config, name), NULL, 10);
}

bool px_config_flag(const struct px_config *config, const char *name) {
  return strcmp(px_config_text(config, name), "true") == 0;
}

const char *px_config_arg(const struct px_config *config, int n) {
  return n < config->args_n ? config->args[n] : NULL;
}

void px_config_help(const struct px_option *table, size_t n, FILE *out) {
  for (size_t i = 0; i < n; i++) {
    char flag[NAME_MAX_BYTES];
    snprintf(flag, sizeof flag, "%s", table[i].name);
    for (char *c = flag; *c; c++)
      if (*c == '_') *c = '-';
    fprintf(out, "  --%-22s %s", flag, table[i].help);
    if (table[i].type == PX_OPT_INT) fprintf(out, " (%lld to %lld)", table[i].min, table[i].max);
    if (*table[i].initial) fprintf(out, " [%s]", table[i].initial);
    fputc('\n', out);
  }
}

void px_config_sample(const struct px_option *table, size_t n, FILE *out) {
  for (size_t i = 0; i < n; i++) {
    fprintf(out, "# %s", table[i].help);
    if (table[i].type == PX_OPT_INT) fprintf(out, " (%lld to %lld)", table[i].min, table[i].max);
    fprintf(out, "%s\n#%s = %s\n\n",
            table[i].secret ? " A secret: better by file, see docs/operations.md." : "",
            table[i].name, table[i].initial);
  }
}
