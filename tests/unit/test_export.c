/* SPDX-License-Identifier: Apache-2.0 */
/* Exports: what is written, that it is the same each time, and what is left behind. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/data/labels.h"
#include "lib/data/safetensors.h"
#include "lib/data/traj.h"
#include "lib/read/read.h"
#include "tests/support/cu.h"
#include "tests/support/exports.h"

static struct px_buf bytes_of(const char *path) {
  struct px_buf out = PX_BUF(1u << 30);
  FILE *f = fopen(path, "rb");
  CU_ASSERT_PTR_NOT_NULL_FATAL(f);
  for (size_t n = 1; n > 0; out.len += n) {
    CU_ASSERT_EQUAL_FATAL(px_buf_room(&out, 1 << 20), PX_OK);
    n = fread(out.data + out.len, 1, 1 << 20, f);
  }
  fclose(f);
  return out;
}

/* Reads an upload through the same entry as ingest. */
static struct trajs read_back(const struct exported *x, enum px_read_format format,
                              const char *path) {
  struct trajs back = { .spaces = x->list.spaces };
  const struct px_traj_sink sink = trajs_sink(&back);
  struct px_read_report report;
  struct px_err err = { 0 };
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  CU_ASSERT_TRUE_FATAL(fd >= 0);
  CU_OK(px_read_file(fd, format, path, NULL, &x->list.spaces, &sink, &report, &err), err);
  close(fd);
  return back;
}

static void every_format_reads_back_as_it_was(void) {
  static const enum px_read_format READ[PX_WRITE_FORMAT_N] = {
    [PX_WRITE_HDF5] = PX_FORMAT_HDF5,       [PX_WRITE_NPZ] = PX_FORMAT_NPZ,
    [PX_WRITE_JSONL] = PX_FORMAT_JSONL,     [PX_WRITE_CSV] = PX_FORMAT_CSV,
    [PX_WRITE_LEROBOT] = PX_FORMAT_LEROBOT, [PX_WRITE_SAFETENSORS] = PX_FORMAT_SAFETENSORS,
  };
  static const enum px_write_which CHOICES[] = { PX_WRITE_TRUE, PX_WRITE_BOTH };
  struct exported x;
  exports_make(&x);
  for (int f = 0; f < PX_WRITE_FORMAT_N; f++) {
    for (int k = 0; k < 2; k++) {
      char *path = exports_write(&x, (enum px_write_format)f, CHOICES[k], "all");
      struct trajs back = read_back(&x, READ[f], path);
      /* with both: proxies do not become truth */
      const char *what = trajs_differ(&x.list, &back);
      if (what[0]) printf("\n  %s: %s\n", path, what);
      CU_ASSERT_STRING_EQUAL(what, "");
      trajs_free(&back);
      free(path);
    }
  }
  exports_free(&x);
}

static void which_decides_between_truth_and_proxy(void) {
  struct exported x;
  exports_make(&x);
  static const char *const NAMES[] = { "true", "proxy", "both" };
  for (int which = 0; which < PX_WRITE_WHICH_N; which++) {
    char *path = exports_write(&x, PX_WRITE_SAFETENSORS, (enum px_write_which)which, NAMES[which]);
    struct px_buf file = bytes_of(path);
    struct px_safetensors *st = NULL;
    struct px_err err = { 0 };
    CU_OK(px_safetensors_parse(file.data, file.len, &st, &err), err);
    const struct px_safetensors_tensor *source = px_safetensors_find(st, "action_source"),
                                       *actions = px_safetensors_find(st, "actions");
    const struct px_safetensors_tensor *const certain[] = {
      px_safetensors_find(st, "action_std"), px_safetensors_find(st, "action_epistemic"),
      px_safetensors_find(st, "action_score")
    };
    const struct px_safetensors_tensor *residual = px_safetensors_find(st, "action_residual"),
                                       *verified = px_safetensors_find(st, "action_verified");
    uint64_t at = 0;
    for (size_t i = 0; i < x.segments.n; i++) {
      struct px_segment_view v;
      struct px_label_view l;
      const struct sealed *s = &x.segments.items[i];
      CU_OK(px_segment_open(s->bytes, s->size, &x.list.spaces, &v, &err), err);
      CU_OK(px_label_open(x.labels[i].data, x.labels[i].len, &x.list.spaces, v.steps_n, &l, &err),
            err);
      uint64_t t = 0;
      for (uint32_t k = 0; k < v.traj_n; k++) {
        for (const uint64_t end = t + (uint64_t)v.length[k]; t < end; t++, at++) {
          const bool truth = v.label_mask ? v.label_mask[t] : v.labelled[k],
                     proxy = l.rows.known[t];
          const int whose = l.rows.origin && l.rows.origin[t] == PX_ORIGIN_SIMULATOR ? 3 : 2;
          const int expected = which == PX_WRITE_TRUE    ? truth
                               : which == PX_WRITE_PROXY ? whose * proxy
                               : truth                   ? 1
                                                         : whose * proxy;
          const float zero[2] = { 0 };
          const float *action = expected == 1   ? v.actions + 2 * t
                                : expected >= 2 ? l.rows.actions + 2 * t
                                                : zero;
          CU_ASSERT_EQUAL(((const uint8_t *)source->data)[at], expected);
          CU_ASSERT_EQUAL(memcmp((const char *)actions->data + at * 8, action, 8), 0);
          float total[2] = { 0 };
          if (expected >= 2)
            px_label_totals(&x.list.spaces, l.rows.std + 2 * t, l.rows.epistemic + 2 * t, 1, total);
          CU_ASSERT_EQUAL(memcmp((const char *)certain[0]->data + at * 8, total, 8), 0);
          CU_ASSERT_EQUAL(memcmp((const char *)certain[1]->data + at * 8,
                                 expected >= 2 ? l.rows.epistemic + 2 * t : zero, 8),
                          0);
          CU_ASSERT_EQUAL(((const float *)certain[2]->data)[at],
                          expected >= 2 ? l.rows.score[t] : 0);
          CU_ASSERT_EQUAL(((const float *)residual->data)[at],
                          expected == 3 ? l.rows.residual[t] : 0);
          CU_ASSERT_EQUAL(((const uint8_t *)verified->data)[at],
                          expected == 3 && l.rows.verified[t]);
        }
      }
      px_segment_close(&v);
      px_label_close(&l);
    }
    CU_ASSERT_EQUAL(source->dims[0], at);
    px_safetensors_free(st);
    px_buf_free(&file);
    free(path);
  }
  exports_free(&x);
}

static void every_format_gives_the_same_bytes_each_time(void) {
  struct exported x;
  exports_make(&x);
  for (int f = 0; f < PX_WRITE_FORMAT_N; f++) {
    char *one = exports_write(&x, (enum px_write_format)f, PX_WRITE_BOTH, "one");
    char *two = exports_write(&x, (enum px_write_format)f, PX_WRITE_BOTH, "two");
    struct px_buf a = bytes_of(one), b = bytes_of(two);
    CU_ASSERT_TRUE(a.len > x.segments.items[0].size);
    CU_ASSERT_EQUAL_FATAL(a.len, b.len);
    CU_ASSERT_EQUAL(memcmp(a.data, b.data, a.len), 0);
    px_buf_free(&a);
    px_buf_free(&b);
    free(one);
    free(two);
  }
  exports_free(&x);
}

static size_t files_in(const char *path) {
  size_t n = 0;
  DIR *dir = opendir(path);
  CU_ASSERT_PTR_NOT_NULL_FATAL(dir);
  for (const struct dirent *entry; (entry = readdir(dir));) n += entry->d_name[0] != '.';
  closedir(dir);
  return n;
}

static void an_export_given_up_leaves_nothing_behind(void) {
  struct exported x;
  exports_make(&x);
  for (int f = 0; f < PX_WRITE_FORMAT_N; f++) {
    char path[128];
    snprintf(path, sizeof path, "%s/given-up", x.dir);
    struct px_err err = { 0 };
    struct px_write *e = NULL;
    CU_OK(px_write_new((enum px_write_format)f, PX_WRITE_TRUE, &x.list.spaces, path, &e, &err),
          err);
    CU_ASSERT_EQUAL(px_write_end(e, &err), PX_E_BAD_DATA); /* nothing to export */
    CU_OK(px_write_segment(e, x.segments.items[0].bytes, x.segments.items[0].size, NULL, 0, &err),
          err);
    CU_ASSERT_EQUAL(px_write_segment(e, x.segments.items[0].bytes, 100, NULL, 0, &err),
                    PX_E_BAD_DATA);
    px_write_free(e);
    CU_ASSERT_EQUAL(files_in(x.dir), 0);
    CU_ASSERT_EQUAL(px_write_new((enum px_write_format)f, PX_WRITE_TRUE, &x.list.spaces,
                                 "/nowhere/x", &e, &err),
                    PX_E_IO);
  }
  exports_free(&x);
}

/* The only child of this process. */
static pid_t only_child(void) {
  char path[64], text[64] = "";
  snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
  FILE *f = fopen(path, "r");
  CU_ASSERT_PTR_NOT_NULL_FATAL(f);
  CU_ASSERT_PTR_NOT_NULL_FATAL(fgets(text, sizeof text, f));
  fclose(f);
  char *rest;
  const long pid = strtol(text, &rest, 10);
  CU_ASSERT_TRUE_FATAL(pid > 1 && strspn(rest, " ") == strlen(rest));
  return (pid_t)pid;
}

/* Whatever the HDF5 library does to its process, ours goes on and says what happened. */
static void an_hdf5_writer_that_dies_is_an_error(void) {
  struct exported x;
  exports_make(&x);
  const struct sealed *segment = &x.segments.items[0];
  for (int after = 0; after < 2; after++) {
    char path[128];
    snprintf(path, sizeof path, "%s/cut-off", x.dir);
    struct px_err err = { 0 };
    struct px_write *e = NULL;
    CU_OK(px_write_new(PX_WRITE_HDF5, PX_WRITE_TRUE, &x.list.spaces, path, &e, &err), err);
    CU_OK(px_write_segment(e, segment->bytes, segment->size, NULL, 0, &err), err);
    kill(only_child(), SIGKILL);
    enum px_status status =
      after ? PX_OK : px_write_segment(e, segment->bytes, segment->size, NULL, 0, &err);
    /* what was sent may still have gone to its socket */
    if (!status) status = px_write_end(e, &err);
    CU_ASSERT_EQUAL(status, PX_E_NO_MEMORY);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "signal 9"));
    px_write_free(e);
    CU_ASSERT_EQUAL(files_in(x.dir), 0);
  }
  exports_free(&x);
}

static void words_name_formats_and_choices(void) {
  enum px_write_format format;
  enum px_write_which which;
  struct px_err err = { 0 };
  CU_OK(px_write_format_parse("npz", &format, &err), err);
  CU_ASSERT_EQUAL(format, PX_WRITE_NPZ);
  CU_ASSERT_STRING_EQUAL(px_write_suffix(format), ".npz");
  CU_ASSERT_STRING_EQUAL(px_write_media_type(PX_WRITE_HDF5), "application/x-hdf5");
  CU_OK(px_write_which_parse("both", &which, &err), err);
  CU_ASSERT_EQUAL(which, PX_WRITE_BOTH);
  CU_ASSERT_EQUAL(px_write_format_parse("parquet", &format, &err), PX_E_BAD_FIELD);
  CU_ASSERT_EQUAL(px_write_which_parse("", &which, &err), PX_E_BAD_FIELD);
}

CU_MAIN("export", T(every_format_reads_back_as_it_was), T(which_decides_between_truth_and_proxy),
        T(every_format_gives_the_same_bytes_each_time), T(an_export_given_up_leaves_nothing_behind),
        T(an_hdf5_writer_that_dies_is_an_error), T(words_name_formats_and_choices))
