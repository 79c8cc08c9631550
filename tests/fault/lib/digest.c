/* SPDX-License-Identifier: Apache-2.0 */
/* Digests by content: see digest.h. */
#include "tests/fault/lib/digest.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/digest.h"
#include "lib/base/text.h"

enum { PATIENCE_MS = 20000 };

void digest_bytes(const void *bytes, size_t n, char out[DIGEST_BYTES]) {
  uint8_t sum[PX_SHA256_BYTES];
  px_digest_sha256(bytes, n, sum);
  px_text_hex(sum, sizeof sum, out);
}

/* "ds_", "mdl_" and so on before 20 hex digits. */
static bool is_id(const char *text) {
  const char *line = strchr(text, '_');
  return line && line - text <= 3 && strlen(line + 1) == 20 &&
         strspn(line + 1, "0123456789abcdef") == 20;
}

static json_t *without_ids(const json_t *from) {
  json_t *out = NULL, *item;
  size_t i;
  const char *key;
  if (json_is_object(from)) {
    out = json_object();
    json_object_foreach((json_t *)(uintptr_t)from, key, item) if (strcmp(key, "seconds") != 0)
      json_object_set_new(out, key, without_ids(item));
    return out;
  }
  if (json_is_array(from)) {
    out = json_array();
    json_array_foreach(from, i, item) json_array_append_new(out, without_ids(item));
    return out;
  }
  if (json_is_string(from) && is_id(json_string_value(from))) return json_string("id");
  return json_deep_copy(from);
}

static void digest_text(json_t *document, const void *more, size_t n, char out[DIGEST_BYTES]) {
  char *text = json_dumps(document, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
  struct px_digest *hash = px_digest_new(PX_DIGEST_SHA256);
  uint8_t sum[PX_SHA256_BYTES];
  px_digest_put(hash, text, strlen(text));
  px_digest_put(hash, more, n);
  px_digest_end(hash, sum);
  px_text_hex(sum, sizeof sum, out);
  free(text);
  json_decref(document);
}

void digest_json(const json_t *document, char out[DIGEST_BYTES]) {
  if (document) digest_text(without_ids(document), "", 0, out);
  else *out = '\0';
}

void digest_model(const void *bytes, size_t n, char out[DIGEST_BYTES]) {
  static const char *const LINEAGE[] = { "dataset", "job", "label_set" };
  uint64_t head = 0;
  *out = '\0';
  if (n < sizeof head) return;
  memcpy(&head, bytes, sizeof head);
  json_t *header =
    head <= n - sizeof head ? json_loadb((const char *)bytes + sizeof head, head, 0, NULL) : NULL;
  if (!header) return;
  json_t *metadata = json_object_get(header, "__metadata__");
  for (size_t i = 0; i < sizeof LINEAGE / sizeof *LINEAGE; i++)
    json_object_del(metadata, LINEAGE[i]);
  digest_text(header, (const char *)bytes + sizeof head + head, n - sizeof head - head, out);
}

static void of_path(const struct api *api, const char *path, bool model, char out[DIGEST_BYTES]) {
  struct px_buf bytes;
  *out = '\0';
  if (!api_get_bytes(api, path, PATIENCE_MS, &bytes)) return;
  if (model) digest_model(bytes.data, bytes.len, out);
  else digest_bytes(bytes.data, bytes.len, out);
  px_buf_free(&bytes);
}

void digest_job(const struct api *api, const char *kind, const char *id, const char *result,
                char out[DIGEST_BYTES]) {
  char path[160];
  json_t *json = json_loads(result, 0, NULL);
  *out = '\0';
  if (strcmp(kind, "train_idm") == 0 || strcmp(kind, "train_policy") == 0) {
    snprintf(path, sizeof path, "/v1/models/mdl_%s/weights", id + 4);
    of_path(api, path, true, out);
  } else if (strcmp(kind, "export") == 0) {
    snprintf(path, sizeof path, "/v1/jobs/%s/artifacts/%s", id,
             json_string_value(json_object_get(json, "artifact")));
    of_path(api, path, false, out);
  } else if (strcmp(kind, "label") == 0) {
    snprintf(path, sizeof path, "/v1/label_sets/ls_%s", id + 4);
    json_t *set = api_get(api, path, PATIENCE_MS);
    const char *sum = json_string_value(json_object_get(set, "sha256"));
    snprintf(out, DIGEST_BYTES, "%s", sum ? sum : "");
    json_decref(set);
  } else {
    digest_json(json, out);
  }
  json_decref(json);
}
