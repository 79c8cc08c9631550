/* SPDX-License-Identifier: Apache-2.0 */
/* Datasets of short texts: see h5.h. */
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/read/h5_parts.h"

/* Of what the dataset at `path` holds: how many texts of how many bytes. */
static enum px_status measure_texts(hid_t dataset, hid_t type, const char *path, hsize_t *n,
                                    size_t *bytes, struct px_err *err) {
  const hid_t space = H5Dget_space(dataset), plist = H5Dget_create_plist(dataset);
  const H5D_layout_t layout = H5Pget_layout(plist);
  enum px_status status = PX_OK;
  *bytes = H5Tget_size(type);
  if (H5Tget_class(type) != H5T_STRING || H5Tis_variable_str(type) != 0 || *bytes == 0 ||
      *bytes > PX_H5_TEXT_BYTES || H5Sget_simple_extent_ndims(space) != 1 ||
      H5Sget_simple_extent_dims(space, n, NULL) != 1 || *n > PX_H5_TEXTS_MAX)
    status = px_fail_at(err, PX_E_BAD_DATA, path,
                        "'%s' is not one row of at most %d texts of fixed length, %d bytes at most",
                        path, PX_H5_TEXTS_MAX, PX_H5_TEXT_BYTES);
  else if ((layout != H5D_COMPACT && layout != H5D_CONTIGUOUS && layout != H5D_CHUNKED) ||
           H5Pget_external_count(plist) != 0)
    status =
      px_fail_at(err, PX_E_BAD_DATA, path, "'%s' must have its data in the file itself", path);
  else status = px_h5_check_filters(plist, path, err);
  H5Pclose(plist);
  H5Sclose(space);
  return status;
}

enum px_status px_h5_texts(struct px_reader *r, hid_t file, const char *path,
                           enum px_status (*each)(void *ctx, const char *text), void *ctx,
                           struct px_err *err) {
  const hid_t dataset = H5Dopen2(file, path, H5P_DEFAULT);
  const hid_t type = dataset < 0 ? H5I_INVALID_HID : H5Dget_type(dataset);
  hsize_t n = 0;
  size_t bytes = 0;
  char *texts = NULL, one[PX_H5_TEXT_BYTES + 1];
  enum px_status status = type < 0 ? px_h5_fail(path, err, "cannot open")
                                   : measure_texts(dataset, type, path, &n, &bytes, err);
  if (!status) status = px_reader_charge_bytes(r, path, path, n * bytes, err);
  if (!status && !(texts = px_mem_calloc((size_t)n + 1, bytes)))
    status = px_fail(err, PX_E_NO_MEMORY, "no memory to read '%s'", path);
  if (!status && n && H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, texts) < 0)
    status = px_h5_fail(path, err, "cannot read");
  for (hsize_t i = 0; i < n && !status; i++) {
    snprintf(one, sizeof one, "%.*s", (int)bytes, texts + i * bytes);
    status = each(ctx, one);
  }
  free(texts);
  if (type >= 0) H5Tclose(type);
  if (dataset >= 0) H5Dclose(dataset);
  return status;
}
