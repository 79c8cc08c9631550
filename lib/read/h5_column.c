/* SPDX-License-Identifier: Apache-2.0 */
/* Datasets of HDF5 as columns: see h5.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/read/column.h"
#include "lib/read/h5_parts.h"

enum {
  CHUNK_MAX_BYTES = 256 << 20, /* a chunk is unpacked whole */
  /* for a row of chunks of every array that is open, so that each is unpacked once */
  CACHES_MAX_BYTES = 1 << 30,
  USUAL_CACHE_BYTES = 1 << 20,
  USUAL_CACHE_CHUNKS = 521,
  CACHE_SLOTS = 4099,
  SCRATCH_MAX_BYTES = 256 << 10,
};

struct h5_column {
  struct px_reader *r;
  struct px_precision precision;
  size_t cached_bytes; /* of r's */
  hid_t dataset, space, type;
  struct px_array_dtype number;
  int rank;
  uint64_t row, rows, cols;
  void *scratch; /* [scratch_rows, cols] as in the file */
  size_t scratch_rows;
  char path[PX_H5_PATH_BYTES];
};

static enum px_status read_rows(struct h5_column *c, size_t rows, void *dst, struct px_err *err) {
  const hsize_t start[2] = { c->row, 0 }, count[2] = { rows, c->cols };
  const hid_t memory = c->rank ? H5Screate_simple(c->rank, count, NULL) : H5Scopy(c->space);
  const bool read =
    memory >= 0 &&
    (!c->rank || H5Sselect_hyperslab(c->space, H5S_SELECT_SET, start, NULL, count, NULL) >= 0) &&
    H5Dread(c->dataset, c->type, memory, c->space, H5P_DEFAULT, dst) >= 0;
  const enum px_status status = read ? PX_OK : px_h5_fail(c->path, err, "cannot read");
  H5Sclose(memory);
  c->row += rows;
  return status;
}

static enum px_status h5_next(void *ctx, size_t rows, float *dst, struct px_err *err) {
  struct h5_column *c = ctx;
  if (px_dtype_is_float32(c->number)) return rows ? read_rows(c, rows, dst, err) : PX_OK;
  for (size_t n; rows; rows -= n, dst += n * c->cols) {
    n = rows < c->scratch_rows ? rows : c->scratch_rows;
    const enum px_status status = read_rows(c, n, c->scratch, err);
    if (status) return status;
    px_reader_convert(&c->precision, PX_PRECISION_ROWS, c->number, c->scratch, n * c->cols, dst);
  }
  return c->row == c->rows ? px_reader_check_precision(c->r, c->path, &c->precision, err) : PX_OK;
}

static void h5_close(void *ctx) {
  struct h5_column *c = ctx;
  if (c->type >= 0) H5Tclose(c->type);
  if (c->space >= 0) H5Sclose(c->space);
  if (c->dataset >= 0) H5Dclose(c->dataset);
  c->r->cached_bytes -= c->cached_bytes;
  free(c->scratch);
  px_precision_free(&c->precision);
  free(c);
}

/* Whether a float type is IEEE 754's of its size, so that its bytes mean what we think. */
static bool is_ieee(hid_t type, size_t bytes) {
  static const size_t exponent_bits[9] = { [2] = 5, [4] = 8, [8] = 11 };
  size_t sign, exponent, exponent_n, fraction, fraction_n;
  if (bytes > 8 || !exponent_bits[bytes] ||
      H5Tget_fields(type, &sign, &exponent, &exponent_n, &fraction, &fraction_n) < 0)
    return false;
  return exponent_n == exponent_bits[bytes] && fraction == 0 && fraction_n == exponent &&
         sign == exponent + exponent_n && sign == bytes * 8 - 1 &&
         H5Tget_ebias(type) == (1u << (exponent_n - 1)) - 1 &&
         H5Tget_norm(type) == H5T_NORM_IMPLIED;
}

static bool number_of(hid_t type, struct px_array_dtype *out) {
  const H5T_class_t class = H5Tget_class(type);
  const size_t bytes = H5Tget_size(type);
  if (class == H5T_ENUM) { /* how h5py writes booleans */
    const hid_t base = H5Tget_super(type);
    const bool known = base >= 0 && H5Tget_class(base) == H5T_INTEGER && number_of(base, out);
    if (base >= 0) H5Tclose(base);
    return known;
  }
  if (bytes > 8 || (class != H5T_INTEGER && class != H5T_FLOAT)) return false;
  const H5T_order_t order = H5Tget_order(type);
  if (order != H5T_ORDER_LE && order != H5T_ORDER_BE) return false;
  if (class == H5T_INTEGER && (H5Tget_precision(type) != bytes * 8 || H5Tget_offset(type) != 0))
    return false;
  if (class == H5T_FLOAT && !is_ieee(type, bytes)) return false;
  *out = (struct px_array_dtype){ class == H5T_FLOAT                  ? PX_DTYPE_FLOAT
                                  : H5Tget_sign(type) == H5T_SGN_NONE ? PX_DTYPE_UINT
                                                                      : PX_DTYPE_INT,
                                  (uint32_t)bytes, order == H5T_ORDER_BE };
  return px_dtype_known(*out);
}

/* Others in use, by their registered numbers (HDF Group, Registered Filter Plugins). */
static const char *filter_name(H5Z_filter_t filter) {
  static const struct {
    H5Z_filter_t filter;
    const char *name;
  } NAMES[] = {
    { H5Z_FILTER_NBIT, "n-bit" }, { 305, "LZO" },     { 307, "bzip2" },
    { PX_H5_LZF, "lzf" },         { 32001, "Blosc" }, { 32004, "LZ4" },
    { 32008, "bitshuffle" },      { 32013, "ZFP" },   { 32015, "Zstandard" },
    { 32026, "Blosc2" },
  };
  for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
    if (NAMES[i].filter == filter) return NAMES[i].name;
  return "not known here";
}

static enum px_status refuse_filter(H5Z_filter_t filter, const char *path, struct px_err *err) {
  px_fail_at(
    err, PX_E_BAD_DATA, path,
    "'%s' is packed with HDF5 filter %d (%s); only gzip, lzf, szip, scale-offset, shuffle and "
    "fletcher32 are read",
    path, (int)filter, filter_name(filter));
  if (filter == PX_H5_LZF)
    px_fail_hint(err, "The service reads lzf where Debian's packages hdf5-plugin-lzf and liblzf1 "
                      "are installed. Or repack the "
                      "file where it can be read: h5repack -f GZIP=4 IN OUT.");
  else
    px_fail_hint(err, "Repack the file where it can be read: h5repack -f GZIP=4 IN OUT, or h5py's "
                      "compression='gzip'.");
  return PX_E_BAD_DATA;
}

enum px_status px_h5_check_filters(hid_t plist, const char *path, struct px_err *err) {
  static const H5Z_filter_t known[] = { H5Z_FILTER_DEFLATE,     H5Z_FILTER_SHUFFLE,
                                        H5Z_FILTER_FLETCHER32,  H5Z_FILTER_SZIP,
                                        H5Z_FILTER_SCALEOFFSET, PX_H5_LZF };
  enum { KNOWN_N = sizeof known / sizeof *known };
  bool seen[KNOWN_N] = { false };
  const int filters_n = H5Pget_nfilters(plist);
  if (filters_n < 0) return px_h5_fail(path, err, "cannot inspect");
  for (int i = 0; i < filters_n; i++) {
    unsigned flags;
    size_t values_n = 0, at = 0;
    const H5Z_filter_t filter =
      H5Pget_filter2(plist, (unsigned)i, &flags, &values_n, NULL, 0, NULL, NULL);
    while (at < KNOWN_N && filter != known[at]) at++;
    if (at == KNOWN_N || H5Zfilter_avail(filter) <= 0) return refuse_filter(filter, path, err);
    if (seen[at])
      return px_fail_at(err, PX_E_BAD_DATA, path, "'%s' is packed with HDF5 filter %d twice", path,
                        (int)filter);
    seen[at] = true;
  }
  return PX_OK;
}

/* How an array is cut into chunks: zeros when it is not. */
struct chunks {
  size_t bytes, across_n;
  uint64_t down_n;
};

static enum px_status measure_chunks(struct h5_column *c, hid_t plist, const hsize_t dims[2],
                                     struct chunks *out, struct px_err *err) {
  hsize_t chunk[2] = { 1, 1 };
  if (H5Pget_chunk(plist, c->rank, chunk) != c->rank || !chunk[0] || !chunk[1])
    return px_h5_fail(c->path, err, "unknown layout of");
  if (!px_mem_mul(chunk[0], chunk[1], &out->bytes) ||
      !px_mem_mul(out->bytes, c->number.bytes, &out->bytes) || out->bytes > CHUNK_MAX_BYTES) {
    px_fail_at(err, PX_E_TOO_LARGE, c->path, "'%s' has chunks of more than %d MiB", c->path,
               CHUNK_MAX_BYTES >> 20);
    px_fail_hint(err, "Save it with smaller chunks (h5py: chunks=True), or without.");
    return PX_E_TOO_LARGE;
  }
  out->across_n = (dims[1] + chunk[1] - 1) / chunk[1];
  out->down_n = (dims[0] + chunk[0] - 1) / chunk[0];
  return PX_OK;
}

/* Where the data lies, and how it is packed. */
static enum px_status check_storage(struct h5_column *c, const hsize_t dims[2],
                                    struct chunks *chunks, struct px_err *err) {
  const hid_t plist = H5Dget_create_plist(c->dataset);
  if (plist < 0) return px_h5_fail(c->path, err, "cannot inspect");
  const H5D_layout_t layout = H5Pget_layout(plist);
  enum px_status status = PX_OK;
  *chunks = (struct chunks){ 0 };
  if (layout == H5D_VIRTUAL)
    status = px_fail_at(err, PX_E_BAD_DATA, c->path,
                        "'%s' is a virtual dataset; the data must be in the file itself", c->path);
  else if (layout != H5D_COMPACT && layout != H5D_CONTIGUOUS && layout != H5D_CHUNKED)
    status = px_h5_fail(c->path, err, "unknown layout of");
  else if (H5Pget_external_count(plist) != 0)
    status =
      px_fail_at(err, PX_E_BAD_DATA, c->path,
                 "'%s' keeps its data in another file; it must be in the file itself", c->path);
  else status = px_h5_check_filters(plist, c->path, err);
  if (!status && layout == H5D_CHUNKED) status = measure_chunks(c, plist, dims, chunks, err);
  H5Pclose(plist);
  return status;
}

static enum px_status open_dataset(struct h5_column *c, hid_t file, size_t cache_bytes,
                                   struct px_err *err) {
  const hid_t access = H5Pcreate(H5P_DATASET_ACCESS);
  const bool opened =
    access >= 0 &&
    (!cache_bytes || H5Pset_chunk_cache(access, CACHE_SLOTS, cache_bytes + (1 << 16), 1.0) >= 0) &&
    (c->dataset = H5Dopen2(file, c->path, access)) >= 0;
  const enum px_status status = opened ? PX_OK : px_h5_fail(c->path, err, "cannot open");
  H5Pclose(access);
  return status;
}

static enum px_status check_type(struct h5_column *c, struct px_err *err) {
  c->type = H5Dget_type(c->dataset);
  if (c->type < 0) return px_h5_fail(c->path, err, "unknown type of");
  if (!number_of(c->type, &c->number))
    return px_fail_at(err, PX_E_BAD_DATA, c->path,
                      "'%s' does not hold plain numbers (floats of 16 to 64 bits, integers or "
                      "booleans)",
                      c->path);
  return PX_OK;
}

static enum px_status check_shape(struct h5_column *c, hsize_t dims[2], struct px_err *err) {
  c->space = H5Dget_space(c->dataset);
  c->rank = c->space < 0 ? -1 : H5Sget_simple_extent_ndims(c->space);
  dims[0] = dims[1] = 1;
  if (c->rank < 0 || H5Sget_simple_extent_type(c->space) == H5S_NULL)
    return px_h5_fail(c->path, err, "no shape of");
  if (c->rank > 2)
    return px_fail_at(err, PX_E_BAD_DATA, c->path,
                      "'%s' has %d dimensions; it must be [steps] or [steps, numbers] (images "
                      "are not supported)",
                      c->path, c->rank);
  if (c->rank && H5Sget_simple_extent_dims(c->space, dims, NULL) != c->rank)
    return px_h5_fail(c->path, err, "no shape of");
  return PX_OK;
}

/* What is unpacked is whole chunks, also where they reach beyond the array. */
static enum px_status charge(struct h5_column *c, const hsize_t dims[2],
                             const struct chunks *chunks, struct px_err *err) {
  enum px_status status = px_reader_charge(c->r, c->path, dims[0], dims[1], c->number.bytes, err);
  size_t all;
  if (status || !chunks->bytes) return status;
  if (!px_mem_mul(chunks->bytes, chunks->across_n, &all) || !px_mem_mul(all, chunks->down_n, &all))
    all = SIZE_MAX;
  char what[PX_H5_PATH_BYTES + 32];
  snprintf(what, sizeof what, "the chunks of '%s'", c->path);
  return px_reader_charge_bytes(c->r, c->path, what, all - dims[0] * dims[1] * c->number.bytes,
                                err);
}

/* Rows are read from first to last, some at a time: the chunks that hold them stay unpacked until
 * the next are needed. */
static enum px_status keep_chunks(struct h5_column *c, hid_t file, const struct chunks *chunks,
                                  struct px_err *err) {
  size_t across;
  if (!px_mem_mul(chunks->bytes, chunks->across_n, &across) ||
      across > CACHES_MAX_BYTES - c->r->cached_bytes) {
    px_fail_at(err, PX_E_TOO_LARGE, c->path,
               "'%s' has chunks so large that more than %d MiB are needed to read each once",
               c->path, CACHES_MAX_BYTES >> 20);
    px_fail_hint(err, "Save it with smaller chunks (h5py: chunks=True), or without.");
    return PX_E_TOO_LARGE;
  }
  if (across <= USUAL_CACHE_BYTES && chunks->across_n <= USUAL_CACHE_CHUNKS) return PX_OK;
  c->r->cached_bytes += c->cached_bytes = across;
  H5Dclose(c->dataset);
  c->dataset = H5I_INVALID_HID;
  return open_dataset(c, file, across, err);
}

static enum px_status prepare(hid_t file, struct h5_column *c, hsize_t dims[2],
                              struct px_err *err) {
  struct chunks chunks;
  enum px_status status = open_dataset(c, file, 0, err);
  if (!status) status = check_type(c, err);
  if (!status) status = check_shape(c, dims, err);
  if (!status) status = check_storage(c, dims, &chunks, err);
  if (!status) status = charge(c, dims, &chunks, err);
  if (!status) status = keep_chunks(c, file, &chunks, err);
  if (status) return status;
  c->rows = dims[0];
  c->cols = dims[1];
  if (px_precision_matters(c->number) && px_precision_init(&c->precision, (uint32_t)c->cols))
    return px_fail(err, PX_E_NO_MEMORY, "no memory to read '%s'", c->path);
  const size_t row_bytes = (c->cols ? c->cols : 1) * c->number.bytes;
  c->scratch_rows = SCRATCH_MAX_BYTES / row_bytes;
  if (c->scratch_rows > dims[0]) c->scratch_rows = dims[0] ? dims[0] : 1;
  if (!px_dtype_is_float32(c->number) && !(c->scratch = px_mem_calloc(c->scratch_rows, row_bytes)))
    return px_fail(err, PX_E_NO_MEMORY, "no memory to read '%s'", c->path);
  return PX_OK;
}

enum px_status px_h5_column(struct px_reader *r, hid_t file, const char *path,
                            struct px_column *out, struct px_err *err) {
  enum px_h5_kind kind;
  enum px_status status = px_h5_kind(file, path, &kind, err);
  if (status) return status;
  if (kind != PX_H5_DATASET)
    return px_fail_at(err, PX_E_BAD_DATA, path,
                      kind == PX_H5_NONE ? "'%s' is missing" : "'%s' is not a dataset", path);
  struct h5_column *c = calloc(1, sizeof *c);
  if (!c) return px_fail(err, PX_E_NO_MEMORY, "no memory to read '%s'", path);
  *c = (struct h5_column){
    .r = r, .dataset = H5I_INVALID_HID, .space = H5I_INVALID_HID, .type = H5I_INVALID_HID
  };
  snprintf(c->path, sizeof c->path, "%s", path);
  hsize_t dims[2];
  status = prepare(file, c, dims, err);
  if (status) {
    h5_close(c);
    return status;
  }
  *out = (struct px_column){ .rows = dims[0],
                             .cols = (uint32_t)dims[1],
                             .ctx = c,
                             .next = h5_next,
                             .close = h5_close,
                             .integers = c->number.kind != PX_DTYPE_FLOAT };
  snprintf(out->name, sizeof out->name, "%s", path);
  return PX_OK;
}

void px_h5_skip(struct px_column *column, uint64_t rows) {
  ((struct h5_column *)column->ctx)->row += rows;
}
