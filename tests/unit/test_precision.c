/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers that float32 would make a staircase of are refused by the name of their column, in every
 * format; of those that it makes constant there is a note.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/rng.h"
#include "lib/data/safetensors.h"
#include "lib/data/spaces.h"
#include "tests/support/cu.h"
#include "tests/support/uploads.h"

enum { ROWS = 40, O = 2 };

/* The second column is what is tried; the first is ordinary. */
static double obs[ROWS * O], by_column[ROWS * O], rewards[ROWS];
static uint8_t ends[ROWS];

static void fill(double (*value)(int row)) {
  for (int i = 0; i < ROWS; i++) {
    obs[i * O] = by_column[i] = sin(i);
    obs[i * O + 1] = by_column[ROWS + i] = value(i);
    rewards[i] = 0;
    ends[i] = i % 10 == 9;
  }
}

/* ---- one file in every format */

static size_t npy(char *out, const char *descr, const char *order, const char *shape,
                  const void *data, size_t n) {
  const int text = snprintf(out + 10, 200, "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }\n",
                            descr, order, shape);
  memcpy(out, "\x93NUMPY\1\0", 8);
  out[8] = (char)text, out[9] = 0;
  memcpy(out + 10 + text, data, n);
  return 10 + (size_t)text + n;
}

static int npz(bool fortran) {
  static char bytes[3][2048];
  struct uploads_member members[3] = { { "observations.npy", bytes[0], 0, true },
                                       { "rewards.npy", bytes[1], 0, true },
                                       { "terminals.npy", bytes[2], 0, true } };
  members[0].n = npy(bytes[0], "<f8", fortran ? "True" : "False", "(40, 2)",
                     fortran ? by_column : obs, sizeof obs);
  members[1].n = npy(bytes[1], "<f8", "False", "(40,)", rewards, sizeof rewards);
  members[2].n = npy(bytes[2], "|b1", "False", "(40,)", ends, sizeof ends);
  return uploads_zip(members, 3);
}

static void put_hdf5(hid_t file) {
  uploads_put(file, "observations", H5T_IEEE_F64BE, H5T_NATIVE_DOUBLE, ROWS, O, obs, H5P_DEFAULT);
  uploads_put(file, "rewards", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, ROWS, 0, rewards, H5P_DEFAULT);
  uploads_bools(file, "terminals", ROWS, ends);
}

static int jsonl(void) {
  static char text[8192];
  size_t n = 0;
  for (int from = 0; from < ROWS; from += 10) {
    n += (size_t)snprintf(text + n, sizeof text - n, "{\"observations\":[");
    for (int i = from; i < from + 10; i++)
      n += (size_t)snprintf(text + n, sizeof text - n, "%s[%.17g,%.17g]", i > from ? "," : "",
                            obs[i * O], obs[i * O + 1]);
    n += (size_t)snprintf(text + n, sizeof text - n, "],\"rewards\":[");
    for (int i = from; i < from + 10; i++)
      n += (size_t)snprintf(text + n, sizeof text - n, "%s%.17g", i > from ? "," : "", rewards[i]);
    n += (size_t)snprintf(text + n, sizeof text - n, "],\"terminated\":true}\n");
  }
  return uploads_text(text);
}

static int safetensors(void) {
  const int64_t length[4] = { 10, 10, 10, 10 };
  const uint8_t terminated[4] = { 1, 1, 1, 1 };
  struct px_buf file = PX_BUF(1 << 20);
  struct px_err err;
  struct px_safetensors_tensor tensors[] = {
    { "length", PX_DTYPE_I64, 1, { 4 }, length, 0, 0 },
    { "observations", PX_DTYPE_F64, 2, { ROWS, O }, obs, 0, 0 },
    { "rewards", PX_DTYPE_F64, 1, { ROWS }, rewards, 0, 0 },
    { "terminated", PX_DTYPE_U8, 1, { 4 }, terminated, 0, 0 }
  };
  CU_OK(px_safetensors_write(tensors, 4, NULL, 0, &file, &err), err);
  const int fd = uploads_bytes(file.data, file.len);
  px_buf_free(&file);
  return fd;
}

enum { NPZ, NPZ_FORTRAN, HDF5, JSONL, SAFETENSORS, FILES_N };
static int write_as(int file, enum px_read_format *format) {
  static const enum px_read_format formats[FILES_N] = { PX_FORMAT_NPZ, PX_FORMAT_NPZ,
                                                        PX_FORMAT_HDF5, PX_FORMAT_JSONL,
                                                        PX_FORMAT_SAFETENSORS };
  *format = formats[file];
  return file <= NPZ_FORTRAN ? npz(file == NPZ_FORTRAN)
         : file == HDF5      ? uploads_hdf5(put_hdf5)
         : file == JSONL     ? jsonl()
                             : safetensors();
}

static void refused(const char *place) {
  const struct px_spaces spaces = trajs_spaces(O, 1);
  enum px_read_format format;
  for (int file = 0; file < FILES_N; file++) {
    const int fd = write_as(file, &format);
    CU_ASSERT(uploads_refused(fd, format, &spaces, NULL, PX_E_BAD_DATA, place,
                              "of its changes from row to row would be lost"));
  }
}

static void accepted(bool noted) {
  for (int file = 0; file < FILES_N; file++) {
    struct trajs list = { .spaces = trajs_spaces(O, 1) };
    struct px_read_report report;
    struct px_err err;
    enum px_read_format format;
    const int fd = write_as(file, &format);
    CU_OK(uploads_read(fd, format, NULL, &list, &report, &err), err);
    bool found = false;
    for (uint32_t i = 0; i < report.notes_n; i++)
      found = found || strstr(report.notes[i],
                              "observations[1] changes by less than the precision of float32");
    CU_ASSERT_EQUAL(found, noted);
    trajs_free(&list);
  }
}

/* ---- what is tried */

static double epoch_of_days(int i) {
  return 1.7e9 + 0.05 * i + i / 10 * 86400;
} /* an episode a day */
static double nanoseconds_of_days(int i) { return 1e9 * epoch_of_days(i); }
static double counter(int i) { return 20000000 + i; }
static double northing(int i) { return 4.5e6 + 0.2 * i; }
static double since_start(int i) { return 0.02 * (i % 10); }

static void clocks_and_counters_are_refused_by_the_name_of_their_column(void) {
  double (*const tried[])(int) = { epoch_of_days, nanoseconds_of_days, counter, northing };
  for (size_t i = 0; i < sizeof tried / sizeof *tried; i++) {
    fill(tried[i]);
    refused("observations[1]");
  }
  fill(since_start);
  for (int i = 0; i < ROWS; i++) rewards[i] = epoch_of_days(i);
  refused("rewards");
}

static double same(int i) { return 123456789.1 + 0 * i; }
static double same_but_for_rounding(int i) { return 1.7e9 * (1 + 2e-16 * (i % 3)); }
static double wide(int i) { return 1e12 * sin(i * i); }
static double tiny(int i) { return 1e-30 * i; }
static double far_and_fast(int i) { return 5e6 + 40 * sin(i); }
static double steps_and_rests(int i) { return i < 20 ? 0.3 + 1e-10 * i : 0.3 + 0.01 * i; }

static void what_float32_can_hold_is_taken_without_a_word(void) {
  double (*const tried[])(int) = { since_start, same,         same_but_for_rounding, wide,
                                   tiny,        far_and_fast, steps_and_rests };
  for (size_t i = 0; i < sizeof tried / sizeof *tried; i++) {
    fill(tried[i]);
    accepted(false);
  }
}

static double epoch(int i) { return 1.7e9 + 0.02 * i; }
static double nanoseconds(int i) { return 1.7e18 + 2e7 * i; }
static double trembles(int i) { return 0.70710678 + 1e-9 * sin(i); }

static void what_becomes_constant_is_noted(void) {
  double (*const tried[])(int) = { epoch, nanoseconds, trembles };
  for (size_t i = 0; i < sizeof tried / sizeof *tried; i++) {
    fill(tried[i]);
    accepted(true);
  }
}

CU_MAIN("precision", T(clocks_and_counters_are_refused_by_the_name_of_their_column),
        T(what_float32_can_hold_is_taken_without_a_word), T(what_becomes_constant_is_noted))
