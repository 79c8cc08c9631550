/* SPDX-License-Identifier: Apache-2.0 */
/* Label segments, and the union of true and proxy actions. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/data/actions_merged.h"
#include "lib/data/dataset.h"
#include "lib/data/labels.h"
#include "lib/data/spaces.h"
#include "tests/support/cu.h"
#include "tests/support/trajs.h"

enum { A = 2 };

/* Made-up labels; every seventh step is unknown. */
struct made {
  float *actions, *std, *epistemic, *score, *residual;
  uint8_t *known, *verified, *origin;
  struct px_label_rows rows;
};

static struct made make(const struct px_spaces *spaces, uint64_t n, uint64_t seed) {
  struct made m = { .actions = px_mem_calloc(n * A, 4),
                    .std = px_mem_calloc(n * A, 4),
                    .epistemic = px_mem_calloc(n * A, 4),
                    .score = px_mem_calloc(n, 4),
                    .residual = px_mem_calloc(n, 4),
                    .known = px_mem_calloc(n, 1),
                    .verified = px_mem_calloc(n, 1),
                    .origin = px_mem_calloc(n, 1) };
  struct px_rng rng = px_rng_at(seed, 0, 0);
  for (uint64_t k = 0; k < n * A; k++) {
    m.known[k / A] = (k / A) % 7 != 3;
    if (!m.known[k / A]) continue;
    m.actions[k] = px_rng_float(&rng) - 0.5f;
    m.std[k] = px_rng_float(&rng);
    m.epistemic[k] = px_rng_float(&rng);
  }
  px_label_scores(spaces, m.std, m.epistemic, m.known, n, m.score);
  m.rows = (struct px_label_rows){ .steps_n = n,
                                   .actions = m.actions,
                                   .std = m.std,
                                   .epistemic = m.epistemic,
                                   .score = m.score,
                                   .known = m.known };
  return m;
}

/* As if a simulator had given every other label, and verified every fourth. */
static void simulate(struct made *m) {
  for (uint64_t t = 0; t < m->rows.steps_n; t++) {
    if (!m->known[t]) continue;
    m->residual[t] = 0.001f * (float)t;
    m->origin[t] = t % 2 == 0 ? PX_ORIGIN_SIMULATOR : PX_ORIGIN_IDM;
    m->verified[t] = t % 4 == 0;
  }
  m->rows.residual = m->residual, m->rows.verified = m->verified, m->rows.origin = m->origin;
}

static void drop(struct made *m) {
  free(m->actions);
  free(m->std);
  free(m->epistemic);
  free(m->score);
  free(m->residual);
  free(m->known);
  free(m->verified);
  free(m->origin);
}

static struct px_buf written(const struct px_spaces *spaces, const struct px_label_rows *rows) {
  struct px_buf out = PX_BUF(1 << 24);
  struct px_err err = { 0 };
  CU_OK(px_label_write(spaces, rows, &out, &err), err);
  return out;
}

static void labels_come_back_at_any_address(void) {
  const struct px_spaces spaces = trajs_spaces(3, A);
  struct made m = make(&spaces, 100, 1);
  struct px_buf file = written(&spaces, &m.rows);
  char *shifted = malloc(file.len + 1);
  for (size_t shift = 0; shift < 2; shift++) {
    memcpy(shifted + shift, file.data, file.len);
    struct px_label_view view;
    struct px_err err = { 0 };
    CU_OK(px_label_open(shifted + shift, file.len, &spaces, 100, &view, &err), err);
    CU_ASSERT_EQUAL(memcmp(view.rows.actions, m.actions, 100 * A * 4), 0);
    CU_ASSERT_EQUAL(memcmp(view.rows.std, m.std, 100 * A * 4), 0);
    CU_ASSERT_EQUAL(memcmp(view.rows.epistemic, m.epistemic, 100 * A * 4), 0);
    CU_ASSERT_EQUAL(memcmp(view.rows.score, m.score, 100 * 4), 0);
    CU_ASSERT_EQUAL(memcmp(view.rows.known, m.known, 100), 0);
    px_label_close(&view);
    CU_ASSERT_EQUAL(px_label_open(shifted + shift, file.len, &spaces, 99, &view, &err),
                    PX_E_BAD_DATA);
    CU_ASSERT_EQUAL(px_label_open(shifted + shift, file.len - 1, &spaces, 100, &view, &err),
                    PX_E_BAD_DATA);
  }
  free(shifted);
  px_buf_free(&file);
  drop(&m);
}

static void a_simulators_columns_are_there_only_if_one_took_part(void) {
  const struct px_spaces spaces = trajs_spaces(3, A);
  struct made m = make(&spaces, 100, 1);
  struct px_buf plain = written(&spaces, &m.rows);
  simulate(&m);
  struct px_buf file = written(&spaces, &m.rows);
  struct px_label_view view;
  struct px_err err = { 0 };
  CU_OK(px_label_open(plain.data, plain.len, &spaces, 100, &view, &err), err);
  CU_ASSERT(!view.rows.origin && !view.rows.verified && !view.rows.residual);
  px_label_close(&view);
  CU_OK(px_label_open(file.data, file.len, &spaces, 100, &view, &err), err);
  CU_ASSERT_EQUAL(memcmp(view.rows.actions, m.actions, 100 * A * 4), 0);
  CU_ASSERT_EQUAL(memcmp(view.rows.residual, m.residual, 100 * 4), 0);
  CU_ASSERT_EQUAL(memcmp(view.rows.verified, m.verified, 100), 0);
  CU_ASSERT_EQUAL(memcmp(view.rows.origin, m.origin, 100), 0);
  px_label_close(&view);
  struct {
    float *residual;
    uint8_t *flag;
  } cases[] = { { &m.residual[4], NULL },
                { &m.residual[3], NULL },
                { NULL, &m.origin[3] },
                { NULL, &m.verified[3] } };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) { /* of step 3 no label is known */
    const struct made kept = m;
    const float residual = cases[i].residual ? *cases[i].residual : 0;
    const uint8_t flag = cases[i].flag ? *cases[i].flag : 0;
    if (cases[i].residual) *cases[i].residual = i ? 1 : -1;
    else *cases[i].flag = 1;
    struct px_buf out = PX_BUF(1 << 20);
    CU_ASSERT_EQUAL(px_label_write(&spaces, &kept.rows, &out, &err), PX_E_BAD_DATA);
    if (cases[i].residual) *cases[i].residual = residual;
    else *cases[i].flag = flag;
    px_buf_free(&out);
  }
  px_buf_free(&plain);
  px_buf_free(&file);
  drop(&m);
}

static void the_score_is_the_total_deviation_in_units_of_the_range(void) {
  const struct px_spaces spaces = trajs_spaces(3, 2); /* [-1, 1] and [-2, 2] */
  const float std[] = { 0.3f, 0.6f, 9, 9 }, epistemic[] = { 0.4f, 0.8f, 9, 9 };
  const uint8_t known[] = { 1, 0 };
  float score[2];
  float total[4];
  px_label_totals(&spaces, std, epistemic, 2, total);
  /* 3, 4, 5: what is published is both parts together */
  CU_ASSERT_DOUBLE_EQUAL(total[0], 0.5, 1e-6);
  CU_ASSERT_DOUBLE_EQUAL(total[1], 1, 1e-6);
  px_label_scores(&spaces, std, epistemic, known, 2, score);
  CU_ASSERT_DOUBLE_EQUAL((double)score[0], (0.5 + 1.0 / 2) / 2, 1e-6);
  CU_ASSERT_EQUAL(score[1], 0.0f);
}

static void rows_that_break_a_rule_are_refused(void) {
  const struct px_spaces spaces = trajs_spaces(3, A);
  struct made m = make(&spaces, 10, 1);
  struct px_buf out = PX_BUF(1 << 20);
  struct px_err err = { 0 };
  struct {
    float *at;
    float value;
  } cases[] = {
    { &m.actions[0], NAN },        { &m.actions[0], 1.5f }, { &m.std[1], -0.1f },
    { &m.epistemic[2], INFINITY }, { &m.score[0], -1 },     { &m.score[0], NAN },
    { &m.actions[3 * A], 0.5f },   { &m.score[3], 0.5f },
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const float good = *cases[i].at;
    *cases[i].at = cases[i].value;
    CU_ASSERT_EQUAL(px_label_write(&spaces, &m.rows, &out, &err), PX_E_BAD_DATA);
    *cases[i].at = good;
  }
  m.known[0] = 2;
  CU_ASSERT_EQUAL(px_label_write(&spaces, &m.rows, &out, &err), PX_E_BAD_DATA);
  CU_ASSERT_EQUAL(out.len, 0);
  px_buf_free(&out);
  drop(&m);
}

static struct px_dataset *loaded(const struct segments *segments) {
  struct px_err err = { 0 };
  struct px_dataset *ds = NULL;
  struct px_dataset_builder *b = px_dataset_builder_new(&segments->spaces);
  for (size_t i = 0; i < segments->n; i++)
    CU_OK(px_dataset_builder_segment(b, segments->items[i].bytes, segments->items[i].size, &err),
          err);
  CU_OK(px_dataset_builder_end(b, &ds, &err), err);
  return ds;
}

static void the_union_takes_truth_first_then_proxy_then_nothing(void) {
  struct trajs list = { .spaces = trajs_spaces(11, A) };
  trajs_fill(&list, 400, 700, 9);
  struct segments segments = { 0 };
  CU_ASSERT_EQUAL_FATAL(segments_pack(&segments, &list), PX_OK);
  CU_ASSERT_TRUE_FATAL(segments.n > 1 && segments.n < 8);
  struct px_dataset *ds = loaded(&segments);
  struct made made[8];
  struct px_buf files[8];
  struct px_label_bytes bytes[8];
  for (size_t i = 0; i < segments.n; i++) {
    made[i] = make(&list.spaces, segments.items[i].info.steps_n, i);
    if (i % 2) simulate(&made[i]);
    files[i] = written(&list.spaces, &made[i].rows);
    bytes[i] = (struct px_label_bytes){ files[i].data, files[i].len };
  }
  struct px_actions_merged *u = NULL;
  struct px_err err = { 0 };
  CU_ASSERT_EQUAL(px_actions_merged_from_labels(ds, bytes, (uint32_t)segments.n - 1, &u, &err),
                  PX_E_BAD_DATA);
  CU_OK(px_actions_merged_from_labels(ds, bytes, (uint32_t)segments.n, &u, &err), err);
  uint64_t at = 0, true_n = 0, proxy_n = 0;
  for (size_t i = 0; i < segments.n; i++) {
    for (uint64_t t = 0; t < made[i].rows.steps_n; t++, at++) {
      const enum px_source source = ds->labelled[at]   ? PX_SOURCE_TRUE
                                    : made[i].known[t] ? PX_SOURCE_PROXY
                                                       : PX_SOURCE_NONE;
      const float zero[A] = { 0 };
      const float *action = source == PX_SOURCE_TRUE ? ds->actions + at * A
                            : source                 ? made[i].actions + t * A
                                                     : zero;
      CU_ASSERT_EQUAL(u->source[at], source);
      CU_ASSERT_EQUAL(memcmp(u->actions + at * A, action, sizeof zero), 0);
      CU_ASSERT_EQUAL(u->score[at], source == PX_SOURCE_PROXY ? made[i].score[t] : 0.0f);
      CU_ASSERT_EQUAL(u->verified[at],
                      source == PX_SOURCE_PROXY && made[i].rows.origin && made[i].verified[t]);
      true_n += source == PX_SOURCE_TRUE;
      proxy_n += source == PX_SOURCE_PROXY;
    }
  }
  CU_ASSERT_EQUAL(at, ds->steps_n);
  CU_ASSERT_EQUAL(u->true_n, true_n);
  CU_ASSERT_EQUAL(u->proxy_n, proxy_n);
  CU_ASSERT_TRUE(true_n > 0 && proxy_n > 0 && true_n + proxy_n < at);
  /* once only */
  CU_ASSERT_EQUAL(px_actions_merged_add(u, 0, bytes[0].bytes, bytes[0].n, &err), PX_E_BAD_DATA);
  CU_ASSERT_EQUAL(px_actions_merged_add(u, 8, bytes[0].bytes, bytes[0].n, &err), PX_E_BAD_DATA);
  px_actions_merged_free(u);
  for (size_t i = 0; i < segments.n; i++) {
    drop(&made[i]);
    px_buf_free(&files[i]);
  }
  px_dataset_free(ds);
  trajs_free(&list);
  segments_free(&segments);
}

CU_MAIN("labels", T(labels_come_back_at_any_address),
        T(a_simulators_columns_are_there_only_if_one_took_part),
        T(the_score_is_the_total_deviation_in_units_of_the_range),
        T(rows_that_break_a_rule_are_refused),
        T(the_union_takes_truth_first_then_proxy_then_nothing))
