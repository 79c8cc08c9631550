/* SPDX-License-Identifier: Apache-2.0 */
/* What a LeRobot folder says of itself: see lerobot_meta.h. */
#include "lib/read/lerobot_meta.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/data/traj.h"
#include "lib/read/parquet.h"

enum {
  INFO_MAX_BYTES = 16 << 20,
  LINE_MAX_BYTES = 4 << 20,
  EPISODES_MAX = 10000000,
  LIST_BYTES = 200
};
static const char INFO[] = "meta/info.json", OBSERVED[] = "observation.";
static const char *const named[PX_LEROBOT_NAMED_N] = {
  [PX_LEROBOT_ACTION] = "action",
  [PX_LEROBOT_REWARD] = "next.reward",
  [PX_LEROBOT_DONE] = "next.done",
  [PX_LEROBOT_TRUNCATED] = "next.truncated",
  [PX_LEROBOT_TERMINATED] = "next.terminated",
  [PX_LEROBOT_SOURCE] = "action.source",
  [PX_LEROBOT_FINAL] = "next.observation.state",
};
static const uint64_t CHUNKS_SIZE = 1000; /* where info.json does not say */

/* Adds ", name" to a list that may be cut. */
static void list(char out[LIST_BYTES], const char *name) {
  const size_t n = strlen(out);
  snprintf(out + n, LIST_BYTES - n, "%s%s", n ? ", " : "", name);
}

static enum px_status find_root(const struct px_archive *archive, struct px_lerobot_meta *meta,
                                uint32_t *info, struct px_err *err) {
  const size_t tail = sizeof INFO - 1;
  uint32_t found = 0;
  for (uint32_t i = 0; i < px_archive_count(archive); i++) {
    const char *name = px_archive_name(archive, i);
    const size_t n = strlen(name);
    if (n < tail || strcmp(name + n - tail, INFO) || (n > tail && name[n - tail - 1] != '/'))
      continue;
    if (n - tail >= sizeof meta->root)
      return px_fail(err, PX_E_BAD_DATA, "the path of '%s' is too long", INFO);
    if (found++)
      return px_fail_at(err, PX_E_BAD_DATA, name,
                        "there are several folders with '%s'; send one each", INFO);
    memcpy(meta->root, name, n - tail);
    meta->root[n - tail] = '\0';
    *info = i;
  }
  return found ? PX_OK
               : px_fail_at(err, PX_E_BAD_DATA, INFO,
                            "there is no '%s' in it, so it is no LeRobot folder", INFO);
}

static uint64_t whole_of(const json_t *object, const char *key, uint64_t otherwise) {
  const json_t *value = json_object_get(object, key);
  return json_is_integer(value) && json_integer_value(value) >= 0
           ? (uint64_t)json_integer_value(value)
           : otherwise;
}

/* How many numbers a frame has of a feature; 0 where it is not a row of numbers. */
static uint32_t width_of(const json_t *feature) {
  static const char *const numbers[] = { "float16", "float32", "float64", "bool",
                                         "int8",    "int16",   "int32",   "int64",
                                         "uint8",   "uint16",  "uint32",  "uint64" };
  const json_t *shape = json_object_get(feature, "shape");
  const char *dtype = json_string_value(json_object_get(feature, "dtype"));
  bool is_number = false;
  for (size_t i = 0; dtype && i < sizeof numbers / sizeof *numbers; i++)
    is_number = is_number || !strcmp(dtype, numbers[i]);
  if (!is_number || json_array_size(shape) > 1) return 0;
  const json_t *n = json_array_get(shape, 0);
  if (json_is_array(shape) && !n) return 1; /* a scalar */
  return json_is_integer(n) && json_integer_value(n) > 0 && json_integer_value(n) <= PX_OBS_MAX
           ? (uint32_t)json_integer_value(n)
           : 0;
}

static void take_feature(const json_t *features, const char *name, struct px_lerobot_feature *out) {
  *out = (struct px_lerobot_feature){ .width = width_of(json_object_get(features, name)) };
  snprintf(out->name, sizeof out->name, "%s", name);
}

static enum px_status observe(struct px_lerobot_meta *meta, const json_t *features,
                              const char *name, struct px_err *err) {
  if (meta->observed_n == PX_LEROBOT_OBSERVED_MAX || strlen(name) >= PX_LEROBOT_NAME_BYTES)
    return px_fail_at(
      err, PX_E_BAD_DATA, "features",
      "there are more than %d features of observations; name those to use in obs_keys",
      PX_LEROBOT_OBSERVED_MAX);
  take_feature(features, name, &meta->observed[meta->observed_n++]);
  return PX_OK;
}

/* Those asked for, "observation.state" or "state". */
static enum px_status choose_asked(const struct px_reader *r, const json_t *features,
                                   struct px_lerobot_meta *meta, struct px_err *err) {
  enum px_status status = PX_OK;
  for (uint32_t i = 0; i < r->options->obs_keys_n && !status; i++) {
    char name[PX_READ_KEY_BYTES + sizeof OBSERVED];
    const char *key = r->options->obs_keys[i];
    snprintf(name, sizeof name, "%s%s", json_object_get(features, key) ? "" : OBSERVED, key);
    if (!width_of(json_object_get(features, name)))
      return px_fail_at(err, PX_E_BAD_DATA, "obs_keys",
                        "info.json has no feature '%s' that is a row of numbers", name);
    status = observe(meta, features, name, err);
  }
  return status;
}

static enum px_status choose_observations(struct px_reader *r, json_t *features,
                                          struct px_lerobot_meta *meta, struct px_err *err) {
  char skipped[LIST_BYTES] = "", used[LIST_BYTES] = "";
  const char *name;
  json_t *feature;
  uint64_t width = 0;
  enum px_status status = choose_asked(r, features, meta, err);
  json_object_foreach(features, name, feature) {
    if (status || strncmp(name, OBSERVED, sizeof OBSERVED - 1)) continue;
    if (!width_of(feature)) list(skipped, name);
    else if (!r->options->obs_keys_n) status = observe(meta, features, name, err);
  }
  if (status) return status;
  for (uint32_t i = 0; i < meta->observed_n; i++) {
    width += meta->observed[i].width;
    list(used, meta->observed[i].name);
  }
  if (width != r->spaces->obs_dim)
    return px_fail_at(err, PX_E_BAD_DATA, "features",
                      "the observations (%s) have %" PRIu64
                      " numbers, but the dataset declares observations of %u",
                      *used ? used : "none", width, r->spaces->obs_dim);
  if (meta->observed_n > 1)
    px_reader_note(r, "observations were laid side by side in this order: %s", used);
  if (*skipped)
    px_reader_note(r, "videos, images and what is no row of numbers were left out: %s", skipped);
  return PX_OK;
}

static enum px_status take_info(struct px_reader *r, const json_t *info,
                                struct px_lerobot_meta *meta, struct px_err *err) {
  const char *version = json_string_value(json_object_get(info, "codebase_version"));
  const char *path = json_string_value(json_object_get(info, "data_path"));
  json_t *features = json_object_get(info, "features");
  if (version && (!strncmp(version, "v2.", 3) || !strncmp(version, "v3.", 3)))
    meta->version = (uint32_t)(version[1] - '0');
  if (!meta->version) {
    (void)px_fail_at(err, PX_E_BAD_DATA, "codebase_version",
                     "info.json has codebase_version '%.40s'; 2.0, 2.1 and 3.0 are read",
                     version ? version : "none");
    px_fail_hint(err, "Convert it with LeRobot's scripts.");
    return PX_E_BAD_DATA;
  }
  if (!path || strlen(path) >= sizeof meta->data_path || !json_is_object(features))
    return px_fail_at(err, PX_E_BAD_DATA, "data_path", "info.json has no %s",
                      path ? "features, or too long a data_path" : "data_path");
  snprintf(meta->data_path, sizeof meta->data_path, "%s", path);
  meta->chunks_size = whole_of(info, "chunks_size", CHUNKS_SIZE);
  if (!meta->chunks_size) meta->chunks_size = CHUNKS_SIZE;
  meta->declared_n = whole_of(info, "total_episodes", UINT64_MAX);
  for (int i = 0; i < PX_LEROBOT_NAMED_N; i++) take_feature(features, named[i], &meta->named[i]);
  if (json_object_get(features, "action") && !meta->named[PX_LEROBOT_ACTION].width)
    return px_fail_at(err, PX_E_BAD_DATA, "action",
                      "info.json's feature 'action' is no row of numbers");
  return choose_observations(r, features, meta, err);
}

static enum px_status parse(const char *text, size_t n, size_t max, const char *name, json_t **out,
                            struct px_err *err) {
  json_error_t why;
  if (n > max)
    return px_fail_at(err, PX_E_TOO_LARGE, name, "'%.200s' has more than %zu bytes of JSON", name,
                      max);
  *out = px_json_parse(text, n, 0, &why);
  if (!*out && json_error_code(&why) == json_error_out_of_memory)
    return px_fail(err, PX_E_NO_MEMORY, "no memory to read '%.200s'", name);
  return *out ? PX_OK
              : px_fail_at(err, PX_E_BAD_DATA, name, "'%.200s' is malformed JSON: %.100s, line %d",
                           name, why.text, why.line);
}

static enum px_status read_info(struct px_reader *r, struct px_archive *archive, uint32_t i,
                                struct px_lerobot_meta *meta, struct px_err *err) {
  struct px_archive_content content = { 0 };
  json_t *info = NULL;
  enum px_status status = px_archive_read(archive, i, &content, err);
  if (!status)
    status =
      parse(content.bytes, content.n, INFO_MAX_BYTES, px_archive_name(archive, i), &info, err);
  if (!status) status = take_info(r, info, meta, err);
  json_decref(info);
  px_archive_release(&content);
  return status;
}

static enum px_status add_episode(struct px_lerobot_meta *meta, const double of[4],
                                  const char *name, struct px_err *err) {
  for (int i = 0; i < 4; i++)
    if (!(of[i] >= 0 && of[i] < (i ? UINT32_MAX : 9e15)))
      return px_fail_at(err, PX_E_BAD_DATA, name, "'%.200s': a number of episode %.0f is %g", name,
                        of[0], of[i]);
  if (!(of[1] >= 1 && of[1] <= PX_STEPS_MAX))
    return px_fail_at(err, PX_E_BAD_DATA, name,
                      "'%.200s': episode %.0f has %.0f frames; a trajectory has 1 to %d", name,
                      of[0], of[1], PX_STEPS_MAX);
  if (meta->episodes_n == meta->episodes_cap) {
    const size_t cap = meta->episodes_cap ? meta->episodes_cap * 2 : 256;
    void *more =
      cap > EPISODES_MAX ? NULL : px_mem_realloc(meta->episodes, cap, sizeof *meta->episodes);
    if (!more) return px_fail(err, PX_E_TOO_LARGE, "'%.200s' lists too many episodes", name);
    meta->episodes = more;
    meta->episodes_cap = cap;
  }
  meta->episodes[meta->episodes_n++] =
    (struct px_lerobot_episode){ (uint64_t)of[0], (uint32_t)of[1], (uint32_t)of[2],
                                 (uint32_t)of[3] };
  return PX_OK;
}

/* meta/episodes.jsonl: an episode a line. */
static enum px_status read_lines(const char *text, size_t n, const char *name,
                                 struct px_lerobot_meta *meta, struct px_err *err) {
  enum px_status status = PX_OK;
  for (size_t at = 0, line = 1; at < n && !status; line++) {
    const char *end = memchr(text + at, '\n', n - at);
    const size_t length = end ? (size_t)(end - text) - at : n - at;
    const char *begin = text + at;
    at += length + 1;
    if (!length || (length == 1 && *begin == '\r')) continue;
    json_t *episode = NULL;
    char place[256];
    snprintf(place, sizeof place, "%.200s, line %zu", name, line);
    status = parse(begin, length, LINE_MAX_BYTES, place, &episode, err);
    const json_t *index = json_object_get(episode, "episode_index"),
                 *frames = json_object_get(episode, "length");
    if (!status && !(json_is_integer(index) && json_is_integer(frames)))
      status = px_fail_at(err, PX_E_BAD_DATA, place, "%.200s: there is no episode_index and length",
                          place);
    const double of[4] = { (double)json_integer_value(index), (double)json_integer_value(frames) };
    if (!status) status = add_episode(meta, of, name, err);
    json_decref(episode);
  }
  return status;
}

/* The columns that tell of an episode in version 3. */
static const char *const columns[4] = { "episode_index", "length", "data/chunk_index",
                                        "data/file_index" };

/* One of meta/episodes/chunk-*, file-*.parquet. */
static enum px_status read_table(const struct px_archive_content *content, const char *name,
                                 struct px_lerobot_meta *meta, struct px_err *err) {
  struct px_parquet *file = NULL;
  struct px_parquet_column *column[4] = { 0 };
  struct px_err why = { 0 };
  enum px_status status = px_parquet_open(content->bytes, content->n, &file, &why);
  for (int i = 0; i < 4 && !status; i++)
    status = px_parquet_column(file, columns[i], 1, &column[i], &why);
  for (uint64_t row = 0; !status && row < px_parquet_rows(file); row++) {
    double of[4], raw;
    uint8_t known = 0;
    for (int i = 0; i < 4 && !status; i++) {
      status = px_parquet_next(column[i], 1, &raw, &known, &why);
      px_dtype_to_double(px_parquet_dtype(column[i]), &raw, 1, &of[i]);
      if (!known) of[i] = -1;
    }
    if (!status) status = add_episode(meta, of, name, &why);
  }
  for (int i = 0; i < 4; i++) px_parquet_column_free(column[i]);
  px_parquet_free(file);
  return status ? px_fail_at(err, status, name, "%.150s: %.300s", name, why.message) : PX_OK;
}

static enum px_status read_tables(struct px_archive *archive, struct px_lerobot_meta *meta,
                                  struct px_err *err) {
  char before[PX_LEROBOT_PATH_BYTES + 32];
  enum px_status status = PX_OK;
  uint32_t files = 0;
  const int n = snprintf(before, sizeof before, "%smeta/episodes/", meta->root);
  for (uint32_t i = 0; i < px_archive_count(archive) && !status; i++) {
    const char *name = px_archive_name(archive, i), *dot = strrchr(name, '.');
    if (strncmp(name, before, (size_t)n) || !dot || strcmp(dot, ".parquet")) continue;
    struct px_archive_content content = { 0 };
    files++;
    status = px_archive_read(archive, i, &content, err);
    if (!status) status = read_table(&content, name, meta, err);
    px_archive_release(&content);
  }
  if (!status && !files)
    status =
      px_fail_at(err, PX_E_BAD_DATA, before, "there is no '%.200s*/*.parquet' in it", before);
  return status;
}

static enum px_status read_episodes(struct px_archive *archive, struct px_lerobot_meta *meta,
                                    struct px_err *err) {
  char name[PX_LEROBOT_PATH_BYTES + 32];
  uint32_t i;
  if (meta->version == 3) return read_tables(archive, meta, err);
  snprintf(name, sizeof name, "%smeta/episodes.jsonl", meta->root);
  if (!px_archive_find(archive, name, &i))
    return px_fail_at(err, PX_E_BAD_DATA, name, "'%.200s' is missing", name);
  struct px_archive_content content = { 0 };
  enum px_status status = px_archive_read(archive, i, &content, err);
  if (!status) status = read_lines(content.bytes, content.n, name, meta, err);
  px_archive_release(&content);
  return status;
}

/* As their data lies; in version 2 each has a file of its own. */
static int by_place(const void *a, const void *b) {
  const struct px_lerobot_episode *x = a, *y = b;
  if (x->chunk != y->chunk) return x->chunk < y->chunk ? -1 : 1;
  if (x->file != y->file) return x->file < y->file ? -1 : 1;
  return (x->index > y->index) - (x->index < y->index);
}

static enum px_status order(struct px_lerobot_meta *meta, struct px_err *err) {
  if (!meta->episodes_n)
    return px_fail_at(err, PX_E_BAD_DATA, "meta/episodes", "it lists no episodes");
  if (meta->declared_n != UINT64_MAX && meta->declared_n != meta->episodes_n)
    return px_fail_at(err, PX_E_BAD_DATA, "meta/episodes",
                      "info.json declares %" PRIu64 " episodes, and meta/episodes lists %zu",
                      meta->declared_n, meta->episodes_n);
  qsort(meta->episodes, meta->episodes_n, sizeof *meta->episodes, by_place);
  for (size_t i = 1; i < meta->episodes_n; i++) {
    const struct px_lerobot_episode *last = &meta->episodes[i - 1], *e = &meta->episodes[i];
    if (last->index >= e->index)
      return px_fail_at(err, PX_E_BAD_DATA, "meta/episodes",
                        last->index == e->index ? "meta/episodes lists episode %" PRIu64 " twice"
                                                : "meta/episodes places episode %" PRIu64
                                                  " behind a later one",
                        e->index);
  }
  return PX_OK;
}

enum px_status px_lerobot_meta_read(struct px_reader *r, struct px_archive *archive,
                                    struct px_lerobot_meta *out, struct px_err *err) {
  uint32_t info = 0;
  *out = (struct px_lerobot_meta){ 0 };
  enum px_status status = find_root(archive, out, &info, err);
  if (!status) status = read_info(r, archive, info, out, err);
  if (!status) status = read_episodes(archive, out, err);
  return status ? status : order(out, err);
}

void px_lerobot_meta_free(struct px_lerobot_meta *meta) {
  free(meta->episodes);
  *meta = (struct px_lerobot_meta){ 0 };
}

/* "{name}" or "{name:0Nd}" at *format, which moves behind; its digits go to out. */
static bool put_field(const struct px_lerobot_meta *meta, const struct px_lerobot_episode *e,
                      const char **format, char out[32]) {
  const struct {
    const char *name;
    uint64_t value;
  } fields[] = { { "episode_chunk", e->index / meta->chunks_size },
                 { "episode_index", e->index },
                 { "chunk_index", e->chunk },
                 { "file_index", e->file } };
  const char *name = *format + 1, *end = strchr(name, '}');
  const size_t name_n = strcspn(name, ":}");
  int digits = 0;
  if (!end) return false;
  if (name[name_n] == ':') {
    const char *p = name + name_n + 1;
    for (; *p >= '0' && *p <= '9' && digits < 10; p++) digits = digits * 10 + (*p - '0');
    if (digits > 20 || (*p == 'd' ? p + 1 : p) != end) return false;
  }
  *format = end + 1;
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
    if (strlen(fields[i].name) == name_n && !memcmp(fields[i].name, name, name_n)) {
      snprintf(out, 32, "%0*" PRIu64, digits, fields[i].value);
      return true;
    }
  return false;
}

enum px_status px_lerobot_meta_path(const struct px_lerobot_meta *meta,
                                    const struct px_lerobot_episode *episode,
                                    char out[PX_LEROBOT_PATH_BYTES], struct px_err *err) {
  size_t n = (size_t)snprintf(out, PX_LEROBOT_PATH_BYTES, "%s", meta->root);
  for (const char *p = meta->data_path; *p;) {
    char part[32] = { *p };
    const bool good = *p != '{' ? *p++ : put_field(meta, episode, &p, part);
    if (!good || n + strlen(part) >= PX_LEROBOT_PATH_BYTES)
      return px_fail_at(err, PX_E_BAD_DATA, "data_path",
                        "info.json's data_path is malformed: %.200s", meta->data_path);
    n += (size_t)snprintf(out + n, PX_LEROBOT_PATH_BYTES - n, "%s", part);
  }
  return PX_OK;
}
