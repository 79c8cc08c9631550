/* SPDX-License-Identifier: Apache-2.0 */
/* Users' models (lib/sim/mjcf.h): what is refused before it is compiled, what the helper refuses,
 * and what passes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/sim/mjcf.h"
#include "tests/support/cu.h"

#define BODY \
  "<worldbody><body><joint name=\"j\" type=\"hinge\"/><geom size=\".1\"/></body></worldbody>"
#define DRIVE "<actuator><motor joint=\"j\"/></actuator>"
#define MODEL(more) "<mujoco>" more BODY DRIVE "</mujoco>"
/* Its compiler makes 810,000 bodies of it. */
#define GRID \
  "<mujoco><worldbody><body><freejoint/><composite type=\"grid\" count=\"900 900 1\" " \
  "spacing=\".1\">" \
  "<geom size=\".01\"/></composite></body></worldbody></mujoco>"

static struct px_err err;

static char *read_model(const char *path, size_t *n) {
  FILE *f = fopen(path, "rb");
  CU_ASSERT_PTR_NOT_NULL_FATAL(f);
  char *text = malloc(PX_MJCF_BYTES_MAX);
  *n = fread(text, 1, PX_MJCF_BYTES_MAX, f);
  fclose(f);
  return text;
}

static void models_that_stand_alone_are_compiled_and_measured(void) {
  static const struct {
    const char *name;
    uint32_t nq, nv, nu;
  } MODELS[] = { { "hopper", 6, 6, 3 }, { "walker2d", 9, 9, 6 }, { "halfcheetah", 9, 9, 6 } };
  for (size_t i = 0; i < 3; i++) {
    char path[64];
    size_t n;
    struct px_mjcf_model model;
    snprintf(path, sizeof path, "worker/env/mjcf/%s.xml", MODELS[i].name);
    char *text = read_model(path, &n);
    CU_OK(px_mjcf_check(text, n, 0, 4, &model, &err), err);
    CU_ASSERT(model.nq == MODELS[i].nq && model.nv == MODELS[i].nv && model.nu == MODELS[i].nu);
    CU_ASSERT(model.time_step > 0 && model.step_s >= 0 && 4 * model.step_s < PX_MJCF_STEP_S);
    free(text);
  }
}

static struct px_err why; /* of what was refused last */

static void refused(const char *text, const char *says) {
  struct px_mjcf_model model;
  why = (struct px_err){ .code = PX_OK };
  const enum px_status status = px_mjcf_check(text, strlen(text), 0, 1, &model, &why);
  if (status != PX_E_BAD_FIELD) printf("\n  status %d (%s) of %.200s\n", status, why.message, text);
  CU_ASSERT_EQUAL(status, PX_E_BAD_FIELD);
  CU_ASSERT_STRING_EQUAL(why.pointer, "/mjcf");
  if (!strstr(why.message, says)) printf("\n  '%s' lacks '%s'\n", why.message, says);
  CU_ASSERT_PTR_NOT_NULL(strstr(why.message, says));
}

static void what_reaches_out_of_the_text_is_refused_with_its_place(void) {
  refused(MODEL("\n<asset>\n<mesh file=\"/etc/passwd\"/></asset>"),
          "line 3: <mesh> has the attribute file");
  refused(MODEL("<asset><texture type=\"cube\" fileright=\"a.png\"/></asset>"),
          "<texture> has the attribute fileright");
  refused(MODEL("<asset><hfield name=\"h\" file='h.png' size=\"1 1 1 1\"/></asset>"),
          "<hfield> has the attribute file");
  refused(MODEL("<asset><skin file=\"s.skn\"/></asset>"), "<skin> has the attribute file");
  refused(MODEL("<include file=\"other.xml\"/>"), "<include> is not taken");
  refused(MODEL("<extension><plugin plugin=\"x\"/></extension>"), "<extension> is not taken");
  refused("<!DOCTYPE m [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]>" MODEL(""), "declarations");
  refused("<robot name=\"urdf\"/>", "<robot>, not <mujoco>");
  refused("<mujoco><![CDATA[<mesh file=\"a\"/>]]></mujoco>", "declarations, sections");
}

static void what_is_no_xml_is_refused(void) {
  static const struct {
    const char *text, *says;
  } CASES[] = {
    { "", "1 to" },
    { "hello", "text between" },
    { "<mujoco>", "not closed" },
    { "<mujoco></mujo>", "closes nothing" },
    { "<mujoco/><mujoco/>", "second root" },
    { "<mujoco a=1/>", "not quoted" },
    { "<mujoco a=\"1/>", "does not end" },
    { "<mujoco><!-- </mujoco>", "comment" },
    { "<?xml version=\"1.0\"", "does not end" },
    { "<mujoco></mujoco>text", "text between" },
    { "<>", "without a name" },
    { "   ", "no element" },
  };
  for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) refused(CASES[i].text, CASES[i].says);
  CU_ASSERT_EQUAL(px_mjcf_scan("<mujoco>\0</mujoco>", 18, &err), PX_E_BAD_FIELD);
  struct px_buf deep = PX_BUF(1 << 20);
  for (int i = 0; i < 100; i++)
    CU_ASSERT_EQUAL_FATAL(px_buf_puts(&deep, i ? "<body>" : "<mujoco>"), PX_OK);
  refused(deep.data, "more than 64 deep");
  px_buf_free(&deep);
}

static void what_a_compiler_or_a_simulation_cannot_take_is_refused(void) {
  refused("<mujoco><worldbody/></mujoco>", "no joint");
  refused("<mujoco>" BODY "</mujoco>", "no actuator");
  refused(MODEL("<option timestep=\"1e-9\"/>"), "physics step of 1e-09 s");
  refused(MODEL("<option timestep=\"-1\"/>"), "physics step");
  refused(MODEL("<option gravity=\"nan nan nan\"/>"), "");
  refused("<mujoco><option gravity=\"0 0 1e300\"/><worldbody><body><joint name=\"j\" "
          "type=\"slide\"/><geom size=\".1\"/></body>"
          "</worldbody>" DRIVE "</mujoco>",
          "goes astray");
  refused(MODEL("<bogus/>"), "bogus");
  refused(MODEL("<size nstack=\"2000000000\"/>"), "");
  refused(MODEL("<asset><texture name=\"t\" type=\"2d\" builtin=\"checker\" width=\"60000\" "
                "height=\"60000\"/></asset>"),
          "");
}

/* MuJoCo tells so in three ways: by a message, by one while it loads, and by an exception of
 * C++. */
static void want_of_memory_is_told_with_the_bound(void) {
  static const char *const MODELS[] = {
    MODEL("<size nstack=\"2000000000\"/>"),
    MODEL("<size nconmax=\"2000000\" njmax=\"2000000\"/>"),
    MODEL("<asset><hfield name=\"h\" nrow=\"60000\" ncol=\"60000\" size=\"1 1 1 1\"/></asset>"),
    MODEL("<size nuser_body=\"200000000\"/>"),
  };
  for (size_t i = 0; i < sizeof MODELS / sizeof *MODELS && !PX_SANITIZED; i++) {
    refused(MODELS[i], "ran out of memory");
    CU_ASSERT_PTR_NOT_NULL(strstr(why.hint, "1024 MiB"));
  }
}

static void messages_of_several_lines_become_one(void) {
  refused(MODEL("<bogus/>"), "unrecognized element; Element 'bogus', line 1");
  CU_ASSERT_PTR_NULL(strchr(why.message, '?'));
  refused("<mujoco>" BODY "<actuator><motor joint=\"nope\"/></actuator></mujoco>",
          "id = 0; Object name");
}

static void a_byte_order_mark_is_no_text(void) {
  static const char TEXT[] = "\xEF\xBB\xBF<?xml version=\"1.0\"?>\n" MODEL("");
  struct px_mjcf_model model;
  CU_OK(px_mjcf_check(TEXT, sizeof TEXT - 1, 0, 1, &model, &err), err);
  CU_ASSERT_EQUAL(model.nv, 1);
  refused("<mujoco/>\xEF\xBB\xBF", "text between");
}

/* A model that multiplies its bodies: as many as the compiler would make of it. */
static void a_model_that_grows_without_bound_ends_with_its_helper(void) {
  refused(GRID, "");
  struct px_buf many = PX_BUF(1 << 20);
  CU_ASSERT_EQUAL_FATAL(px_buf_puts(&many, "<mujoco><worldbody>"), PX_OK);
  for (int i = 0; i < 1500; i++)
    CU_ASSERT_EQUAL_FATAL(
      px_buf_fmt(&many, "<body pos=\"0 0 %d\"><joint/><geom size=\"9\"/></body>", i % 7), PX_OK);
  CU_ASSERT_EQUAL_FATAL(px_buf_puts(&many, "</worldbody></mujoco>"), PX_OK);
  refused(many.data, "");
  px_buf_free(&many);
}

/* Threads cannot be started in the helper: the compiler is told to use none. */
static void models_with_several_meshes_are_compiled_without_threads(void) {
#define MESH(name) "<mesh name=\"" name "\" vertex=\"0 0 0 1 0 0 0 1 0 0 0 1\"/>"
  static const char TEXT[] = "<mujoco><asset>" MESH("a") MESH("b") MESH(
    "c") "</asset><worldbody><body><joint name=\"j\"/>"
         "<geom type=\"mesh\" mesh=\"a\"/><geom type=\"mesh\" mesh=\"b\"/></body></worldbody>" DRIVE
         "</mujoco>";
  struct px_mjcf_model model;
  CU_OK(px_mjcf_check(TEXT, sizeof TEXT - 1, 0, 1, &model, &err), err);
  CU_ASSERT_EQUAL(model.nv, 1);
}

static const struct cu_test tests[] = {
  T(models_that_stand_alone_are_compiled_and_measured),
  T(what_reaches_out_of_the_text_is_refused_with_its_place),
  T(what_is_no_xml_is_refused),
  T(what_a_compiler_or_a_simulation_cannot_take_is_refused),
  T(want_of_memory_is_told_with_the_bound),
  T(messages_of_several_lines_become_one),
  T(a_byte_order_mark_is_no_text),
  T(a_model_that_grows_without_bound_ends_with_its_helper),
  T(models_with_several_meshes_are_compiled_without_threads),
};

int main(int argc, char **argv) {
  return cu_run("mjcf", tests, sizeof tests / sizeof *tests, argc, argv);
}
