/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a connection: which heads, chunks and trailers pass, and which are refused. */
#include <stdlib.h>
#include <string.h>

#include "server/http/http.h"
#include "server/http/http_wire.h"
#include "tests/support/cu.h"

#define HEAD(rest) "POST /v1/jobs HTTP/1.1\r\nHost: a\r\n" rest "\r\n"
#define CHUNKS(rest) HEAD("Transfer-Encoding: chunked\r\n") rest

struct sent {
  const char *bytes;
  size_t n;
};
#define SENT(text) \
  { text, sizeof(text) - 1 }

/* What is wrong with the bytes; NULL: nothing as far as they go. They come all at once, and one
 * after another. */
static const char *fault_of(const char *bytes, size_t n) {
  struct http_wire all = { 0 }, slow = { 0 };
  const char *closing;
  (void)http_wire_judge(&all, bytes, n, &closing);
  size_t at = 0;
  for (size_t seen = 1; seen <= n; seen++)
    at += http_wire_judge(&slow, bytes + at, seen - at, &closing);
  CU_ASSERT_EQUAL(all.at, slow.at);
  CU_ASSERT_PTR_EQUAL(all.fault, slow.fault);
  return all.fault;
}

static void expect_fault(const struct sent *sent, size_t n, const char *word) {
  for (size_t i = 0; i < n; i++) {
    const char *fault = fault_of(sent[i].bytes, sent[i].n);
    if (!fault || !strstr(fault, word))
      printf("\n  %s: %s\n", sent[i].bytes, fault ? fault : "passed");
    CU_ASSERT_TRUE(fault && strstr(fault, word));
  }
}
#define EXPECT_FAULT(word, ...) \
  do { \
    static const struct sent sent[] = { __VA_ARGS__ }; \
    expect_fault(sent, sizeof sent / sizeof *sent, word); \
  } while (0)

static void well_formed_requests_pass_whole(void) {
  static const struct sent GOOD[] = {
    SENT("GET / HTTP/1.0\r\n\r\n"),
    SENT(HEAD("")),
    SENT(HEAD("Content-Length: 0\r\n") HEAD("")),
    SENT(HEAD("Content-Length:3\r\n") "abc" HEAD("")),
    SENT(HEAD("X: a\tb\r\nY:\r\nZ: \xc3\xa9 \r\n")),
    SENT(CHUNKS("0\r\n\r\n") HEAD("")),
    SENT(CHUNKS("3\r\na\nb\r\n00A;x=\"1\"\r\n\r\n\r\n\r\n\r\n\r\n\r\n0\r\nDigest: x\r\n\r\n")
           HEAD("")),
    SENT(HEAD("TRANSFER-ENCODING: Chunked\r\n") "0\r\n\r\n"),
    SENT(HEAD("X-A: 1\r\nX-A: 2\r\n")),
  };
  for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++) {
    struct http_wire w = { 0 };
    const char *closing;
    CU_ASSERT_EQUAL(http_wire_judge(&w, GOOD[i].bytes, GOOD[i].n, &closing), GOOD[i].n);
    CU_ASSERT_EQUAL(w.at, HTTP_WIRE_HEAD);
    CU_ASSERT_PTR_NULL(closing);
    CU_ASSERT_PTR_NULL(fault_of(GOOD[i].bytes, GOOD[i].n));
  }
}

static void a_unit_is_held_back_until_it_is_whole(void) {
  static const char SENT_BYTES[] = HEAD("Content-Length: 3\r\n") "abc" HEAD(
    "Transfer-Encoding: chunked\r\n") "2\r\nde\r\n0\r\n\r\n";
  const size_t head = strlen(HEAD("Content-Length: 3\r\n"));
  struct http_wire w = { 0 };
  const char *closing;
  for (size_t n = 1; n < head; n++)
    CU_ASSERT_EQUAL(http_wire_judge(&w, SENT_BYTES, n, &closing), 0);
  CU_ASSERT_EQUAL(http_wire_judge(&w, SENT_BYTES, head + 2, &closing), head + 2);
  CU_ASSERT_EQUAL(w.left, 1);
  CU_ASSERT_EQUAL(w.heads, 1);
  const char *rest = SENT_BYTES + head + 2;
  const size_t line = 1 + strlen(CHUNKS(""));
  CU_ASSERT_EQUAL(http_wire_judge(&w, rest, line + 2, &closing), line);
  /* its line and data, not half of its end */
  CU_ASSERT_EQUAL(http_wire_judge(&w, rest + line, 5, &closing), 5);
  CU_ASSERT_EQUAL(http_wire_judge(&w, rest + line + 5, 1, &closing), 0);
  CU_ASSERT_EQUAL(http_wire_judge(&w, rest + line + 5, 7, &closing), 7);
  CU_ASSERT_EQUAL(w.at, HTTP_WIRE_HEAD);
}

static void folded_headers_are_refused(void) {
  EXPECT_FAULT("second line", SENT(HEAD("Content-Length: 1\r\n 5\r\n")),
               SENT(HEAD("X: a\r\n\tTransfer-Encoding: chunked\r\n")),
               SENT("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), SENT(HEAD("X: a\r\n \r\n")),
               SENT(CHUNKS("0\r\nX: a\r\n b\r\n\r\n")));
}

static void control_characters_are_refused(void) {
  EXPECT_FAULT("control character", SENT(HEAD("Authorization: Bearer a\0b\r\n")),
               SENT("GET /a\0b HTTP/1.1\r\n\r\n"), SENT(HEAD("X\0: a\r\n")),
               SENT(HEAD("X: \x7f\r\n")), SENT(HEAD("X: \x1b[0m\r\n")), SENT("\x16\x03\x01"),
               SENT(CHUNKS("3\0\r\nabc\r\n")), SENT(CHUNKS("0\r\nX: \0\r\n\r\n")));
}

static void lines_end_with_crlf_only(void) {
  EXPECT_FAULT("LF", SENT("GET / HTTP/1.1\nHost: a\n\n"), SENT(HEAD("X: a\n")),
               SENT(HEAD("X: a\rY: b\r\n")), SENT(HEAD("X: a\r\r\n")),
               SENT(CHUNKS("3\nabc\r\n0\r\n\r\n")), SENT(CHUNKS("0\n\n")), SENT(CHUNKS("0\r\n\n")),
               SENT(CHUNKS("3\r\nabc\n0\r\n\r\n")), SENT(CHUNKS("3\r\nabcd\r\n")),
               SENT(CHUNKS("3\r\nabc\rX")), SENT(CHUNKS("3;a\rb\r\nabc\r\n")));
}

static void names_are_tokens_with_a_colon_behind(void) {
  EXPECT_FAULT("name holds", SENT(HEAD("Content-Length : 5\r\n")), SENT(HEAD("A B: 5\r\n")),
               SENT(HEAD(": 5\r\n")), SENT(HEAD("\xc3\xa9: 5\r\n")), SENT(HEAD("A(: 5\r\n")));
  EXPECT_FAULT("no colon", SENT(HEAD("Content-Length\r\n")));
}

static void the_length_is_told_once_and_in_digits(void) {
  EXPECT_FAULT("two Content-Length", SENT(HEAD("Content-Length: 5\r\nContent-Length: 5\r\n")),
               SENT(HEAD("Content-Length: 5\r\ncontent-length: 6\r\n")));
  EXPECT_FAULT("not a number", SENT(HEAD("Content-Length: +5\r\n")),
               SENT(HEAD("Content-Length: 5, 5\r\n")), SENT(HEAD("Content-Length: 0x5\r\n")),
               SENT(HEAD("Content-Length:\r\n")), SENT(HEAD("Content-Length: -1\r\n")),
               SENT(HEAD("Content-Length: 5 5\r\n")),
               SENT(HEAD("Content-Length: 18446744073709551617\r\n")),
               SENT(HEAD("Content-Length: 9223372036854775808\r\n")));
  EXPECT_FAULT("beside", SENT(HEAD("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")),
               SENT(HEAD("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")));
}

static void only_chunked_is_a_coding(void) {
  EXPECT_FAULT("only be chunked", SENT(HEAD("Transfer-Encoding: gzip, chunked\r\n")),
               SENT(HEAD("Transfer-Encoding: identity\r\n")), SENT(HEAD("Transfer-Encoding:\r\n")),
               SENT(HEAD("Transfer-Encoding: chunked;q=1\r\n")));
  EXPECT_FAULT("two Transfer",
               SENT(HEAD("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")));
  EXPECT_FAULT("HTTP/1.0", SENT("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"));
}

static void chunks_begin_with_their_length(void) {
  EXPECT_FAULT("its length", SENT(CHUNKS("x\r\n")), SENT(CHUNKS("\r\n")),
               SENT(CHUNKS("-3\r\nabc\r\n")), SENT(CHUNKS("0x3\r\nabc\r\n")),
               SENT(CHUNKS(" 3\r\nabc\r\n")), SENT(CHUNKS("3 \r\nabc\r\n")),
               SENT(CHUNKS("ffffffffffffffff\r\n")), SENT(CHUNKS("10000000000000003\r\nabc\r\n")),
               SENT(CHUNKS("3,\r\nabc\r\n")));
}

static void request_lines_have_three_parts(void) {
  EXPECT_FAULT("request line", SENT("GET /\r\n\r\n"), SENT("\r\n\r\n"),
               SENT("GET\t/ HTTP/1.1\r\n\r\n"), SENT(" GET / HTTP/1.1\r\n\r\n"),
               SENT("G@T / HTTP/1.1\r\n\r\n"));
  EXPECT_FAULT("path", SENT("GET / HTTP/1.1 \r\n\r\n"), SENT("GET  / HTTP/1.1\r\n\r\n"),
               SENT("GET /a b HTTP/1.1\r\n\r\n"), SENT("GET http://a/ HTTP/1.1\r\n\r\n"),
               SENT("GET /#a HTTP/1.1\r\n\r\n"), SENT("OPTIONS * HTTP/1.1\r\n\r\n"),
               SENT("GET /\xc3\xa9 HTTP/1.1\r\n\r\n"), SENT("GET /\tHTTP/1.1 HTTP/1.1\r\n\r\n"));
  EXPECT_FAULT("version", SENT("GET / HTTP/2.0\r\n\r\n"), SENT("GET / http/1.1\r\n\r\n"),
               SENT("GET / HTTP/1.10\r\n\r\n"), SENT("GET / \r\n\r\n"));
}

static void hosts_and_secrets_stand_once(void) {
  EXPECT_FAULT("Host is missing", SENT("GET / HTTP/1.1\r\n\r\n"));
  EXPECT_FAULT("there are two", SENT(HEAD("Host: b\r\n")),
               SENT(HEAD("Authorization: a\r\nAuthorization: b\r\n")),
               SENT(HEAD("Idempotency-Key: a\r\nidempotency-key: b\r\n")),
               SENT(HEAD("X-HTTP-Method-Override: PATCH\r\nX-HTTP-Method-Override: DELETE\r\n")),
               SENT(HEAD("Upload-Offset: 0\r\nUpload-Offset: 1\r\n")));
  EXPECT_FAULT("Host must be", SENT("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
               SENT("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
               SENT("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"));
}

static void heads_without_end_are_refused(void) {
  struct http_wire w = { 0 };
  const char *closing;
  char *bytes = malloc(HTTP_WIRE_UNIT_MAX_BYTES);
  CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
  memset(bytes, 'a', HTTP_WIRE_UNIT_MAX_BYTES); /* one line */
  CU_ASSERT_EQUAL(http_wire_judge(&w, bytes, HTTP_WIRE_UNIT_MAX_BYTES, &closing), 0);
  CU_ASSERT_EQUAL(w.code, PX_E_HEADERS_TOO_LARGE);
  static const char LINE[] = "GET / HTTP/1.1\r\n", HEADER[] = "X: 0123456789\r\n";
  memcpy(bytes, LINE, sizeof LINE - 1);
  size_t n = sizeof LINE - 1;
  for (; n < HTTP_HEADERS_MAX_BYTES + sizeof LINE; n += sizeof HEADER - 1)
    memcpy(bytes + n, HEADER, sizeof HEADER - 1);
  w = (struct http_wire){ 0 };
  CU_ASSERT_EQUAL(http_wire_judge(&w, bytes, n, &closing), 0);
  CU_ASSERT_EQUAL(w.code, PX_E_HEADERS_TOO_LARGE);
  free(bytes);
}

/* libmicrohttpd must find an end where the refused bytes were, and the request before them must not
 * be blamed. */
static void a_refused_request_ends_well_formed(void) {
  static const struct {
    const char *bytes, *closing;
    uint64_t heads;
  } CASES[] = {
    { HEAD("") "GET / HTTP/1.1\n", "- / HTTP/1.1\r\nHost: -\r\n\r\n", 2 },
    { CHUNKS("x\r\n"), "0\r\n\r\n", 1 },
    { CHUNKS("3\r\nabcd"), "\r\n0\r\n\r\n", 1 },
    { CHUNKS("0\r\n x: 1\r\n"), "\r\n", 1 },
  };
  for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
    struct http_wire w = { 0 };
    const char *closing = NULL;
    const size_t n = strlen(CASES[i].bytes),
                 passed = http_wire_judge(&w, CASES[i].bytes, n, &closing);
    CU_ASSERT_TRUE(passed < n);
    CU_ASSERT_EQUAL(w.at, HTTP_WIRE_REFUSED);
    CU_ASSERT_EQUAL(w.heads, CASES[i].heads);
    CU_ASSERT_TRUE(closing && strcmp(closing, CASES[i].closing) == 0);
    CU_ASSERT_EQUAL(http_wire_judge(&w, CASES[i].bytes, n, &closing), 0); /* for ever */
  }
}

CU_MAIN("http_wire", T(well_formed_requests_pass_whole), T(a_unit_is_held_back_until_it_is_whole),
        T(folded_headers_are_refused), T(control_characters_are_refused),
        T(lines_end_with_crlf_only), T(names_are_tokens_with_a_colon_behind),
        T(the_length_is_told_once_and_in_digits), T(only_chunked_is_a_coding),
        T(chunks_begin_with_their_length), T(request_lines_have_three_parts),
        T(hosts_and_secrets_stand_once), T(heads_without_end_are_refused),
        T(a_refused_request_ends_well_formed))
