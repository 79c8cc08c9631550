/* SPDX-License-Identifier: Apache-2.0 */
/* lib/base: sizes, buffers, random numbers, hashes, JSON, configuration. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/config.h"
#include "lib/base/digest.h"
#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/base/text.h"
#include "lib/base/warn.h"
#include "tests/support/allocations.h"
#include "tests/support/cu.h"

static void sizes_that_overflow_are_refused(void) {
  size_t out = 7;
  CU_ASSERT_FALSE(px_mem_mul(SIZE_MAX / 2, 3, &out));
  CU_ASSERT_FALSE(px_mem_add(SIZE_MAX, 1, &out));
  CU_ASSERT_EQUAL(out, 7);
  CU_ASSERT_PTR_NULL(px_mem_calloc(SIZE_MAX / 2, 3));
  CU_ASSERT_PTR_NULL(px_mem_calloc(SIZE_MAX, 1));
}

static void buffer_stops_at_its_maximum_untouched(void) {
  struct px_buf buf = PX_BUF(8);
  CU_ASSERT_EQUAL(px_buf_puts(&buf, "12345678"), PX_OK);
  CU_ASSERT_EQUAL(px_buf_puts(&buf, "9"), PX_E_TOO_LARGE);
  CU_ASSERT_STRING_EQUAL(buf.data, "12345678");
  px_buf_free(&buf);
}

static void arena_is_zeroed_aligned_and_bounded(void) {
  struct px_arena *arena = px_arena_new(200000);
  const char *small = px_arena_take(arena, 3, 1), *large = px_arena_take(arena, 100000, 1);
  CU_ASSERT_PTR_NOT_NULL_FATAL(small);
  CU_ASSERT_PTR_NOT_NULL_FATAL(large);
  CU_ASSERT_EQUAL((size_t)large % 64, 0);
  CU_ASSERT_EQUAL(large[99999], 0);
  CU_ASSERT_PTR_NULL(px_arena_take(arena, 100000, 1));
  CU_ASSERT_STRING_EQUAL(px_arena_fmt(arena, "%d-%s", 7, "x"), "7-x");
  px_arena_free(arena);
}

static void arena_remembers_that_it_refused(void) {
  struct px_arena *arena = px_arena_new(1000);
  const float *floats = px_arena_floats(arena, 5, 3);
  for (int i = 0; i < 15; i++) CU_ASSERT_EQUAL(floats[i], 0);
  CU_ASSERT_EQUAL(px_arena_used_bytes(arena), 64);
  CU_ASSERT_FALSE(px_arena_ran_out(arena));
  CU_ASSERT_PTR_NULL(px_arena_floats(arena, 1, 1000));
  CU_ASSERT_TRUE(px_arena_ran_out(arena));
  CU_ASSERT_PTR_NOT_NULL(px_arena_take(arena, 1, 1)); /* what fits is still given */
  CU_ASSERT_TRUE(px_arena_ran_out(arena));
  px_arena_free(arena);
  arena = px_arena_new(1000);
  CU_ASSERT_PTR_NULL(px_arena_floats(arena, 1, SIZE_MAX / 2));
  CU_ASSERT_TRUE(px_arena_ran_out(arena));
  px_arena_free(arena);
}

/* Known answers of Philox4x32-10 from Random123's kat_vectors. */
static void philox_gives_the_published_vectors(void) {
  uint32_t out[4];
  px_rng_philox(0, 0, 0, out);
  CU_ASSERT_EQUAL(out[0], 0x6627e8d5u);
  CU_ASSERT_EQUAL(out[3], 0x9b00dbd8u);
  px_rng_philox(UINT64_MAX, UINT64_MAX, UINT64_MAX, out);
  CU_ASSERT_EQUAL(out[0], 0x408f276du);
  CU_ASSERT_EQUAL(out[3], 0x6d5451fdu);
}

static void rng_resumes_at_any_block(void) {
  struct px_rng whole = px_rng_at(7, 9, 0), later = px_rng_at(7, 9, 1);
  for (int i = 0; i < 4; i++) px_rng_u32(&whole);
  for (int i = 0; i < 8; i++) CU_ASSERT_EQUAL(px_rng_u32(&whole), px_rng_u32(&later));
}

static void normals_have_the_right_moments(void) {
  enum { N = 100000 };
  float *x = px_mem_calloc(N, sizeof *x);
  struct px_rng rng = px_rng_at(1, px_rng_stream("test", 0), 0);
  px_rng_normal(&rng, x, N);
  double sum = 0, squares = 0, fourth = 0;
  for (int i = 0; i < N; i++) {
    sum += x[i];
    squares += (double)x[i] * x[i];
    fourth += pow(x[i], 4);
  }
  CU_ASSERT_DOUBLE_EQUAL(sum / N, 0, 0.02);
  CU_ASSERT_DOUBLE_EQUAL(squares / N, 1, 0.02);
  CU_ASSERT_DOUBLE_EQUAL(fourth / N, 3, 0.15);
  free(x);
}

static void below_is_uniform(void) {
  int counts[7] = { 0 };
  struct px_rng rng = px_rng_at(3, 0, 0);
  for (int i = 0; i < 70000; i++) counts[px_rng_below(&rng, 7)]++;
  for (int i = 0; i < 7; i++) CU_ASSERT(abs(counts[i] - 10000) < 400);
}

static void sha256_gives_the_standard_vector(void) {
  uint8_t digest[PX_SHA256_BYTES];
  char text[PX_SHA256_HEX];
  px_digest_sha256("abc", 3, digest);
  px_text_hex(digest, sizeof digest, text);
  CU_ASSERT_STRING_EQUAL(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static const struct px_option OPTIONS[] = {
  { "lease_ms", PX_OPT_INT, "30000", 100, 600000, false, "Length of a lease" },
  { "name", PX_OPT_TEXT, "", 0, 0, false, "A name" },
  { "quiet", PX_OPT_FLAG, "false", 0, 0, false, "Say less" },
  { "token", PX_OPT_TEXT, "", 0, 0, true, "A secret" },
};

static void flag_overrides_environment_overrides_file(void) {
  char path[] = "/tmp/proxact-config-XXXXXX";
  const int fd = mkstemp(path);
  CU_ASSERT_FATAL(fd >= 0);
  FILE *f = fdopen(fd, "w");
  fputs("# comment\nlease_ms = 111\nname = from file\n", f);
  fclose(f);
  setenv("PROXACT_LEASE_MS", "222", 1);
  setenv("PROXACT_TOKEN_FILE", path, 1);
  char *argv[] = { "x", "--config", path, "--name=flag", "verb", "--quiet" };
  struct px_config *config = NULL;
  struct px_err err;
  CU_OK(px_config_read(OPTIONS, 4, 6, argv, &config, &err), err);
  CU_ASSERT_EQUAL(px_config_int(config, "lease_ms"), 222);
  CU_ASSERT_STRING_EQUAL(px_config_text(config, "name"), "flag");
  CU_ASSERT_TRUE(px_config_flag(config, "quiet"));
  CU_ASSERT_STRING_EQUAL(px_config_text(config, "token"), "# comment");
  CU_ASSERT_STRING_EQUAL(px_config_arg(config, 0), "verb");
  px_config_free(config);
  unsetenv("PROXACT_LEASE_MS");
  unsetenv("PROXACT_TOKEN_FILE");
  remove(path);
}

static void bad_options_are_named(void) {
  struct px_config *config = NULL;
  struct px_err err;
  char *unknown[] = { "x", "--leese-ms=1" }, *out_of_range[] = { "x", "--lease-ms", "5" };
  CU_ASSERT_EQUAL(px_config_read(OPTIONS, 4, 2, unknown, &config, &err), PX_E_BAD_FIELD);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "leese"));
  CU_ASSERT_EQUAL(px_config_read(OPTIONS, 4, 3, out_of_range, &config, &err), PX_E_BAD_FIELD);
  CU_ASSERT_STRING_EQUAL(err.pointer, "lease_ms");
  CU_ASSERT_PTR_NULL(config);
}

static void passwords_are_refused_on_the_command_line(void) {
  static const char *const WITH[] = { "postgresql://u:secret@h/d", "redis://:secret@h:6379/0",
                                      "host=h password=secret", "postgresql:///d?password=secret",
                                      "postgresql://u:se/cret@h/d" };
  static const char *const WITHOUT[] = { "postgresql://u@h:5432/d", "redis://h:6379",
                                         "unix:///run/redis.sock", "host=h user=u", "plain" };
  for (size_t i = 0; i < 5; i++) {
    struct px_config *config = NULL;
    struct px_err err;
    char *with[] = { "x", "--token", (char *)(uintptr_t)WITH[i] },
         *without[] = { "x", "--token", (char *)(uintptr_t)WITHOUT[i] };
    CU_ASSERT_EQUAL(px_config_read(OPTIONS, 4, 3, with, &config, &err), PX_E_BAD_FIELD);
    CU_ASSERT_PTR_NULL(strstr(err.message, "secret"));
    CU_ASSERT_PTR_NOT_NULL(strstr(err.hint, "PROXACT_TOKEN_FILE"));
    CU_OK(px_config_read(OPTIONS, 4, 3, without, &config, &err), err);
    px_config_free(config);
  }
}

static void base64_is_that_of_rfc_4648(void) {
  static const char *const PLAIN[] = { "", "f", "fo", "foo", "foob", "fooba", "foobar" };
  static const char *const CODED[] = { "",         "Zg==",     "Zm8=",    "Zm9v",
                                       "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy" };
  for (size_t i = 0; i < 7; i++) {
    char text[16];
    uint8_t bytes[8];
    size_t n = 99;
    px_text_base64((const uint8_t *)PLAIN[i], strlen(PLAIN[i]), text);
    CU_ASSERT_STRING_EQUAL(text, CODED[i]);
    CU_ASSERT_TRUE(px_text_base64_decode(text, strlen(text), bytes, i, &n));
    CU_ASSERT_EQUAL(n, i);
    CU_ASSERT_EQUAL(memcmp(bytes, PLAIN[i], n), 0);
    /* too long for the buffer */
    CU_ASSERT_TRUE(i == 0 || !px_text_base64_decode(text, strlen(text), bytes, i - 1, &n));
  }
  static const char *const BAD[] = { "Zg=",  "Zg",   "Z===", "====", "Zg==Zg==",
                                     "Zh==", "Zm9=", "Zm 9", "Zm-_", "=Zm9" };
  for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
    uint8_t bytes[8];
    size_t n;
    CU_ASSERT_FALSE(px_text_base64_decode(BAD[i], strlen(BAD[i]), bytes, sizeof bytes, &n));
  }
}

static void sha1_gives_the_standard_vector(void) {
  uint8_t digest[PX_DIGEST_MAX_BYTES];
  char text[2 * 20 + 1];
  struct px_digest *d = px_digest_new(PX_DIGEST_SHA1);
  px_digest_put(d, "a", 1);
  px_digest_put(d, "bc", 2);
  CU_ASSERT_EQUAL(px_digest_end(d, digest), 20);
  px_text_hex(digest, 20, text);
  CU_ASSERT_STRING_EQUAL(text, "a9993e364706816aba3e25717850c26c9cd0d89d"); /* FIPS 180 */
}

static void errors_wrap_themselves(void) {
  struct px_err err;
  px_fail_at(&err, PX_E_BAD_DATA, "trajectory 3", "dims %d", 5);
  CU_ASSERT_EQUAL(px_fail(&err, err.code, "file a: %s", err.message), PX_E_BAD_DATA);
  CU_ASSERT_STRING_EQUAL(err.message, "file a: dims 5");
  CU_ASSERT_EQUAL(px_status_from_slug("nan_loss"), PX_E_NAN_LOSS);
  CU_ASSERT_EQUAL(px_status_http(PX_E_TOO_LARGE), 413);
}

/* What PostgreSQL's jsonb makes of a figure of 2^63 and more, and what must not be taken for
 * one. */
static void whole_numbers_beyond_64_bits_are_reals(void) {
  static const char TEXT[] =
    "[9223372036854775807,-9223372036854775808,9223372036854775808,-9223372036854775809,"
    "100000000000000000000,-1000000000000000000000000000000,1e20,1.00000000000000000000,"
    "1.5e-00000000000000000007,\"100000000000000000000 \\\" 100000000000000000000\"]";
  static const double REALS[] = {
    9223372036854775808.0, -9223372036854775808.0, 1e20, -1e30, 1e20, 1, 1.5e-7
  };
  json_error_t why;
  json_t *parsed = px_json_parse(TEXT, strlen(TEXT), 0, &why);
  CU_ASSERT_EQUAL_FATAL(json_array_size(parsed), 10);
  CU_ASSERT_EQUAL(json_integer_value(json_array_get(parsed, 0)), INT64_MAX);
  CU_ASSERT_EQUAL(json_integer_value(json_array_get(parsed, 1)), INT64_MIN);
  for (size_t i = 0; i < 7; i++) {
    CU_ASSERT_TRUE(json_is_real(json_array_get(parsed, i + 2)));
    CU_ASSERT_EQUAL(json_real_value(json_array_get(parsed, i + 2)), REALS[i]);
  }
  CU_ASSERT_STRING_EQUAL(json_string_value(json_array_get(parsed, 9)),
                         "100000000000000000000 \" 100000000000000000000");
  json_decref(parsed);
  parsed = px_json_parse("{\"a\":123456789012345678901234567890}", 36, 0, &why);
  CU_ASSERT_DOUBLE_EQUAL(json_number_value(json_object_get(parsed, "a")), 1.2345678901234568e29,
                         1e14);
  json_decref(parsed);
}

static void large_numbers_do_not_make_malformed_text_pass(void) {
  static const char *const BAD[] = { "[100000000000000000000",
                                     "100000000000000000000x",
                                     "\"100000000000000000000",
                                     "[00100000000000000000000]",
                                     "[-]",
                                     "[1e]",
                                     "\"\\",
                                     "{100000000000000000000:1}" };
  char digits[402] = "[";
  memset(digits + 1, '9', 399);
  digits[400] = ']';
  for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
    CU_ASSERT_PTR_NULL(px_json_parse(BAD[i], strlen(BAD[i]), JSON_DECODE_ANY, NULL));
  json_error_t why;
  CU_ASSERT_PTR_NULL(px_json_parse(digits, strlen(digits), 0, &why)); /* beyond a double */
  CU_ASSERT_NOT_EQUAL(json_error_code(&why), json_error_out_of_memory);
}

static void numbers_that_are_not_finite_are_null(void) {
  json_t *all =
    json_pack("[o, o, o, o]", px_json_number((double)INFINITY), px_json_number((double)-INFINITY),
              px_json_number((double)NAN), px_json_number(1e308));
  char *text = json_dumps(all, JSON_COMPACT);
  CU_ASSERT_STRING_EQUAL(text, "[null,null,null,1e308]");
  free(text);
  json_decref(all);
}

static void a_warning_stands_once_in_its_document(void) {
  json_t *document = json_object(), *report = json_object();
  px_warn_none(document);
  CU_ASSERT_EQUAL(json_array_size(json_object_get(document, "warnings")), 0);
  json_t *entry = px_warn(document, PX_W_LABELS_LAG, "the actions stand %d step late", 1);
  px_warn_figure(entry, "lag", 1);
  px_warn_figure(entry, "r2", (double)NAN);
  CU_ASSERT_PTR_EQUAL(px_warn(document, PX_W_LABELS_LAG, "the actions stand %d step late", 1),
                      entry);
  CU_ASSERT_PTR_NOT_EQUAL(px_warn(document, PX_W_LABELS_LAG, "the actions stand %d steps late", 2),
                          entry);
  CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(entry, "code")), "labels_lag");
  CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(entry, "hint")),
                         px_warn_default_hint(PX_W_LABELS_LAG));
  CU_ASSERT_TRUE(json_is_null(json_object_get(json_object_get(entry, "figures"), "r2")));
  px_warn_add_all(report, document, "job_a");
  px_warn_add_all(report, document, "job_b");
  px_warn_add_all(report, NULL, "job_c");
  CU_ASSERT_EQUAL(json_array_size(json_object_get(report, "warnings")), 2);
  CU_ASSERT_STRING_EQUAL(json_string_value(
                           json_object_get(json_array_get(json_object_get(report, "warnings"), 1),
                                           "job")),
                         "job_a");
  for (int i = 0; i < 2 * PX_WARNINGS_MAX; i++)
    px_warn_figure(px_warn(report, PX_W_NOT_FINITE, "%d", i), "i", i);
  CU_ASSERT_EQUAL(json_array_size(json_object_get(report, "warnings")), PX_WARNINGS_MAX);
  json_decref(document);
  json_decref(report);
}

static void reals_have_the_fewest_digits_that_read_as_the_same(void) {
  static const struct {
    double x;
    const char *text;
  } CASES[] = {
    { 320.4, "320.4" },
    { 0.1, "0.1" },
    { -0.1, "-0.1" },
    { 1.0 / 3, "0.3333333333333333" },
    { 0.1 + 0.2, "0.30000000000000004" },
    { (double)0.4f, "0.4" },
    { (double)-1234.5678f, "-1234.5677" },
    { 0.5, "0.5" },
    { 320, "320.0" },
    { 0, "0.0" },
    { -0.0, "-0.0" },
    { 1e22, "1e22" },
    { 1e-7, "1e-7" },
    { 5e-324, NULL },
    { 1.7976931348623157e308, NULL },
    { 100000008, "100000008.0" },
    { 9223372036854775808.0, NULL },
    { 16777217, "16777217.0" },
  };
  for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
    json_t *json = json_pack("{s:f, s:s, s:[f]}", "1.50000000000000000", CASES[i].x, "b",
                             "0.10000000000000001 \\\" -2.50", "c", CASES[i].x);
    char *text = px_json_dumps(json, JSON_SORT_KEYS), expected[200];
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    snprintf(expected, sizeof expected,
             "{\"1.50000000000000000\": %s, \"b\": \"0.10000000000000001 \\\\\\\" -2.50\"",
             CASES[i].text ? CASES[i].text : "");
    if (CASES[i].text) CU_ASSERT_EQUAL(strncmp(text, expected, strlen(expected)), 0);
    json_t *again = px_json_parse(text, strlen(text), 0, NULL);
    const double back = json_real_value(json_object_get(again, "1.50000000000000000"));
    CU_ASSERT_TRUE(back == CASES[i].x || (float)back == (float)CASES[i].x);
    json_decref(again);
    json_decref(json);
    free(text);
  }
}

static void json_is_parsed_as_jansson_does(void) {
  static const char TEXT[] = "{\"a\":[1,-2.5,\"\u00e9\",null,true,{}],\"b\":{\"c\":[]}}";
  json_error_t why;
  json_t *parsed = px_json_parse(TEXT, strlen(TEXT), 0, &why);
  char *again = json_dumps(parsed, JSON_COMPACT);
  CU_ASSERT_STRING_EQUAL(again, TEXT);
  free(again);
  json_decref(parsed);
  CU_ASSERT_PTR_NULL(px_json_parse("{\n1}", 4, 0, &why));
  CU_ASSERT_EQUAL(why.line, 2);
  CU_ASSERT_NOT_EQUAL(json_error_code(&why), json_error_out_of_memory);
}

#ifdef COUNTS_ALLOCATIONS
/* Numbers and texts longer than what jansson begins with, in a document that takes several
 * blocks. */
static char *long_document(void) {
  struct px_buf text = PX_BUF(1 << 20);
  bool good = px_buf_puts(&text, "[0.1234567890123456789") == PX_OK;
  for (int i = 0; i < 1000; i++)
    good =
      good && px_buf_puts(&text, i % 2 ? ",123456789012345"
                                       : ",\"as long as this, and longer than that\"") == PX_OK;
  CU_ASSERT_TRUE_FATAL(good && px_buf_puts(&text, "]") == PX_OK);
  return text.data;
}
#endif

static void json_without_memory_is_nothing_and_not_less(void) {
#ifndef COUNTS_ALLOCATIONS
  CU_PASS("the sanitizer owns malloc: done in the ordinary build");
#else
  char *text = long_document();
  const uint64_t before = allocations;
  json_t *whole = px_json_parse(text, strlen(text), 0, NULL);
  const uint64_t needed = allocations - before;
  /* none are seen under valgrind, whose malloc it is */
  CU_ASSERT_TRUE(needed > 1000 || allocations == 0);
  for (uint64_t n = 0; needed && n <= needed; n++) {
    json_error_t why;
    struct px_json_making making;
    px_json_begin(&making);
    allocations_allowed = allocations + n;
    json_t *parsed = px_json_parse(text, strlen(text), 0, &why);
    allocations_allowed = UINT64_MAX;
    CU_ASSERT_EQUAL(parsed == NULL, n < needed);
    CU_ASSERT_EQUAL(px_json_end(&making), n >= needed);
    CU_ASSERT_TRUE(parsed || json_error_code(&why) == json_error_out_of_memory);
    CU_ASSERT_TRUE(n < needed ? strcmp(why.text, "no memory") == 0 : json_equal(parsed, whole));
    json_decref(parsed);
  }
  json_decref(whole);
  free(text);
#endif
}

static void what_lacks_a_part_is_known_by_its_making_alone(void) {
  json_malloc_t take;
  json_free_t give;
  struct px_json_making outer, inner;
  json_get_alloc_funcs(&take, &give);
  CU_ASSERT_PTR_NULL(take(PTRDIFF_MAX)); /* nothing is being made */
  CU_ASSERT_FALSE(px_json_lacking());
  px_json_begin(&outer);
  px_json_begin(&inner);
  CU_ASSERT_PTR_NULL(take(PTRDIFF_MAX));
  CU_ASSERT_TRUE(px_json_lacking());
  CU_ASSERT_FALSE(px_json_end(&inner));
  CU_ASSERT_FALSE(px_json_lacking());
  CU_ASSERT_TRUE(px_json_end(&outer));
}

static void texts_of_errors_are_utf8_that_can_be_shown(void) {
  static const struct {
    const char *text, *shown;
  } cases[] = {
    { "l\xc3\xa4ufe 2024.jsonl", "l\xc3\xa4ufe 2024.jsonl" },
    { "\xe6\xad\xa9\xf0\x9f\xa4\x96", "\xe6\xad\xa9\xf0\x9f\xa4\x96" },
    { "l\xe4ufe", "l?ufe" },             /* Latin 1 */
    { "cut \xe6\xad", "cut ??" },        /* in the middle of a character */
    { "\xc0\xaf\xed\xa0\x80", "?????" }, /* too long for its code point; half of a pair */
    { "a\x1b[2Jb\n\x7f", "a?[2Jb??" },
    { "\xe2\x80\xaegpj", "???gpj" }, /* right to left */
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct px_err err;
    CU_ASSERT_EQUAL(px_fail_at(&err, PX_E_BAD_DATA, cases[i].text, "%s", cases[i].text),
                    PX_E_BAD_DATA);
    CU_ASSERT_STRING_EQUAL(err.message, cases[i].shown);
    CU_ASSERT_STRING_EQUAL(err.pointer, cases[i].shown);
  }
}

CU_MAIN("base", T(texts_of_errors_are_utf8_that_can_be_shown), T(sizes_that_overflow_are_refused),
        T(buffer_stops_at_its_maximum_untouched), T(arena_is_zeroed_aligned_and_bounded),
        T(arena_remembers_that_it_refused), T(philox_gives_the_published_vectors),
        T(rng_resumes_at_any_block), T(normals_have_the_right_moments), T(below_is_uniform),
        T(sha256_gives_the_standard_vector), T(sha1_gives_the_standard_vector),
        T(base64_is_that_of_rfc_4648), T(flag_overrides_environment_overrides_file),
        T(bad_options_are_named), T(passwords_are_refused_on_the_command_line),
        T(reals_have_the_fewest_digits_that_read_as_the_same), T(json_is_parsed_as_jansson_does),
        T(whole_numbers_beyond_64_bits_are_reals), T(large_numbers_do_not_make_malformed_text_pass),
        T(numbers_that_are_not_finite_are_null), T(a_warning_stands_once_in_its_document),
        T(json_without_memory_is_nothing_and_not_less),
        T(what_lacks_a_part_is_known_by_its_making_alone), T(errors_wrap_themselves))
