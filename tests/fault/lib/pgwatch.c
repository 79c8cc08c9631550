/* SPDX-License-Identifier: Apache-2.0 */
/* Following a PostgreSQL client: see pgwatch.h. */
#include "tests/fault/lib/pgwatch.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { PROTOCOL_3 = 196608 };

void pgtrap_set(struct pgtrap *trap, const char *match, bool before, long nth,
                const char *application) {
  *trap = (struct pgtrap){ .armed = true, .before = before, .nth = nth };
  snprintf(trap->match, sizeof trap->match, "%s", match);
  snprintf(trap->application, sizeof trap->application, "%s", application);
}

static uint32_t big_endian(const uint8_t *b) {
  return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* Takes a byte; true when it is the last of a message, which is then in head and body. */
static bool stream_put(struct pgstream *s, size_t head_bytes, char byte) {
  if (s->head_n < head_bytes) {
    s->head[s->head_n++] = (uint8_t)byte;
    if (s->head_n < head_bytes) return false;
    const uint32_t length = big_endian(s->head + head_bytes - 4);
    s->left = length > 4 ? length - 4 : 0;
    s->body_n = 0;
  } else {
    if (s->body_n < sizeof s->body - 1) s->body[s->body_n++] = byte;
    s->left--;
  }
  s->body[s->body_n] = '\0';
  return s->left == 0;
}

/* Names and values, each ended by a zero byte, after the protocol's number. A request for TLS has
 * another number and is followed by a startup message. */
static void read_startup(struct pgwatch *w) {
  if (w->up.body_n < 4 || big_endian((const uint8_t *)w->up.body) != PROTOCOL_3) return;
  w->started = true;
  const char *at = w->up.body + 4, *end = w->up.body + w->up.body_n;
  while (at < end && *at) {
    const char *name = at, *value = at + strnlen(at, (size_t)(end - at)) + 1;
    if (value >= end) return;
    if (strcmp(name, "application_name") == 0)
      snprintf(w->application, sizeof w->application, "%s", value);
    at = value + strnlen(value, (size_t)(end - value)) + 1;
  }
}

/* ---- questions */

static uint32_t count_at(const char *at) { return (uint32_t)(uint8_t)at[0] << 8 | (uint8_t)at[1]; }

static bool is_text(const char *at, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (at[i] < ' ' || at[i] > '~' || at[i] == '\\') return false;
  return true;
}

/* Bind: portal and statement, each ended by a zero byte; how many formats, and they; how many
 * parameters, and each one's length and bytes. What lies beyond the kept beginning of the message
 * stays "". */
static void read_params(struct pgcall *call, const char *at, const char *end) {
  if (at + 2 > end) return;
  at += 2 + 2 * count_at(at);
  if (at + 2 > end) return;
  const uint32_t n = count_at(at);
  at += 2;
  for (uint32_t i = 0; i < n && i < 2 && at + 4 <= end; i++) {
    const uint32_t length = big_endian((const uint8_t *)at);
    at += 4;
    if (length == UINT32_MAX) continue; /* NULL */
    if (length > (size_t)(end - at)) return;
    if (is_text(at, length))
      snprintf(call->param[i], sizeof call->param[i], "%.*s", (int)length, at);
    at += length;
  }
}

static void read_call(struct pgwatch *w) {
  if (w->up.head[0] != 'Q' && w->up.head[0] != 'B') return;
  const char *end = w->up.body + w->up.body_n;
  w->call = (struct pgcall){ .open = true };
  const char *name = w->up.head[0] == 'Q' ? w->up.body : w->up.body + strlen(w->up.body) + 1;
  if (name >= end) return;
  snprintf(w->call.statement, sizeof w->call.statement, "%s", name);
  for (char *c = w->call.statement; *c; c++)
    if (*c < ' ') *c = ' ';
  if (w->up.head[0] == 'B') read_params(&w->call, name + strlen(name) + 1, end);
}

static bool is_match(const struct pgwatch *w, const struct pgtrap *trap) {
  if (!trap->armed || strncmp(w->application, trap->application, strlen(trap->application)) != 0)
    return false;
  return (w->up.head[0] == 'Q' || w->up.head[0] == 'B') &&
         strcasecmp(w->call.statement, trap->match) == 0;
}

/* A message is there whole. True when the trap springs now. */
static bool message(struct pgwatch *w, struct pgtrap *trap) {
  if (!w->started) return read_startup(w), false;
  read_call(w);
  if (w->sync_next && w->up.head[0] == 'S') return w->sync_next = false, true;
  if (!is_match(w, trap) || --trap->nth > 0) return false;
  trap->armed = false;
  if (trap->before || w->up.head[0] == 'Q') return true;
  w->sync_next = true;
  return false;
}

bool pgwatch_put(struct pgwatch *w, struct pgtrap *trap, const char *bytes, size_t *n) {
  size_t began = 0; /* of the present message, within these bytes */
  for (size_t i = 0; i < *n; i++) {
    if (w->up.head_n == 0) began = i;
    if (!stream_put(&w->up, w->started ? 5 : 4, bytes[i])) continue;
    const bool armed_before = trap->armed && trap->before;
    const bool sprung = message(w, trap);
    w->up.head_n = 0;
    if (!sprung) continue;
    *n = armed_before ? began : i + 1;
    return true;
  }
  return false;
}

/* ---- answers */

/* Fields of an error: a letter and a text each; C is the SQLSTATE. */
static void read_error(struct pgwatch *w) {
  const char *at = w->down.body, *end = at + w->down.body_n;
  for (; at < end && *at; at += strlen(at) + 1)
    if (*at == 'C') snprintf(w->call.answer, sizeof w->call.answer, "%.5s", at + 1);
}

bool pgwatch_answer(struct pgwatch *w, const char *bytes, size_t n) {
  bool whole = false;
  for (size_t i = 0; i < n; i++) {
    if (!stream_put(&w->down, 5, bytes[i])) continue;
    w->down.head_n = 0;
    const uint8_t type = w->down.head[0];
    if (type == 'E') read_error(w);
    if (type == 'C')
      snprintf(w->call.answer, sizeof w->call.answer, "%.*s", (int)sizeof w->call.answer - 1,
               w->down.body);
    /* An error that ends the session is followed by nothing. */
    whole |= w->call.open && (type == 'Z' || strncmp(w->call.answer, "57P0", 4) == 0);
  }
  if (whole) w->call.open = false;
  return whole;
}
