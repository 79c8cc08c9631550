/* SPDX-License-Identifier: Apache-2.0 */
/* The names of arrays: see names.h. */
#include "lib/read/names.h"

#include <string.h>

enum { WORDS_MAX = 6 };
static const char *const WORDS[PX_NAMES_N][WORDS_MAX] = {
#define PX_NAME(NAME, ...) [PX_NAME_##NAME] = { __VA_ARGS__ },
#include "schema/names.def"
#undef PX_NAME
};

const char *px_names_at(enum px_name name, unsigned i) {
  return i < WORDS_MAX ? WORDS[name][i] : NULL;
}

bool px_names_has(enum px_name name, const char *word, size_t n) {
  for (unsigned i = 0; i < WORDS_MAX && WORDS[name][i]; i++)
    if (strlen(WORDS[name][i]) == n && memcmp(WORDS[name][i], word, n) == 0) return true;
  return false;
}

enum px_name px_names_find(const char *word, size_t n) {
  int name = 0;
  while (name < PX_NAMES_N && !px_names_has((enum px_name)name, word, n)) name++;
  return (enum px_name)name;
}
