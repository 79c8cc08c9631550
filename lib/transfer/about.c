/* SPDX-License-Identifier: Apache-2.0 */
/* What an export says of itself: see about.h. */
#include "lib/transfer/about.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "lib/data/spaces.h"

static void add(struct about *about, const char *name, const char *value) {
  if (value && *value)
    about->facts[about->n++] = (struct px_write_fact){ .name = name, .value = value };
}

/* [-1.0,1.0] with as few digits as a float32 needs. */
static char *numbers(const float *x, uint32_t n) {
  json_t *list = json_array();
  for (uint32_t j = 0; j < n && list; j++) {
    if (json_array_append_new(list, px_json_number((double)x[j])) == 0) continue;
    json_decref(list);
    return NULL;
  }
  char *text = list ? px_json_dumps(list, JSON_COMPACT) : NULL;
  json_decref(list);
  return text;
}

enum px_status about_export(const struct store_dataset *dataset, const struct store_export *what,
                            struct about *out, struct px_err *err) {
  const struct px_spaces *spaces = &dataset->spaces;
  const int64_t version =
    what->version == STORE_VERSION_NOW ? dataset->data_version : what->version;
  *out = (struct about){ .n = 0 };
  out->act_low = numbers(spaces->act_low, spaces->act_dim);
  out->act_high = numbers(spaces->act_high, spaces->act_dim);
  if (!out->act_low || !out->act_high) return px_fail(err, PX_E_NO_MEMORY, "describing the export");
  snprintf(out->version, sizeof out->version, "%" PRId64, version);
  snprintf(out->act_count, sizeof out->act_count, "%" PRIu32, spaces->act_count);
  add(out, "proxact_version", PX_VERSION);
  add(out, "dataset_id", dataset->id);
  add(out, "dataset", dataset->name);
  add(out, "dataset_version", out->version);
  add(out, "label_set", what->label_set);
  add(out, "env", dataset->env);
  add(out, "actions_written", px_write_which_name(what->which));
  add(out, "action_sources", "0 absent, 1 true, 2 proxy, 3 proxy of a simulator");
  if (spaces->act_count) {
    add(out, "act_count", out->act_count);
  } else {
    add(out, "act_low", out->act_low);
    add(out, "act_high", out->act_high);
  }
  return PX_OK;
}

void about_free(struct about *about) {
  free(about->act_low);
  free(about->act_high);
}
