/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content-Encoding: a request body is decoded while it arrives, into a file.
 *
 * Used by the server: feed every piece received, then end. gzip (RFC 1952, also
 * several members) and zstd (RFC 8878, windows up to 8 MiB as RFC 9659 demands);
 * identity copies. A bomb is refused as soon as it has unpacked to more than
 * 10 MB and more than `max_ratio` times what was received. One decoder belongs
 * to one thread.
 */
#ifndef PX_READ_DECODE_H
#define PX_READ_DECODE_H

#include <stdint.h>

#include "lib/base/fail.h"
#include "lib/base/status.h"

enum px_encoding { PX_ENCODING_IDENTITY, PX_ENCODING_GZIP, PX_ENCODING_ZSTD };
enum { PX_DECODE_FREE_BYTES = 10 * 1000 * 1000 }; /* below this no ratio applies */

/* The header's value (NULL or "": identity); UNSUPPORTED_MEDIA for another or for a list. */
enum px_status px_decoder_parse_encoding(const char *value, enum px_encoding *out,
                                         struct px_err *err) PX_MUST_CHECK;

struct px_decoder;
/* Writes to `fd` (borrowed) at its position. max_ratio 0: 100. NULL when out of memory. */
struct px_decoder *px_decoder_new(enum px_encoding encoding, int fd, uint64_t max_bytes,
                                  uint32_t max_ratio);
/* TOO_LARGE over a limit, BAD_REQUEST when the coding is broken, NO_SPACE or IO from the file. Stop
 * at the first failure. */
enum px_status px_decoder_feed(struct px_decoder *d, const void *bytes, size_t n,
                               struct px_err *err) PX_MUST_CHECK;
/* BAD_REQUEST when the body stops in the middle. The decoder is still to be freed. */
enum px_status px_decoder_end(struct px_decoder *d, struct px_err *err) PX_MUST_CHECK;
uint64_t px_decoder_bytes(const struct px_decoder *d); /* decoded and written so far */
void px_decoder_free(struct px_decoder *d);

#endif
