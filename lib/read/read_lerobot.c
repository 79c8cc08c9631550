/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Uploads of LeRobot folders, versions 2.1 and 3.0, as a tar or zip. meta/info.json says which
 * columns there are, meta/episodes which frames; the data's Parquet files must have exactly these,
 * in order. See lerobot_meta.h for the source.
 */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"
#include "lib/read/archive.h"
#include "lib/read/column.h"
#include "lib/read/lerobot_meta.h"
#include "lib/read/parquet.h"
#include "lib/read/reader.h"
#include "lib/read/traj_buffer.h"

/* The fields: those that go by name, then these, and from OBSERVED on the observations. */
enum { EPISODE = PX_LEROBOT_NAMED_N, FRAME, OBSERVED };
enum {
  PIECE_MAX = 1024,
  PIECE_MAX_BYTES = 1 << 20,
  FIELDS_MAX = OBSERVED + PX_LEROBOT_OBSERVED_MAX
};

/* A column of the data's files. What it has seen of precision goes on from file to file. */
struct field {
  const char *name;
  uint32_t width; /* 0: it is not read */
  struct px_parquet_column *column;
  struct px_precision precision;
};

struct lerobot {
  struct px_reader *r;
  struct px_archive *archive;
  struct px_lerobot_meta meta;
  struct px_traj_buffer room;
  struct field fields[FIELDS_MAX];
  uint32_t fields_n;
  char *raw;     /* [PIECE_MAX_BYTES] numbers as in the file */
  float *floats; /* [PIECE_MAX_BYTES / 4] */
  uint8_t known[PIECE_MAX];
  /* the data file that is open */
  char path[PX_LEROBOT_PATH_BYTES];
  struct px_archive_content content;
  struct px_parquet *file;
  uint64_t rows_left;
  uint64_t early_n; /* trajectories flagged as done before their last frame */
};

/* BAD_DATA at "file, episode e, frame t". */
static enum px_status fail(const struct lerobot *l, const struct px_lerobot_episode *e,
                           uint64_t frame, struct px_err *err, const char *fmt, ...)
  PX_PRINTF(5, 6);
static enum px_status fail(const struct lerobot *l, const struct px_lerobot_episode *e,
                           uint64_t frame, struct px_err *err, const char *fmt, ...) {
  char place[192];
  snprintf(place, sizeof place, "%.120s, episode %" PRIu64 ", frame %" PRIu64, l->path, e->index,
           frame);
  va_list args;
  va_start(args, fmt);
  const enum px_status status = px_fail_place(err, PX_E_BAD_DATA, place, fmt, args);
  va_end(args);
  return status;
}

/* What the Parquet reader has said, with the file. */
static enum px_status pass_on(const struct lerobot *l, enum px_status status,
                              const struct px_err *why, struct px_err *err) {
  char place[192];
  if (!status) return status;
  snprintf(place, sizeof place, "%.100s%s%.80s", l->path, *why->pointer ? ", " : "", why->pointer);
  return px_fail_at(err, status, place, "%.120s: %.350s", l->path, why->message);
}

static void add_field(struct lerobot *l, const char *name, uint32_t width) {
  l->fields[l->fields_n++] = (struct field){ .name = name, .width = width };
}

static void close_file(struct lerobot *l) {
  for (uint32_t i = 0; i < l->fields_n; i++) {
    px_parquet_column_free(l->fields[i].column);
    l->fields[i].column = NULL;
  }
  px_parquet_free(l->file);
  l->file = NULL;
  px_archive_release(&l->content);
}

/* Integers may be classes nobody declared, as in every reader. */
static enum px_status check_actions(struct lerobot *l, struct px_err *err) {
  const struct field *action = &l->fields[PX_LEROBOT_ACTION];
  struct px_column column = { .cols = action->width,
                              .integers = px_parquet_dtype(action->column).kind != PX_DTYPE_FLOAT };
  snprintf(column.name, sizeof column.name, "%s", action->name);
  return px_reader_expect_actions(l->r, &column, err);
}

static enum px_status open_field(struct lerobot *l, struct field *f, struct px_err *err) {
  struct px_err why = { 0 };
  const enum px_status status = px_parquet_column(l->file, f->name, f->width, &f->column, &why);
  if (status) return pass_on(l, status, &why, err);
  const struct px_array_dtype type = px_parquet_dtype(f->column);
  if (px_precision_matters(type) && !f->precision.columns &&
      px_precision_init(&f->precision, f->width))
    return px_fail(err, PX_E_NO_MEMORY, "no memory to read '%s'", f->name);
  return px_reader_charge(l->r, f->name, px_parquet_rows(l->file), f->width, type.bytes, err);
}

/* The file of l->path, whose first episode is e. */
static enum px_status open_file(struct lerobot *l, const struct px_lerobot_episode *e,
                                struct px_err *err) {
  struct px_err why = { 0 };
  uint32_t i;
  if (!px_archive_find(l->archive, l->path, &i))
    return fail(l, e, 0, err, "the file is not in the archive");
  enum px_status status = px_archive_read(l->archive, i, &l->content, err);
  if (!status)
    status = pass_on(l, px_parquet_open(l->content.bytes, l->content.n, &l->file, &why), &why, err);
  for (uint32_t k = 0; k < l->fields_n && !status; k++)
    if (l->fields[k].width) status = open_field(l, &l->fields[k], err);
  if (!status && l->fields[PX_LEROBOT_ACTION].width) status = check_actions(l, err);
  if (!status) l->rows_left = px_parquet_rows(l->file);
  return status;
}

/* How many rows of a field are taken at once. */
static size_t piece_of(const struct field *f, size_t rows) {
  const size_t most = PIECE_MAX_BYTES / ((size_t)f->width * sizeof(double));
  const size_t n = most < PIECE_MAX ? most : PIECE_MAX;
  return rows < n ? rows : n;
}

/* The next T rows to dst, each `stride` numbers behind the last. A row that is null is an error, or
 * where `known` [T] is not NULL, told there; a reward that is null becomes NAN. */
static enum px_status take_floats(struct lerobot *l, const struct px_lerobot_episode *e,
                                  struct field *f, float *dst, size_t stride, uint8_t *known,
                                  struct px_err *err) {
  const bool reward = f == &l->fields[PX_LEROBOT_REWARD]; /* one number a row */
  struct px_err why = { 0 };
  for (size_t at = 0, n; at < e->length; at += n) {
    n = piece_of(f, e->length - at);
    const enum px_status status = px_parquet_next(f->column, n, l->raw, l->known, &why);
    if (status) return pass_on(l, status, &why, err);
    px_reader_convert(&f->precision, PX_PRECISION_ROWS, px_parquet_dtype(f->column), l->raw,
                      n * f->width, l->floats);
    for (size_t i = 0; i < n; i++) {
      const bool missing = !known && !l->known[i];
      if (missing && !reward) return fail(l, e, at + i, err, "%s is null", f->name);
      if (missing) l->floats[i] = NAN;
      memcpy(dst + (at + i) * stride, l->floats + i * f->width, f->width * sizeof *dst);
    }
    if (known) memcpy(known + at, l->known, n);
  }
  return PX_OK;
}

static enum px_status misplaced(const struct lerobot *l, const struct px_lerobot_episode *e,
                                uint64_t frame, bool of_episode, double found, struct px_err *err) {
  if (of_episode)
    return fail(l, e, frame, err,
                "the row belongs to episode %.0f; meta/episodes has %u frames of episode %" PRIu64
                ", which must lie together",
                found, e->length, e->index);
  return found > (double)frame
           ? fail(l, e, frame, err, "the frame is missing; frame %.0f follows", found)
           : fail(l, e, frame, err, "the frame is missing; frame %.0f is there again", found);
}

/* The next rows' episode_index or frame_index is what meta/episodes says. */
static enum px_status check_place(struct lerobot *l, const struct px_lerobot_episode *e,
                                  struct field *f, size_t rows, bool of_episode,
                                  struct px_err *err) {
  double wide[PIECE_MAX];
  struct px_err why = { 0 };
  for (size_t at = 0, n; at < rows; at += n) {
    n = piece_of(f, rows - at);
    const enum px_status status = px_parquet_next(f->column, n, l->raw, l->known, &why);
    if (status) return pass_on(l, status, &why, err);
    px_dtype_to_double(px_parquet_dtype(f->column), l->raw, n, wide);
    for (size_t i = 0; i < n; i++) {
      if (!l->known[i]) return fail(l, e, at + i, err, "%s is null", f->name);
      if (wide[i] != (of_episode ? (double)e->index : (double)(at + i)))
        return misplaced(l, e, at + i, of_episode, wide[i], err);
    }
  }
  return PX_OK;
}

/* The rows of an episode are there, and are its own. */
static enum px_status check_places(struct lerobot *l, const struct px_lerobot_episode *e,
                                   struct px_err *err) {
  const size_t rows = l->rows_left < e->length ? (size_t)l->rows_left : e->length;
  enum px_status status = check_place(l, e, &l->fields[EPISODE], rows, true, err);
  if (!status) status = check_place(l, e, &l->fields[FRAME], rows, false, err);
  if (!status && rows < e->length)
    status =
      fail(l, e, rows, err,
           "the frame is missing: meta/episodes says there are %u, and the file ends", e->length);
  l->rows_left -= rows;
  return status;
}

/* Numbers of one column, [T], where the rewards will be: they are read last. */
static enum px_status take_scratch(struct lerobot *l, const struct px_lerobot_episode *e,
                                   enum px_lerobot_named name, float most, struct px_err *err) {
  struct field *f = &l->fields[name];
  const enum px_status status = take_floats(l, e, f, l->room.rewards, 1, NULL, err);
  for (size_t t = 0; t < e->length && !status; t++) {
    const float x = l->room.rewards[t];
    if (!(x >= 0 && x <= most && x == (float)(int)x))
      return fail(l, e, t, err, "%s is %g; it must be a whole number up to %g", f->name, (double)x,
                  (double)most);
  }
  return status;
}

/* Whether the flag is up at the last frame; *early: also before. */
static enum px_status take_flag(struct lerobot *l, const struct px_lerobot_episode *e,
                                enum px_lerobot_named name, bool *last, bool *early,
                                struct px_err *err) {
  *last = false;
  if (!l->fields[name].width) return PX_OK;
  const enum px_status status = take_scratch(l, e, name, 1, err);
  for (size_t t = 0; t < e->length && !status; t++) {
    *early = *early || *last; /* of the frame before */
    *last = l->room.rewards[t] != 0;
  }
  return status;
}

/* How the episode ends, as far as the columns say. */
static enum px_status take_end(struct lerobot *l, const struct px_lerobot_episode *e,
                               struct px_traj *traj, struct px_err *err) {
  bool done = false, terminated = false, truncated = false, early = false;
  enum px_status status = take_flag(l, e, PX_LEROBOT_DONE, &done, &early, err);
  if (!status) status = take_flag(l, e, PX_LEROBOT_TERMINATED, &terminated, &early, err);
  if (!status) status = take_flag(l, e, PX_LEROBOT_TRUNCATED, &truncated, &early, err);
  if (status) return status;
  l->early_n += early;
  traj->terminated = l->fields[PX_LEROBOT_TERMINATED].width ? terminated : done && !truncated;
  traj->truncated = truncated || !traj->terminated;
  return PX_OK;
}

/* Actions that were made up by us are no labels. */
static enum px_status drop_proxies(struct lerobot *l, const struct px_lerobot_episode *e,
                                   struct px_err *err) {
  enum { SOURCE_TRUE = 1, SOURCE_MAX = 3 };
  if (!l->fields[PX_LEROBOT_SOURCE].width) return PX_OK;
  const enum px_status status = take_scratch(l, e, PX_LEROBOT_SOURCE, SOURCE_MAX, err);
  for (size_t t = 0; t < e->length && !status; t++)
    if (l->room.rewards[t] != SOURCE_TRUE) l->room.labelled[t] = 0;
  return status;
}

/* Actions that are null, or nothing but NaN, are not known. */
static enum px_status take_actions(struct lerobot *l, const struct px_lerobot_episode *e,
                                   struct px_traj *traj, struct px_err *err) {
  struct field *f = &l->fields[PX_LEROBOT_ACTION];
  if (!f->width) return PX_OK;
  enum px_status status = take_floats(l, e, f, l->room.actions, f->width, l->room.labelled, err);
  if (!status) status = drop_proxies(l, e, err);
  if (status) return status;
  for (size_t t = 0; t < e->length; t++)
    if (l->room.labelled[t])
      l->room.labelled[t] = !px_reader_take_nan(l->r, l->room.actions + t * f->width);
  if (!memchr(l->room.labelled, 1, e->length)) return PX_OK;
  traj->actions = l->room.actions;
  traj->labelled = l->room.labelled;
  return PX_OK;
}

static enum px_status take_observations(struct lerobot *l, const struct px_lerobot_episode *e,
                                        struct px_traj *traj, struct px_err *err) {
  const uint32_t O = l->r->spaces->obs_dim;
  struct field *final = &l->fields[PX_LEROBOT_FINAL];
  enum px_status status = PX_OK;
  for (uint32_t i = OBSERVED, at = 0; i < l->fields_n && !status; at += l->fields[i++].width)
    status = take_floats(l, e, &l->fields[i], l->room.observations + at, O, NULL, err);
  if (status || !final->width) return status;
  /* all to one place, where the last one stays; the labels are read later */
  status = take_floats(l, e, final, l->room.observations + (size_t)e->length * O, 0,
                       l->room.labelled, err);
  traj->has_final = !status && l->room.labelled[e->length - 1];
  return status;
}

static enum px_status take_episode(struct lerobot *l, const struct px_lerobot_episode *e,
                                   struct px_err *err) {
  enum px_status status = px_traj_buffer_steps(&l->room, e->length, err);
  const bool rewarded = l->fields[PX_LEROBOT_REWARD].width;
  struct px_traj traj = { .steps = e->length,
                          .observations = l->room.observations,
                          .rewards = rewarded ? l->room.rewards : NULL };
  if (!status) status = check_places(l, e, err);
  if (!status) status = take_observations(l, e, &traj, err);
  if (!status) status = take_actions(l, e, &traj, err);
  if (!status) status = take_end(l, e, &traj, err);
  if (!status && rewarded)
    status = take_floats(l, e, &l->fields[PX_LEROBOT_REWARD], l->room.rewards, 1, NULL, err);
  return status ? status : px_reader_put(l->r, &traj, err);
}

/* All rows of the open file must have been taken. */
static enum px_status end_file(struct lerobot *l, struct px_err *err) {
  if (!l->rows_left) return PX_OK;
  return px_fail_at(err, PX_E_BAD_DATA, l->path,
                    "%.200s: %" PRIu64
                    " rows are left behind the last episode that meta/episodes has of it",
                    l->path, l->rows_left);
}

/* Version 2 has a file for each episode, version 3 one for many. */
static enum px_status go_to_file(struct lerobot *l, const struct px_lerobot_episode *e,
                                 struct px_err *err) {
  char path[PX_LEROBOT_PATH_BYTES];
  enum px_status status = px_lerobot_meta_path(&l->meta, e, path, err);
  if (status || (l->file && !strcmp(path, l->path))) return status;
  status = end_file(l, err);
  if (status) return status;
  close_file(l);
  memcpy(l->path, path, sizeof path);
  return open_file(l, e, err);
}

static enum px_status take_all(struct lerobot *l, struct px_err *err) {
  enum px_status status = PX_OK;
  for (size_t i = 0; i < l->meta.episodes_n && !status; i++) {
    const struct px_lerobot_episode *e = &l->meta.episodes[i];
    status = go_to_file(l, e, err);
    if (!status) status = take_episode(l, e, err);
  }
  if (!status) status = end_file(l, err);
  for (uint32_t i = 0; i < l->fields_n && !status; i++)
    if (l->fields[i].precision.columns)
      status = px_reader_check_precision(l->r, l->fields[i].name, &l->fields[i].precision, err);
  return status;
}

/* Which columns are read. */
static void choose_fields(struct lerobot *l) {
  const struct px_lerobot_meta *m = &l->meta;
  for (int i = 0; i < PX_LEROBOT_NAMED_N; i++) add_field(l, m->named[i].name, m->named[i].width);
  add_field(l, "episode_index", 1);
  add_field(l, "frame_index", 1);
  for (uint32_t i = 0; i < m->observed_n; i++)
    add_field(l, m->observed[i].name, m->observed[i].width);
  if (l->r->options->ignore_actions) l->fields[PX_LEROBOT_ACTION].width = 0;
  if (!l->fields[PX_LEROBOT_ACTION].width) l->fields[PX_LEROBOT_SOURCE].width = 0;
  /* of what else was observed, nothing is known after the last action */
  if (m->observed_n != 1 || strcmp(m->observed[0].name, "observation.state") != 0 ||
      m->named[PX_LEROBOT_FINAL].width != m->observed[0].width)
    l->fields[PX_LEROBOT_FINAL].width = 0;
}

static enum px_status prepare(struct lerobot *l, struct px_err *err) {
  choose_fields(l);
  for (int i = PX_LEROBOT_REWARD; i <= PX_LEROBOT_SOURCE; i++)
    if (l->fields[i].width > 1)
      return px_fail_at(err, PX_E_BAD_DATA, l->fields[i].name,
                        "%s has %u numbers a frame, and must have one", l->fields[i].name,
                        l->fields[i].width);
  l->raw = px_mem_calloc(PIECE_MAX_BYTES, 1);
  l->floats = px_mem_calloc(PIECE_MAX_BYTES / sizeof(float), sizeof(float));
  return l->raw && l->floats ? PX_OK : px_fail(err, PX_E_NO_MEMORY, "no memory to read the folder");
}

static void note(struct lerobot *l) {
  if (l->early_n)
    px_reader_note(l->r,
                   "%" PRIu64
                   " episodes are flagged as done before their last frame; only the last counts",
                   l->early_n);
  if (!l->fields[PX_LEROBOT_DONE].width && !l->fields[PX_LEROBOT_TERMINATED].width)
    px_reader_note(l->r, "there is no next.done: the episodes count as truncated");
  px_reader_note_counts(l->r);
}

enum px_status px_read_lerobot(struct px_reader *r, const void *bytes, size_t n,
                               struct px_err *err) {
  struct lerobot *l = calloc(1, sizeof *l);
  if (!l) return px_fail(err, PX_E_NO_MEMORY, "no memory to read the folder");
  l->r = r;
  snprintf(r->report->layout, sizeof r->report->layout, "lerobot");
  px_traj_buffer_init(&l->room, r->spaces);
  enum px_status status = px_archive_open(bytes, n, &l->archive, err);
  if (!status) status = px_lerobot_meta_read(r, l->archive, &l->meta, err);
  if (!status) status = prepare(l, err);
  if (!status) status = take_all(l, err);
  if (!status) note(l);
  close_file(l);
  for (uint32_t i = 0; i < l->fields_n; i++) px_precision_free(&l->fields[i].precision);
  px_traj_buffer_free(&l->room);
  px_lerobot_meta_free(&l->meta);
  px_archive_free(l->archive);
  free(l->raw);
  free(l->floats);
  free(l);
  return status;
}
