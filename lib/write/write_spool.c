/* SPDX-License-Identifier: Apache-2.0 */
/*
 * npz and safetensors exports: see write.h. Both want whole arrays one after
 * another with their sizes in front, so each column grows in an unnamed
 * temporary file beside the result, and the file is put together at the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zip.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/write/write_parts.h"

enum { COPY_BYTES = 1 << 20, NPY_HEADER_BYTES = 128 };

struct spool {
  char *path;
  off_t reserved; /* room for a header in front of each column */
  int fd[PX_WRITE_COLUMNS_MAX];
  struct px_write_column column[PX_WRITE_COLUMNS_MAX]; /* `rows` counts all so far */
  uint32_t n;
};

static enum px_status write_all(int fd, const void *bytes, size_t n, struct px_err *err) {
  for (const char *at = bytes; n > 0;) {
    const ssize_t wrote = write(fd, at, n);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return px_fail_errno(err, "writing the export");
    at += wrote;
    n -= (size_t)wrote;
  }
  return PX_OK;
}

static void spool_free(void *writer) {
  struct spool *s = writer;
  if (!s) return;
  for (uint32_t i = 0; i < s->n; i++) close(s->fd[i]);
  free(s->path);
  free(s);
}

static enum px_status spool_open(const char *path, off_t reserved, void **writer,
                                 struct px_err *err) {
  struct spool *s = calloc(1, sizeof *s);
  if (s) s->path = strdup(path);
  if (!s || !s->path) {
    free(s);
    return px_fail(err, PX_E_NO_MEMORY, "no memory for an export");
  }
  /* a bad path shows at once */
  const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) {
    const enum px_status status = px_fail_errno(err, "creating the export");
    spool_free(s);
    return status;
  }
  close(fd);
  s->reserved = reserved;
  *writer = s;
  return PX_OK;
}
static enum px_status npz_open(const char *path, void **writer, struct px_err *err) {
  return spool_open(path, NPY_HEADER_BYTES, writer, err);
}
static enum px_status safetensors_open(const char *path, void **writer, struct px_err *err) {
  return spool_open(path, 0, writer, err);
}

static enum px_status add_file(struct spool *s, const struct px_write_column *column,
                               struct px_err *err) {
  char *name = NULL;
  if (asprintf(&name, "%s.XXXXXX", s->path) < 0)
    return px_fail(err, PX_E_NO_MEMORY, "no memory for an export");
  const int fd = mkostemp(name, O_CLOEXEC);
  if (fd >= 0) unlink(name);
  free(name);
  if (fd < 0) return px_fail_errno(err, "creating a temporary file for the export");
  s->fd[s->n] = fd;
  s->column[s->n] = *column;
  s->column[s->n++].rows = 0;
  return lseek(fd, s->reserved, SEEK_SET) == s->reserved
           ? PX_OK
           : px_fail_errno(err, "seeking in the export");
}

static enum px_status spool_put(void *writer, const struct px_write_rows *rows,
                                const struct px_write_columns *columns, struct px_err *err) {
  (void)rows;
  struct spool *s = writer;
  enum px_status status = PX_OK;
  for (uint32_t i = 0; i < columns->n && !status; i++) {
    const struct px_write_column *c = &columns->column[i];
    if (i == s->n) status = add_file(s, c, err);
    if (!status)
      status =
        write_all(s->fd[i], c->data,
                  c->rows * (c->width ? c->width : 1) * px_safetensors_dtype_bytes(c->dtype), err);
    s->column[i].rows += c->rows;
  }
  return status;
}

/* ---- safetensors ---- */

static enum px_status copy_file(int from, int to, struct px_err *err) {
  char *buffer = malloc(COPY_BYTES);
  if (!buffer) return px_fail(err, PX_E_NO_MEMORY, "no memory for an export");
  enum px_status status =
    lseek(from, 0, SEEK_SET) == 0 ? PX_OK : px_fail_errno(err, "seeking in the export");
  while (!status) {
    const ssize_t got = read(from, buffer, COPY_BYTES);
    if (got == 0) break;
    if (got < 0 && errno == EINTR) continue;
    status = got < 0 ? px_fail_errno(err, "reading a temporary file of the export")
                     : write_all(to, buffer, (size_t)got, err);
  }
  free(buffer);
  return status;
}

static enum px_status safetensors_end(void *writer, const struct px_write_facts *facts,
                                      struct px_err *err) {
  struct spool *s = writer;
  struct px_safetensors_tensor tensors[PX_WRITE_COLUMNS_MAX];
  struct px_buf header = PX_BUF(PX_ST_HEADER_MAX_BYTES);
  struct px_safetensors_meta meta[1 + PX_WRITE_FACTS_MAX] = { { "format", "proxact.dataset.1" } };
  for (size_t i = 0; i < facts->n; i++)
    meta[1 + i] = (struct px_safetensors_meta){ facts->fact[i].name, facts->fact[i].value };
  for (uint32_t i = 0; i < s->n; i++) {
    const struct px_write_column *c = &s->column[i];
    tensors[i] = (struct px_safetensors_tensor){
      c->name, c->dtype, c->width ? 2 : 1, { c->rows, c->width }, NULL, 0, 0
    };
  }
  const int fd = open(s->path, O_WRONLY | O_TRUNC | O_CLOEXEC);
  if (fd < 0) return px_fail_errno(err, "creating the export");
  enum px_status status = px_safetensors_header(tensors, s->n, meta, 1 + facts->n, &header, err);
  if (!status) status = write_all(fd, header.data, header.len, err);
  /* The columns come by decreasing element size already: the order of the data. */
  for (uint32_t i = 0; i < s->n && !status; i++) status = copy_file(s->fd[i], fd, err);
  px_buf_free(&header);
  if (close(fd) != 0 && !status) status = px_fail_errno(err, "writing the export");
  return status;
}

/* ---- npz ---- */

/* The .npy format, version 1.0 (NEP 1): magic, length, a Python literal padded with spaces. */
static void npy_header(char header[NPY_HEADER_BYTES], const char *type, const char *shape) {
  char literal[NPY_HEADER_BYTES];
  memset(header, ' ', NPY_HEADER_BYTES);
  memcpy(header, "\x93NUMPY\x01\x00\x76\x00", 10); /* 0x76 = 128 - 10 */
  const int n = snprintf(literal, sizeof literal,
                         "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", type, shape);
  memcpy(header + 10, literal, (size_t)n);
  header[NPY_HEADER_BYTES - 1] = '\n';
}

static enum px_status put_npy_header(int fd, const struct px_write_column *c, struct px_err *err) {
  char header[NPY_HEADER_BYTES], shape[64];
  const char *type = c->dtype == PX_DTYPE_F32    ? "<f4"
                     : c->dtype == PX_DTYPE_I64  ? "<i8"
                     : c->dtype == PX_DTYPE_BOOL ? "|b1"
                                                 : "|u1";
  if (c->width) snprintf(shape, sizeof shape, "(%" PRIu64 ", %" PRIu32 ")", c->rows, c->width);
  else snprintf(shape, sizeof shape, "(%" PRIu64 ",)", c->rows);
  npy_header(header, type, shape);
  if (lseek(fd, 0, SEEK_SET) != 0) return px_fail_errno(err, "seeking in the export");
  return write_all(fd, header, NPY_HEADER_BYTES, err);
}

static bool add_source(zip_t *zip, zip_source_t *source, const char *name) {
  char entry[64];
  snprintf(entry, sizeof entry, "%s.npy", name);
  const zip_int64_t index = zip_file_add(zip, entry, source, ZIP_FL_ENC_UTF_8);
  if (index < 0) {
    zip_source_free(source);
    return false;
  }
  /* A fixed time (the oldest that zip can say), so that equal content gives equal bytes. */
  return zip_set_file_compression(zip, (zip_uint64_t)index, ZIP_CM_STORE, 0) == 0 &&
         zip_file_set_dostime(zip, (zip_uint64_t)index, 0, 0x21, 0) == 0;
}

/* libzip reads the columns when the archive is closed, and then closes the FILEs. */
static bool add_entry(zip_t *zip, int fd, const char *name) {
  const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  FILE *f = copy >= 0 ? fdopen(copy, "rb") : NULL;
  if (!f) {
    if (copy >= 0) close(copy);
    return false;
  }
  rewind(f); /* libzip counts from where the FILE stands */
  zip_source_t *source = zip_source_filep(zip, f, 0, -1);
  if (!source) {
    fclose(f);
    return false;
  }
  return add_source(zip, source, name);
}

/* `metadata`: numpy's bytes of a JSON object, without dimensions. */
static bool add_facts(zip_t *zip, const struct px_write_facts *facts) {
  char *json = px_write_facts_json(facts);
  const size_t n = json ? strlen(json) : 0;
  char *bytes = json ? malloc(NPY_HEADER_BYTES + n) : NULL;
  if (bytes) {
    char type[32];
    snprintf(type, sizeof type, "|S%zu", n);
    npy_header(bytes, type, "()");
    memcpy(bytes + NPY_HEADER_BYTES, json, n);
  }
  free(json);
  zip_source_t *source = bytes ? zip_source_buffer(zip, bytes, NPY_HEADER_BYTES + n, 1) : NULL;
  if (!source) {
    free(bytes);
    return false;
  }
  return add_source(zip, source, "metadata");
}

static enum px_status npz_end(void *writer, const struct px_write_facts *facts,
                              struct px_err *err) {
  struct spool *s = writer;
  for (uint32_t i = 0; i < s->n; i++) {
    const enum px_status status = put_npy_header(s->fd[i], &s->column[i], err);
    if (status) return status;
  }
  int why = 0;
  zip_t *zip = zip_open(s->path, ZIP_CREATE | ZIP_TRUNCATE, &why);
  if (!zip)
    return px_fail(err, PX_E_IO, "the npz export could not be created: libzip's error %d", why);
  for (uint32_t i = 0; i <= s->n; i++) {
    if (i < s->n ? add_entry(zip, s->fd[i], s->column[i].name) : !facts->n || add_facts(zip, facts))
      continue;
    const enum px_status status =
      px_fail(err, PX_E_IO, "the npz export could not be written: %s", zip_strerror(zip));
    zip_discard(zip);
    return status;
  }
  if (zip_close(zip) == 0) return PX_OK;
  const enum px_status status =
    px_fail(err, PX_E_IO, "the npz export could not be written: %s", zip_strerror(zip));
  zip_discard(zip);
  return status;
}

const struct px_write_writer px_write_npz = { px_write_columns_d4rl, npz_open, spool_put, npz_end,
                                              spool_free };
const struct px_write_writer px_write_safetensors = { px_write_columns_segment, safetensors_open,
                                                      spool_put, safetensors_end, spool_free };
