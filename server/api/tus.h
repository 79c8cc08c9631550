/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The headers of tus 1.0.0 (https://tus.io/protocols/resumable-upload): numbers,
 * metadata, checksums, dates. Used by api_tus.c; pure functions.
 */
#ifndef PX_SERVER_API_TUS_H
#define PX_SERVER_API_TUS_H

#include <stdint.h>

#include "lib/base/digest.h"
#include "lib/base/fail.h"

#define TUS_VERSION "1.0.0"
#define TUS_EXTENSIONS "creation,creation-with-upload,checksum,termination,expiration"
#define TUS_CHECKSUMS "sha1,sha256"
enum { TUS_DATE_MAX = 32, TUS_METADATA_MAX = 4096, TUS_VALUE_MAX = 1024 };

/* PRECONDITION_FAILED unless Tus-Resumable names our version. */
enum px_status tus_version(const char *value, struct px_err *err) PX_MUST_CHECK;
/* Decimal digits; BAD_REQUEST names the header, also when it is missing (NULL). */
enum px_status tus_number(const char *header, const char *value, uint64_t *out,
                          struct px_err *err) PX_MUST_CHECK;

/* Upload-Metadata: "key BASE64,key BASE64,key". BAD_REQUEST when any of it is broken or a key comes
 * twice, TOO_LARGE beyond TUS_METADATA_MAX. NULL is an empty one. */
enum px_status tus_metadata_check(const char *value, struct px_err *err) PX_MUST_CHECK;
/* The value of a key in metadata that was checked; "" for one without a value, NULL when there is
 * no such key or its value does not fit or holds a NUL. */
const char *tus_metadata_get(const char *value, const char *key, char out[TUS_VALUE_MAX]);

/* Upload-Checksum: "sha1 BASE64". BAD_REQUEST for an unknown algorithm or a digest of another
 * length. */
struct tus_checksum {
  enum px_digest_kind kind;
  size_t n;
  uint8_t digest[PX_DIGEST_MAX_BYTES];
};
enum px_status tus_checksum_read(const char *value, struct tus_checksum *out,
                                 struct px_err *err) PX_MUST_CHECK;

/* "Sat, 21 Nov 2026 10:00:00 GMT" (RFC 9110 section 5.6.7). */
void tus_date(int64_t unix_s, char out[TUS_DATE_MAX]);

#endif
