/* SPDX-License-Identifier: Apache-2.0 */
/* Encodings of Parquet's pages: see parquet_parts.h. Source: Encodings.md of the Parquet format. */
#include <string.h>

#include "lib/read/parquet_parts.h"

struct source {
  const uint8_t *at, *end;
};

static bool take_varint(struct source *s, uint64_t *out) {
  *out = 0;
  for (uint32_t shift = 0; shift < 64 && s->at < s->end; shift += 7) {
    const uint8_t byte = *s->at++;
    *out |= (uint64_t)(byte & 127) << shift;
    if (!(byte & 128)) return true;
  }
  return false;
}

static bool take_zigzag(struct source *s, uint64_t *out) {
  if (!take_varint(s, out)) return false;
  *out = *out >> 1 ^ (~(*out & 1) + 1);
  return true;
}

/* Value i of bit-packed ones of up to 64 bits, of src[n], beyond which lie zeros. */
static uint64_t packed(const uint8_t *src, size_t n, uint32_t bits, size_t i) {
  const size_t bit = i * bits, at = bit / 8;
  const uint32_t shift = bit % 8;
  uint64_t low = 0;
  if (at >= n) return 0;
  const size_t left = n - at;
  if (left >= sizeof low) memcpy(&low, src + at, sizeof low); /* one load */
  else memcpy(&low, src + at, left);
  low >>= shift;
  if (shift && bits + shift > 64 && left > 8) low |= (uint64_t)src[at + 8] << (64 - shift);
  return bits == 64 ? low : low & ((UINT64_C(1) << bits) - 1);
}

/* A run of the hybrid encoding. */
struct run {
  bool repeats;
  size_t count;
  uint32_t value;       /* of all, when it repeats */
  const uint8_t *bytes; /* [n] packed ones, else */
  size_t n;
};

static bool take_run(struct source *s, uint32_t bits, size_t wanted, struct run *run) {
  uint64_t head;
  if (!take_varint(s, &head) || !(head >> 1)) return false;
  const size_t left = (size_t)(s->end - s->at), value_bytes = (bits + 7) / 8;
  *run = (struct run){ .repeats = !(head & 1), .bytes = s->at };
  if (run->repeats) {
    if (left < value_bytes) return false;
    memcpy(&run->value, s->at, value_bytes);
    if (bits < 32 && run->value >> bits) return false;
    run->count = head >> 1 < wanted ? (size_t)(head >> 1) : wanted;
    s->at += value_bytes;
    return true;
  }
  /* Groups of eight; the last run may be cut short of what is not wanted. */
  const uint64_t groups = head >> 1;
  const uint64_t most = (wanted + 7) / 8;
  run->count = groups < most ? (size_t)groups * 8 : wanted;
  if (run->count > wanted) run->count = wanted;
  run->n = (run->count * bits + 7) / 8;
  if (run->n > left) return false;
  s->at += groups > most || (size_t)groups * bits > left ? left : (size_t)groups * bits;
  return true;
}

bool px_parquet_hybrid(const uint8_t *src, size_t n, uint32_t bits, uint32_t *out, size_t count) {
  struct source s = { src, src + n };
  struct run run;
  if (bits > 32) return false;
  for (; count; count -= run.count, out += run.count) {
    if (!take_run(&s, bits, count, &run)) return false;
    for (size_t i = 0; i < run.count; i++)
      out[i] = run.repeats ? run.value : (uint32_t)packed(run.bytes, run.n, bits, i);
  }
  return true;
}

static uint32_t bits_of(uint8_t max) {
  uint32_t bits = 0;
  while (max >> bits) bits++;
  return bits;
}

bool px_parquet_levels(const uint8_t *src, size_t n, uint8_t max, uint8_t *out, size_t count,
                       bool *all) {
  const uint32_t bits = bits_of(max);
  struct source s = { src, src + n };
  struct run run;
  *all = true;
  for (; count; count -= run.count, out += run.count) {
    if (!take_run(&s, bits, count, &run)) return false;
    if (run.repeats) {
      if (run.value > max) return false;
      memset(out, (int)run.value, run.count);
      *all = *all && run.value == max;
      continue;
    }
    for (size_t i = 0; i < run.count; i++) {
      out[i] = (uint8_t)packed(run.bytes, run.n, bits, i);
      if (out[i] > max) return false;
      *all = *all && out[i] == max;
    }
  }
  return true;
}

/* Values are kept modulo their width, as differences wrap around. */
static void put(void *out, size_t i, uint32_t bytes, uint64_t value) {
  memcpy((char *)out + i * bytes, &value, bytes);
}

/* One block of differences: the least, a width for each miniblock, and those that are needed. */
static bool take_block(struct source *s, uint32_t bytes, uint32_t minis, uint32_t mini_values,
                       uint64_t *last, void *out, size_t *at, size_t count) {
  uint64_t least;
  if (!take_zigzag(s, &least) || (size_t)(s->end - s->at) < minis) return false;
  const uint8_t *widths = s->at;
  s->at += minis;
  for (uint32_t m = 0; m < minis && *at < count; m++) {
    const size_t n = (size_t)mini_values / 8 * widths[m], left = (size_t)(s->end - s->at);
    const size_t some = count - *at < mini_values ? count - *at : mini_values;
    if (widths[m] > 64 || (some * widths[m] + 7) / 8 > left) return false;
    const size_t there = n < left ? n : left;
    for (size_t i = 0; i < some; i++, ++*at) {
      *last += least + packed(s->at, there, widths[m], i);
      put(out, *at, bytes, *last);
    }
    s->at += there;
  }
  return true;
}

bool px_parquet_delta(const uint8_t *src, size_t n, uint32_t bytes, void *out, size_t count) {
  enum { BLOCK_MAX = 1 << 20 };
  struct source s = { src, src + n };
  uint64_t block, minis, total, last;
  if (!take_varint(&s, &block) || !take_varint(&s, &minis) || !take_varint(&s, &total) ||
      !take_zigzag(&s, &last))
    return false;
  if (!block || block > BLOCK_MAX || block % 128 || !minis || block % minis || block / minis % 32 ||
      total != count)
    return false;
  size_t at = 0;
  if (count) put(out, at++, bytes, last);
  while (at < count)
    if (!take_block(&s, bytes, (uint32_t)minis, (uint32_t)(block / minis), &last, out, &at, count))
      return false;
  return true;
}

bool px_parquet_split(const uint8_t *src, size_t n, uint32_t bytes, void *out, size_t count) {
  if (n % bytes || n / bytes != count) return false;
  uint8_t *to = out;
  for (uint32_t k = 0; k < bytes; k++)
    for (size_t i = 0; i < count; i++) to[i * bytes + k] = src[k * count + i];
  return true;
}

bool px_parquet_bits(const uint8_t *src, size_t n, uint8_t *out, size_t count) {
  if (count > n * 8) return false;
  for (size_t i = 0; i < count; i++) out[i] = src[i / 8] >> i % 8 & 1;
  return true;
}
