/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Job kinds (schema/kinds.def) and their specs: the one table that says what each kind takes.
 *
 * Used by the server (POST), the worker (which kinds it runs) and the tests that
 * compare the OpenAPI document with it. Pure.
 */
#ifndef PX_FLOW_KINDS_H
#define PX_FLOW_KINDS_H

#include "lib/base/fail.h"
#include "lib/flow/fields.h"

enum flow_kind {
#define PX_KIND(NAME, ...) FLOW_##NAME,
#define PX_KIND_OF_JOBS PX_KIND
#include "schema/kinds.def"
#undef PX_KIND_OF_JOBS
#undef PX_KIND
  FLOW_KIND_N
};

struct flow_kind_info {
  const char *name;
  const struct flow_field *fields;
  /* of the fields; it grows when they change, so that workers of before leave later jobs to
   * later workers */
  int revision;
  /* by POST /v1/jobs; a pipeline has its own route, the others are made by the server */
  bool submittable;
  const char *help;
};

/* Names of before, a FLOW_ALIAS each; ended by a field without a name. */
extern const struct flow_field flow_kind_aliases[];
/* Options of fitted Q evaluation: of an ope job, and `ope` of a pipeline. */
extern const struct flow_field flow_kind_fqe_fields[];

const struct flow_kind_info *flow_kind_info(enum flow_kind kind);
/* The kinds' names in the table's order, with `between` each two; submittable: only those of POST
 * /v1/jobs. */
enum { FLOW_KIND_NAMES_MAX = 256 };
void flow_kind_names(bool submittable, const char *between, char out[FLOW_KIND_NAMES_MAX]);
/* The present name of what may be a name of before. */
const char *flow_kind_present_name(const char *name);
/* All names that jobs of this kind may be stored under, with commas. */
void flow_kind_stored_names(enum flow_kind kind, char out[FLOW_KIND_NAMES_MAX]);
/* By its name, or the one of before. NOT a kind: BAD_FIELD at /kind. */
enum px_status flow_kind_from(const char *name, enum flow_kind *out,
                              struct px_err *err) PX_MUST_CHECK;

#endif
