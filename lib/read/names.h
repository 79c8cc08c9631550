/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names by which files call an array (schema/names.def), one table for all readers. Stateless.
 */
#ifndef PX_READ_NAMES_H
#define PX_READ_NAMES_H

#include <stdbool.h>
#include <stddef.h>

enum px_name {
#define PX_NAME(NAME, ...) PX_NAME_##NAME,
#include "schema/names.def"
#undef PX_NAME
  PX_NAMES_N
};

/* The i-th name, D4RL's first; NULL after the last. */
const char *px_names_at(enum px_name name, unsigned i);
/* Whether the n bytes at `word` are one of its names. */
bool px_names_has(enum px_name name, const char *word, size_t n);
/* Which array the word names; PX_NAMES_N for none. */
enum px_name px_names_find(const char *word, size_t n);

#endif
