/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scanner over one line of JSON (RFC 8259) for readers that know the grammar
 * of what they read: no tree is built and nothing nests, so hostile depth and
 * size cost nothing. Inner header of lib/data, for read_jsonl.c; stateless.
 */
#ifndef PX_READ_JSON_SCAN_H
#define PX_READ_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>

/* `end` points at a NUL, which is not part of the text. */
struct px_json_scan {
  const char *begin, *p, *end;
};

/* The next byte after white space, not taken; '\0' at the end. */
char px_json_scan_peek(struct px_json_scan *s);
/* Takes the token if it is next. */
bool px_json_scan_take(struct px_json_scan *s, const char *token);
enum px_json_scan_number { PX_SCAN_NUMBER, PX_SCAN_NOT_A_NUMBER, PX_SCAN_TOO_LARGE };
/* A JSON number, rounded to double and then to float32. TOO_LARGE when that is infinite. */
enum px_json_scan_number px_json_scan_float(struct px_json_scan *s, float *out);
/* The same, before it is rounded to float32. */
enum px_json_scan_number px_json_scan_double(struct px_json_scan *s, double *out);
/* A string; *text is what stands between the quotes, escapes as written. */
bool px_json_scan_string(struct px_json_scan *s, const char **text, size_t *n);
/* What is next, at most 24 printable characters, for error messages. */
const char *px_json_scan_near(struct px_json_scan *s, char text[32]);

#endif
