/* SPDX-License-Identifier: Apache-2.0 */
/* LeRobot folders for tests: see lerobots.h. */
#include "tests/support/lerobots.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX_BYTES = 1 << 20, TAR_MAX_BYTES = 64 << 20, BLOCK = 512, FIRST = 3, SECOND = 2 };

static void must(bool good) {
  if (!good) abort();
}

struct lerobots_rows lerobots_rows(void) {
  struct lerobots_rows rows = { .n = FIRST + SECOND };
  for (size_t i = 0; i < rows.n; i++) {
    const bool second = i >= FIRST;
    rows.episode[i] = second;
    rows.frame[i] = (double)(second ? i - FIRST : i);
    rows.state[2 * i] = 10 * rows.episode[i] + rows.frame[i];
    rows.state[2 * i + 1] = 1 - rows.frame[i];
    rows.force[i] = 0.5 * (double)i;
    rows.action[i] = 0.125 * (double)i;
    rows.reward[i] = 1 + (double)i;
    rows.done[i] = i == FIRST - 1;
    rows.known[i] = i != 1;
  }
  return rows;
}

static size_t find(const struct lerobots_folder *folder, const char *name) {
  size_t i = 0;
  while (i < folder->n && strcmp(folder->files[i].name, name) != 0) i++;
  return i;
}

static struct px_buf *body_of(struct lerobots_folder *folder, const char *name) {
  const size_t i = find(folder, name);
  must(i < LEROBOTS_FILES_MAX);
  if (i == folder->n) {
    folder->n++;
    snprintf(folder->files[i].name, sizeof folder->files[i].name, "%s", name);
    folder->files[i].body = PX_BUF(FILE_MAX_BYTES);
  }
  folder->files[i].body.len = 0;
  return &folder->files[i].body;
}

void lerobots_put(struct lerobots_folder *folder, const char *name, const void *bytes, size_t n) {
  must(!px_buf_put(body_of(folder, name), bytes, n));
}

void lerobots_put_text(struct lerobots_folder *folder, const char *name, const char *text) {
  lerobots_put(folder, name, text, strlen(text));
}

void lerobots_put_rows(struct lerobots_folder *folder, const char *name,
                       const struct lerobots_rows *rows, size_t first, size_t n) {
  const struct parquets_numbers columns[] = {
    { "observation.state", PX_PARQUET_FLOAT, 2, true, rows->state + 2 * first, NULL },
    { "action", PX_PARQUET_FLOAT, 1, true, rows->action + first, rows->known + first },
    { "observation.force", PX_PARQUET_DOUBLE, 1, false, rows->force + first, NULL },
    { "next.reward", PX_PARQUET_FLOAT, 1, false, rows->reward + first, NULL },
    { "next.done", PX_PARQUET_BOOLEAN, 1, false, rows->done + first, NULL },
    { "episode_index", PX_PARQUET_INT64, 1, false, rows->episode + first, NULL },
    { "frame_index", PX_PARQUET_INT64, 1, false, rows->frame + first, NULL },
  };
  parquets_put_numbers(body_of(folder, name), columns, sizeof columns / sizeof *columns, n);
}

void lerobots_drop(struct lerobots_folder *folder, const char *name) {
  const size_t i = find(folder, name);
  must(i < folder->n);
  px_buf_free(&folder->files[i].body);
  folder->files[i] = folder->files[--folder->n];
}

void lerobots_free(struct lerobots_folder *folder) {
  for (size_t i = 0; i < folder->n; i++) px_buf_free(&folder->files[i].body);
  *folder = (struct lerobots_folder){ 0 };
}

static const char FEATURES[] =
  "\"features\": {"
  "\"observation.images.top\": {\"dtype\": \"video\", \"shape\": [96, 96, 3]},"
  "\"observation.state\": {\"dtype\": \"float32\", \"shape\": [2], \"names\": [\"x\", \"y\"]},"
  "\"observation.force\": {\"dtype\": \"float64\", \"shape\": [1], \"names\": null},"
  "\"action\": {\"dtype\": \"float32\", \"shape\": [1]},"
  "\"next.reward\": {\"dtype\": \"float32\", \"shape\": [1]},"
  "\"next.done\": {\"dtype\": \"bool\", \"shape\": [1]},"
  "\"episode_index\": {\"dtype\": \"int64\", \"shape\": [1]},"
  "\"frame_index\": {\"dtype\": \"int64\", \"shape\": [1]}}}";

static void fill_2(struct lerobots_folder *folder, const struct lerobots_rows *rows) {
  char info[2048];
  snprintf(
    info, sizeof info,
    "{\"codebase_version\": \"v2.1\", \"fps\": 10, \"total_episodes\": 2, \"chunks_size\": 1,"
    "\"data_path\": \"data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet\", %s",
    FEATURES);
  lerobots_put_text(folder, "meta/info.json", info);
  lerobots_put_text(folder, "meta/episodes.jsonl",
                    "{\"episode_index\": 0, \"tasks\": [\"push\"], \"length\": 3}\n"
                    "{\"episode_index\": 1, \"tasks\": [\"push\"], \"length\": 2}\n");
  lerobots_put_rows(folder, "data/chunk-000/episode_000000.parquet", rows, 0, FIRST);
  lerobots_put_rows(folder, "data/chunk-001/episode_000001.parquet", rows, FIRST, rows->n - FIRST);
}

static void fill_3(struct lerobots_folder *folder, const struct lerobots_rows *rows) {
  static const double index[] = { 0, 1 }, length[] = { FIRST, SECOND }, zero[] = { 0, 0 };
  const struct parquets_numbers columns[] = {
    { "episode_index", PX_PARQUET_INT64, 1, false, index, NULL },
    { "length", PX_PARQUET_INT64, 1, false, length, NULL },
    { "data/chunk_index", PX_PARQUET_INT64, 1, false, zero, NULL },
    { "data/file_index", PX_PARQUET_INT64, 1, false, zero, NULL },
  };
  char info[2048];
  snprintf(info, sizeof info,
           "{\"codebase_version\": \"v3.0\", \"fps\": 10, \"total_episodes\": 2,"
           "\"data_path\": \"data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet\", %s",
           FEATURES);
  lerobots_put_text(folder, "meta/info.json", info);
  parquets_put_numbers(body_of(folder, "meta/episodes/chunk-000/file-000.parquet"), columns, 4, 2);
  lerobots_put_rows(folder, "data/chunk-000/file-000.parquet", rows, 0, rows->n);
}

void lerobots_fill(struct lerobots_folder *folder, int version, const struct lerobots_rows *rows) {
  *folder = (struct lerobots_folder){ 0 };
  if (version == 2) fill_2(folder, rows);
  else fill_3(folder, rows);
  lerobots_put_text(folder, "README.md", "not read\n");
}

void lerobots_tar_entry(struct px_buf *out, const char *name, char type, const void *bytes,
                        size_t n) {
  static const char zeros[BLOCK];
  char header[BLOCK] = { 0 };
  unsigned sum = 0;
  snprintf(header, 100, "%s", name);
  snprintf(header + 100, 8, "%07o", 0644);
  snprintf(header + 124, 12, "%011zo", n);
  memset(header + 148, ' ', 8);
  header[156] = type;
  memcpy(header + 257, "ustar\00000", 8);
  for (size_t i = 0; i < BLOCK; i++) sum += (uint8_t)header[i];
  snprintf(header + 148, 8, "%06o", sum);
  must(!px_buf_put(out, header, BLOCK) && (!n || !px_buf_put(out, bytes, n)) &&
       !px_buf_put(out, zeros, (BLOCK - n % BLOCK) % BLOCK));
}

int lerobots_tar(const struct lerobots_folder *folder) {
  static const char zeros[2 * BLOCK];
  struct px_buf out = PX_BUF(TAR_MAX_BYTES);
  lerobots_tar_entry(&out, "meta/", '5', NULL, 0);
  for (size_t i = 0; i < folder->n; i++) {
    const struct px_buf *body = &folder->files[i].body;
    char record[400];
    const size_t n = strlen(folder->files[i].name);
    if (n >= 100) { /* a pax record: its length counts itself */
      const int length =
        snprintf(record, sizeof record, "%zu path=%s\n", n + 10, folder->files[i].name);
      must(length == (int)n + 10);
      lerobots_tar_entry(&out, "pax", 'x', record, (size_t)length);
    }
    lerobots_tar_entry(&out, n < 100 ? folder->files[i].name : "cut", '0', body->data, body->len);
  }
  must(!px_buf_put(&out, zeros, sizeof zeros));
  const int fd = uploads_bytes(out.data, out.len);
  px_buf_free(&out);
  return fd;
}

int lerobots_zip(const struct lerobots_folder *folder, bool deflate) {
  struct uploads_member members[LEROBOTS_FILES_MAX];
  for (size_t i = 0; i < folder->n; i++)
    members[i] = (struct uploads_member){ folder->files[i].name, folder->files[i].body.data,
                                          folder->files[i].body.len, deflate };
  return uploads_zip(members, folder->n);
}
