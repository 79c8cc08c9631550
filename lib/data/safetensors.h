/* SPDX-License-Identifier: Apache-2.0 */
/*
 * safetensors: the one container for everything stored or returned (segments,
 * label sets, models, checkpoints, policy weights, exports).
 *
 * Layout (huggingface/safetensors, format document of version 0.4): u64 little
 * endian header size, a JSON object {name: {dtype, shape, data_offsets}} with
 * an optional "__metadata__" of strings, then the tensors without holes. The
 * header is padded with spaces so that the data starts at a multiple of 64.
 *
 * Equal content gives equal bytes: tensors are laid out by decreasing element
 * size (so each is aligned for its type), then in the order given; metadata in
 * the order given. Parsing is strict and meant for untrusted bytes. Nothing
 * here is shared between threads.
 */
#ifndef PX_DATA_SAFETENSORS_H
#define PX_DATA_SAFETENSORS_H

#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"

/* The service writes the first six; the others come in uploads. */
enum px_dtype {
  PX_DTYPE_F32,
  PX_DTYPE_F64,
  PX_DTYPE_I64,
  PX_DTYPE_I32,
  PX_DTYPE_U8,
  PX_DTYPE_BOOL,
  PX_DTYPE_F16,
  PX_DTYPE_BF16,
  PX_DTYPE_I8,
  PX_DTYPE_I16,
  PX_DTYPE_U16,
  PX_DTYPE_U32,
  PX_DTYPE_U64,
  PX_DTYPE_N
};
enum {
  PX_ST_RANK_MAX = 8,
  PX_ST_NAME_MAX = 255,
  PX_ST_TENSORS_MAX = 4096,
  PX_ST_HEADER_MAX_BYTES = 1 << 20
};

const char *px_safetensors_dtype_name(enum px_dtype dtype); /* "F32" ... */
size_t px_safetensors_dtype_bytes(enum px_dtype dtype);

struct px_safetensors_tensor {
  const char *name;
  enum px_dtype dtype;
  uint32_t rank; /* 0: a scalar */
  uint64_t dims[PX_ST_RANK_MAX];
  /* borrowed; after parsing it may be misaligned: see px_safetensors_aligned */
  const void *data;
  uint64_t bytes, offset; /* set here: size, and place after the header */
};
struct px_safetensors_meta {
  const char *key, *value;
};

/* Appends the header for the tensors to `out` and sets their bytes and offset;
 * data is not looked at. For writers that stream the tensors themselves, in the
 * order of `offset`. BAD_DATA for a name or a shape that cannot be written. */
enum px_status px_safetensors_header(struct px_safetensors_tensor *tensors, size_t tensors_n,
                                     const struct px_safetensors_meta *meta, size_t meta_n,
                                     struct px_buf *out, struct px_err *err) PX_MUST_CHECK;
/* Appends header and data. */
enum px_status px_safetensors_write(struct px_safetensors_tensor *tensors, size_t tensors_n,
                                    const struct px_safetensors_meta *meta, size_t meta_n,
                                    struct px_buf *out, struct px_err *err) PX_MUST_CHECK;

/* A parsed file; borrows `bytes`, which must outlive it. */
struct px_safetensors;
/* BAD_DATA unless the header is at most PX_ST_HEADER_MAX_BYTES of valid JSON,
 * every dtype is known, every shape's product is its size, and the tensors
 * cover the data exactly: no overlap, no hole, nothing outside. */
enum px_status px_safetensors_parse(const void *bytes, size_t n, struct px_safetensors **out,
                                    struct px_err *err) PX_MUST_CHECK;
void px_safetensors_free(struct px_safetensors *st);

/* NULL if there is none of that name. Tensors are numbered in the order of their data. */
const struct px_safetensors_tensor *px_safetensors_find(const struct px_safetensors *st,
                                                        const char *name);
size_t px_safetensors_tensors_n(const struct px_safetensors *st);
const struct px_safetensors_tensor *px_safetensors_at(const struct px_safetensors *st, size_t i);
/* NULL if there is none */
const char *px_safetensors_meta(const struct px_safetensors *st, const char *key);
/* The i-th entry's key, in the file's order, and its value; NULL behind the last. */
const char *px_safetensors_meta_at(const struct px_safetensors *st, size_t i, const char **value);

/* The tensor's data if it has exactly this type and shape and is aligned for
 * it, else BAD_DATA naming it. */
enum px_status px_safetensors_take(const struct px_safetensors *st, const char *name,
                                   enum px_dtype dtype, uint32_t rank, const uint64_t *dims,
                                   const void **data, struct px_err *err) PX_MUST_CHECK;
/* Whether data may be read through a pointer of its element type. */
bool px_safetensors_aligned(const struct px_safetensors_tensor *tensor);

#endif
