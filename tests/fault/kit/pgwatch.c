/* Following a PostgreSQL client: see pgwatch.h. */
#include "tests/fault/kit/pgwatch.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { PROTOCOL_3 = 196608 };

void pgtrap_set(struct pgtrap *trap, const char *match, bool before, long nth, const char *application) {
  *trap = (struct pgtrap){ .armed = true, .before = before, .nth = nth };
  snprintf(trap->match, sizeof trap->match, "%s", match);
  snprintf(trap->application, sizeof trap->application, "%s", application);
}

static uint32_t big_endian(const uint8_t *b) { return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3]; }

/* Names and values, each ended by a zero byte, after the protocol's number. A request for TLS has another number and is
 * followed by a startup message. */
static void read_startup(struct pgwatch *w) {
  if (w->body_n < 4 || big_endian((const uint8_t *)w->body) != PROTOCOL_3) return;
  w->started = true;
  const char *at = w->body + 4, *end = w->body + w->body_n;
  while (at < end && *at) {
    const char *name = at, *value = at + strnlen(at, (size_t)(end - at)) + 1;
    if (value >= end) return;
    if (strcmp(name, "application_name") == 0) snprintf(w->application, sizeof w->application, "%s", value);
    at = value + strnlen(value, (size_t)(end - value)) + 1;
  }
}

static bool is_match(const struct pgwatch *w, const struct pgtrap *trap) {
  if (!trap->armed || strncmp(w->application, trap->application, strlen(trap->application)) != 0) return false;
  if (w->head[0] == 'Q') return strcasecmp(w->body, trap->match) == 0;
  if (w->head[0] != 'B') return false;
  const char *statement = w->body + strlen(w->body) + 1; /* after the portal's name */
  return statement < w->body + w->body_n && strcmp(statement, trap->match) == 0;
}

/* A message is there whole. True when the trap springs now. */
static bool message(struct pgwatch *w, struct pgtrap *trap) {
  if (!w->started) return read_startup(w), false;
  if (w->sync_next && w->head[0] == 'S') return w->sync_next = false, true;
  if (!is_match(w, trap) || --trap->nth > 0) return false;
  trap->armed = false;
  if (trap->before || w->head[0] == 'Q') return true;
  w->sync_next = true;
  return false;
}

bool pgwatch_put(struct pgwatch *w, struct pgtrap *trap, const char *bytes, size_t *n) {
  size_t began = 0; /* of the present message, within these bytes */
  for (size_t i = 0; i < *n; i++) {
    if (w->head_n == 0) began = i;
    const size_t head_bytes = w->started ? 5 : 4;
    if (w->head_n < head_bytes) {
      w->head[w->head_n++] = (uint8_t)bytes[i];
      if (w->head_n < head_bytes) continue;
      const uint32_t length = big_endian(w->head + head_bytes - 4);
      w->left = length > 4 ? length - 4 : 0;
      w->body_n = 0;
    } else {
      if (w->body_n < sizeof w->body - 1) w->body[w->body_n++] = bytes[i];
      w->left--;
    }
    if (w->left > 0) continue;
    w->body[w->body_n] = '\0';
    const bool armed_before = trap->armed && trap->before;
    const bool sprung = message(w, trap);
    w->head_n = 0;
    if (!sprung) continue;
    *n = armed_before ? began : i + 1;
    return true;
  }
  return false;
}
