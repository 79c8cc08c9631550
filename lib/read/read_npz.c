/* SPDX-License-Identifier: Apache-2.0 */
/*
 * npz uploads: a zip of .npy arrays with the names of D4RL's members. libzip
 * reads the container (also zip64), npy.h the headers.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/read/actions_parts.h"
#include "lib/read/column.h"
#include "lib/read/npy.h"
#include "lib/read/reader.h"

enum { MEMBERS_MAX = 10000, FORTRAN_MAX_BYTES = 512 << 20, SCRATCH_MAX_BYTES = 256 << 10 };

struct npz {
  struct px_reader *r;
  zip_t *zip;
};

struct npz_column {
  struct px_reader *r;
  struct px_precision precision;
  zip_file_t *file;
  struct px_npy npy;
  uint64_t row, rows, cols;
  char *whole;   /* a Fortran-order array, which has to be there at once; else NULL */
  char *scratch; /* [scratch_n] numbers as in the file */
  float *floats; /* [scratch_n], for Fortran order */
  size_t scratch_n;
  char name[64], field[64]; /* of the member, and without its ending */
};

static enum px_status read_exactly(struct npz_column *c, void *dst, size_t n, struct px_err *err) {
  for (size_t done = 0; done < n;) {
    const zip_int64_t got = zip_fread(c->file, (char *)dst + done, n - done);
    if (got < 0)
      return px_fail_at(err, PX_E_BAD_DATA, c->name, "'%s': %s", c->name,
                        zip_file_strerror(c->file));
    if (got == 0)
      return px_fail_at(err, PX_E_BAD_DATA, c->name, "'%s' ends before the end its header declares",
                        c->name);
    done += (size_t)got;
  }
  return PX_OK;
}

/* After the last number: nothing may follow; the read also lets libzip compare the checksum. */
static enum px_status check_end(struct npz_column *c, struct px_err *err) {
  char more;
  const zip_int64_t got = zip_fread(c->file, &more, 1);
  if (got < 0)
    return px_fail_at(err, PX_E_BAD_DATA, c->name, "'%s': %s", c->name, zip_file_strerror(c->file));
  return got ? px_fail_at(err, PX_E_BAD_DATA, c->name, "'%s' is longer than its header declares",
                          c->name)
             : PX_OK;
}

static enum px_status next_c_order(struct npz_column *c, size_t rows, float *dst,
                                   struct px_err *err) {
  const struct px_array_dtype number = c->npy.number;
  size_t left = rows * c->cols;
  if (px_dtype_is_float32(number)) return read_exactly(c, dst, left * sizeof *dst, err);
  for (size_t n; left; left -= n, dst += n) {
    n = left < c->scratch_n ? left : c->scratch_n;
    const enum px_status status = read_exactly(c, c->scratch, n * number.bytes, err);
    if (status) return status;
    px_reader_convert(&c->precision, PX_PRECISION_ROWS, number, c->scratch, n, dst);
  }
  return PX_OK;
}

static void next_fortran_order(struct npz_column *c, size_t rows, float *dst) {
  const struct px_array_dtype number = c->npy.number;
  for (size_t at = 0, n; at < rows; at += n) {
    n = rows - at < c->scratch_n ? rows - at : c->scratch_n;
    for (size_t j = 0; j < c->cols; j++) {
      px_reader_convert(&c->precision, (uint32_t)j, number,
                        c->whole + (j * c->rows + c->row + at) * number.bytes, n, c->floats);
      for (size_t i = 0; i < n; i++) dst[(at + i) * c->cols + j] = c->floats[i];
    }
  }
}

static enum px_status npz_next(void *ctx, size_t rows, float *dst, struct px_err *err) {
  struct npz_column *c = ctx;
  enum px_status status = PX_OK;
  if (c->whole) next_fortran_order(c, rows, dst);
  else status = next_c_order(c, rows, dst, err);
  c->row += rows;
  if (status || c->row != c->rows) return status;
  if (!c->whole) status = check_end(c, err);
  return status ? status : px_reader_check_precision(c->r, c->field, &c->precision, err);
}

static void npz_close(void *ctx) {
  struct npz_column *c = ctx;
  if (c->file) zip_fclose(c->file);
  free(c->whole);
  free(c->scratch);
  free(c->floats);
  px_precision_free(&c->precision);
  free(c);
}

static enum px_status name_place(struct npz_column *c, enum px_status status, struct px_err *err) {
  char message[512];
  if (!err) return status;
  snprintf(message, sizeof message, "'%s': %.380s", c->name, err->message);
  return px_fail_at(err, status, c->name, "%s", message);
}

static enum px_status read_header(struct npz_column *c, struct px_err *err) {
  uint8_t prefix[PX_NPY_PREFIX_BYTES];
  size_t start, length;
  enum px_status status = read_exactly(c, prefix, sizeof prefix, err);
  if (status) return status;
  status = px_npy_prefix(prefix, &start, &length, err);
  if (status) return name_place(c, status, err);
  char *text = px_mem_calloc(length, 1);
  if (!text) return px_fail(err, PX_E_NO_MEMORY, "no memory for a header");
  /* version 1 has two bytes of text already; its length is at least 2 */
  const size_t got = sizeof prefix - start;
  memcpy(text, prefix + start, got);
  status = read_exactly(c, text + got, length - got, err);
  if (!status) {
    status = px_npy_parse(text, length, &c->npy, err);
    if (status) status = name_place(c, status, err);
  }
  free(text);
  return status;
}

static enum px_status check_entry(const struct npz *z, const struct npz_column *c,
                                  zip_uint64_t index, struct px_err *err) {
  zip_stat_t stat;
  if (zip_stat_index(z->zip, index, 0, &stat))
    return px_fail_at(err, PX_E_BAD_DATA, c->name, "'%s': %s", c->name, zip_strerror(z->zip));
  if ((stat.valid & ZIP_STAT_ENCRYPTION_METHOD) && stat.encryption_method != ZIP_EM_NONE)
    return px_fail_at(err, PX_E_BAD_DATA, c->name, "'%s' is encrypted", c->name);
  if (stat.comp_method != ZIP_CM_STORE && stat.comp_method != ZIP_CM_DEFLATE)
    return px_fail_at(err, PX_E_BAD_DATA, c->name,
                      "'%s' is packed with zip method %d; only stored and deflated members are "
                      "accepted",
                      c->name, stat.comp_method);
  return PX_OK;
}

static enum px_status load_fortran(struct npz_column *c, struct px_err *err) {
  size_t bytes;
  if (!px_mem_mul(c->rows, c->cols, &bytes) || !px_mem_mul(bytes, c->npy.number.bytes, &bytes) ||
      bytes > FORTRAN_MAX_BYTES)
    return px_fail_at(err, PX_E_TOO_LARGE, c->name,
                      "'%s' is in Fortran order, which is accepted up to %d MiB; save it after "
                      "numpy.ascontiguousarray",
                      c->name, FORTRAN_MAX_BYTES >> 20);
  c->whole = px_mem_calloc(bytes, 1);
  c->floats = px_mem_calloc(c->scratch_n, sizeof *c->floats);
  if (!c->whole || !c->floats)
    return px_fail(err, PX_E_NO_MEMORY, "no memory to read '%s'", c->name);
  const enum px_status status = read_exactly(c, c->whole, bytes, err);
  return status ? status : check_end(c, err);
}

/* Readers of zip files disagree on which of several entries of one name counts. */
static bool is_twice(const struct npz *z, const struct npz_column *c, zip_uint64_t index) {
  const zip_int64_t n = zip_get_num_entries(z->zip, 0);
  for (zip_int64_t i = 0; i < n; i++) {
    const char *name = zip_get_name(z->zip, (zip_uint64_t)i, 0);
    if ((zip_uint64_t)i != index && name && !strcmp(name, c->name)) return true;
  }
  return false;
}

static enum px_status prepare(const struct npz *z, struct npz_column *c, struct px_err *err) {
  const zip_int64_t index = zip_name_locate(z->zip, c->name, 0);
  if (index < 0) return px_fail_at(err, PX_E_BAD_DATA, c->name, "'%s' is missing", c->name);
  if (is_twice(z, c, (zip_uint64_t)index))
    return px_fail_at(err, PX_E_BAD_DATA, c->name, "'%s' is in the file twice", c->name);
  enum px_status status = check_entry(z, c, (zip_uint64_t)index, err);
  if (status) return status;
  c->file = zip_fopen_index(z->zip, (zip_uint64_t)index, 0);
  if (!c->file)
    return px_fail_at(err, PX_E_BAD_DATA, c->name, "'%s': %s", c->name, zip_strerror(z->zip));
  status = read_header(c, err);
  if (status) return status;
  c->rows = c->npy.dims[0];
  c->cols = c->npy.dims[1];
  status = px_reader_charge(z->r, c->name, c->rows, c->cols, c->npy.number.bytes, err);
  if (status) return status;
  if (px_precision_matters(c->npy.number) && px_precision_init(&c->precision, (uint32_t)c->cols))
    return px_fail(err, PX_E_NO_MEMORY, "no memory to read '%s'", c->name);
  c->scratch_n = SCRATCH_MAX_BYTES / c->npy.number.bytes;
  c->scratch = px_mem_calloc(c->scratch_n, c->npy.number.bytes);
  if (!c->scratch) return px_fail(err, PX_E_NO_MEMORY, "no memory to read '%s'", c->name);
  return c->npy.fortran_order && c->cols > 1 ? load_fortran(c, err) : PX_OK;
}

static enum px_status npz_open(void *ctx, const char *name, struct px_column *out,
                               struct px_err *err) {
  struct npz_column *c = calloc(1, sizeof *c);
  if (!c) return px_fail(err, PX_E_NO_MEMORY, "no memory to read '%s'", name);
  c->r = ((struct npz *)ctx)->r;
  snprintf(c->name, sizeof c->name, "%s.npy", name);
  snprintf(c->field, sizeof c->field, "%s", name);
  const enum px_status status = prepare(ctx, c, err);
  if (status) {
    npz_close(c);
    return status;
  }
  *out = (struct px_column){ .rows = c->rows,
                             .cols = (uint32_t)c->cols,
                             .ctx = c,
                             .next = npz_next,
                             .close = npz_close,
                             .integers = c->npy.number.kind != PX_DTYPE_FLOAT };
  snprintf(out->name, sizeof out->name, "%s", name);
  return PX_OK;
}

static bool npz_has(void *ctx, const char *name) {
  char file[64];
  snprintf(file, sizeof file, "%s.npy", name);
  return zip_name_locate(((struct npz *)ctx)->zip, file, 0) >= 0;
}

static enum px_status zip_fail(zip_error_t *e, struct px_err *err) {
  const enum px_status status =
    px_fail(err, PX_E_BAD_DATA, "this is not a complete npz (zip) file: %s", zip_error_strerror(e));
  zip_error_fini(e);
  return status;
}

enum px_status px_read_npz(struct px_reader *r, const void *bytes, size_t n, struct px_err *err) {
  zip_error_t e;
  zip_error_init(&e);
  zip_source_t *source = zip_source_buffer_create(bytes, n, 0, &e);
  if (!source) return zip_fail(&e, err);
  zip_t *zip = zip_open_from_source(source, ZIP_RDONLY, &e);
  if (!zip) {
    zip_source_free(source);
    return zip_fail(&e, err);
  }
  zip_error_fini(&e);
  struct npz z = { r, zip };
  const struct px_flat_source members = { &z, npz_has, npz_open };
  memcpy(r->report->layout, "npz", 4);
  enum px_status status = PX_OK;
  if (zip_get_num_entries(zip, 0) > MEMBERS_MAX)
    status = px_fail(err, PX_E_BAD_DATA, "the zip file has more than %d members", MEMBERS_MAX);
  else if (r->actions) status = px_actions_flat(r->actions, &members, err);
  else status = px_read_flat(r, &members, err);
  if (!status) px_reader_note_counts(r);
  zip_discard(zip);
  return status;
}
