/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Field tables: what a JSON object may hold, with bounds, defaults and help.
 *
 * Job specs are closed: enums, bounded numbers, ids and lists of these, never
 * code or paths. One table serves the server (check, fill in defaults), the
 * worker (reads what was checked), the OpenAPI document (a test compares it)
 * and the documentation. Pure: no I/O, no state.
 */
#ifndef PX_FLOW_FIELDS_H
#define PX_FLOW_FIELDS_H

#include <jansson.h>
#include <stdint.h>

#include "lib/base/fail.h"
#include "lib/base/status.h"

enum flow_type {
  FLOW_INT,    /* min <= x <= max */
  FLOW_NUMBER, /* finite, min <= x <= max */
  FLOW_BOOL,
  FLOW_TEXT, /* a name of 1 to max characters: see names.h */
  /* one of `words`, separated by '|'; `sub`: words of before, a FLOW_ALIAS each, or NULL */
  FLOW_ENUM,
  FLOW_ID,     /* `words` is the prefix, such as "ds_"; up to 40 characters of [a-z0-9_] */
  FLOW_OBJECT, /* `sub` */
  /* an object whose member `words` names one of `sub`, each a FLOW_OBJECT: the rest is checked
   * as that; a variant with an `initial` is meant where the member is left out */
  FLOW_CHOICE,
  FLOW_LIST, /* min to max items, each checked as `sub[0]` */
  FLOW_ALIAS /* the old name of what is now called `words`: see aliases.h */
};

struct flow_field {
  const char *name;
  enum flow_type type;
  double min, max;
  /* JSON text of the default; NULL: optional and left out; "!": required */
  const char *initial;
  const char *words;
  const struct flow_field *sub; /* ends with a field whose name is NULL */
  const char *help;
};
/* A row for what has another name now. */
#define FLOW_ALIAS_OF(now, old) \
  { old, FLOW_ALIAS, 0, 0, NULL, now, NULL, "The old name of " now }

enum { FLOW_ID_CHARS_MAX = 39 }; /* of an id's text */

/* Checks `in` against the table and gives a new object in the table's order,
 * defaults filled in. A whole number may be written 10000.0. An object field whose
 * first field is a word may also be given as that word: "coupled" stands for
 * {"protocol": "coupled"}; of a choice it is the member that chooses, so "td3bc"
 * stands for {"algo": "td3bc"}. BAD_FIELD with the JSON pointer below `pointer`
 * ("" at the root). Old names must have been replaced (aliases.h). The caller owns *out. */
enum px_status flow_fields_check(const struct flow_field *fields, const json_t *in,
                                 const char *pointer, json_t **out,
                                 struct px_err *err) PX_MUST_CHECK;
/* The same for an object whose caller has taken out fields that a table cannot describe: `beside`
 * are their names, such as "act_low, act_high", for errors that list the known ones. */
enum px_status flow_fields_check_beside(const struct flow_field *fields, const char *beside,
                                        const json_t *in, const char *pointer, json_t **out,
                                        struct px_err *err) PX_MUST_CHECK;
/* Whether an object field may be given as the word of its first field. */
bool flow_field_has_short_form(const struct flow_field *field);

/* The n-th of "a|b|c", of *len bytes, without a NUL; NULL if there is none. */
const char *flow_field_word_at(const char *words, size_t n, size_t *len);
/* Which of "a|b|c" a word is; -1 if none. */
int flow_field_word_place(const char *words, const char *word);

/* Whether a value says what is meant without it: a retry repeats all defaults. */
bool flow_fields_is_default(const struct flow_field *field, const json_t *value);

#endif
