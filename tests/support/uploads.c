/* SPDX-License-Identifier: Apache-2.0 */
/* Upload files for tests: see uploads.h. */
#include "tests/support/uploads.h"

#include "lib/base/fail.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

static void must(bool good) {
  if (!good) abort();
}

int uploads_bytes(const void *bytes, size_t n) {
  const int fd = memfd_create("upload", MFD_CLOEXEC);
  must(fd >= 0);
  for (const char *p = bytes; n;) {
    const ssize_t put = write(fd, p, n);
    must(put > 0);
    p += put;
    n -= (size_t)put;
  }
  return fd;
}

int uploads_text(const char *text) { return uploads_bytes(text, strlen(text)); }

/* Both libraries want a name to write to. */
static void temporary(char name[32]) {
  snprintf(name, 32, "/tmp/proxact-test-XXXXXX");
  const int fd = mkstemp(name);
  must(fd >= 0);
  close(fd);
}

static int open_and_unlink(const char *name) {
  const int fd = open(name, O_RDONLY | O_CLOEXEC);
  must(fd >= 0);
  unlink(name);
  return fd;
}

int uploads_hdf5(void (*fill)(hid_t file)) {
  char name[32];
  temporary(name);
  const hid_t file = H5Fcreate(name, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  must(file >= 0);
  fill(file);
  H5Fclose(file);
  return open_and_unlink(name);
}

int uploads_zip(const struct uploads_member *members, size_t n) {
  char name[32];
  temporary(name);
  zip_t *zip = zip_open(name, ZIP_CREATE | ZIP_TRUNCATE, NULL);
  must(zip);
  for (size_t i = 0; i < n; i++) {
    zip_source_t *source = zip_source_buffer(zip, members[i].bytes, members[i].n, 0);
    const zip_int64_t index =
      source ? zip_file_add(zip, members[i].name, source, ZIP_FL_ENC_UTF_8) : -1;
    must(index >= 0 &&
         !zip_set_file_compression(zip, (zip_uint64_t)index,
                                   members[i].deflate ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0));
  }
  must(!zip_close(zip));
  return open_and_unlink(name);
}

char *uploads_contents(int fd, size_t *n) {
  struct stat st;
  must(!fstat(fd, &st));
  char *bytes = malloc((size_t)st.st_size + 1);
  must(bytes && pread(fd, bytes, (size_t)st.st_size, 0) == st.st_size);
  *n = (size_t)st.st_size;
  return bytes;
}

void uploads_put(hid_t at, const char *name, hid_t file_type, hid_t memory_type, hsize_t rows,
                 hsize_t cols, const void *data, hid_t plist) {
  const hsize_t dims[2] = { rows, cols };
  const hid_t space = H5Screate_simple(cols ? 2 : 1, dims, NULL);
  const hid_t dataset = H5Dcreate2(at, name, file_type, space, H5P_DEFAULT, plist, H5P_DEFAULT);
  must(dataset >= 0 &&
       (!data || H5Dwrite(dataset, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0));
  H5Dclose(dataset);
  H5Sclose(space);
}

void uploads_floats(hid_t at, const char *name, hsize_t rows, hsize_t cols, const float *data) {
  uploads_put(at, name, H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, rows, cols, data, H5P_DEFAULT);
}

void uploads_bools(hid_t at, const char *name, hsize_t rows, const uint8_t *data) {
  const hid_t type = H5Tenum_create(H5T_NATIVE_INT8);
  const int8_t no = 0, yes = 1;
  must(H5Tenum_insert(type, "FALSE", &no) >= 0 && H5Tenum_insert(type, "TRUE", &yes) >= 0);
  uploads_put(at, name, type, type, rows, 0, data, H5P_DEFAULT);
  H5Tclose(type);
}

void uploads_group(hid_t at, const char *name) {
  const hid_t group = H5Gcreate2(at, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  must(group >= 0);
  H5Gclose(group);
}

enum px_status uploads_read(int fd, enum px_read_format format,
                            const struct px_read_options *options, struct trajs *out,
                            struct px_read_report *report, struct px_err *err) {
  const struct px_traj_sink sink = trajs_sink(out);
  struct px_read_report unused;
  const enum px_status status = px_read_file(fd, format, "upload.bin", options, &out->spaces, &sink,
                                             report ? report : &unused, err);
  close(fd);
  return status;
}

bool uploads_refused(int fd, enum px_read_format format, const struct px_spaces *spaces,
                     const struct px_read_options *options, enum px_status status,
                     const char *place, const char *words) {
  struct trajs list = { .spaces = *spaces };
  struct px_err err = { 0 };
  const enum px_status got = uploads_read(fd, format, options, &list, NULL, &err);
  trajs_free(&list);
  if (got == status && strstr(err.pointer, place) && strstr(err.message, words) &&
      !strncmp(err.message, "upload.bin: ", 12))
    return true;
  printf("\n  expected %s at '%s': %s\n  got      %s at '%s': %s\n", px_status_slug(status), place,
         words, px_status_slug(got), err.pointer, got ? err.message : "");
  return false;
}
