/* SPDX-License-Identifier: Apache-2.0 */
/* Exports: formats, and the choice of actions. See write.h. */
#include "lib/write/write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/data/actions_merged.h"
#include "lib/data/labels.h"
#include "lib/data/spaces.h"
#include "lib/write/write_parts.h"

static const struct {
  const char *word, *suffix, *media_type;
  uint32_t times;
  const struct px_write_writer *writer;
} FORMATS[PX_WRITE_FORMAT_N] = {
#define PX_EXPORT(NAME, name, media_type, times) \
  [PX_WRITE_##NAME] = { #name, "." #name, media_type, times, &px_write_##name },
#include "schema/exports.def"
#undef PX_EXPORT
};
static const char *const WHICH[PX_WRITE_WHICH_N] = {
  [PX_WRITE_TRUE] = "true",
  [PX_WRITE_PROXY] = "proxy",
  [PX_WRITE_BOTH] = "both",
};

enum px_status px_write_format_parse(const char *word, enum px_write_format *out,
                                     struct px_err *err) {
  for (unsigned i = 0; i < PX_WRITE_FORMAT_N; i++) {
    if (strcmp(word, FORMATS[i].word) != 0) continue;
    *out = (enum px_write_format)i;
    return PX_OK;
  }
  static const char WORDS[] =
#define PX_EXPORT(NAME, name, ...) ", " #name
#include "schema/exports.def"
#undef PX_EXPORT
    ;
  return px_fail(err, PX_E_BAD_FIELD, "'%.32s' is no export format; these are: %s", word,
                 WORDS + 2);
}

enum px_status px_write_which_parse(const char *word, enum px_write_which *out,
                                    struct px_err *err) {
  for (unsigned i = 0; i < PX_WRITE_WHICH_N; i++) {
    if (strcmp(word, WHICH[i]) != 0) continue;
    *out = (enum px_write_which)i;
    return PX_OK;
  }
  return px_fail(err, PX_E_BAD_FIELD, "'%.32s' is no choice of actions; true, proxy and both are",
                 word);
}

const char *px_write_which_name(enum px_write_which which) { return WHICH[which]; }
const char *px_write_media_type(enum px_write_format format) { return FORMATS[format].media_type; }
uint32_t px_write_size_factor(enum px_write_format format) { return FORMATS[format].times; }
const char *px_write_suffix(enum px_write_format format) { return FORMATS[format].suffix; }

struct px_write {
  enum px_write_which which;
  struct px_spaces spaces;
  const struct px_write_writer *ops;
  void *writer;
  char *path;
  bool ended, unrewarded;
  uint64_t segments_n;
  struct px_write_facts facts;
  struct px_buf actions, std, epistemic, score, residual, source, verified; /* of one segment */
  struct px_write_scratch scratch;
};

enum px_status px_write_new(enum px_write_format format, enum px_write_which which,
                            const struct px_spaces *spaces, const char *path, struct px_write **out,
                            struct px_err *err) {
  struct px_write *e = calloc(1, sizeof *e);
  if (!e) return px_fail(err, PX_E_NO_MEMORY, "no memory for an export");
  e->which = which;
  e->spaces = *spaces;
  e->ops = FORMATS[format].writer;
  e->path = strdup(path);
  struct px_write_scratch *x = &e->scratch;
  struct px_buf *bufs[] = { &e->actions,  &e->std,       &e->epistemic, &e->score,
                            &e->residual, &e->verified,  &e->source,    &x->next,
                            &x->flat,     &x->terminals, &x->timeouts,  &x->known,
                            &x->labelled, &x->mask,      &x->classes,   &x->rewards };
  for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++) *bufs[i] = PX_BUF(PX_SEGMENT_MAX_BYTES);
  const enum px_status status = e->path ? e->ops->open(path, &e->writer, err)
                                        : px_fail(err, PX_E_NO_MEMORY, "no memory for an export");
  if (status) {
    e->ended = true; /* there is no file of ours to remove */
    px_write_free(e);
    return status;
  }
  *out = e;
  return PX_OK;
}

void px_write_about(struct px_write *e, const struct px_write_fact *facts, size_t n) {
  e->facts = (struct px_write_facts){ facts, n < PX_WRITE_FACTS_MAX ? n : PX_WRITE_FACTS_MAX };
}

void px_write_without_rewards(struct px_write *e) { e->unrewarded = true; }

static enum px_status zeroed(struct px_buf *buf, size_t n) {
  buf->len = 0;
  const enum px_status status = px_buf_room(buf, n);
  if (!status) memset(buf->data, 0, n);
  return status;
}

static float *floats(struct px_buf *buf) { return (float *)(void *)buf->data; }

/* A proxy action and how certain it is, where step t of the segment carries one. */
static void put_proxy(struct px_write *e, const struct px_label_rows *proxy, uint64_t t) {
  const size_t a = e->spaces.act_dim, width = a * sizeof(float);
  memcpy(floats(&e->actions) + t * a, proxy->actions + t * a, width);
  memcpy(floats(&e->epistemic) + t * a, proxy->epistemic + t * a, width);
  px_label_totals(&e->spaces, proxy->std + t * a, proxy->epistemic + t * a, 1,
                  floats(&e->std) + t * a);
  floats(&e->score)[t] = proxy->score[t];
  if (!proxy->origin) return;
  floats(&e->residual)[t] = proxy->residual[t];
  e->verified.data[t] = (char)proxy->verified[t];
  if (proxy->origin[t] == PX_ORIGIN_SIMULATOR) e->source.data[t] = PX_SOURCE_SIMULATOR;
}

static enum px_status clear(struct px_write *e, uint64_t steps_n) {
  const size_t width = e->spaces.act_dim * sizeof(float);
  enum px_status status = zeroed(&e->actions, steps_n * width);
  if (!status) status = zeroed(&e->std, steps_n * width);
  if (!status) status = zeroed(&e->epistemic, steps_n * width);
  if (!status) status = zeroed(&e->score, steps_n * sizeof(float));
  if (!status) status = zeroed(&e->residual, steps_n * sizeof(float));
  if (!status) status = zeroed(&e->verified, steps_n);
  return status ? status : zeroed(&e->source, steps_n);
}

/* Which action each step of the segment carries. */
static enum px_status choose(struct px_write *e, const struct px_segment_view *v,
                             const struct px_label_rows *proxy, struct px_write_rows *rows) {
  const size_t a = e->spaces.act_dim;
  const enum px_status status = clear(e, v->steps_n);
  if (status) return status;
  uint64_t t = 0;
  for (uint32_t i = 0; i < v->traj_n; i++) {
    for (const uint64_t end = t + (uint64_t)v->length[i]; t < end; t++) {
      const bool known =
        e->which != PX_WRITE_PROXY && (v->label_mask ? v->label_mask[t] : v->labelled[i]);
      const bool guessed = !known && e->which != PX_WRITE_TRUE && proxy && proxy->known[t];
      e->source.data[t] = known ? PX_SOURCE_TRUE : guessed ? PX_SOURCE_PROXY : PX_SOURCE_NONE;
      if (known) memcpy(floats(&e->actions) + t * a, v->actions + t * a, a * sizeof(float));
      if (guessed) put_proxy(e, proxy, t);
    }
  }
  *rows = (struct px_write_rows){ .spaces = &e->spaces,
                                  .view = v,
                                  .actions = floats(&e->actions),
                                  .std = floats(&e->std),
                                  .epistemic = floats(&e->epistemic),
                                  .score = floats(&e->score),
                                  .residual = floats(&e->residual),
                                  .source = (const uint8_t *)e->source.data,
                                  .verified = (const uint8_t *)e->verified.data,
                                  .simulated = proxy && proxy->origin,
                                  .rewarded = !e->unrewarded };
  return PX_OK;
}

enum px_status px_write_segment(struct px_write *e, const void *bytes, size_t n, const void *labels,
                                size_t labels_n, struct px_err *err) {
  struct px_segment_view view = { 0 };
  struct px_label_view proxy = { 0 };
  struct px_write_rows rows;
  struct px_write_columns columns = { 0 };
  enum px_status status = px_segment_open(bytes, n, &e->spaces, &view, err);
  if (!status && labels)
    status = px_label_open(labels, labels_n, &e->spaces, view.steps_n, &proxy, err);
  if (status) goto out;
  status = choose(e, &view, labels ? &proxy.rows : NULL, &rows);
  if (!status && e->ops->columns) status = e->ops->columns(&rows, &e->scratch, &columns);
  if (status) status = px_fail(err, status, "no memory to export a segment of %zu bytes", n);
  else status = e->ops->put(e->writer, &rows, &columns, err);
  e->segments_n += status == PX_OK;
out:
  px_label_close(&proxy);
  px_segment_close(&view);
  return status;
}

enum px_status px_write_end(struct px_write *e, struct px_err *err) {
  if (e->segments_n == 0)
    return px_fail(err, PX_E_BAD_DATA, "the dataset has no trajectories to export");
  enum px_status status = e->ops->end(e->writer, &e->facts, err);
  if (status) return status;
  const int fd = open(e->path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fsync(fd) != 0) status = px_fail_errno(err, "syncing the export");
  if (fd >= 0) close(fd);
  e->ended = status == PX_OK;
  return status;
}

void px_write_free(struct px_write *e) {
  if (!e) return;
  e->ops->free(e->writer);
  if (!e->ended) unlink(e->path);
  free(e->path);
  px_buf_free(&e->actions);
  px_buf_free(&e->std);
  px_buf_free(&e->epistemic);
  px_buf_free(&e->score);
  px_buf_free(&e->residual);
  px_buf_free(&e->verified);
  px_buf_free(&e->source);
  px_write_scratch_free(&e->scratch);
  free(e);
}
