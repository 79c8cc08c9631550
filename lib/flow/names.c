/* SPDX-License-Identifier: Apache-2.0 */
/* Names that people choose: see names.h. */
#include "lib/flow/names.h"

#include <stdint.h>
#include <string.h>

/* One character; 0 where the bytes are no UTF-8. *text is moved behind it. */
static uint32_t next_character(const char **text) {
  static const uint32_t LEAST[] = { 0, 0, 0x80, 0x800, 0x10000 };
  const uint8_t *at = (const uint8_t *)*text;
  const int n = *at < 0x80 ? 1 : *at >> 5 == 6 ? 2 : *at >> 4 == 14 ? 3 : *at >> 3 == 30 ? 4 : 0;
  uint32_t c = n == 1 ? *at : *at & (0x7fu >> n);
  if (n == 0) return 0;
  for (int i = 1; i < n; i++) {
    if (at[i] >> 6 != 2) return 0;
    c = c << 6 | (at[i] & 0x3f);
  }
  if (c < LEAST[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return 0;
  *text += n;
  return c;
}

size_t flow_name_length(const char *text) {
  size_t n = 0;
  for (; *text; n++)
    if (!next_character(&text)) return SIZE_MAX;
  return n;
}

/* The ranges of Unicode's control and format characters that a terminal or a browser may act on. */
static bool is_invisible(uint32_t c) {
  static const struct {
    uint32_t first, last;
  } RANGE[] = {
    { 0x00, 0x1f },     { 0x7f, 0x9f },       { 0xad, 0xad },     { 0x61c, 0x61c },
    { 0x200b, 0x200f }, { 0x2028, 0x202e },   { 0x2060, 0x206f }, { 0xfeff, 0xfeff },
    { 0xfff9, 0xfffb }, { 0xe0000, 0xe007f },
  };
  for (size_t i = 0; i < sizeof RANGE / sizeof *RANGE; i++)
    if (c >= RANGE[i].first && c <= RANGE[i].last) return true;
  return false;
}

/* Unicode's space separators. */
static bool is_space(uint32_t c) {
  return c == 0x20 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x202f ||
         c == 0x205f || c == 0x3000;
}

const char *flow_name_fault(const char *text, size_t max) {
  const size_t n = flow_name_length(text);
  if (n == SIZE_MAX) return "valid UTF-8";
  if (n == 0 || n > max) return "no fewer and no more";
  const char *at = text;
  for (size_t i = 0; i < n; i++) {
    const uint32_t c = next_character(&at);
    if (is_invisible(c)) return "free of control characters and other invisible ones";
    if ((i == 0 || i == n - 1) && is_space(c)) return "free of spaces at its ends";
  }
  return NULL;
}

const char *flow_name_dataset_fault(const char *text, size_t max) {
  static const char ID_PREFIX[] = "ds_";
  const char *fault = flow_name_fault(text, max);
  if (fault) return fault;
  if (strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
    return "more than dots, which paths give a meaning of their own";
  if (strchr(text, '/')) return "free of slashes, because it stands in paths";
  const char *rest = text + sizeof ID_PREFIX - 1;
  if (strncmp(text, ID_PREFIX, sizeof ID_PREFIX - 1) == 0 && *rest &&
      strspn(rest, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(rest))
    return "unlike an id: what begins with ds_ would hide another dataset";
  return NULL;
}
