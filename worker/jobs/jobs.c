/* SPDX-License-Identifier: Apache-2.0 */
/* The table of job kinds: see jobs.h. */
#include "worker/jobs/jobs.h"

#include <assert.h>

static const job_function FUNCTIONS[FLOW_KIND_N] = {
#define PX_KIND(NAME, name, ...) [FLOW_##NAME] = job_##name,
#define PX_KIND_OF_JOBS(NAME, ...) [FLOW_##NAME] = NULL,
#include "schema/kinds.def"
#undef PX_KIND_OF_JOBS
#undef PX_KIND
};

job_function jobs_function(enum flow_kind kind) { return FUNCTIONS[kind]; }

const char *const *jobs_kinds(size_t *n) {
  enum { OLD_NAMES_MAX = 8 };
  static const char *kinds[FLOW_KIND_N + OLD_NAMES_MAX];
  size_t found = 0;
  for (int i = 0; i < FLOW_KIND_N; i++)
    if (FUNCTIONS[i]) kinds[found++] = flow_kind_info((enum flow_kind)i)->name;
  for (const struct flow_field *alias = flow_kind_aliases; alias->name; alias++) {
    assert(found < sizeof kinds / sizeof *kinds);
    kinds[found++] = alias->name;
  }
  *n = found;
  return kinds;
}
