/* SPDX-License-Identifier: Apache-2.0 */
/* Packing trajectories into segments: see segment.h. */
#include "lib/data/segment.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/digest.h"
#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/safetensors.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"

/* Header and per-trajectory columns; generous, so that the limit on bytes is kept. */
enum { HEADER_BYTES = 2048, TRAJ_BYTES = 12 };

struct px_segment_builder {
  struct px_spaces spaces;
  struct px_segment_sink sink;
  bool keep_whole;
  uint64_t seen;   /* trajectories put, over all segments */
  uint32_t traj_n; /* in the open segment, as all below */
  uint64_t steps_n, obs_n, labelled_n;
  bool has_actions, has_mask, has_rewards;
  struct px_buf length, observations, actions, rewards, labelled, mask, terminated, truncated,
    has_final;
  struct px_buf rows, file;
  struct px_running_stats moments;
  double *scratch; /* [2 O] for px_running_stats_add */
  uint64_t class_n[PX_ACT_COUNT_MAX];
};

static void columns(struct px_segment_builder *b, struct px_buf *out[10]) {
  struct px_buf *all[10] = { &b->length,    &b->observations, &b->actions,    &b->rewards,
                             &b->labelled,  &b->mask,         &b->terminated, &b->truncated,
                             &b->has_final, &b->rows };
  memcpy(out, all, sizeof all);
}

static void begin(struct px_segment_builder *b) {
  struct px_buf *column[10];
  columns(b, column);
  for (int i = 0; i < 10; i++) column[i]->len = 0;
  b->file.len = 0;
  b->traj_n = 0;
  b->steps_n = b->obs_n = b->labelled_n = 0;
  b->has_actions = b->has_mask = b->has_rewards = false;
  b->moments.n = 0;
  memset(b->class_n, 0, sizeof b->class_n);
  memset(b->moments.mean, 0, b->spaces.obs_dim * sizeof(double));
  memset(b->moments.m2, 0, b->spaces.obs_dim * sizeof(double));
}

struct px_segment_builder *px_segment_builder_new(const struct px_spaces *spaces,
                                                  struct px_segment_sink sink) {
  struct px_segment_builder *b = calloc(1, sizeof *b);
  if (!b) return NULL;
  b->spaces = *spaces;
  b->sink = sink;
  struct px_buf *column[10];
  columns(b, column);
  for (int i = 0; i < 10; i++) *column[i] = PX_BUF(PX_SEGMENT_MAX_BYTES);
  b->file = PX_BUF(PX_SEGMENT_MAX_BYTES);
  b->scratch = px_mem_calloc(4 * (size_t)spaces->obs_dim, sizeof(double));
  if (!b->scratch) {
    free(b);
    return NULL;
  }
  b->moments.mean = b->scratch + 2 * (size_t)spaces->obs_dim;
  b->moments.m2 = b->moments.mean + spaces->obs_dim;
  begin(b);
  return b;
}

void px_segment_builder_free(struct px_segment_builder *b) {
  if (!b) return;
  struct px_buf *column[10];
  columns(b, column);
  for (int i = 0; i < 10; i++) px_buf_free(column[i]);
  px_buf_free(&b->file);
  free(b->scratch);
  free(b);
}

static uint32_t count_labelled(const struct px_traj *traj) {
  if (!traj->actions) return 0;
  if (!traj->labelled) return traj->steps;
  uint32_t n = 0;
  for (uint32_t t = 0; t < traj->steps; t++) n += traj->labelled[t];
  return n;
}

/* What the open segment would take with this trajectory in it. */
static uint64_t size_with(const struct px_segment_builder *b, const struct px_traj *traj,
                          uint32_t labelled_n) {
  const uint64_t steps = b->steps_n + traj->steps, obs = b->obs_n + traj->steps + traj->has_final;
  const bool actions = b->has_actions || labelled_n > 0,
             mask = b->has_mask || (labelled_n > 0 && labelled_n < traj->steps);
  return HEADER_BYTES + (b->traj_n + 1ull) * TRAJ_BYTES + 4 * obs * b->spaces.obs_dim +
         (traj->rewards ? 4 * steps : 0) + (actions ? 4 * steps * b->spaces.act_dim : 0) +
         (mask ? steps : 0);
}

static enum px_status put_byte(struct px_buf *buf, bool value) {
  const uint8_t byte = value;
  return px_buf_put(buf, &byte, 1);
}

static enum px_status put_same(struct px_buf *buf, int value, size_t n) {
  const enum px_status status = px_buf_room(buf, n);
  if (status || n == 0) return status;
  memset(buf->data + buf->len, value, n);
  buf->len += n;
  return PX_OK;
}

/* Known actions clamped into the range; 0 where not known. */
static enum px_status put_actions(struct px_segment_builder *b, const struct px_traj *traj,
                                  uint32_t labelled_n) {
  const size_t dims = b->spaces.act_dim;
  if (!b->has_actions && labelled_n > 0) { /* the first: those before had none */
    const enum px_status status = put_same(&b->actions, 0, b->steps_n * dims * sizeof(float));
    if (status) return status;
    b->has_actions = true;
  }
  if (!b->has_actions) return PX_OK;
  if (labelled_n == 0) return put_same(&b->actions, 0, traj->steps * dims * sizeof(float));
  const enum px_status status = px_buf_room(&b->actions, traj->steps * dims * sizeof(float));
  if (status) return status;
  float *out = (float *)(void *)(b->actions.data + b->actions.len);
  const float *low = b->spaces.act_low, *high = b->spaces.act_high;
  for (uint32_t t = 0; t < traj->steps; t++) {
    const float *in = traj->actions + t * dims;
    const bool known = !traj->labelled || traj->labelled[t];
    for (size_t j = 0; j < dims; j++) {
      const float above = in[j] > low[j] ? in[j] : low[j];
      const float inside = above < high[j] ? above : high[j];
      out[t * dims + j] = known ? inside : 0.0f;
    }
    if (known && b->spaces.act_count) b->class_n[(size_t)in[0]]++;
  }
  b->actions.len += traj->steps * dims * sizeof(float);
  return PX_OK;
}

/* A mask begins with the first partly labelled trajectory of a segment; for
 * those before it, their own flag says all or nothing. */
static enum px_status put_mask(struct px_segment_builder *b, const struct px_traj *traj,
                               uint32_t labelled_n) {
  enum px_status status = PX_OK;
  const bool part = labelled_n > 0 && labelled_n < traj->steps;
  if (part && !b->has_mask) {
    for (uint32_t i = 0; i < b->traj_n && !status; i++) {
      int64_t steps;
      memcpy(&steps, b->length.data + i * sizeof steps, sizeof steps);
      status = put_same(&b->mask, b->labelled.data[i], (size_t)steps);
    }
    b->has_mask = true;
  }
  if (status || !b->has_mask) return status;
  return part ? px_buf_put(&b->mask, traj->labelled, traj->steps)
              : put_same(&b->mask, labelled_n > 0, traj->steps);
}

static enum px_status append(struct px_segment_builder *b, const struct px_traj *traj,
                             uint32_t labelled_n) {
  const uint64_t obs = traj->steps + (uint64_t)traj->has_final;
  const int64_t steps = traj->steps;
  struct px_segment_row row = { .steps = traj->steps,
                                .labelled_n = labelled_n,
                                .has_final = traj->has_final,
                                .terminated = traj->terminated,
                                .truncated = traj->truncated || !traj->terminated };
  if (!traj->rewards) row.ret = (double)NAN;
  for (uint32_t t = 0; traj->rewards && t < traj->steps; t++) row.ret += (double)traj->rewards[t];
  enum px_status status = put_mask(b, traj, labelled_n);
  if (!status) status = put_actions(b, traj, labelled_n);
  if (!status) status = px_buf_put(&b->length, &steps, sizeof steps);
  if (!status)
    status =
      px_buf_put(&b->observations, traj->observations, obs * b->spaces.obs_dim * sizeof(float));
  if (!status && traj->rewards)
    status = px_buf_put(&b->rewards, traj->rewards, traj->steps * sizeof(float));
  if (!status) status = put_byte(&b->labelled, labelled_n > 0);
  if (!status) status = put_byte(&b->terminated, row.terminated);
  if (!status) status = put_byte(&b->truncated, row.truncated);
  if (!status) status = put_byte(&b->has_final, row.has_final);
  if (!status) status = px_buf_put(&b->rows, &row, sizeof row);
  px_running_stats_add(&b->moments, traj->observations, obs, b->spaces.obs_dim, b->scratch);
  b->has_rewards = traj->rewards;
  b->traj_n++;
  b->steps_n += traj->steps;
  b->obs_n += obs;
  b->labelled_n += labelled_n;
  return status;
}

/* How many of the tensors a segment has. */
static size_t list_tensors(const struct px_segment_builder *b,
                           struct px_safetensors_tensor tensors[9]) {
  const uint64_t n = b->traj_n, s = b->steps_n, o = b->spaces.obs_dim, a = b->spaces.act_dim;
  const struct px_safetensors_tensor all[] = {
    { "length", PX_DTYPE_I64, 1, { n }, b->length.data, 0, 0 },
    { "observations", PX_DTYPE_F32, 2, { b->obs_n, o }, b->observations.data, 0, 0 },
    { b->has_actions ? "actions" : NULL, PX_DTYPE_F32, 2, { s, a }, b->actions.data, 0, 0 },
    { b->has_rewards ? "rewards" : NULL, PX_DTYPE_F32, 1, { s }, b->rewards.data, 0, 0 },
    { "labelled", PX_DTYPE_U8, 1, { n }, b->labelled.data, 0, 0 },
    { b->has_mask ? "label_mask" : NULL, PX_DTYPE_U8, 1, { s }, b->mask.data, 0, 0 },
    { "terminated", PX_DTYPE_U8, 1, { n }, b->terminated.data, 0, 0 },
    { "truncated", PX_DTYPE_U8, 1, { n }, b->truncated.data, 0, 0 },
    { "has_final", PX_DTYPE_U8, 1, { n }, b->has_final.data, 0, 0 },
  };
  size_t k = 0;
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (all[i].name) tensors[k++] = all[i];
  return k;
}

static enum px_status seal(struct px_segment_builder *b, struct px_err *err) {
  if (b->traj_n == 0) return PX_OK;
  struct px_safetensors_tensor tensors[9];
  const size_t k = list_tensors(b, tensors);
  char count[16];
  snprintf(count, sizeof count, "%" PRIu32, b->spaces.act_count);
  const struct px_safetensors_meta meta[] = { { "format", "proxact.segment.1" },
                                              { "act_count", count } };
  const enum px_status status =
    px_safetensors_write(tensors, k, meta, b->spaces.act_count ? 2 : 1, &b->file, err);
  if (status) return status;
  struct px_segment segment = { .bytes = b->file.data,
                                .size = b->file.len,
                                .traj_n = b->traj_n,
                                .steps_n = b->steps_n,
                                .obs_n = b->obs_n,
                                .labelled_n = b->labelled_n,
                                .rows = (const struct px_segment_row *)(const void *)b->rows.data,
                                .obs = b->moments };
  memcpy(segment.class_n, b->class_n, sizeof segment.class_n);
  px_digest_sha256(segment.bytes, segment.size, segment.digest);
  const enum px_status given = b->sink.put(b->sink.ctx, &segment, err);
  begin(b);
  return given;
}

static enum px_status builder_put(void *ctx, const struct px_traj *traj, struct px_err *err) {
  struct px_segment_builder *b = ctx;
  enum px_status status = px_traj_check(&b->spaces, traj, b->seen, err);
  if (status) return status;
  const uint32_t labelled_n = count_labelled(traj);
  if (b->traj_n > 0 && !b->keep_whole &&
      (b->has_rewards != (traj->rewards != NULL) ||
       size_with(b, traj, labelled_n) > PX_SEGMENT_BYTES))
    status = seal(b, err);
  if (status) return status;
  if (size_with(b, traj, labelled_n) > PX_SEGMENT_MAX_BYTES)
    return px_fail(err, PX_E_TOO_LARGE,
                   b->keep_whole ? "with trajectory %" PRIu64 " a segment takes more than %d MiB"
                                 : "trajectory %" PRIu64 " alone takes more than %d MiB",
                   b->seen, PX_SEGMENT_MAX_BYTES >> 20);
  status = append(b, traj, labelled_n);
  if (status)
    return px_fail(err, status, "trajectory %" PRIu64 " could not be packed into a segment",
                   b->seen);
  b->seen++;
  return PX_OK;
}

void px_segment_builder_keep_whole(struct px_segment_builder *b) { b->keep_whole = true; }

struct px_traj_sink px_segment_builder_traj_sink(struct px_segment_builder *b) {
  return (struct px_traj_sink){ b, builder_put };
}

enum px_status px_segment_builder_end(struct px_segment_builder *b, struct px_err *err) {
  return seal(b, err);
}
