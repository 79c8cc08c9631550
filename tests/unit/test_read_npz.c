/* SPDX-License-Identifier: Apache-2.0 */
/* npz uploads: number types and orders, and what is refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"
#include "tests/support/cu.h"
#include "tests/support/uploads.h"

/* A .npy array in the making. */
struct npy {
  uint8_t bytes[4096];
  size_t n;
};

static struct npy npy_text(const char *header, const void *data, size_t n) {
  struct npy a = { .n = 10 };
  const size_t text = strlen(header);
  memcpy(a.bytes, "\x93NUMPY\1\0", 8);
  a.bytes[8] = (uint8_t)text;
  a.bytes[9] = (uint8_t)(text >> 8);
  memcpy(a.bytes + 10, header, text);
  memcpy(a.bytes + 10 + text, data, n);
  a.n += text + n;
  return a;
}

static struct npy npy(const char *descr, bool fortran, const char *shape, const void *data,
                      size_t n) {
  char header[200];
  snprintf(header, sizeof header,
           "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }            \n", descr,
           fortran ? "True" : "False", shape);
  return npy_text(header, data, n);
}

static const float obs[6] = { 1, 2, 3, 4, 5, 6 }, next_obs[6] = { 3, 4, 7, 8, 9, 10 },
                   act[3] = { .5f, -.5f, .25f };
static const float rew[3] = { 1, 0, -1 };
static const uint8_t term[3] = { 0, 1, 0 };

enum { OBS, NEXT, ACT, REW, TERM, MASK, ENDS, MEMBERS_N };
/* term, mask, ends: other names than the usual ones, or NULL. */
struct parts {
  struct npy members[MEMBERS_N];
  bool deflate;
  const char *term, *mask, *ends;
};
static const char *const names[MEMBERS_N] = { "observations.npy", "next_observations.npy",
                                              "actions.npy",      "rewards.npy",
                                              "terminals.npy",    "action_mask.npy",
                                              "timeouts.npy" };

static struct parts plain(void) {
  return (struct parts){ .members = { npy("<f4", false, "(3, 2)", obs, sizeof obs),
                                      npy("<f4", false, "(3, 2)", next_obs, sizeof next_obs),
                                      npy("<f4", false, "(3, 1)", act, sizeof act),
                                      npy("<f4", false, "(3,)", rew, sizeof rew),
                                      npy("|b1", false, "(3,)", term, sizeof term) } };
}

static int zip_of(const struct parts *parts) {
  struct uploads_member members[MEMBERS_N];
  size_t n = 0;
  const char *const other[MEMBERS_N] = {
    [TERM] = parts->term, [MASK] = parts->mask, [ENDS] = parts->ends
  };
  for (int i = 0; i < MEMBERS_N; i++)
    if (parts->members[i].n)
      members[n++] =
        (struct uploads_member){ other[i] ? other[i] : names[i], parts->members[i].bytes,
                                 parts->members[i].n, parts->deflate };
  return uploads_zip(members, n);
}

static void expect_plain(const struct parts *parts) {
  struct trajs list = { .spaces = trajs_spaces(2, 1) };
  struct px_read_report report;
  struct px_err err;
  CU_OK(uploads_read(zip_of(parts), PX_FORMAT_NPZ, NULL, &list, &report, &err), err);
  CU_ASSERT_STRING_EQUAL(report.layout, "npz");
  CU_ASSERT_EQUAL_FATAL(list.n, 2);
  const struct px_traj *t = list.items;
  CU_ASSERT(t[0].steps == 2 && t[0].terminated && t[0].has_final && t[1].steps == 1 &&
            t[1].truncated && t[1].has_final);
  const float first[6] = { 1, 2, 3, 4, 7, 8 }, second[4] = { 5, 6, 9, 10 };
  CU_ASSERT(!memcmp(t[0].observations, first, sizeof first) &&
            !memcmp(t[1].observations, second, sizeof second));
  CU_ASSERT(t[0].actions[0] == .5f && t[0].actions[1] == -.5f && t[1].actions[0] == .25f &&
            t[1].rewards[0] == -1);
  trajs_free(&list);
}

static void stored_and_deflated_members_read_alike(void) {
  struct parts p = plain();
  expect_plain(&p);
  p.deflate = true;
  expect_plain(&p);
}

static void number_types_and_orders_make_no_difference(void) {
  struct parts p = plain();
  const double columns[6] = { 1, 3, 5, 2, 4, 6 }; /* Fortran order */
  const uint16_t halves[6] = { 0x4200, 0x4400, 0x4700, 0x4800, 0x4880, 0x4900 };
  const int64_t rewards[3] = { 1, 0, -1 };
  const uint8_t big_endian[12] = { 0x3f, 0, 0, 0, 0xbf, 0, 0, 0, 0x3e, 0x80, 0, 0 };
  p.members[OBS] = npy("<f8", true, "(3, 2)", columns, sizeof columns);
  p.members[NEXT] = npy("<f2", false, "(3, 2)", halves, sizeof halves);
  p.members[ACT] = npy(">f4", false, "(3,)", big_endian, sizeof big_endian);
  p.members[REW] = npy("<i8", false, "(3, 1)", rewards, sizeof rewards);
  p.members[TERM] = npy("|u1", false, "(3,)", term, sizeof term);
  expect_plain(&p);
  const uint8_t reversed[24] = { 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3,
                                 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6 };
  p.members[OBS] = npy(">i4", false, "(3, 2)", reversed, sizeof reversed);
  expect_plain(&p);
}

static void header_versions_two_and_three_are_read(void) {
  static const char header[] = "{\"descr\": '<f4', 'fortran_order': False, 'shape': (3, 2)}\n";
  for (uint8_t version = 2; version <= 3; version++) {
    struct parts p = plain();
    struct npy *a = &p.members[OBS];
    const uint8_t prefix[12] = { 0x93, 'N', 'U', 'M', 'P', 'Y', version, 0, sizeof header - 1 };
    memcpy(a->bytes, prefix, 12);
    memcpy(a->bytes + 12, header, sizeof header - 1);
    memcpy(a->bytes + 12 + sizeof header - 1, obs, sizeof obs);
    a->n = 12 + sizeof header - 1 + sizeof obs;
    expect_plain(&p);
  }
}

static void headers_of_python_2_are_read(void) {
  struct parts p = plain();
  p.members[OBS] = npy("<f4", false, "(3L, 2L)", obs, sizeof obs);
  p.members[REW] = npy("<f4", false, "(3L,)", rew, sizeof rew);
  expect_plain(&p);
}

static void members_go_by_other_names_too(void) {
  static const uint8_t known[3] = { 1, 0, 1 }, ends[3] = { 0, 0, 1 };
  struct parts p = plain();
  p.term = "terminations.npy", p.ends = "truncations.npy";
  p.members[ENDS] = npy("|b1", false, "(3,)", ends, sizeof ends);
  expect_plain(&p);
  p = plain();
  p.term = "dones.npy";
  expect_plain(&p);
  p.mask = "label_mask.npy";
  p.members[MASK] = npy("|u1", false, "(3,)", known, sizeof known);
  struct trajs list = { .spaces = trajs_spaces(2, 1) };
  struct px_read_report report;
  struct px_err err;
  CU_OK(uploads_read(zip_of(&p), PX_FORMAT_NPZ, NULL, &list, &report, &err), err);
  CU_ASSERT_EQUAL(report.labelled_n, 2);
  CU_ASSERT(report.notes_n == 2 && strstr(report.notes[1], "'dones'"));
  trajs_free(&list);
  const struct px_spaces spaces = trajs_spaces(2, 1);
  p.ends = "action_mask.npy";
  p.members[ENDS] = p.members[MASK];
  CU_ASSERT(uploads_refused(zip_of(&p), PX_FORMAT_NPZ, &spaces, NULL, PX_E_BAD_DATA, "label_mask",
                            "mean the same"));
}

static bool refused(const struct parts *parts, enum px_status status, const char *place,
                    const char *words) {
  const struct px_spaces spaces = trajs_spaces(2, 1);
  return uploads_refused(zip_of(parts), PX_FORMAT_NPZ, &spaces, NULL, status, place, words);
}

static bool refused_with(int member, struct npy array, const char *words) {
  struct parts p = plain();
  p.members[member] = array;
  return refused(&p, PX_E_BAD_DATA, names[member], words);
}

static void headers_are_parsed_strictly(void) {
  static const struct {
    const char *header, *words;
  } bad[] = {
    { "{'descr': '|O', 'fortran_order': False, 'shape': (3, 2), }", "pickles are never read" },
    { "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,), }", "structured" },
    { "{'descr': '<U8', 'fortran_order': False, 'shape': (3, 2), }", "dtype '<U8'" },
    { "{'descr': '<c8', 'fortran_order': False, 'shape': (3, 2), }", "dtype '<c8'" },
    { "{'descr': '<f3', 'fortran_order': False, 'shape': (3, 2), }", "dtype '<f3'" },
    { "{'descr': '<f16', 'fortran_order': False, 'shape': (3, 2), }", "dtype '<f16'" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2, 2), }", "3 dimensions" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': (3 2), }", "shape is malformed" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': (6), }", "shape is malformed" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': (-3, 2), }", "shape is malformed" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 2), }",
      "shape is malformed" },
    { "{'descr': '<f4', 'fortran_order': 0, 'shape': (3, 2), }", "header is malformed" },
    { "{'descr': '<f4', 'shape': (3, 2), }", "header is malformed" },
    { "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }",
      "header is malformed" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), 'x': 1}", "header is malformed" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), } + exec()",
      "header is malformed" },
    { "__import__('os')", "header is malformed" },
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    CU_ASSERT(refused_with(OBS, npy_text(bad[i].header, obs, sizeof obs), bad[i].words));
  struct npy magic = plain().members[OBS], version = magic;
  magic.bytes[1] = 'X';
  version.bytes[6] = 9;
  CU_ASSERT(refused_with(OBS, magic, "does not begin as a .npy"));
  CU_ASSERT(refused_with(OBS, version, "version 9.0"));
}

static void declared_and_actual_sizes_must_agree(void) {
  CU_ASSERT(refused_with(OBS, npy("<f4", false, "(3, 2)", obs, 20), "ends before the end"));
  CU_ASSERT(refused_with(OBS, npy("<f4", true, "(3, 2)", obs, 20), "ends before the end"));
  uint8_t longer[28] = { 0 };
  CU_ASSERT(refused_with(OBS, npy("<f4", false, "(3, 2)", longer, 28), "longer than its header"));
  struct npy cut = plain().members[OBS];
  cut.n = 9;
  CU_ASSERT(refused_with(OBS, cut, "ends before the end"));
}

static void lengths_and_widths_must_match(void) {
  struct parts p = plain();
  p.members[OBS] = npy("<f4", false, "(2, 3)", obs, sizeof obs);
  CU_ASSERT(refused(&p, PX_E_BAD_DATA, "observations",
                    "has 3 columns, but the dataset declares observations of 2"));
  p = plain();
  p.members[REW] = npy("<f4", false, "(2,)", rew, 8);
  CU_ASSERT(refused(&p, PX_E_BAD_DATA, "rewards", "has 2 rows, but 'observations' 3"));
  p = plain();
  p.members[OBS] = npy("<f4", false, "(0, 2)", obs, 0);
  CU_ASSERT(refused(&p, PX_E_BAD_DATA, "actions", "has 3 rows, but 'observations' 0"));
}

static void a_zip_bomb_is_refused_by_what_it_declares(void) {
  enum { ROWS = 2000000, BYTES = ROWS * 8 };
  char *zeros = calloc(1, BYTES + 200);
  struct npy head = npy("<f4", false, "(2000000, 2)", obs, 0);
  memcpy(zeros, head.bytes, head.n);
  const struct uploads_member member = { "observations.npy", zeros, head.n + BYTES, true };
  const struct px_spaces spaces = trajs_spaces(2, 1);
  CU_ASSERT(uploads_refused(uploads_zip(&member, 1), PX_FORMAT_NPZ, &spaces, NULL, PX_E_TOO_LARGE,
                            "observations", "more than 100 times the file"));
  const struct px_read_options small = { .max_logical_bytes = 1000000 };
  CU_ASSERT(uploads_refused(uploads_zip(&member, 1), PX_FORMAT_NPZ, &spaces, &small, PX_E_TOO_LARGE,
                            "observations", "more than 1000000 bytes"));
  free(zeros);
}

static void a_member_that_is_there_twice_is_refused(void) {
  const struct parts p = plain();
  const struct uploads_member members[] = {
    { "observations.npy", p.members[OBS].bytes, p.members[OBS].n, false },
    /* libzip writes no name twice */
    { "observationz.npy", p.members[NEXT].bytes, p.members[NEXT].n, false },
    { "rewards.npy", p.members[REW].bytes, p.members[REW].n, false },
    { "terminals.npy", p.members[TERM].bytes, p.members[TERM].n, false },
  };
  const int fd = uploads_zip(members, 4);
  size_t n, renamed = 0;
  char *bytes = uploads_contents(fd, &n), *at;
  close(fd);
  for (; (at = memmem(bytes, n, "observationz", 12)); renamed++) at[11] = 's';
  CU_ASSERT_EQUAL(renamed, 2); /* before the member, and in the directory */
  const struct px_spaces spaces = trajs_spaces(2, 1);
  CU_ASSERT(uploads_refused(uploads_bytes(bytes, n), PX_FORMAT_NPZ, &spaces, NULL, PX_E_BAD_DATA,
                            "observations", "in the file twice"));
  free(bytes);
}

static void damaged_containers_are_refused(void) {
  const struct px_spaces spaces = trajs_spaces(2, 1);
  const struct parts p = plain();
  const int fd = zip_of(&p);
  size_t n;
  char *bytes = uploads_contents(fd, &n);
  close(fd);
  CU_ASSERT(uploads_refused(uploads_bytes(bytes, n / 2), PX_FORMAT_NPZ, &spaces, NULL,
                            PX_E_BAD_DATA, "", "npz (zip)"));
  CU_ASSERT(uploads_refused(uploads_text("PK"), PX_FORMAT_NPZ, &spaces, NULL, PX_E_BAD_DATA, "",
                            "npz (zip)"));
  char *found = memmem(bytes, n, obs, sizeof obs);
  CU_ASSERT_PTR_NOT_NULL_FATAL(found);
  found[5] ^= 1; /* a stored number changes: only the checksum can tell */
  CU_ASSERT(uploads_refused(uploads_bytes(bytes, n), PX_FORMAT_NPZ, &spaces, NULL, PX_E_BAD_DATA,
                            "observations", "CRC"));
  free(bytes);
}

CU_MAIN("read_npz", T(stored_and_deflated_members_read_alike),
        T(number_types_and_orders_make_no_difference), T(header_versions_two_and_three_are_read),
        T(headers_of_python_2_are_read), T(members_go_by_other_names_too),
        T(headers_are_parsed_strictly), T(declared_and_actual_sizes_must_agree),
        T(lengths_and_widths_must_match), T(a_zip_bomb_is_refused_by_what_it_declares),
        T(a_member_that_is_there_twice_is_refused), T(damaged_containers_are_refused))
