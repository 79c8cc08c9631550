/* SPDX-License-Identifier: Apache-2.0 */
/* Codecs of Parquet's pages: see parquet_parts.h. */
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

#include "lib/read/parquet_parts.h"

static bool unpack_snappy(const uint8_t *src, size_t n, uint8_t *dst, size_t dst_n) {
  size_t said = 0, got = dst_n;
  return snappy_uncompressed_length((const char *)src, n, &said) == SNAPPY_OK && said == dst_n &&
         snappy_uncompress((const char *)src, n, (char *)dst, &got) == SNAPPY_OK && got == dst_n;
}

static bool unpack_gzip(const uint8_t *src, size_t n, uint8_t *dst, size_t dst_n) {
  enum { GZIP_OR_ZLIB = 15 + 32 };
  z_stream z = { .next_in = (Bytef *)(uintptr_t)src,
                 .avail_in = (uInt)n,
                 .next_out = dst,
                 .avail_out = (uInt)dst_n };
  if (inflateInit2(&z, GZIP_OR_ZLIB) != Z_OK) return false;
  bool ended = inflate(&z, Z_FINISH) == Z_STREAM_END;
  while (ended && z.avail_in && z.avail_out) /* another member */
    ended = inflateReset(&z) == Z_OK && inflate(&z, Z_FINISH) == Z_STREAM_END;
  inflateEnd(&z);
  return ended && !z.avail_out;
}

static bool unpack_zstd(const uint8_t *src, size_t n, uint8_t *dst, size_t dst_n) {
  const size_t got = ZSTD_decompress(dst, dst_n, src, n);
  return !ZSTD_isError(got) && got == dst_n;
}

enum px_status px_parquet_unpack(uint8_t codec, const uint8_t *src, size_t n, uint8_t *dst,
                                 size_t dst_n, struct px_err *err) {
  static const struct {
    const char *name;
    bool (*unpack)(const uint8_t *src, size_t n, uint8_t *dst, size_t dst_n);
  } codecs[] = { [PX_PARQUET_SNAPPY] = { "snappy", unpack_snappy },
                 [PX_PARQUET_GZIP] = { "gzip", unpack_gzip },
                 [PX_PARQUET_ZSTD] = { "zstd", unpack_zstd } };
  if (codec >= sizeof codecs / sizeof *codecs || !codecs[codec].unpack)
    return px_fail(err, PX_E_BAD_DATA,
                   "it is packed with codec %d; snappy, gzip and zstd are accepted, or none",
                   codec);
  if (codecs[codec].unpack(src, n, dst, dst_n)) return PX_OK;
  return px_fail(err, PX_E_BAD_DATA,
                 "a page of %zu bytes does not unpack with %s to the %zu it declares", n,
                 codecs[codec].name, dst_n);
}
