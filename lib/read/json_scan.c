/* SPDX-License-Identifier: Apache-2.0 */
/* A scanner over one line of JSON: see json_scan.h. */
#include "lib/read/json_scan.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void spaces(struct px_json_scan *s) {
  while (*s->p == ' ' || *s->p == '\t' || *s->p == '\r') s->p++;
}

char px_json_scan_peek(struct px_json_scan *s) {
  spaces(s);
  return *s->p;
}

bool px_json_scan_take(struct px_json_scan *s, const char *token) {
  spaces(s);
  size_t n = 0;
  for (; token[n]; n++)
    if (s->p[n] != token[n]) return false;
  s->p += n;
  return true;
}

static bool digit(char c) { return c >= '0' && c <= '9'; }

/* Digits of the mantissa as they come; those that no longer fit only count. */
struct decimal {
  uint64_t mantissa;
  int exponent;
  bool exact;
};

static void add_digit(struct decimal *d, char c, bool fraction) {
  if (d->mantissa > (UINT64_MAX - 9) / 10) {
    d->exact = false;
    return;
  }
  d->mantissa = d->mantissa * 10 + (uint64_t)(c - '0');
  d->exponent -= fraction;
}

/* Checks the grammar from s->p and gives the number's digits; NULL if it is no number, else its
 * end. */
static const char *scan_decimal(const char *p, struct decimal *d) {
  *d = (struct decimal){ .exact = true };
  if (*p == '-') p++;
  if (!digit(*p)) return NULL;
  if (*p == '0') p++;
  else
    for (; digit(*p); p++) add_digit(d, *p, false);
  if (*p == '.') {
    if (!digit(*++p)) return NULL;
    for (; digit(*p); p++) add_digit(d, *p, true);
  }
  if (*p == 'e' || *p == 'E') {
    p++;
    const bool minus = *p == '-';
    if (*p == '-' || *p == '+') p++;
    if (!digit(*p)) return NULL;
    int exponent = 0;
    for (; digit(*p); p++)
      if (exponent < 100000) exponent = exponent * 10 + (*p - '0');
    d->exponent += minus ? -exponent : exponent;
  }
  return p;
}

enum px_json_scan_number px_json_scan_float(struct px_json_scan *s, float *out) {
  double value;
  const enum px_json_scan_number got = px_json_scan_double(s, &value);
  if (got == PX_SCAN_NUMBER) *out = (float)value;
  return got;
}

enum px_json_scan_number px_json_scan_double(struct px_json_scan *s, double *out) {
  static const double powers[] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
  spaces(s);
  struct decimal d;
  const char *end = scan_decimal(s->p, &d);
  if (!end) return PX_SCAN_NOT_A_NUMBER;
  double value;
  /* Exact operands and one rounding give the nearest double (Clinger 1990). */
  if (d.exact && d.mantissa <= 1ull << 53 && d.exponent >= -22 && d.exponent <= 22) {
    value = (double)d.mantissa;
    value = d.exponent < 0 ? value / powers[-d.exponent] : value * powers[d.exponent];
    if (*s->p == '-') value = -value;
  } else {
    value = strtod(s->p, NULL);
  }
  if (!isfinite((float)value)) return PX_SCAN_TOO_LARGE;
  *out = value;
  s->p = end;
  return PX_SCAN_NUMBER;
}

bool px_json_scan_string(struct px_json_scan *s, const char **text, size_t *n) {
  spaces(s);
  if (*s->p != '"') return false;
  const char *p = s->p + 1;
  for (; *p != '"'; p++) {
    if ((unsigned char)*p < ' ') return false; /* also the NUL at the end */
    if (*p == '\\' && *++p == '\0') return false;
  }
  *text = s->p + 1;
  *n = (size_t)(p - *text);
  s->p = p + 1;
  return true;
}

const char *px_json_scan_near(struct px_json_scan *s, char text[32]) {
  spaces(s);
  size_t n = 0;
  for (const char *p = s->p; p < s->end && n < 24; p++)
    text[n++] = *p >= ' ' && *p <= '~' ? *p : '?';
  text[n] = '\0';
  return n ? text : "the end of the line";
}
