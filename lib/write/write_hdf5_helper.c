/* SPDX-License-Identifier: Apache-2.0 */
/* The helper that writes D4RL's HDF5 (write.h): one extendible, chunked dataset per column. */
#include <hdf5.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/write/write_hdf5_frame.h"

/* Of gzip's levels the first: with shuffle, the sixth makes states of a robot 2% smaller, and takes
 * a third longer. */
enum { CHUNK_BYTES = 256 * 1024, GZIP_LEVEL = 1 };

struct hdf5 {
  hid_t file, boolean;
  hid_t set[PX_WRITE_COLUMNS_MAX];
  uint64_t rows[PX_WRITE_COLUMNS_MAX];
  uint32_t sets_n;
};

static enum px_status fail(struct px_err *err, const char *what) {
  return px_fail(err, PX_E_IO, "the HDF5 export could not be %s; is the disk full?", what);
}

static enum px_status begin(struct hdf5 *h, struct px_err *err) {
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", PX_WRITE_HDF5_FILE_FD);
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* errors are ours to report */
  h->file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  /* What h5py and D4RL take for a boolean. */
  h->boolean = H5Tenum_create(H5T_STD_I8LE);
  const int8_t no = 0, yes = 1;
  const bool good = h->file >= 0 && h->boolean >= 0 &&
                    H5Tenum_insert(h->boolean, "FALSE", &no) >= 0 &&
                    H5Tenum_insert(h->boolean, "TRUE", &yes) >= 0;
  return good ? PX_OK : fail(err, "created");
}

static hid_t type_of(const struct hdf5 *h, enum px_dtype dtype) {
  switch (dtype) {
    case PX_DTYPE_F32: return H5T_IEEE_F32LE;
    case PX_DTYPE_I64: return H5T_STD_I64LE;
    case PX_DTYPE_BOOL: return h->boolean;
    default: return H5T_STD_U8LE;
  }
}

static hid_t create_set(struct hdf5 *h, const struct px_write_hdf5_frame *c) {
  const hsize_t width = c->width ? c->width : 1,
                row_bytes = width * px_safetensors_dtype_bytes((enum px_dtype)c->dtype);
  const hsize_t none[2] = { 0, width }, most[2] = { H5S_UNLIMITED, width };
  const hsize_t chunk[2] = { row_bytes < CHUNK_BYTES ? CHUNK_BYTES / row_bytes : 1, width };
  const int rank = c->width ? 2 : 1;
  const hid_t space = H5Screate_simple(rank, none, most), plist = H5Pcreate(H5P_DATASET_CREATE);
  hid_t set = H5I_INVALID_HID;
  /* Without times, so that equal content gives equal bytes. */
  if (space >= 0 && plist >= 0 && H5Pset_chunk(plist, rank, chunk) >= 0 &&
      H5Pset_shuffle(plist) >= 0 && H5Pset_deflate(plist, GZIP_LEVEL) >= 0 &&
      H5Pset_obj_track_times(plist, false) >= 0)
    set = H5Dcreate2(h->file, c->name, type_of(h, (enum px_dtype)c->dtype), space, H5P_DEFAULT,
                     plist, H5P_DEFAULT);
  if (plist >= 0) H5Pclose(plist);
  if (space >= 0) H5Sclose(space);
  return set;
}

static bool append(struct hdf5 *h, const struct px_write_hdf5_frame *c, const void *data) {
  const uint32_t i = c->column;
  const hsize_t width = c->width ? c->width : 1;
  const hsize_t now[2] = { h->rows[i] + c->rows, width }, start[2] = { h->rows[i], 0 },
                count[2] = { c->rows, width };
  const int rank = c->width ? 2 : 1;
  if (H5Dset_extent(h->set[i], now) < 0) return false;
  const hid_t file_space = H5Dget_space(h->set[i]), memory = H5Screate_simple(rank, count, NULL);
  const bool wrote =
    file_space >= 0 && memory >= 0 &&
    H5Sselect_hyperslab(file_space, H5S_SELECT_SET, start, NULL, count, NULL) >= 0 &&
    H5Dwrite(h->set[i], type_of(h, (enum px_dtype)c->dtype), memory, file_space, H5P_DEFAULT,
             data) >= 0;
  if (memory >= 0) H5Sclose(memory);
  if (file_space >= 0) H5Sclose(file_space);
  h->rows[i] += c->rows;
  return wrote;
}

/* An attribute of the root: text of any length, as h5py and D4RL write theirs. */
static bool put_fact(const struct hdf5 *h, const char *name, const char *value) {
  const hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
  const bool typed = type >= 0 && space >= 0 && H5Tset_size(type, H5T_VARIABLE) >= 0 &&
                     H5Tset_cset(type, H5T_CSET_UTF8) >= 0;
  const hid_t fact =
    typed ? H5Acreate2(h->file, name, type, space, H5P_DEFAULT, H5P_DEFAULT) : H5I_INVALID_HID;
  const bool put = fact >= 0 && H5Awrite(fact, type, &value) >= 0;
  if (fact >= 0) H5Aclose(fact);
  if (space >= 0) H5Sclose(space);
  if (type >= 0) H5Tclose(type);
  return put;
}

static enum px_status write_frame(struct hdf5 *h, const struct px_write_hdf5_frame *c, char *data,
                                  struct px_err *err) {
  if (c->column == PX_WRITE_HDF5_FACT) {
    data[c->rows] = '\0';
    return put_fact(h, c->name, data) ? PX_OK : fail(err, "written");
  }
  if (c->column > h->sets_n || c->column >= PX_WRITE_COLUMNS_MAX)
    return px_fail(err, PX_E_INTERNAL, "a column out of order");
  if (c->column == h->sets_n) {
    h->set[h->sets_n] = create_set(h, c);
    if (h->set[h->sets_n] < 0) return fail(err, "written");
    h->sets_n++;
  }
  return append(h, c, data) ? PX_OK : fail(err, "written");
}

static enum px_status complete(struct hdf5 *h, struct px_err *err) {
  bool good = H5Fflush(h->file, H5F_SCOPE_GLOBAL) >= 0;
  while (h->sets_n > 0) good = H5Dclose(h->set[--h->sets_n]) >= 0 && good;
  good = H5Fclose(h->file) >= 0 && good;
  return good ? PX_OK : fail(err, "completed");
}

/* False if the parent has gone, or does not want the file any more. */
static bool converse(struct hdf5 *h, struct px_buf *data, struct px_err *err) {
  enum px_status status = begin(h, err);
  while (!status) {
    struct px_write_hdf5_frame frame;
    if (!px_subprocess_take(PX_WRITE_HDF5_TALK_FD, &frame, sizeof frame)) return false;
    if (!frame.name[0]) {
      status = complete(h, err);
      break;
    }
    data->len = 0;
    const size_t n = px_write_hdf5_bytes(&frame);
    status = px_buf_room(data, n + 1);
    if (status) px_fail(err, status, "no memory to write a segment of an export");
    else if (!px_subprocess_take(PX_WRITE_HDF5_TALK_FD, data->data, n)) return false;
    else status = write_frame(h, &frame, data->data, err);
  }
  err->code = status;
  return true;
}

static int write_file(void) {
  struct hdf5 h = { 0 };
  struct px_buf data = PX_BUF(PX_SEGMENT_MAX_BYTES);
  struct px_err err = { 0 };
  const bool told = converse(&h, &data, &err) && send(PX_WRITE_HDF5_TALK_FD, &err, sizeof err,
                                                      MSG_NOSIGNAL) == (ssize_t)sizeof err;
  _exit(told ? 0 : 2); /* a file that was given up is nobody's: there is nothing to close */
}

const struct px_subprocess_kind px_write_hdf5_helper = { "proxact-hdf5-writer",
                                                         "--proxact-hdf5-writer", write_file,
                                                         false };
