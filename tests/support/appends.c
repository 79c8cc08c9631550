/* SPDX-License-Identifier: Apache-2.0 */
/* Appends for tests of the store: see appends.h. */
#include "tests/support/appends.h"

#include <jansson.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/rng.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"
#include "lib/store/append.h"
#include "lib/store/blob.h"
#include "lib/store/datasets.h"
#include "lib/store/jobs.h"
#include "lib/store/store.h"
#include "lib/store/uploads.h"
#include "tests/support/cu.h"
#include "tests/support/db.h"
#include "tests/support/trajs.h"

const struct px_spaces appends_spaces = {
  .obs_dim = APPENDS_OBS, .act_dim = APPENDS_ACT, .act_low = { -1, -2 }, .act_high = { 1, 2.5f }
};

struct store *appends_store(void) {
  struct store *store = db_test_open("data");
  db_sql("truncate datasets, jobs, blobs cascade");
  return store;
}

json_t *appends_parsed(struct px_buf *text) {
  json_t *doc = json_loads(text->data, 0, NULL);
  CU_ASSERT_PTR_NOT_NULL_FATAL(doc);
  px_buf_free(text);
  return doc;
}

json_t *appends_document(struct store *store, const char *id, int64_t *version) {
  struct px_err err;
  struct px_buf text = PX_BUF(1 << 20);
  CU_OK(store_dataset_document(store, id, &text, version, &err), err);
  return appends_parsed(&text);
}

double appends_number(const json_t *doc, const char *name) {
  return json_number_value(json_object_get(doc, name));
}

enum px_status appends_to_store(void *ctx, const struct px_segment *segment, struct px_err *err) {
  struct appends_target *t = ctx;
  return store_append_segment(t->append, t->store[t->turn++ % 2], segment, err);
}

static void push_one(struct px_traj_sink sink, struct px_rng *rng, struct appends_sums *p) {
  enum { T_MAX = 4000 };
  static float obs[(T_MAX + 1) * APPENDS_OBS], act[T_MAX * APPENDS_ACT], rew[T_MAX];
  const uint32_t steps = 1 + px_rng_below(rng, T_MAX);
  const bool final = px_rng_below(rng, 2), labelled = px_rng_below(rng, 3) == 0;
  double ret = 0;
  for (uint32_t i = 0; i < (steps + final) * APPENDS_OBS; i++) {
    obs[i] = px_rng_float(rng) * 10 + (float)(i % APPENDS_OBS) * 100;
    p->sum[i % APPENDS_OBS] += (double)obs[i];
    p->sum2[i % APPENDS_OBS] += (double)obs[i] * (double)obs[i];
  }
  for (uint32_t i = 0; i < steps * APPENDS_ACT; i++) act[i] = px_rng_float(rng) - 0.5f;
  for (uint32_t i = 0; i < steps; i++) ret += (double)(rew[i] = px_rng_float(rng));
  const struct px_traj traj = { .steps = steps,
                                .observations = obs,
                                .actions = labelled ? act : NULL,
                                .rewards = rew,
                                .terminated = final,
                                .truncated = !final,
                                .has_final = final };
  struct px_err err;
  CU_OK(sink.put(sink.ctx, &traj, &err), err);
  p->returns[p->n] = ret;
  p->lengths[p->n++] = (int)steps;
  p->obs_n += steps + final;
  p->steps_n += steps;
  p->labelled_n += labelled;
  p->labelled_steps_n += labelled ? steps : 0;
}

struct store_append *appends_prepare(struct store *a, struct store *b, const char *id,
                                     uint64_t seed, int n, struct appends_sums *p) {
  struct px_err err;
  struct appends_target target = { .store = { a, b } };
  CU_OK(store_append_begin(id, APPENDS_OBS, &target.append, &err), err);
  struct px_segment_builder *builder =
    px_segment_builder_new(&appends_spaces, (struct px_segment_sink){ &target, appends_to_store });
  CU_ASSERT_PTR_NOT_NULL_FATAL(builder);
  struct px_rng rng = px_rng_at(seed, 0, 0);
  for (int i = 0; i < n; i++) push_one(px_segment_builder_traj_sink(builder), &rng, p);
  CU_OK(px_segment_builder_end(builder, &err), err);
  px_segment_builder_free(builder);
  return target.append;
}

void appends_run(struct store *a, struct store *b, const char *id, uint64_t seed, int n,
                 struct appends_sums *p) {
  struct px_err err;
  struct store_append *made = appends_prepare(a, b, id, seed, n, p);
  CU_OK(store_append_commit(made, a, NULL, NULL, &err), err);
  store_append_free(made);
}
