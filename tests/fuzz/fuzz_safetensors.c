/* SPDX-License-Identifier: Apache-2.0 */
/* Hostile safetensors: as a container, a segment, an upload and a label segment. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/data/labels.h"
#include "lib/data/safetensors.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"
#include "lib/read/read_safetensors.h"
#include "tests/support/fuzz.h"
#include "tests/support/trajs.h"

enum { O = 3, A = 2 };
static struct px_spaces spaces;

static void container(const uint8_t *bytes, size_t n) {
  struct px_safetensors *st = NULL;
  struct px_err err = { 0 };
  const enum px_status status = px_safetensors_parse(bytes, n, &st, &err);
  FUZZ_HOLDS(status == PX_OK || (status == PX_E_BAD_DATA && err.message[0]));
  if (status) return;
  const uint8_t *at = NULL;
  for (size_t i = 0; i < px_safetensors_tensors_n(st); i++) {
    const struct px_safetensors_tensor *t = px_safetensors_at(st, i);
    FUZZ_HOLDS((const uint8_t *)t->data > bytes &&
               (const uint8_t *)t->data + t->bytes <= bytes + n);
    FUZZ_HOLDS(!at || at == t->data);
    at = (const uint8_t *)t->data + t->bytes;
  }
  FUZZ_HOLDS(px_safetensors_tensors_n(st) == 0 || at == bytes + n);
  px_safetensors_free(st);
}

static enum px_status count_traj(void *ctx, const struct px_traj *traj, struct px_err *err) {
  uint64_t *steps = ctx;
  FUZZ_HOLDS(px_traj_check(&spaces, traj, 0, err) == PX_OK);
  *steps += traj->steps;
  return PX_OK;
}

/* What opens as a segment is whole: every trajectory can be read through. */
static void segment(const uint8_t *bytes, size_t n) {
  struct px_segment_view v;
  struct px_err err = { 0 };
  uint64_t read = 0;
  const struct px_traj_sink sink = { &read, count_traj };
  const enum px_status uploaded = px_read_safetensors_bytes(bytes, n, &spaces, &sink, &err);
  FUZZ_HOLDS(uploaded == PX_OK || uploaded == PX_E_BAD_DATA);
  if (px_segment_open(bytes, n, &spaces, &v, &err) != PX_OK) return;
  uint64_t step = 0, obs = 0;
  struct px_spaces wide = spaces; /* opening does not check the range again */
  for (uint32_t j = 0; j < spaces.act_dim && !spaces.act_count; j++) {
    wide.act_low[j] = -1e38f;
    wide.act_high[j] = 1e38f;
  }
  bool within = true;
  for (uint32_t i = 0; i < v.traj_n; i++) {
    const struct px_traj t = px_segment_traj(&v, i, step, obs, &spaces);
    within = within && px_traj_check(&wide, &t, i, &err) == PX_OK;
    step += t.steps;
    obs += t.steps + (uint64_t)t.has_final;
  }
  FUZZ_HOLDS(step == v.steps_n && obs == v.obs_n);
  FUZZ_HOLDS(uploaded != PX_OK || (within && read == v.steps_n));
  px_segment_close(&v);
}

static void labels(const uint8_t *bytes, size_t n) {
  struct px_label_view v;
  struct px_err err = { 0 };
  if (px_label_open(bytes, n, &spaces, 20, &v, &err) != PX_OK) return;
  double sum = 0;
  for (uint64_t k = 0; k < 20 * spaces.act_dim; k++)
    sum += (double)(v.rows.actions[k] + v.rows.std[k] + v.rows.epistemic[k]);
  FUZZ_HOLDS(sum == sum);
  px_label_close(&v);
}

static void one(const uint8_t *bytes, size_t n) {
  container(bytes, n);
  for (int discrete = 0; discrete < 2; discrete++) {
    spaces = discrete ? trajs_discrete(O, 3) : trajs_spaces(O, A);
    segment(bytes, n);
    labels(bytes, n);
  }
}

/* An upload of two trajectories whose actions are integers. */
static void put_classes(struct px_buf *out) {
  static const int64_t length[] = { 2, 1 }, classes[] = { 0, 2, 1 };
  static const float observations[3 * O], rewards[3];
  static const uint8_t terminated[] = { 1, 0 };
  struct px_safetensors_tensor tensors[] = {
    { "length", PX_DTYPE_I64, 1, { 2 }, length, 0, 0 },
    { "actions", PX_DTYPE_I64, 1, { 3 }, classes, 0, 0 },
    { "observations", PX_DTYPE_F32, 2, { 3, O }, observations, 0, 0 },
    { "rewards", PX_DTYPE_F32, 1, { 3 }, rewards, 0, 0 },
    { "terminated", PX_DTYPE_U8, 1, { 2 }, terminated, 0, 0 },
  };
  struct px_err err = { 0 };
  FUZZ_HOLDS(px_safetensors_write(tensors, sizeof tensors / sizeof *tensors, NULL, 0, out, &err) ==
             PX_OK);
}

int main(int argc, char **argv) {
  spaces = trajs_spaces(O, A);
  struct fuzz_seed seeds[FUZZ_SEEDS_MAX];
  struct segments packed[3] = { 0 };
  size_t n = 0;
  for (int kind = 0; kind < 3; kind++) { /* nothing labelled, all, part */
    struct trajs list = { .spaces = spaces };
    for (uint64_t i = 0; i < 3; i++) trajs_add(&list, 4, (enum trajs_labels)kind, i);
    if (segments_pack(&packed[kind], &list)) return 1;
    seeds[n++] = (struct fuzz_seed){ packed[kind].items[0].bytes, packed[kind].items[0].size };
    trajs_free(&list);
  }
  const float zeros[20 * A] = { 0 };
  const uint8_t known[20] = { 1, 1, 0, 1 };
  const struct px_label_rows rows = { .steps_n = 20,
                                      .actions = zeros,
                                      .std = zeros,
                                      .epistemic = zeros,
                                      .score = zeros,
                                      .known = known };
  struct px_buf file = PX_BUF(FUZZ_BYTES_MAX);
  struct px_err err = { 0 };
  if (px_label_write(&spaces, &rows, &file, &err)) return 1;
  seeds[n++] = (struct fuzz_seed){ file.data, file.len };
  static const char BARE[] = "\x40\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_"
                             "offsets\":[0,4]}}            abcd";
  seeds[n++] = (struct fuzz_seed){ BARE, sizeof BARE - 1 };
  struct px_buf classes = PX_BUF(FUZZ_BYTES_MAX);
  put_classes(&classes);
  seeds[n++] = (struct fuzz_seed){ classes.data, classes.len };
  const int rc = fuzz_run(argc, argv, one, seeds, n, 20000);
  for (int kind = 0; kind < 3; kind++) segments_free(&packed[kind]);
  px_buf_free(&file);
  px_buf_free(&classes);
  return rc;
}
