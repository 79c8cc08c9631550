/* SPDX-License-Identifier: Apache-2.0 */
/* Content-Encoding decoded while a body arrives: see decode.h. */
#include "lib/read/decode.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "lib/base/crash.h"
#include "lib/base/fail.h"

enum { OUT_BYTES = 256 * 1024, DEFAULT_RATIO = 100, WINDOW_LOG_MAX = 23, GZIP_WINDOW = 15 + 16 };

struct px_decoder {
  enum px_encoding encoding;
  int fd;
  uint64_t max_bytes, max_ratio, in_bytes, out_bytes;
  bool between; /* at the end of a gzip member or zstd frame: the body may stop here */
  z_stream gzip;
  bool gzip_begun;
  ZSTD_DCtx *zstd;
  uint8_t out[OUT_BYTES];
};

enum px_status px_decoder_parse_encoding(const char *value, enum px_encoding *out,
                                         struct px_err *err) {
  static const struct {
    const char *word;
    enum px_encoding encoding;
  } words[] = {
    { "", PX_ENCODING_IDENTITY }, { "identity", PX_ENCODING_IDENTITY },
    { "gzip", PX_ENCODING_GZIP }, { "x-gzip", PX_ENCODING_GZIP },
    { "zstd", PX_ENCODING_ZSTD },
  };
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (!strcasecmp(words[i].word, value ? value : "")) {
      *out = words[i].encoding;
      return PX_OK;
    }
  return px_fail(err, PX_E_UNSUPPORTED_MEDIA,
                 "the content encoding '%.80s' is not one of gzip, zstd, identity", value);
}

struct px_decoder *px_decoder_new(enum px_encoding encoding, int fd, uint64_t max_bytes,
                                  uint32_t max_ratio) {
  struct px_decoder *d = calloc(1, sizeof *d);
  if (!d) return NULL;
  d->encoding = encoding;
  d->fd = fd;
  d->max_bytes = max_bytes;
  d->max_ratio = max_ratio ? max_ratio : DEFAULT_RATIO;
  if (encoding == PX_ENCODING_GZIP) d->gzip_begun = inflateInit2(&d->gzip, GZIP_WINDOW) == Z_OK;
  if (encoding == PX_ENCODING_ZSTD && (d->zstd = ZSTD_createDCtx()) &&
      ZSTD_isError(ZSTD_DCtx_setParameter(d->zstd, ZSTD_d_windowLogMax, WINDOW_LOG_MAX))) {
    ZSTD_freeDCtx(d->zstd);
    d->zstd = NULL;
  }
  const bool made = encoding == PX_ENCODING_GZIP   ? d->gzip_begun
                    : encoding == PX_ENCODING_ZSTD ? d->zstd != NULL
                                                   : true;
  if (made) return d;
  px_decoder_free(d);
  return NULL;
}

static enum px_status write_decoded(struct px_decoder *d, const uint8_t *bytes, size_t n,
                                    struct px_err *err) {
  d->out_bytes += n;
  if (d->out_bytes > d->max_bytes)
    return px_fail(err, PX_E_TOO_LARGE, "the body decodes to more than %" PRIu64 " bytes",
                   d->max_bytes);
  if (d->encoding != PX_ENCODING_IDENTITY && d->out_bytes > PX_DECODE_FREE_BYTES &&
      d->out_bytes / d->max_ratio > d->in_bytes)
    return px_fail(err, PX_E_TOO_LARGE, "the body decodes to more than %" PRIu64 " times its size",
                   d->max_ratio);
  PX_CRASH_POINT("spool_write", "before");
  while (n) {
    const ssize_t put = write(d->fd, bytes, n);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return px_fail_errno(err, "cannot store the body");
    bytes += put;
    n -= (size_t)put;
  }
  PX_CRASH_POINT("spool_write", "after");
  return PX_OK;
}

static enum px_status feed_gzip(struct px_decoder *d, const uint8_t *bytes, size_t n,
                                struct px_err *err) {
  d->gzip.next_in = (Bytef *)bytes;
  d->gzip.avail_in = (uInt)n;
  do {
    /* another member */
    if (d->between && d->gzip.avail_in && inflateReset(&d->gzip) == Z_OK) d->between = false;
    if (d->between) break;
    d->gzip.next_out = d->out;
    d->gzip.avail_out = OUT_BYTES;
    const int result = inflate(&d->gzip, Z_NO_FLUSH);
    if (result == Z_MEM_ERROR) return px_fail(err, PX_E_NO_MEMORY, "no memory to decode the body");
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
      return px_fail(err, PX_E_BAD_REQUEST, "the body is not valid gzip: %s",
                     d->gzip.msg ? d->gzip.msg : "broken");
    d->between = result == Z_STREAM_END;
    const enum px_status status = write_decoded(d, d->out, OUT_BYTES - d->gzip.avail_out, err);
    if (status) return status;
  } while (d->gzip.avail_in || d->gzip.avail_out == 0);
  return PX_OK;
}

static enum px_status feed_zstd(struct px_decoder *d, const uint8_t *bytes, size_t n,
                                struct px_err *err) {
  ZSTD_inBuffer in = { bytes, n, 0 };
  for (bool full = false; in.pos < in.size || full;) {
    ZSTD_outBuffer out = { d->out, OUT_BYTES, 0 };
    const size_t left = ZSTD_decompressStream(d->zstd, &out, &in);
    if (ZSTD_isError(left))
      return px_fail(err, PX_E_BAD_REQUEST, "the body is not valid zstd: %s",
                     ZSTD_getErrorName(left));
    d->between = left == 0;
    full = out.pos == out.size && !d->between;
    const enum px_status status = write_decoded(d, d->out, out.pos, err);
    if (status) return status;
  }
  return PX_OK;
}

enum px_status px_decoder_feed(struct px_decoder *d, const void *bytes, size_t n,
                               struct px_err *err) {
  /* so that the ratio is looked at as the body comes, and zlib's uInt suffices */
  enum { PIECE_BYTES = 1 << 20 };
  for (const uint8_t *p = bytes; n;) {
    const size_t piece = n < PIECE_BYTES ? n : PIECE_BYTES;
    d->in_bytes += piece;
    const enum px_status status = d->encoding == PX_ENCODING_GZIP ? feed_gzip(d, p, piece, err)
                                  : d->encoding == PX_ENCODING_ZSTD
                                    ? feed_zstd(d, p, piece, err)
                                    : write_decoded(d, p, piece, err);
    if (status) return status;
    p += piece;
    n -= piece;
  }
  return PX_OK;
}

enum px_status px_decoder_end(struct px_decoder *d, struct px_err *err) {
  if (d->encoding == PX_ENCODING_IDENTITY || d->between) return PX_OK;
  return px_fail(err, PX_E_BAD_REQUEST, "the body stops in the middle of its %s coding",
                 d->encoding == PX_ENCODING_GZIP ? "gzip" : "zstd");
}

uint64_t px_decoder_bytes(const struct px_decoder *d) { return d->out_bytes; }

void px_decoder_free(struct px_decoder *d) {
  if (!d) return;
  if (d->gzip_begun) inflateEnd(&d->gzip);
  ZSTD_freeDCtx(d->zstd);
  free(d);
}
