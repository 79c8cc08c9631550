/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A LeRobot folder, version 3.0, as a tar (POSIX ustar): a data file and a file of episodes for
 * each segment, and what describes them all at the end. See write.h. Source: LeRobot's
 * documentation, "LeRobotDataset v3.0".
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "lib/data/actions_merged.h"
#include "lib/write/write_parquet.h"
#include "lib/write/write_parts.h"
#include "lib/write/write_stats.h"

enum { BLOCK = 512, FILES_PER_CHUNK = 1000, TEXT_MAX_BYTES = 1 << 20, COLUMNS_MAX = 20 };
static const char TASK[] = "trajectory";

/* Of each row of a segment, what the segment has not as it is. */
enum room {
  OBSERVATIONS,
  FINALS,
  CLASSES,
  TIMES,
  FRAMES,
  EPISODES,
  INDICES,
  ZEROS,
  SOURCES,
  ACTED,
  GUESSED,
  SIMULATED,
  DONE,
  TERMINATED,
  TRUNCATED,
  ENDED,
  LENGTHS,
  CHUNKS,
  NUMBERS,
  FROM,
  TO,
  WORDS,
  ROOMS_N
};

struct lerobot {
  FILE *file;
  struct px_spaces spaces;
  uint64_t files_n, episodes_n, frames_n; /* written so far */
  struct px_buf rooms[ROOMS_N], parquet;
  /* the columns of the data files, for info.json; their data has gone */
  struct px_write_parquet_column columns[COLUMNS_MAX];
  uint32_t columns_n;
  struct px_write_stats stats[COLUMNS_MAX];
};

static void lerobot_free(void *writer) {
  struct lerobot *l = writer;
  if (!l) return;
  if (l->file) fclose(l->file);
  for (int i = 0; i < ROOMS_N; i++) px_buf_free(&l->rooms[i]);
  for (int i = 0; i < COLUMNS_MAX; i++) px_write_stats_free(&l->stats[i]);
  px_buf_free(&l->parquet);
  free(l);
}

static enum px_status lerobot_open(const char *path, void **writer, struct px_err *err) {
  struct lerobot *l = calloc(1, sizeof *l);
  if (!l) return px_fail(err, PX_E_NO_MEMORY, "no memory for the export");
  for (int i = 0; i < ROOMS_N; i++) l->rooms[i] = PX_BUF(2u * PX_SEGMENT_MAX_BYTES);
  l->parquet = PX_BUF(4ull * PX_SEGMENT_MAX_BYTES);
  l->file = fopen(path, "we");
  if (!l->file) {
    lerobot_free(l);
    return px_fail_errno(err, "creating the export");
  }
  *writer = l;
  return PX_OK;
}

/* A file of the tar: POSIX.1-2017, pax, "ustar Interchange Format". Equal content, equal bytes. */
static enum px_status put_file(struct lerobot *l, const char *name, const void *bytes, size_t n,
                               struct px_err *err) {
  static const char zeros[BLOCK];
  char header[BLOCK] = { 0 };
  unsigned sum = 0;
  snprintf(header, 100, "%s", name);
  memcpy(header + 100, "0000644", 8);
  memcpy(header + 108, "0000000", 8);
  memcpy(header + 116, "0000000", 8);
  snprintf(header + 124, 12, "%011zo", n);
  memcpy(header + 136, "00000000000", 12);
  memset(header + 148, ' ', 8);
  header[156] = '0';
  memcpy(header + 257, "ustar\00000", 8);
  for (size_t i = 0; i < BLOCK; i++) sum += (unsigned char)header[i];
  snprintf(header + 148, 8, "%06o", sum);
  const size_t padding = (BLOCK - n % BLOCK) % BLOCK;
  const bool good = fwrite(header, 1, BLOCK, l->file) == BLOCK &&
                    fwrite(bytes, 1, n, l->file) == n &&
                    fwrite(zeros, 1, padding, l->file) == padding;
  return good ? PX_OK : px_fail_errno(err, "writing the export");
}

static enum px_status put_parquet(struct lerobot *l, const char *name,
                                  const struct px_write_parquet_column *columns, uint32_t n,
                                  uint64_t rows, struct px_err *err) {
  l->parquet.len = 0;
  const enum px_status status = px_write_parquet(columns, n, rows, &l->parquet, err);
  return status ? status : put_file(l, name, l->parquet.data, l->parquet.len, err);
}

static void *data(struct lerobot *l, enum room room) { return l->rooms[room].data; }
static float *floats(struct lerobot *l, enum room room) { return data(l, room); }
static int64_t *wholes(struct lerobot *l, enum room room) { return data(l, room); }
static uint8_t *flags(struct lerobot *l, enum room room) { return data(l, room); }

/* Bytes of a row in each room; those of an episode come after TRUNCATED. */
static size_t bytes_of(const struct lerobot *l, enum room room) {
  if (room == OBSERVATIONS || room == FINALS) return l->spaces.obs_dim * sizeof(float);
  if (room == TIMES) return sizeof(float);
  if (room == WORDS) return sizeof(char *);
  return room >= ACTED && room <= ENDED ? 1 : sizeof(int64_t);
}

static enum px_status make_room(struct lerobot *l, const struct px_segment_view *v) {
  enum px_status status = PX_OK;
  for (enum room i = 0; i < ROOMS_N && !status; i++) {
    const size_t n = (i > ENDED ? v->traj_n : v->steps_n) * bytes_of(l, i);
    l->rooms[i].len = 0;
    status = px_buf_room(&l->rooms[i], n);
    if (!status) memset(l->rooms[i].data, 0, n);
  }
  return status;
}

/* Steps of one trajectory, from `step` of the segment on; `obs` are its observations. */
static void fill_steps(struct lerobot *l, const struct px_write_rows *r, uint32_t i, uint64_t step,
                       const float *obs) {
  const struct px_segment_view *v = r->view;
  const uint64_t steps = (uint64_t)v->length[i];
  const size_t o = r->spaces->obs_dim, width = o * sizeof *obs;
  memcpy(floats(l, OBSERVATIONS) + step * o, obs, steps * width);
  for (uint64_t t = 0; t < steps; t++) {
    const uint64_t at = step + t;
    floats(l, TIMES)[at] = (float)t;
    wholes(l, FRAMES)[at] = (int64_t)t;
    wholes(l, EPISODES)[at] = (int64_t)(l->episodes_n + i);
    wholes(l, INDICES)[at] = (int64_t)(l->frames_n + at);
    wholes(l, SOURCES)[at] = r->source[at];
    flags(l, ACTED)[at] = r->source[at] >= PX_SOURCE_TRUE;
    flags(l, GUESSED)[at] = r->source[at] >= PX_SOURCE_PROXY;
    flags(l, SIMULATED)[at] = r->simulated && flags(l, GUESSED)[at];
    if (r->spaces->act_count) wholes(l, CLASSES)[at] = (int64_t)r->actions[at];
  }
  const uint64_t last = step + steps - 1;
  flags(l, DONE)[last] = 1;
  flags(l, TERMINATED)[last] = v->terminated[i];
  flags(l, TRUNCATED)[last] = v->truncated[i];
  flags(l, ENDED)[last] = v->has_final[i];
  if (v->has_final[i]) memcpy(floats(l, FINALS) + last * o, obs + steps * o, width);
}

static void fill_episode(struct lerobot *l, const struct px_segment_view *v, uint32_t i,
                         uint64_t step) {
  wholes(l, LENGTHS)[i] = v->length[i];
  wholes(l, CHUNKS)[i] = (int64_t)(l->files_n / FILES_PER_CHUNK);
  wholes(l, NUMBERS)[i] = (int64_t)(l->files_n % FILES_PER_CHUNK);
  wholes(l, FROM)[i] = (int64_t)(l->frames_n + step);
  wholes(l, TO)[i] = wholes(l, FROM)[i] + v->length[i];
  ((const char **)data(l, WORDS))[i] = TASK;
}

static void fill(struct lerobot *l, const struct px_write_rows *r) {
  const struct px_segment_view *v = r->view;
  uint64_t step = 0, obs = 0;
  for (uint32_t i = 0; i < v->traj_n; i++) {
    fill_steps(l, r, i, step, v->observations + obs * r->spaces->obs_dim);
    fill_episode(l, v, i, step);
    step += (uint64_t)v->length[i];
    obs += (uint64_t)v->length[i] + v->has_final[i];
  }
}

static enum px_status put_data(struct lerobot *l, const struct px_write_rows *r, const char *name,
                               struct px_err *err) {
  const bool discrete = r->spaces->act_count > 0;
  const uint32_t o = r->spaces->obs_dim, a = r->spaces->act_dim, wide = discrete ? 0 : a;
  const uint8_t *acted = data(l, ACTED), *guessed = data(l, GUESSED), *sim = data(l, SIMULATED);
  const uint8_t *rewarded = r->view->rewards ? NULL : data(l, ZEROS); /* no rewards: all null */
  const struct px_write_parquet_column columns[] = {
    { "observation.state", PX_WRITE_PARQUET_FLOAT, o, data(l, OBSERVATIONS), NULL },
    { "action", discrete ? PX_WRITE_PARQUET_INT : PX_WRITE_PARQUET_FLOAT, wide,
      discrete ? data(l, CLASSES) : r->actions, acted },
    { "action.source", PX_WRITE_PARQUET_INT, 0, data(l, SOURCES), NULL },
    { "action.score", PX_WRITE_PARQUET_FLOAT, 0, r->score, guessed },
    { "action.std", PX_WRITE_PARQUET_FLOAT, wide, r->std, guessed },
    { "action.epistemic", PX_WRITE_PARQUET_FLOAT, wide, r->epistemic, guessed },
    { "action.residual", PX_WRITE_PARQUET_FLOAT, 0, r->residual, sim },
    { "action.verified", PX_WRITE_PARQUET_BOOL, 0, r->verified, sim },
    { "next.reward", PX_WRITE_PARQUET_FLOAT, 0, r->view->rewards, rewarded },
    { "next.done", PX_WRITE_PARQUET_BOOL, 0, data(l, DONE), NULL },
    { "next.terminated", PX_WRITE_PARQUET_BOOL, 0, data(l, TERMINATED), NULL },
    { "next.truncated", PX_WRITE_PARQUET_BOOL, 0, data(l, TRUNCATED), NULL },
    { "next.observation.state", PX_WRITE_PARQUET_FLOAT, o, data(l, FINALS), data(l, ENDED) },
    { "timestamp", PX_WRITE_PARQUET_FLOAT, 0, data(l, TIMES), NULL },
    { "frame_index", PX_WRITE_PARQUET_INT, 0, data(l, FRAMES), NULL },
    { "episode_index", PX_WRITE_PARQUET_INT, 0, data(l, EPISODES), NULL },
    { "index", PX_WRITE_PARQUET_INT, 0, data(l, INDICES), NULL },
    { "task_index", PX_WRITE_PARQUET_INT, 0, data(l, ZEROS), NULL },
  };
  static_assert(sizeof columns <= sizeof l->columns, "info.json has all columns");
  memcpy(l->columns, columns, sizeof columns);
  l->columns_n = sizeof columns / sizeof *columns;
  enum px_status status = PX_OK;
  for (uint32_t i = 0; i < l->columns_n && !status; i++)
    status = px_write_stats_add(&l->stats[i], &columns[i], r->view->steps_n, err);
  return status ? status : put_parquet(l, name, columns, l->columns_n, r->view->steps_n, err);
}

static enum px_status put_episodes(struct lerobot *l, const struct px_segment_view *v,
                                   const char *name, struct px_err *err) {
  int64_t *index = wholes(l, EPISODES); /* of steps before, now of episodes */
  for (uint32_t i = 0; i < v->traj_n; i++) index[i] = (int64_t)(l->episodes_n + i);
  const struct px_write_parquet_column columns[] = {
    { "episode_index", PX_WRITE_PARQUET_INT, 0, index, NULL },
    { "tasks", PX_WRITE_PARQUET_TEXT, 1, data(l, WORDS), NULL },
    { "length", PX_WRITE_PARQUET_INT, 0, data(l, LENGTHS), NULL },
    { "data/chunk_index", PX_WRITE_PARQUET_INT, 0, data(l, CHUNKS), NULL },
    { "data/file_index", PX_WRITE_PARQUET_INT, 0, data(l, NUMBERS), NULL },
    { "dataset_from_index", PX_WRITE_PARQUET_INT, 0, data(l, FROM), NULL },
    { "dataset_to_index", PX_WRITE_PARQUET_INT, 0, data(l, TO), NULL },
    { "meta/episodes/chunk_index", PX_WRITE_PARQUET_INT, 0, data(l, CHUNKS), NULL },
    { "meta/episodes/file_index", PX_WRITE_PARQUET_INT, 0, data(l, NUMBERS), NULL },
  };
  return put_parquet(l, name, columns, sizeof columns / sizeof *columns, v->traj_n, err);
}

static enum px_status lerobot_put(void *writer, const struct px_write_rows *rows,
                                  const struct px_write_columns *columns, struct px_err *err) {
  (void)columns;
  struct lerobot *l = writer;
  char name[100];
  l->spaces = *rows->spaces;
  enum px_status status = make_room(l, rows->view);
  if (status) return px_fail(err, status, "no memory to export a segment");
  fill(l, rows);
  const unsigned chunk = (unsigned)(l->files_n / FILES_PER_CHUNK),
                 file = (unsigned)(l->files_n % FILES_PER_CHUNK);
  snprintf(name, sizeof name, "data/chunk-%03u/file-%03u.parquet", chunk, file);
  status = put_data(l, rows, name, err);
  snprintf(name, sizeof name, "meta/episodes/chunk-%03u/file-%03u.parquet", chunk, file);
  if (!status) status = put_episodes(l, rows->view, name, err);
  l->files_n++;
  l->episodes_n += rows->view->traj_n;
  l->frames_n += rows->view->steps_n;
  return status;
}

static enum px_status put_tasks(struct lerobot *l, struct px_err *err) {
  static const int64_t zero;
  const char *const word = TASK;
  const struct px_write_parquet_column columns[] = {
    { "task_index", PX_WRITE_PARQUET_INT, 0, &zero, NULL },
    { "task", PX_WRITE_PARQUET_TEXT, 0, &word, NULL },
  };
  return put_parquet(l, "meta/tasks.parquet", columns, 2, 1, err);
}

/* One feature of info.json: its numbers a frame. */
static enum px_status put_feature(struct px_buf *out, const struct px_write_parquet_column *c) {
  static const char *const DTYPES[] = { [PX_WRITE_PARQUET_FLOAT] = "float32",
                                        [PX_WRITE_PARQUET_INT] = "int64",
                                        [PX_WRITE_PARQUET_BOOL] = "bool" };
  return px_buf_fmt(out, "    \"%s\": { \"dtype\": \"%s\", \"shape\": [%u], \"names\": null },\n",
                    c->name, DTYPES[c->type], c->width ? c->width : 1);
}

static enum px_status put_info(struct lerobot *l, const struct px_write_facts *facts,
                               struct px_err *err) {
  char *about = px_write_facts_json(facts);
  struct px_buf text = PX_BUF(TEXT_MAX_BYTES);
  enum px_status status = about ? PX_OK : PX_E_NO_MEMORY;
  if (!status)
    status = px_buf_fmt(
      &text,
      "{\n  \"codebase_version\": \"v3.0\",\n  \"robot_type\": null,\n"
      "  \"total_episodes\": %" PRIu64 ",\n  \"total_frames\": %" PRIu64
      ",\n  \"total_tasks\": 1,\n  \"chunks_size\": %d,\n"
      "  \"data_files_size_in_mb\": 100,\n  \"video_files_size_in_mb\": 500,\n"
      "  \"fps\": 1,\n  \"splits\": { \"train\": \"0:%" PRIu64 "\" },\n"
      "  \"data_path\": \"data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet\",\n"
      "  \"video_path\": null,\n  \"proxact\": %s,\n  \"features\": {\n",
      l->episodes_n, l->frames_n, FILES_PER_CHUNK, l->episodes_n, about);
  for (uint32_t i = 0; i < l->columns_n && !status; i++)
    status = put_feature(&text, &l->columns[i]);
  if (!status) {
    text.len -= 2; /* the last comma */
    status = px_buf_puts(&text, "\n  }\n}\n");
  }
  status = status ? px_fail(err, status, "no memory for info.json")
                  : put_file(l, "meta/info.json", text.data, text.len, err);
  free(about);
  px_buf_free(&text);
  return status;
}

static enum px_status put_stats(struct lerobot *l, struct px_err *err) {
  json_t *all = json_object();
  for (uint32_t i = 0; i < l->columns_n; i++) {
    json_t *stats = px_write_stats_json(&l->stats[i]);
    if (stats) json_object_set_new(all, l->columns[i].name, stats);
  }
  char *text = all ? px_json_dumps(all, JSON_INDENT(2)) : NULL;
  json_decref(all);
  const enum px_status status = text ? put_file(l, "meta/stats.json", text, strlen(text), err)
                                     : px_fail(err, PX_E_NO_MEMORY, "no memory for stats.json");
  free(text);
  return status;
}

static enum px_status lerobot_end(void *writer, const struct px_write_facts *facts,
                                  struct px_err *err) {
  static const char zeros[2 * BLOCK];
  struct lerobot *l = writer;
  enum px_status status = put_tasks(l, err);
  if (!status) status = put_info(l, facts, err);
  if (!status) status = put_stats(l, err);
  if (!status && (fwrite(zeros, 1, sizeof zeros, l->file) != sizeof zeros || fflush(l->file) != 0))
    status = px_fail_errno(err, "writing the export");
  return status;
}

const struct px_write_writer px_write_lerobot = { NULL, lerobot_open, lerobot_put, lerobot_end,
                                                  lerobot_free };
