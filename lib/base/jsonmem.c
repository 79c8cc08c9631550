/* JSON that there was no memory for: see jsonmem.h. */
#include "lib/base/jsonmem.h"

#include <jansson.h>
#include <stdlib.h>

static __thread bool lacking;

static void *take(size_t n) {
  void *p = malloc(n);
  if (!p) lacking = true;
  return p;
}

void px_json_setup(void) { json_set_alloc_funcs(take, free); }
bool px_json_lacking(void) { return lacking; }
void px_json_forget(void) { lacking = false; }
