/* SPDX-License-Identifier: Apache-2.0 */
/* Figures as documents show them: intervals, values that the rewards allow, and what is warned of
 * instead. */
#include <math.h>
#include <string.h>

#include "lib/base/warn.h"
#include "tests/support/cu.h"
#include "worker/jobs/figures.h"

/* The code of the document's only warning; "" if there is none. */
static const char *warned(const json_t *document) {
  const json_t *list = json_object_get(document, "warnings");
  CU_ASSERT_TRUE(json_array_size(list) <= 1);
  const char *code = json_string_value(json_object_get(json_array_get(list, 0), "code"));
  return code ? code : "";
}

static double at(const json_t *list, size_t i) {
  return json_number_value(json_array_get(list, i));
}

static void an_interval_needs_three_values(void) {
  const double x[] = { 1, 2, 3 };
  for (uint32_t n = 1; n <= 3; n++) {
    double mean;
    json_t *document = json_object(),
           *ci95 = figures_interval(x, n, "return_mean", "seeds", document, &mean);
    CU_ASSERT_DOUBLE_EQUAL(mean, (n + 1) / 2.0, 1e-12);
    CU_ASSERT_STRING_EQUAL(warned(document), n < 3 ? "no_interval" : "");
    CU_ASSERT_EQUAL(json_is_null(ci95), n == 2);
    if (n == 1) CU_ASSERT_TRUE(at(ci95, 0) == 1 && at(ci95, 1) == 1);
    /* Student's t, s = 1 */
    if (n == 3) CU_ASSERT_DOUBLE_EQUAL(at(ci95, 1) - 2, 4.302652730 / sqrt(3), 1e-6);
    json_decref(ci95);
    json_decref(document);
  }
}

static void intervals_of_huge_values_are_written(void) {
  const double x[] = { 1e200, -1e200, 1e200 }; /* their squares are beyond a double */
  double mean;
  json_t *document = json_object(),
         *ci95 = figures_interval(x, 3, "return_mean", "seeds", document, &mean);
  CU_ASSERT_EQUAL(json_array_size(ci95), 2);
  CU_ASSERT_TRUE(json_is_null(json_array_get(ci95, 0)));
  CU_ASSERT_STRING_EQUAL(warned(document), "not_finite");
  json_decref(ci95);
  json_decref(document);
}

static void bounds_follow_rewards_and_ends(void) {
  const struct {
    double min, max;
    bool ends;
    double gamma, low, high;
  } CASES[] = {
    { 1, 1, false, 0.99, 100, 100 }, { 1, 1, true, 0.99, 1, 100 },  { 0, 1, true, 0.9, 0, 10 },
    { -2, -1, false, 0.5, -4, -2 },  { -2, -1, true, 0.5, -4, -1 }, { -1, 3, false, 0.5, -2, 6 },
    { -1, 3, true, 0.5, -2, 6 },     { 2, 5, true, 0, 2, 5 },       { 0, 0, true, 1, 0, 0 },
    { 0, 1, true, 1, 0, HUGE_VAL },
  };
  for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
    const struct fqe_result r = { .reward_min = CASES[i].min,
                                  .reward_max = CASES[i].max,
                                  .ends = CASES[i].ends };
    const struct fqe_bounds b = fqe_bounds(&r, CASES[i].gamma);
    CU_ASSERT_TRUE(b.low == CASES[i].low || fabs(b.low - CASES[i].low) < 1e-9);
    CU_ASSERT_TRUE(b.high == CASES[i].high || fabs(b.high - CASES[i].high) < 1e-9);
  }
}

static void values_beyond_what_rewards_allow_are_refused(void) {
  const struct {
    double x[3];
    struct fqe_bounds bounds;
    double mean;
  } CASES[] = {
    { { 10, 20, 30 }, { 0, 100 }, 20 },
    /* a net errs: within a twentieth it is the bound */
    { { 103, 100, -4 }, { 0, 100 }, 200.0 / 3 },
    { { 106, 50, 50 }, { 0, 100 }, (double)NAN },
    { { 27478036, 27478036, 27478036 }, { 100, 100 }, (double)NAN },
    { { -6, -6, -6 }, { 0, 100 }, (double)NAN },
    { { -50, -60, -70 }, { -100, -10 }, -60 },
    { { -5, -60, -70 }, { -100, -10 }, (-10 - 60 - 70) / 3.0 },
    { { 0, -60, -70 }, { -100, -10 }, (double)NAN },
    { { (double)NAN, 1, 1 }, { 0, 100 }, (double)NAN },
    { { HUGE_VAL, 1, 1 }, { 0, HUGE_VAL }, (double)NAN },
    { { 1e9, 1e9, 1e9 }, { 0, HUGE_VAL }, 1e9 },
    { { 0, 0, 0 }, { 0, 0 }, 0 },
  };
  for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
    double x[3];
    memcpy(x, CASES[i].x, sizeof x);
    json_t *document = json_object(),
           *found = figures_values(x, 3, CASES[i].bounds, "fqe", document);
    const bool refused = isnan(CASES[i].mean);
    CU_ASSERT_EQUAL(json_is_null(json_object_get(found, "mean")), refused);
    CU_ASSERT_EQUAL(json_is_null(json_object_get(found, "ci95")), refused);
    CU_ASSERT_STRING_EQUAL(warned(document), refused ? "value_refused" : "");
    if (!refused)
      CU_ASSERT_DOUBLE_EQUAL(json_number_value(json_object_get(found, "mean")), CASES[i].mean,
                             1e-9);
    char *text = json_dumps(document, 0);
    CU_ASSERT_PTR_NOT_NULL(text); /* whatever the values were */
    free(text);
    json_decref(found);
    json_decref(document);
  }
}

CU_MAIN("figures", T(an_interval_needs_three_values), T(intervals_of_huge_values_are_written),
        T(bounds_follow_rewards_and_ends), T(values_beyond_what_rewards_allow_are_refused))
