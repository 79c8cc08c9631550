/* D4RL HDF5: see export.h. One extendible, chunked dataset per column. */
#include <hdf5.h>
#include <stdlib.h>

#include "lib/data/export_parts.h"

enum { CHUNK_BYTES = 256 * 1024 };

struct hdf5 {
  hid_t file, boolean;
  hid_t set[PX_EXPORT_COLUMNS_MAX];
  uint64_t rows[PX_EXPORT_COLUMNS_MAX];
  uint32_t sets_n;
};

static enum px_status fail(struct px_err *err, const char *what) {
  return px_fail(err, PX_E_IO, "the HDF5 export could not be %s; is the disk full?", what);
}

static void hdf5_free(void *writer) {
  struct hdf5 *h = writer;
  if (!h) return;
  for (uint32_t i = 0; i < h->sets_n; i++) H5Dclose(h->set[i]);
  if (h->boolean >= 0) H5Tclose(h->boolean);
  if (h->file >= 0) H5Fclose(h->file);
  free(h);
}

static enum px_status hdf5_open(const char *path, void **writer, struct px_err *err) {
  struct hdf5 *h = calloc(1, sizeof *h);
  if (!h) return px_fail(err, PX_E_NO_MEMORY, "no memory for an export");
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* errors are ours to report */
  h->file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  /* What h5py and D4RL take for a boolean. */
  h->boolean = H5Tenum_create(H5T_STD_I8LE);
  const int8_t no = 0, yes = 1;
  if (h->file < 0 || h->boolean < 0 || H5Tenum_insert(h->boolean, "FALSE", &no) < 0 ||
      H5Tenum_insert(h->boolean, "TRUE", &yes) < 0) {
    hdf5_free(h);
    return fail(err, "created");
  }
  *writer = h;
  return PX_OK;
}

static hid_t type_of(const struct hdf5 *h, enum px_dtype dtype) {
  switch (dtype) {
    case PX_DTYPE_F32: return H5T_IEEE_F32LE;
    case PX_DTYPE_I64: return H5T_STD_I64LE;
    case PX_DTYPE_BOOL: return h->boolean;
    default: return H5T_STD_U8LE;
  }
}

static hid_t create_set(struct hdf5 *h, const struct px_export_column *c) {
  const hsize_t width = c->width ? c->width : 1, row_bytes = width * px_dtype_bytes(c->dtype);
  const hsize_t none[2] = { 0, width }, most[2] = { H5S_UNLIMITED, width };
  const hsize_t chunk[2] = { row_bytes < CHUNK_BYTES ? CHUNK_BYTES / row_bytes : 1, width };
  const int rank = c->width ? 2 : 1;
  const hid_t space = H5Screate_simple(rank, none, most), plist = H5Pcreate(H5P_DATASET_CREATE);
  hid_t set = H5I_INVALID_HID;
  /* Without times, so that equal content gives equal bytes. */
  if (space >= 0 && plist >= 0 && H5Pset_chunk(plist, rank, chunk) >= 0 && H5Pset_obj_track_times(plist, false) >= 0)
    set = H5Dcreate2(h->file, c->name, type_of(h, c->dtype), space, H5P_DEFAULT, plist, H5P_DEFAULT);
  if (plist >= 0) H5Pclose(plist);
  if (space >= 0) H5Sclose(space);
  return set;
}

static bool append(struct hdf5 *h, uint32_t i, const struct px_export_column *c) {
  const hsize_t width = c->width ? c->width : 1;
  const hsize_t now[2] = { h->rows[i] + c->rows, width }, start[2] = { h->rows[i], 0 }, count[2] = { c->rows, width };
  const int rank = c->width ? 2 : 1;
  if (H5Dset_extent(h->set[i], now) < 0) return false;
  const hid_t file_space = H5Dget_space(h->set[i]), memory = H5Screate_simple(rank, count, NULL);
  const bool wrote = file_space >= 0 && memory >= 0 &&
                     H5Sselect_hyperslab(file_space, H5S_SELECT_SET, start, NULL, count, NULL) >= 0 &&
                     H5Dwrite(h->set[i], type_of(h, c->dtype), memory, file_space, H5P_DEFAULT, c->data) >= 0;
  if (memory >= 0) H5Sclose(memory);
  if (file_space >= 0) H5Sclose(file_space);
  h->rows[i] += c->rows;
  return wrote;
}

static enum px_status hdf5_put(void *writer, const struct px_export_rows *rows, const struct px_export_columns *columns,
                               struct px_err *err) {
  (void)rows;
  struct hdf5 *h = writer;
  for (uint32_t i = 0; i < columns->n; i++) {
    if (i == h->sets_n) {
      h->set[i] = create_set(h, &columns->column[i]);
      if (h->set[i] < 0) return fail(err, "written");
      h->sets_n++;
    }
    if (!append(h, i, &columns->column[i])) return fail(err, "written");
  }
  return PX_OK;
}

static enum px_status hdf5_end(void *writer, struct px_err *err) {
  struct hdf5 *h = writer;
  bool good = H5Fflush(h->file, H5F_SCOPE_GLOBAL) >= 0;
  while (h->sets_n > 0) good = H5Dclose(h->set[--h->sets_n]) >= 0 && good;
  good = H5Fclose(h->file) >= 0 && good;
  h->file = H5I_INVALID_HID;
  return good ? PX_OK : fail(err, "completed");
}

const struct px_export_writer px_export_hdf5 = { px_export_columns_d4rl, hdf5_open, hdf5_put, hdf5_end, hdf5_free };
