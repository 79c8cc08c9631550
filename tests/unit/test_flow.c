/* SPDX-License-Identifier: Apache-2.0 */
/* lib/flow: names, and the tables of what specs may hold. */
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/digest.h"
#include "lib/base/fail.h"
#include "lib/base/text.h"
#include "lib/flow/algos.h"
#include "lib/flow/envs.h"
#include "lib/flow/names.h"
#include "lib/flow/plan.h"
#include "lib/flow/simulators.h"
#include "tests/support/cu.h"
#include "tests/support/plans.h"

static void names_are_what_can_be_seen(void) {
  static const char *const GOOD[] = { "a",
                                      "hopper medium v2",
                                      "\xc3\xa9t\xc3\xa9",
                                      "\xe6\x95\xb0\xe6\x8d\xae",
                                      "10%bc",
                                      "\xf0\x9f\xa4\x96",
                                      "..a" };
  static const char *const BAD[] = { "",
                                     " ",
                                     "a ",
                                     " a",
                                     "a\nb",
                                     "\x1b[2J",
                                     "a\x7f",
                                     "\xc2\x85",
                                     ("\xe2\x80\xae"
                                      "gpj.exe"),
                                     "a\xe2\x80\x8b",
                                     ("\xef\xbb\xbf"
                                      "a"),
                                     "\xc2\xa0",
                                     "\xff",
                                     "\xc0\xaf",
                                     "\xed\xa0\x80",
                                     "\xf5\x80\x80\x80",
                                     "\xc3" };
  for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++)
    CU_ASSERT_PTR_NULL(flow_name_fault(GOOD[i], 200));
  for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
    CU_ASSERT_PTR_NOT_NULL(flow_name_fault(BAD[i], 200));
  CU_ASSERT_EQUAL(flow_name_length("\xf0\x9f\xa4\x96\xc3\xa9"), 2);
  CU_ASSERT_PTR_NULL(flow_name_fault("\xc3\xa9\xc3\xa9", 2));
  CU_ASSERT_PTR_NOT_NULL(flow_name_fault("\xc3\xa9\xc3\xa9", 1));
}

static void datasets_are_not_named_like_paths_or_ids(void) {
  static const char *const BAD[] = {
    ".", "..", "a/b", "/", "ds_0123456789abcdef0123", "ds_a", "\t"
  };
  static const char *const GOOD[] = { "...", "ds_", "ds", "DS_1", "ds_A", "ds_0123-a", "a.b" };
  for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
    CU_ASSERT_PTR_NOT_NULL(flow_name_dataset_fault(BAD[i], 200));
  for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++)
    CU_ASSERT_PTR_NULL(flow_name_dataset_fault(GOOD[i], 200));
}

static void every_default_satisfies_its_own_bounds(void) {
  for (int kind = 0; kind < FLOW_KIND_N; kind++)
    for (const struct flow_field *f = flow_kind_info((enum flow_kind)kind)->fields; f->name; f++) {
      if (!f->initial || strcmp(f->initial, "!") == 0) continue;
      struct flow_field alone[2] = { *f, { .name = NULL } };
      json_t *empty = json_object(), *out = NULL;
      struct px_err err;
      CU_OK(flow_fields_check(alone, empty, "", &out, &err), err);
      CU_ASSERT_PTR_NOT_NULL(json_object_get(out, f->name));
      json_decref(out);
      json_decref(empty);
    }
}

/* What a spec may hold: names, types and words. Defaults are filled in at submission, and bounds
 * and help change nothing. Revisions count environments and algorithms, whose options are looked at
 * one by one. */
static void describe(const struct flow_field *fields, struct px_buf *out) {
  for (const struct flow_field *f = fields; f && f->name; f++) {
    char line[64];
    snprintf(line, sizeof line, " %d ", (int)f->type);
    CU_ASSERT_EQUAL(px_buf_put(out, f->name, strlen(f->name)) ||
                      px_buf_put(out, line, strlen(line)),
                    0);
    if (f->words && f->words != FLOW_ENVS)
      CU_ASSERT_EQUAL(px_buf_put(out, f->words, strlen(f->words)), 0);
    CU_ASSERT_EQUAL(px_buf_put(out, "{", 1), 0);
    if (f->sub != flow_algos) describe(f->sub, out);
    CU_ASSERT_EQUAL(px_buf_put(out, "}", 1), 0);
  }
}

static void fingerprint(const struct flow_field *fields, char hex[PX_SHA256_HEX]) {
  struct px_buf text = PX_BUF(1 << 20);
  uint8_t digest[PX_SHA256_BYTES];
  describe(fields, &text);
  px_digest_sha256(text.data, text.len, digest);
  px_text_hex(digest, 8, hex);
  px_buf_free(&text);
}

/* A kind's revision without the rows that it counts. */
static int own_revision(enum flow_kind kind) {
  int algos = 0, envs = 0;
  size_t len;
  while (flow_algos[algos].name) algos++;
  while (flow_field_word_at(FLOW_ENVS, (size_t)envs, &len)) envs++;
  const bool plays = kind == FLOW_EVALUATE || kind == FLOW_REPORT;
  return flow_kind_info(kind)->revision - (kind == FLOW_TRAIN_POLICY ? algos : plays ? envs : 0);
}

/* Builds of before leave a job of a later revision alone; one whose fields changed under the same
 * revision they would run, and not see what is new in it. */
static void a_spec_that_changes_gets_a_revision_of_its_own(void) {
  static const struct {
    int revision;
    const char *fields;
  } KNOWN[FLOW_KIND_N] = {
    [FLOW_INGEST] = { 0, "581329b7003824f4" },
    [FLOW_TRAIN_IDM] = { 1, "2ee77919684f2fc2" },
    [FLOW_LABEL_SHARD] = { 1, "52598aed688a58cc" },
    [FLOW_SIMULATE_SHARD] = { 1, "4cf4cba61c784eaf" },
    [FLOW_CHECK_SIMULATOR] = { 1, "3c81fccedf811d20" },
    [FLOW_TRAIN_INVERSE] = { 1, "0b353a73e7b95253" },
    [FLOW_LABEL] = { 1, "4d69014bc5447856" },
    [FLOW_TRAIN_POLICY] = { 3, "122f11fd207583e7" },
    [FLOW_EVALUATE] = { 0, "dbeada474f0e3909" },
    [FLOW_OPE] = { 1, "d8fa85fe929bf442" },
    [FLOW_REHEARSE] = { 1, "432e52b5be99f7f9" },
    [FLOW_REPORT] = { 1, "5f9edfee8910ddf0" },
    [FLOW_EXPORT] = { 3, "e7ff6a9f7dbe17d8" },
  };
  for (int kind = 0; kind < FLOW_KIND_N; kind++) {
    const struct flow_kind_info *info = flow_kind_info((enum flow_kind)kind);
    if (kind == FLOW_PIPELINE) continue; /* no worker runs it */
    char hex[PX_SHA256_HEX];
    fingerprint(info->fields, hex);
    const char *known = KNOWN[kind].fields ? KNOWN[kind].fields : "";
    const bool same =
      strcmp(known, hex) == 0 && KNOWN[kind].revision == own_revision((enum flow_kind)kind);
    CU_ASSERT(same);
    if (!same)
      printf("\n  The spec of %s changed: raise its revision in schema/kinds.def, and put { %d, "
             "\"%s\" } here.\n",
             info->name, own_revision((enum flow_kind)kind), hex);
  }
}

static void options_that_change_raise_the_revision_of_trainings(void) {
  static const struct {
    const char *algo, *options;
  } KNOWN[] = {
    { "td3bc", "f700275afd58438d" }, { "cql", "ee7193f1a47c89ce" },
    { "bc", "717e03c56ad16965" },    { "10%bc", "717e03c56ad16965" },
    { "iql", "1045c5d35eb8268d" },   { "rebrac", "01db818aa8bf8df7" },
    { "awac", "0beb8c9149cf1ef7" },  { "dt", "57fd1c0142321a89" },
  };
  for (const struct flow_field *algo = flow_algos; algo->name; algo++) {
    char hex[PX_SHA256_HEX];
    size_t i = 0;
    fingerprint(algo->sub, hex);
    while (i < sizeof KNOWN / sizeof *KNOWN && strcmp(KNOWN[i].algo, algo->name) != 0) i++;
    const bool same = i < sizeof KNOWN / sizeof *KNOWN && strcmp(KNOWN[i].options, hex) == 0;
    CU_ASSERT(same);
    if (!same)
      printf("\n  The options of %s changed: raise the revision of train_policy in "
             "schema/kinds.def, unless it is new, and put { \"%s\", \"%s\" } here.\n",
             algo->name, algo->name, hex);
  }
}

CU_MAIN("flow", T(names_are_what_can_be_seen), T(datasets_are_not_named_like_paths_or_ids),
        T(every_default_satisfies_its_own_bounds),
        T(a_spec_that_changes_gets_a_revision_of_its_own),
        T(options_that_change_raise_the_revision_of_trainings))
