/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Binding a checked JSON object to a C struct: which field goes to which member. Bounds, words and
 * defaults stay in the field table; a binding says only where a value lives.
 *
 *   static const struct flow_bind net[] = {
 *     FLOW_BIND(struct net_spec, FLOW_BIND_U32, hidden),
 *     FLOW_BIND(struct net_spec, FLOW_BIND_F64, lr),
 *     FLOW_BIND_END
 *   };
 *
 * Used by the worker, which reads specs that the server has checked, and by lib/flow. A unit test
 * holds every binding against its table (flow_bind_fault). Pure.
 */
#ifndef PX_FLOW_BIND_H
#define PX_FLOW_BIND_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/flow/fields.h"

enum flow_bind_type {
  FLOW_BIND_U32,  /* uint32_t, of a FLOW_INT */
  FLOW_BIND_U64,  /* uint64_t, of a FLOW_INT */
  FLOW_BIND_F64,  /* double: a number; a word as its place, a bool as 0 or 1 */
  FLOW_BIND_BOOL, /* bool */
  FLOW_BIND_WORD, /* an enum: the word's place among its field's words */
  FLOW_BIND_TEXT  /* char[size]: a name, a word or an id */
};

struct flow_bind {
  const char *name; /* of the field; NULL ends a binding */
  enum flow_bind_type type;
  size_t at, size; /* the member's place in the struct, and its bytes */
};
#define FLOW_BIND_AS(record, type, name, member) \
  { name, type, offsetof(record, member), sizeof(((record *)NULL)->member) }
/* A member of the field's name. */
#define FLOW_BIND(record, type, member) FLOW_BIND_AS(record, type, #member, member)
#define FLOW_BIND_END \
  { .name = NULL }

/* Writes the fields that `checked`, an object that has passed `fields`, has; members of fields that
 * were left out stay as they are. BAD_FIELD at /<name> for a value that its field does not allow,
 * or a text that is too long, as only an unchecked object has. */
enum px_status flow_bind(const struct flow_field *fields, const struct flow_bind *binding,
                         const json_t *checked, void *record, struct px_err *err) PX_MUST_CHECK;

/* One member as a number: a word is its place, a bool 0 or 1. Not for FLOW_BIND_TEXT. */
double flow_bind_get(const struct flow_bind *bind, const void *record);
void flow_bind_put(const struct flow_bind *bind, void *record, double value);

/* The first member that its field does not fit: there is none of its name, or the member cannot
 * hold all that the field allows. NULL: all fit. */
const char *flow_bind_fault(const struct flow_field *fields, const struct flow_bind *binding);
/* The field of that present name; NULL if there is none. */
const struct flow_field *flow_bind_field(const struct flow_field *fields, const char *name);

#endif
