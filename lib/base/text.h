/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text: what may be shown, hexadecimal and base64. Thread safe.
 */
#ifndef PX_BASE_TEXT_H
#define PX_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Makes text fit to be shown: bytes that are no UTF-8 (also a character that was cut), control
 * characters and those that turn the direction of writing become '?'. In place. Every message goes
 * through it. */
void px_text_clean(char *text);

/* 2n lower case digits and a NUL into text. */
void px_text_hex(const uint8_t *bytes, size_t n, char *text);

/* RFC 4648 section 4, with padding: 4 * ceil(n / 3) characters and a NUL into text. */
void px_text_base64(const uint8_t *bytes, size_t n, char *text);
/* False unless text[n] is base64 of at most `max` bytes, without anything else. */
bool px_text_base64_decode(const char *text, size_t n, uint8_t *bytes, size_t max, size_t *bytes_n)
  __attribute__((warn_unused_result));

#endif
