/* SPDX-License-Identifier: Apache-2.0 */
/* The headers of tus, and what a file on its way in is said to be. */
#include <string.h>

#include "lib/base/digest.h"
#include "lib/base/fail.h"
#include "server/api/tus.h"
#include "server/api/upload_params.h"
#include "tests/support/cu.h"

static void versions_other_than_ours_are_refused(void) {
  struct px_err err;
  CU_OK(tus_version("1.0.0", &err), err);
  CU_ASSERT_EQUAL(tus_version(NULL, &err), PX_E_PRECONDITION_FAILED);
  CU_ASSERT_EQUAL(tus_version("0.2.2", &err), PX_E_PRECONDITION_FAILED);
  CU_ASSERT_EQUAL(tus_version("1.0.0 ", &err), PX_E_PRECONDITION_FAILED);
}

static void numbers_are_digits_and_fit(void) {
  struct px_err err;
  uint64_t n = 7;
  CU_OK(tus_number("Upload-Offset", "0", &n, &err), err);
  CU_ASSERT_EQUAL(n, 0);
  CU_OK(tus_number("Upload-Offset", "9223372036854775807", &n, &err), err);
  CU_ASSERT_EQUAL(n, INT64_MAX);
  static const char *const BAD[] = {
    "", "-1", "+1", " 1", "1 ", "1.0", "0x10", "9223372036854775808", "99999999999999999999999"
  };
  for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
    CU_ASSERT_EQUAL(tus_number("Upload-Offset", BAD[i], &n, &err), PX_E_BAD_REQUEST);
  CU_ASSERT_EQUAL(tus_number("Upload-Offset", NULL, &n, &err), PX_E_BAD_REQUEST);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "Upload-Offset"));
  CU_ASSERT_EQUAL(n, INT64_MAX);
}

static void metadata_is_pairs_of_key_and_base64(void) {
  struct px_err err;
  char value[TUS_VALUE_MAX];
  /* The example of the specification. */
  static const char GIVEN[] = "filename d29ybGRfZG9taW5hdGlvbl9wbGFuLnBkZg==,is_confidential";
  CU_OK(tus_metadata_check(GIVEN, &err), err);
  CU_ASSERT_STRING_EQUAL(tus_metadata_get(GIVEN, "filename", value), "world_domination_plan.pdf");
  CU_ASSERT_STRING_EQUAL(tus_metadata_get(GIVEN, "is_confidential", value), "");
  CU_ASSERT_PTR_NULL(tus_metadata_get(GIVEN, "file", value));
  CU_ASSERT_PTR_NULL(tus_metadata_get(GIVEN, "filenames", value));
  /* a space after the comma, as some write it */
  CU_OK(tus_metadata_check("a YQ==, b Yg==", &err), err);
  CU_ASSERT_STRING_EQUAL(tus_metadata_get("a YQ==, b Yg==", "b", value), "b");
  CU_OK(tus_metadata_check("", &err), err);
  CU_OK(tus_metadata_check(NULL, &err), err);
  static const char *const BAD[] = { "a YQ",        "a YQ==,", ",a YQ==",       "a  YQ==",
                                     "a YQ== YQ==", "a YR==",  "a YQ==,a Yg==", "\xc3\xa4 YQ==" };
  for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
    CU_ASSERT_EQUAL(tus_metadata_check(BAD[i], &err), PX_E_BAD_REQUEST);
  CU_ASSERT_PTR_NULL(tus_metadata_get("a AGE=", "a", value)); /* a NUL inside */
  static char longest[TUS_METADATA_MAX + 1];
  memset(longest, 'k', TUS_METADATA_MAX);
  CU_ASSERT_EQUAL(tus_metadata_check(longest, &err), PX_E_TOO_LARGE);
}

static void checksums_name_an_algorithm_and_fit_it(void) {
  struct px_err err;
  struct tus_checksum sum;
  /* the specification's example */
  CU_OK(tus_checksum_read("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=", &sum, &err), err);
  CU_ASSERT_EQUAL(sum.kind, PX_DIGEST_SHA1);
  CU_ASSERT_EQUAL(sum.n, 20);
  CU_ASSERT_EQUAL(sum.digest[0], 0x2a);
  CU_OK(tus_checksum_read("sha256 ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=", &sum, &err), err);
  CU_ASSERT_EQUAL(sum.n, 32);
  static const char *const BAD[] = { "",
                                     "sha1",
                                     "sha1 ",
                                     "sha1 Kq5s",
                                     "md5 Kq5sNclPz7QV2+lfQIuc6R7oRu0=",
                                     "sha256 Kq5sNclPz7QV2+lfQIuc6R7oRu0=",
                                     "SHA1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=",
                                     "sha1  Kq5sNclPz7QV2+lfQIuc6R7oRu0=" };
  for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
    CU_ASSERT_EQUAL(tus_checksum_read(BAD[i], &sum, &err), PX_E_BAD_REQUEST);
}

static void dates_are_those_of_http(void) {
  char text[TUS_DATE_MAX];
  tus_date(784111777, text); /* the example of RFC 9110 section 5.6.7 */
  CU_ASSERT_STRING_EQUAL(text, "Sun, 06 Nov 1994 08:49:37 GMT");
  tus_date(4107542399, text);
  CU_ASSERT_STRING_EQUAL(text, "Sun, 28 Feb 2100 23:59:59 GMT");
}

static void the_format_is_what_is_said_most_plainly(void) {
  struct px_err err;
  struct upload_params in;
  struct upload_params_words words = { .file_name = "a/b/c.npz",
                                       .media_type = "application/x-hdf5",
                                       .format = "jsonl" };
  CU_OK(upload_params_read(&words, &in, &err), err);
  CU_ASSERT_EQUAL(in.format, PX_FORMAT_JSONL);
  CU_ASSERT_STRING_EQUAL(in.name, "c.npz");
  CU_ASSERT_FALSE(in.options.read.ignore_actions);
  words.obs_keys = "x,y"; /* of no use but to HDF5 */
  CU_ASSERT_EQUAL(upload_params_read(&words, &in, &err), PX_E_BAD_FIELD);
  CU_ASSERT_STRING_EQUAL(err.pointer, "obs_keys");
  words.format = NULL;
  CU_OK(upload_params_read(&words, &in, &err), err);
  CU_ASSERT_EQUAL(in.format, PX_FORMAT_HDF5);
  CU_ASSERT_EQUAL(in.options.read.obs_keys_n, 2);
  words.obs_keys = NULL;
  words.media_type = "";
  CU_OK(upload_params_read(&words, &in, &err), err);
  CU_ASSERT_EQUAL(in.format, PX_FORMAT_NPZ);
  words.ignore_actions = "";
  CU_OK(upload_params_read(&words, &in, &err), err);
  CU_ASSERT_TRUE(in.options.read.ignore_actions);
  words.ignore_actions = NULL;
  words.source = "robot-3 \xc3\xa4";
  CU_OK(upload_params_read(&words, &in, &err), err);
  CU_ASSERT_STRING_EQUAL(in.options.source, words.source);
  static const char *const NO_SOURCES[] = { "", "a\nb", " a", "\xff" };
  for (size_t i = 0; i < sizeof NO_SOURCES / sizeof *NO_SOURCES; i++) {
    words.source = NO_SOURCES[i];
    CU_ASSERT_EQUAL(upload_params_read(&words, &in, &err), PX_E_BAD_FIELD);
    CU_ASSERT_STRING_EQUAL(err.pointer, "source");
  }
  words.source = NULL;
  words.ignore_actions = "maybe";
  CU_ASSERT_EQUAL(upload_params_read(&words, &in, &err), PX_E_BAD_FIELD);
  CU_OK(upload_params_read(&(struct upload_params_words){ .file_name = "x/l\xc3\xa4ufe 2024.npz" },
                           &in, &err),
        err);
  CU_ASSERT_STRING_EQUAL(in.name, "l\xc3\xa4ufe 2024.npz");
  CU_ASSERT_EQUAL(upload_params_read(&(struct upload_params_words){ .file_name = "c" }, &in, &err),
                  PX_E_UNSUPPORTED_MEDIA);
  CU_ASSERT_EQUAL(upload_params_read(&(struct upload_params_words){ .file_name = "c.npz",
                                                                    .obs_keys = "a,,b" },
                                     &in, &err),
                  PX_E_BAD_FIELD);
}

CU_MAIN("tus", T(versions_other_than_ours_are_refused), T(numbers_are_digits_and_fit),
        T(metadata_is_pairs_of_key_and_base64), T(checksums_name_an_algorithm_and_fit_it),
        T(dates_are_those_of_http), T(the_format_is_what_is_said_most_plainly))
