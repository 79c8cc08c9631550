/* SPDX-License-Identifier: Apache-2.0 */
/* Text: see text.h. */
#include "lib/base/text.h"

#include <string.h>

/* The bytes of the UTF-8 character at p (RFC 3629), and its code point; 0 when there is none. */
static size_t character(const unsigned char *p, uint32_t *code) {
  const size_t n = p[0] < 0x80                   ? 1
                   : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
                   : (p[0] & 0xf0) == 0xe0       ? 3
                   : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
                                                 : 0;
  *code = n == 1 ? p[0] : p[0] & (0x7fu >> n);
  for (size_t i = 1; i < n; i++) {
    if ((p[i] & 0xc0) != 0x80) return 0; /* also the NUL at the end */
    *code = *code << 6 | (p[i] & 0x3fu);
  }
  static const uint32_t LEAST[5] = { 0, 0, 0x80, 0x800, 0x10000 };
  const bool surrogate = *code >= 0xd800 && *code < 0xe000;
  return *code < LEAST[n] || *code > 0x10ffff || surrogate ? 0 : n;
}

static bool is_shown(uint32_t code) {
  return code >= 0x20 && !(code >= 0x7f && code < 0xa0) && !(code >= 0x200e && code <= 0x200f) &&
         !(code >= 0x2028 && code <= 0x202e) && !(code >= 0x2066 && code <= 0x2069);
}

void px_text_clean(char *text) {
  for (unsigned char *p = (unsigned char *)text; *p;) {
    uint32_t code;
    const size_t n = character(p, &code);
    if (n && is_shown(code)) p += n;
    else *p++ = '?'; /* what follows of a character that is not shown is no character */
  }
}

static const char BASE64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void px_text_base64(const uint8_t *bytes, size_t n, char *text) {
  for (size_t i = 0; i < n; i += 3) {
    const size_t left = n - i;
    const uint32_t group = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                           (left > 2 ? bytes[i + 2] : 0);
    for (unsigned d = 0; d < 4; d++) *text++ = d <= left ? BASE64[group >> (18 - 6 * d) & 63] : '=';
  }
  *text = '\0';
}

bool px_text_base64_decode(const char *text, size_t n, uint8_t *bytes, size_t max,
                           size_t *bytes_n) {
  if (n % 4 != 0) return false;
  const size_t padding = n > 0 && text[n - 1] == '=' ? 1 + (text[n - 2] == '=') : 0;
  const size_t out_n = n / 4 * 3 - padding;
  if (out_n > max) return false;
  for (size_t i = 0, out = 0; i < n; i += 4) {
    uint32_t group = 0;
    for (size_t d = 0; d < 4; d++) {
      const char *digit = i + d < n - padding && text[i + d] ? strchr(BASE64, text[i + d]) : NULL;
      if (!digit && i + d < n - padding) return false;
      group = group << 6 | (digit ? (uint32_t)(digit - BASE64) : 0);
    }
    for (unsigned b = 0; b < 3; b++, out++) {
      const uint8_t byte = (uint8_t)(group >> (16 - 8 * b));
      if (out < out_n) bytes[out] = byte;
      else if (byte) return false; /* bits that no encoder leaves */
    }
  }
  *bytes_n = out_n;
  return true;
}

void px_text_hex(const uint8_t *bytes, size_t n, char *text) {
  static const char DIGITS[] = "0123456789abcdef";
  for (size_t i = 0; i < n; i++) {
    text[2 * i] = DIGITS[bytes[i] >> 4];
    text[2 * i + 1] = DIGITS[bytes[i] & 15];
  }
  text[2 * n] = '\0';
}
