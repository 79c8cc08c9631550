/* SPDX-License-Identifier: Apache-2.0 */
/* Content-Encoding: what comes out is what went in, however it is cut; bombs and broken codings are
 * refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "lib/base/fail.h"
#include "lib/base/rng.h"
#include "lib/read/decode.h"
#include "tests/support/cu.h"
#include "tests/support/uploads.h"

enum { TEXT_BYTES = 300000 };

struct coded {
  char *bytes;
  size_t n;
};

static struct coded code(enum px_encoding encoding, const char *text, size_t n) {
  struct coded c = { malloc(n + n / 100 + 1000), n };
  if (encoding == PX_ENCODING_ZSTD) {
    c.n = ZSTD_compress(c.bytes, n + n / 100 + 1000, text, n, 3);
  } else if (encoding == PX_ENCODING_GZIP) {
    z_stream z = { .next_in = (Bytef *)(uintptr_t)text,
                   .avail_in = (uInt)n,
                   .next_out = (Bytef *)c.bytes,
                   .avail_out = (uInt)(n + n / 100 + 1000) };
    deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    deflate(&z, Z_FINISH);
    c.n = z.total_out;
    deflateEnd(&z);
  } else {
    memcpy(c.bytes, text, n);
  }
  return c;
}

static char *make_text(void) {
  char *text = malloc(TEXT_BYTES);
  struct px_rng rng = px_rng_at(1, px_rng_stream("decode", 0), 0);
  for (size_t i = 0; i < TEXT_BYTES; i++) text[i] = (char)('a' + px_rng_below(&rng, 7));
  return text;
}

/* Feeds pieces of `piece` bytes; the file is left in *fd. */
static enum px_status decode(enum px_encoding encoding, const struct coded *c, size_t piece,
                             uint64_t max, int *fd, struct px_err *err) {
  *fd = memfd_create("decoded", MFD_CLOEXEC);
  struct px_decoder *d = px_decoder_new(encoding, *fd, max, 0);
  enum px_status status = PX_OK;
  for (size_t at = 0; at < c->n && !status; at += piece)
    status = px_decoder_feed(d, c->bytes + at, c->n - at < piece ? c->n - at : piece, err);
  if (!status) status = px_decoder_end(d, err);
  px_decoder_free(d);
  return status;
}

static void every_cut_decodes_to_the_same(void) {
  char *text = make_text();
  static const size_t pieces[] = { 1, 7, 4096, 1 << 22 };
  for (int e = PX_ENCODING_IDENTITY; e <= PX_ENCODING_ZSTD; e++) {
    struct coded c = code((enum px_encoding)e, text, TEXT_BYTES);
    for (size_t i = 0; i < 4; i++) {
      struct px_err err;
      int fd;
      CU_OK(decode((enum px_encoding)e, &c, pieces[i], TEXT_BYTES, &fd, &err), err);
      size_t n;
      char *out = uploads_contents(fd, &n);
      CU_ASSERT(n == TEXT_BYTES && !memcmp(out, text, n));
      free(out);
      close(fd);
    }
    free(c.bytes);
  }
  free(text);
}

static void concatenated_members_are_one_body(void) {
  for (int e = PX_ENCODING_GZIP; e <= PX_ENCODING_ZSTD; e++) {
    struct coded a = code((enum px_encoding)e, "hello ", 6),
                 b = code((enum px_encoding)e, "world", 5);
    struct coded both = { malloc(a.n + b.n), a.n + b.n };
    memcpy(both.bytes, a.bytes, a.n);
    memcpy(both.bytes + a.n, b.bytes, b.n);
    for (size_t piece = 1; piece <= both.n; piece++) {
      struct px_err err;
      int fd;
      CU_OK(decode((enum px_encoding)e, &both, piece, 100, &fd, &err), err);
      size_t n;
      char *out = uploads_contents(fd, &n);
      CU_ASSERT(n == 11 && !memcmp(out, "hello world", 11));
      free(out);
      close(fd);
    }
    free(a.bytes);
    free(b.bytes);
    free(both.bytes);
  }
}

static void bombs_are_refused_early(void) {
  enum { ZEROS = 64 << 20 };
  char *zeros = calloc(1, ZEROS);
  for (int e = PX_ENCODING_GZIP; e <= PX_ENCODING_ZSTD; e++) {
    struct coded c = code((enum px_encoding)e, zeros, ZEROS);
    struct px_err err;
    int fd;
    CU_ASSERT_EQUAL(decode((enum px_encoding)e, &c, 1000, 1ull << 40, &fd, &err), PX_E_TOO_LARGE);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "100 times"));
    CU_ASSERT(lseek(fd, 0, SEEK_END) <= PX_DECODE_FREE_BYTES + (1 << 20));
    close(fd);
    free(c.bytes);
  }
  free(zeros);
}

static void the_maximum_counts_decoded_bytes(void) {
  char *text = make_text();
  for (int e = PX_ENCODING_IDENTITY; e <= PX_ENCODING_ZSTD; e++) {
    struct coded c = code((enum px_encoding)e, text, TEXT_BYTES);
    struct px_err err;
    int fd;
    CU_ASSERT_EQUAL(decode((enum px_encoding)e, &c, 4096, TEXT_BYTES - 1, &fd, &err),
                    PX_E_TOO_LARGE);
    close(fd);
    free(c.bytes);
  }
  free(text);
}

static void broken_and_cut_codings_are_refused(void) {
  char *text = make_text();
  for (int e = PX_ENCODING_GZIP; e <= PX_ENCODING_ZSTD; e++) {
    struct coded c = code((enum px_encoding)e, text, TEXT_BYTES);
    struct px_err err;
    int fd;
    const size_t whole = c.n;
    c.n = whole - 1;
    CU_ASSERT_EQUAL(decode((enum px_encoding)e, &c, 4096, TEXT_BYTES, &fd, &err), PX_E_BAD_REQUEST);
    close(fd);
    c.n = whole;
    c.bytes[0] ^= 1;
    CU_ASSERT_EQUAL(decode((enum px_encoding)e, &c, 4096, TEXT_BYTES, &fd, &err), PX_E_BAD_REQUEST);
    close(fd);
    c.n = 0;
    CU_ASSERT_EQUAL(decode((enum px_encoding)e, &c, 4096, TEXT_BYTES, &fd, &err), PX_E_BAD_REQUEST);
    close(fd);
    free(c.bytes);
  }
  free(text);
}

static void encodings_are_known_by_name(void) {
  enum px_encoding e;
  struct px_err err;
  CU_ASSERT(px_decoder_parse_encoding(NULL, &e, &err) == PX_OK && e == PX_ENCODING_IDENTITY);
  CU_ASSERT(px_decoder_parse_encoding("GZip", &e, &err) == PX_OK && e == PX_ENCODING_GZIP);
  CU_ASSERT(px_decoder_parse_encoding("zstd", &e, &err) == PX_OK && e == PX_ENCODING_ZSTD);
  CU_ASSERT_EQUAL(px_decoder_parse_encoding("br", &e, &err), PX_E_UNSUPPORTED_MEDIA);
  CU_ASSERT_EQUAL(px_decoder_parse_encoding("gzip, gzip", &e, &err), PX_E_UNSUPPORTED_MEDIA);
}

CU_MAIN("decode", T(every_cut_decodes_to_the_same), T(concatenated_members_are_one_body),
        T(bombs_are_refused_early), T(the_maximum_counts_decoded_bytes),
        T(broken_and_cut_codings_are_refused), T(encodings_are_known_by_name))
