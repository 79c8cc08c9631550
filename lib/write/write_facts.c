/* SPDX-License-Identifier: Apache-2.0 */
/* What a file says of itself, as JSON: see write_parts.h. */
#include <jansson.h>

#include "lib/base/json.h"
#include "lib/write/write_parts.h"

char *px_write_facts_json(const struct px_write_facts *facts) {
  json_t *object = json_object();
  for (size_t i = 0; i < facts->n && object; i++) {
    if (json_object_set_new(object, facts->fact[i].name, json_string(facts->fact[i].value)) == 0)
      continue;
    json_decref(object);
    return NULL;
  }
  char *text = object ? px_json_dumps(object, JSON_COMPACT) : NULL;
  json_decref(object);
  return text;
}
