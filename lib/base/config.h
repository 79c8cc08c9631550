/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration: one table of options per program, read from a file, then the
 * environment, then flags; each overrides the one before.
 *
 * An option named "lease_ms" is `lease_ms = 30000` in the file, PROXACT_LEASE_MS
 * in the environment and --lease-ms=30000 as a flag. The sample file and --help
 * are printed from the same table, and a test checks the documentation against
 * it. A secret may come from a file: NAME_FILE names it.
 */
#ifndef PX_BASE_CONFIG_H
#define PX_BASE_CONFIG_H

#include <stdint.h>
#include <stdio.h>

#include "lib/base/fail.h"
#include "lib/base/status.h"

enum px_option_type { PX_OPT_TEXT, PX_OPT_INT, PX_OPT_FLAG };

enum { PX_OPTION_TEXT_MAX = 512 };

struct px_option {
  const char *name; /* snake_case, unit as suffix */
  enum px_option_type type;
  const char *initial; /* default, as text */
  long long min, max;  /* PX_OPT_INT only */
  bool secret;         /* never printed; NAME_FILE accepted */
  const char *help;
};

struct px_config;
/* Reads `--config FILE` or PROXACT_CONFIG if given, the environment, and argv.
 * Arguments that are no flags are left in argv order at *rest (borrows argv).
 * Fails with BAD_FIELD naming the option. */
enum px_status px_config_read(const struct px_option *table, size_t n, int argc, char **argv,
                              struct px_config **out, struct px_err *err) PX_MUST_CHECK;
void px_config_free(struct px_config *config);
/* Borrowed. An unknown name is our own bug (assert). */
const char *px_config_text(const struct px_config *config, const char *name);
long long px_config_int(const struct px_config *config, const char *name);
bool px_config_flag(const struct px_config *config, const char *name);
/* The n-th argument that is no flag, or NULL. */
const char *px_config_arg(const struct px_config *config, int n);

void px_config_help(const struct px_option *table, size_t n, FILE *out);
void px_config_sample(const struct px_option *table, size_t n, FILE *out);

#endif
