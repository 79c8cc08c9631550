/* SPDX-License-Identifier: Apache-2.0 */
/* JSON when there is no memory: see json.h. */
#include "lib/base/json.h"

#include <ctype.h>
#include <math.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"

/* jansson's allocator is told nothing but a size: what it allocates for is known here. */
static __thread struct px_json_making *making;

/*
 * jansson cannot be told to stop, so a parse leaves it by a jump from the allocation that fails.
 * What it had by then would be lost: therefore it builds in an arena, and what it built is copied.
 */
struct parse {
  struct px_arena *arena; /* NULL, or has refused something: there is no memory */
  jmp_buf stop;
};
static __thread struct parse *parsing;

static void *alloc_bytes(size_t n) {
  void *bytes = parsing ? px_arena_take(parsing->arena, n, 1) : malloc(n);
  if (!bytes && parsing) longjmp(parsing->stop, 1);
  if (!bytes && making) making->lacking = true;
  return bytes;
}

static void free_bytes(void *bytes) {
  if (!parsing) free(bytes);
}

/* Before main: whatever jansson frees later has been taken here. */
__attribute__((constructor)) static void set_up(void) {
  json_set_alloc_funcs(alloc_bytes, free_bytes);
}

static json_t *build(struct parse *parse, const char *text, size_t n, size_t flags,
                     json_error_t *why) {
  json_t *volatile built = NULL;
  parsing = parse;
  if (setjmp(parse->stop) == 0) built = json_loadb(text, n, flags, why);
  parsing = NULL;
  return built;
}

/* ---- whole numbers beyond 64 bits */

enum { DIGITS_SAFE = 18 }; /* so many digits always fit */

/* Past the string that begins at text[at]. */
static size_t skip_string(const char *text, size_t n, size_t at) {
  for (at++; at < n && text[at] != '"'; at++) at += text[at] == '\\';
  return at + 1;
}

/* The digits that begin at text[at] are a whole number, its sign before them, that no json_int_t
 * holds. */
static bool is_too_large(const char *text, size_t n, size_t at, size_t digits) {
  static const char most[] = "9223372036854775807", least[] = "9223372036854775808";
  const size_t fits = sizeof most - 1;
  const bool negative = at > 0 && text[at - 1] == '-';
  const size_t sign = at - negative;
  if (sign > 0 && strchr(".eE+", text[sign - 1])) return false; /* a fraction, or an exponent */
  if (at + digits < n && strchr(".eE", text[at + digits])) return false;
  return digits > fits || (digits == fits && memcmp(text + at, negative ? least : most, fits) > 0);
}

/* How many of those numbers there are. Unless `out` is NULL: copies the text with "e0", which makes
 * a real of it, behind each; `out` has room for two more bytes a number. */
static size_t mark_large(const char *text, size_t n, char *out) {
  size_t large = 0, kept = 0, put = 0;
  for (size_t at = 0; at < n;) {
    if (text[at] == '"') {
      at = skip_string(text, n, at);
      continue;
    }
    size_t digits = 0;
    while (at + digits < n && isdigit((unsigned char)text[at + digits])) digits++;
    const bool mark = digits > DIGITS_SAFE && is_too_large(text, n, at, digits);
    at += digits ? digits : 1;
    large += mark;
    if (!mark || !out) continue;
    memcpy(out + put, text + kept, at - kept);
    put += at - kept;
    memcpy(out + put, "e0", 2);
    put += 2;
    kept = at;
  }
  if (out) memcpy(out + put, text + kept, n - kept);
  return large;
}

/* The text that jansson reads: in the arena if a number had to be marked. NULL: no memory. */
static const char *readable(struct px_arena *arena, const char *text, size_t *n) {
  const size_t large = mark_large(text, *n, NULL);
  if (!large) return text;
  char *marked = px_arena_take(arena, *n + 2 * large, 1);
  if (marked) mark_large(text, *n, marked);
  *n += 2 * large;
  return marked;
}

/* A whole copy, or NULL. */
static json_t *copied(const json_t *json) {
  struct px_json_making copying;
  px_json_begin(&copying);
  json_t *copy = json_deep_copy(json);
  if (px_json_end(&copying)) return copy;
  json_decref(copy);
  return NULL;
}

json_t *px_json_parse(const char *text, size_t n, size_t flags, json_error_t *why) {
  struct parse parse = { .arena = px_arena_new(SIZE_MAX) };
  text = parse.arena ? readable(parse.arena, text, &n) : NULL;
  json_t *built = text ? build(&parse, text, n, flags, why) : NULL;
  const bool malformed = text && !built && !px_arena_ran_out(parse.arena);
  /* and `built` is never given back: it goes with the arena */
  json_t *copy = built ? copied(built) : NULL;
  px_arena_free(parse.arena);
  if (copy || malformed) return copy;
  if (making) making->lacking = true;
  if (!why) return NULL;
  snprintf(why->text, sizeof why->text, "no memory");
  why->text[sizeof why->text - 1] = json_error_out_of_memory; /* where json_error_code looks */
  return NULL;
}

json_t *px_json_number(double x) { return isfinite(x) ? json_real(x) : json_null(); }

void px_json_begin(struct px_json_making *m) {
  *m = (struct px_json_making){ .around = making };
  making = m;
}

bool px_json_end(struct px_json_making *m) {
  making = m->around;
  return !m->lacking;
}

bool px_json_lacking(void) { return making && making->lacking; }

/* ---- reals with the fewest digits */

enum { REAL_MAX = 40 };

static bool reads_as(const char *text, double x, bool single) {
  return single ? (double)strtof(text, NULL) == x : strtod(text, NULL) == x;
}

/* 1e+07 as jansson writes it: 1e7. */
static void tidy_exponent(char *text) {
  char *at = strchr(text, 'e');
  if (!at) return;
  at += at[1] == '-' ? 2 : 1;
  const size_t skip = strspn(at, "+0");
  memmove(at, at + skip, strlen(at + skip) + 1);
}

/* The fewest digits that read as x; never more than the 17 that text[0..n) has. The number of bytes
 * put. */
static size_t shorten_real(const char *text, size_t n, char *out) {
  char given[REAL_MAX], best[REAL_MAX];
  if (n >= sizeof given) return memmove(out, text, n), n;
  memcpy(given, text, n);
  given[n] = '\0';
  const double x = strtod(given, NULL);
  const bool single = x != trunc(x) && (double)(float)x == x;
  int digits = single ? 6 : 15;
  do snprintf(best, sizeof best, "%.*g", digits, x);
  while (!reads_as(best, x, single) && ++digits <= 17);
  tidy_exponent(best);
  size_t len = strlen(best);
  /* a real stays one */
  if (!strpbrk(best, ".e")) len += (size_t)snprintf(best + len, sizeof best - len, ".0");
  if (len > n) return memmove(out, text, n), n;
  return memcpy(out, best, len), len;
}

/* In place: no number grows. */
static void shorten_reals(char *text) {
  const size_t n = strlen(text);
  size_t put = 0;
  for (size_t at = 0; at < n;) {
    const size_t number = text[at] == '"' ? 0 : strspn(text + at, "+-.0123456789eE");
    const size_t begin = at;
    at += text[at] == '"' ? skip_string(text, n, at) - at
          : number        ? number
                          : strcspn(text + at, "\"-0123456789");
    const bool real = number && strcspn(text + begin, ".eE") < number &&
                      (text[begin] == '-' || isdigit((unsigned char)text[begin]));
    if (real) put += shorten_real(text + begin, number, text + put);
    else memmove(text + put, text + begin, at - begin), put += at - begin;
  }
  text[put] = '\0';
}

char *px_json_dumps(const json_t *json, size_t flags) {
  char *text = json_dumps(json, flags);
  if (text) shorten_reals(text);
  return text;
}
