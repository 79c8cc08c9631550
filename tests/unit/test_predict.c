/* SPDX-License-Identifier: Apache-2.0 */
/* Predictions: bodies in and out, and labels of observations that are in no dataset. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/data/safetensors.h"
#include "lib/idm/predict.h"
#include "server/api/predict_body.h"
#include "tests/support/cu.h"
#include "tests/support/idm_world.h"

/* ---- bodies */

static void rows_come_in_order_from_both_formats(void) {
  const char text[] =
    "{\"observations\": [[[1, 2], [3, 4.5]], [[5, 6], [7, -8e0]], [[9,1],[2,3]]]}";
  const float rows[] = { 1, 2, 3, 4.5F, 5, 6, 7, -8, 9, 1, 2, 3 };
  struct predict_body a = { 0 }, b = { 0 };
  struct px_safetensors_tensor t = {
    .name = "observations", .dtype = PX_DTYPE_F32, .rank = 3, .dims = { 3, 2, 2 }, .data = rows
  };
  struct px_buf file = PX_BUF(1 << 16);
  struct px_err err;
  CU_OK(predict_body_json(text, strlen(text), 2, &a, &err), err);
  CU_OK(px_safetensors_write(&t, 1, NULL, 0, &file, &err), err);
  CU_OK(predict_body_safetensors(file.data, file.len, 2, &b, &err), err);
  CU_ASSERT_EQUAL(a.rank, 3);
  CU_ASSERT_EQUAL(a.n, 3);
  CU_ASSERT_EQUAL(a.length, 2);
  CU_ASSERT_EQUAL(memcmp(a.observations, rows, sizeof rows), 0);
  CU_ASSERT_EQUAL(b.rank, 3);
  CU_ASSERT_EQUAL(memcmp(b.observations, rows, sizeof rows), 0);
  free(a.observations), free(b.observations);
  px_buf_free(&file);
}

/* Refused with this code, at this place. */
static void refuses(const char *text, enum px_status code, const char *place) {
  struct predict_body body = { 0 };
  struct px_err err = { 0 };
  CU_ASSERT_EQUAL(predict_body_json(text, strlen(text), 2, &body, &err), code);
  CU_ASSERT_STRING_EQUAL(err.pointer, place);
  if (strcmp(err.pointer, place) != 0) printf("\n  %s: %s\n", text, err.message);
  free(body.observations);
}

static void what_is_wrong_is_named_by_its_place(void) {
  refuses("[[1, 2]]", PX_E_BAD_REQUEST, "");
  refuses("{\"observations\": 3}", PX_E_BAD_FIELD, "/observations");
  refuses("{\"observations\": [3]}", PX_E_BAD_FIELD, "/observations");
  refuses("{\"observations\": [[1, 2, 3]]}", PX_E_BAD_FIELD, "/observations");
  refuses("{\"observations\": [[1, 2], 3]}", PX_E_BAD_FIELD, "/observations/1/0");
  refuses("{\"observations\": [[1, 2], [1, \"2\"]]}", PX_E_BAD_FIELD, "/observations/1/1");
  refuses("{\"observations\": [[[1, 2], [3, 4]], [[1, 2]]]}", PX_E_BAD_FIELD,
          "/observations/1/0/0");
  refuses("{\"observations\": [[[1, 2], [3, 4]], [[1, 2], [3, 1e39]]]}", PX_E_BAD_FIELD,
          "/observations/1/1/1");
  refuses("{\"observations\": [[1, 2]], \"obs\": 1}", PX_E_BAD_FIELD, "");
}

static void tensors_are_refused_by_type_shape_and_numbers(void) {
  const float rows[] = { 1, 2, NAN, 4 };
  const double wide[] = { 1, 2 };
  const struct px_safetensors_tensor cases[] = {
    { .name = "observations", .dtype = PX_DTYPE_F64, .rank = 2, .dims = { 1, 2 }, .data = wide },
    { .name = "observations", .dtype = PX_DTYPE_F32, .rank = 1, .dims = { 2 }, .data = rows },
    { .name = "observations", .dtype = PX_DTYPE_F32, .rank = 2, .dims = { 0, 2 }, .data = rows },
    { .name = "observations", .dtype = PX_DTYPE_F32, .rank = 2, .dims = { 2, 2 }, .data = rows },
    { .name = "obs", .dtype = PX_DTYPE_F32, .rank = 2, .dims = { 1, 2 }, .data = rows },
  };
  static const char *const places[] = { "/observations", "/observations", "/observations",
                                        "/observations/1/0", "" };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct px_safetensors_tensor t = cases[i];
    struct predict_body body = { 0 };
    struct px_buf file = PX_BUF(1 << 16);
    struct px_err err = { 0 };
    CU_OK(px_safetensors_write(&t, 1, NULL, 0, &file, &err), err);
    CU_ASSERT_EQUAL(predict_body_safetensors(file.data, file.len, 2, &body, &err), PX_E_BAD_FIELD);
    CU_ASSERT_STRING_EQUAL(err.pointer, places[i]);
    free(body.observations);
    px_buf_free(&file);
  }
}

static void answers_have_the_shape_of_what_was_asked(void) {
  const float actions[] = { 1, 2, 3, 4, 5.5F, 6, 7, 8 }, classes[] = { 0, 3, 1, 2 };
  const struct predict_column columns[] = { { "actions", actions, 2, false },
                                            { "classes", classes, 0, true } };
  const struct predict_answer two = { "mdl_1", 2, 4, 1, columns, 2 },
                              three = { "mdl_1", 3, 2, 2, columns, 2 };
  struct px_buf text = PX_BUF(1 << 16), file = PX_BUF(1 << 16);
  struct px_safetensors *st;
  struct px_err err;
  CU_OK(predict_body_put_json(&two, &text, &err), err);
  CU_ASSERT_STRING_EQUAL(
    text.data,
    "{\"model\":\"mdl_1\",\"actions\":[[1,2],[3,4],[5.5,6],[7,8]],\"classes\":[0,3,1,2]}");
  text.len = 0;
  CU_OK(predict_body_put_json(&three, &text, &err), err);
  CU_ASSERT_STRING_EQUAL(
    text.data,
    "{\"model\":\"mdl_1\",\"actions\":[[[1,2],[3,4]],[[5.5,6],[7,8]]],\"classes\":[[0,3],[1,2]]}");
  CU_OK(predict_body_put_safetensors(&three, &file, &err), err);
  CU_OK(px_safetensors_parse(file.data, file.len, &st, &err), err);
  const void *data;
  CU_OK(px_safetensors_take(st, "actions", PX_DTYPE_F32, 3, (const uint64_t[]){ 2, 2, 2 }, &data,
                            &err),
        err);
  CU_OK(px_safetensors_take(st, "classes", PX_DTYPE_I64, 2, (const uint64_t[]){ 2, 2 }, &data,
                            &err),
        err);
  CU_ASSERT_EQUAL(((const int64_t *)data)[1], 3);
  px_safetensors_free(st);
  px_buf_free(&text), px_buf_free(&file);
}

/* ---- labels */

/* Of a trajectory's own observations they are what a label job gives it. */
static void observations_are_labelled_as_in_a_dataset(void) {
  struct px_dataset *ds = world_new(8);
  const struct idm_spec spec = world_spec(3, 20);
  struct idm_model *models[3];
  struct idm_metrics metrics;
  struct idm_label_work *work;
  struct px_spaces spaces;
  struct px_err err;
  for (uint32_t i = 0; i < 3; i++) models[i] = world_trained(ds, &spec, i, &metrics);
  CU_OK(idm_label_work_new(models, 3, &work, &err), err);
  idm_predict_spaces(models[0], &spaces);
  for (uint32_t i = 0; i < 2; i++) {
    struct idm_labels *told, *got;
    const uint32_t steps = (uint32_t)(ds->step_start[i + 1] - ds->step_start[i]);
    const struct idm_stretches given = { 1, steps + 1,
                                         ds->observations + ds->obs_start[i] * WORLD_O };
    CU_OK(idm_label(models, 3, ds, i, i + 1, NULL, &told, &err), err);
    CU_OK(idm_predict(work, &spaces, &given, &got, &err), err);
    CU_ASSERT_EQUAL_FATAL(got->steps_n, steps);
    for (uint32_t k = 0; k < steps * WORLD_A; k++) {
      CU_ASSERT_DOUBLE_EQUAL(got->actions[k], told->actions[k], 1e-6);
      CU_ASSERT_DOUBLE_EQUAL(got->std[k], told->std[k], 1e-6);
      CU_ASSERT_DOUBLE_EQUAL(got->epistemic[k], told->epistemic[k], 1e-6);
    }
    idm_labels_free(told), idm_labels_free(got);
  }
  idm_label_work_free(work);
  for (uint32_t i = 0; i < 3; i++) idm_model_free(models[i]);
  world_free(ds);
}

CU_MAIN("predict", T(rows_come_in_order_from_both_formats), T(what_is_wrong_is_named_by_its_place),
        T(tensors_are_refused_by_type_shape_and_numbers),
        T(answers_have_the_shape_of_what_was_asked), T(observations_are_labelled_as_in_a_dataset))
