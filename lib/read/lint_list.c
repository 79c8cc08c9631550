/* SPDX-License-Identifier: Apache-2.0 */
/* Findings and their codes: see lint.h and lint_parts.h. */
#include <stdarg.h>
#include <stdio.h>

#include "lib/read/lint_parts.h"

enum { OF_CODE_MAX = 8 };

static const struct {
  const char *name, *severity, *hint;
} CODES[PX_LINT_CODES_N] = {
#define PX_LINT(NAME, code, severity, hint) [PX_LINT_##NAME] = { code, severity, hint },
#include "schema/lint.def"
#undef PX_LINT
};
const char *px_lint_name(enum px_lint_code code) { return CODES[code].name; }
const char *px_lint_severity(enum px_lint_code code) { return CODES[code].severity; }
const char *px_lint_hint(enum px_lint_code code) { return CODES[code].hint; }

struct px_lint_finding *px_lint_add(struct px_lint_list *list, enum px_lint_code code,
                                    const char *field, double figure, const char *fmt, ...) {
  if (list->n == PX_LINT_FINDINGS_MAX || list->of_code[code]++ >= OF_CODE_MAX) return NULL;
  struct px_lint_finding *f = &list->out[list->n++];
  *f = (struct px_lint_finding){ .code = code, .trajectory = -1, .step = -1, .figure = figure };
  snprintf(f->field, sizeof f->field, "%s", field);
  const int used = *field ? snprintf(f->message, sizeof f->message, "%s ", field) : 0;
  va_list args;
  va_start(args, fmt);
  vsnprintf(f->message + used, sizeof f->message - (size_t)used, fmt, args);
  va_end(args);
  return f;
}
