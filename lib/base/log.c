/* SPDX-License-Identifier: Apache-2.0 */
/* Logs: see log.h. */
#include "lib/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fail.h"

enum { LINE_MAX_BYTES = 2048 };

static struct {
  const char *component;
  enum px_log_level least;
  bool json;
} setup = { "proxact", PX_LOG_INFO, false };

static const char *const LEVELS[] = { "debug", "info", "warn", "error" };

struct line {
  char text[LINE_MAX_BYTES];
  size_t len;
};

static void put_char(struct line *line, char c) {
  if (line->len + 2 < sizeof line->text) line->text[line->len++] = c;
}

static void puts_raw(struct line *line, const char *text) {
  for (; *text; text++) put_char(line, *text);
}

/* Quoted and escaped, so that no value can forge a line or a key. */
static void put_quoted(struct line *line, const char *text) {
  put_char(line, '"');
  for (; *text; text++) {
    const unsigned char c = (unsigned char)*text;
    if (c == '"' || c == '\\') {
      put_char(line, '\\');
      put_char(line, (char)c);
    } else if (c < 0x20 || c == 0x7f) {
      char code[8];
      snprintf(code, sizeof code, "\\u%04x", c);
      puts_raw(line, code);
    } else {
      put_char(line, (char)c);
    }
  }
  put_char(line, '"');
}

static bool is_plain(const char *text) {
  if (!*text) return false;
  for (; *text; text++)
    if ((unsigned char)*text <= ' ' || *text == '"' || *text == '=' || *text == '\\' ||
        *text == 0x7f)
      return false;
  return true;
}

static void pair(struct line *line, const char *key, const char *value) {
  if (setup.json) {
    put_char(line, line->len == 0 ? '{' : ',');
    put_quoted(line, key);
    put_char(line, ':');
    put_quoted(line, value);
  } else {
    if (line->len) put_char(line, ' ');
    puts_raw(line, key);
    put_char(line, '=');
    if (is_plain(value)) puts_raw(line, value);
    else put_quoted(line, value);
  }
}

struct px_log_number px_log_int(long long value) {
  struct px_log_number n;
  snprintf(n.text, sizeof n.text, "%lld", value);
  return n;
}

struct px_log_number px_log_float(double value) {
  struct px_log_number n;
  snprintf(n.text, sizeof n.text, "%.6g", value);
  return n;
}

void px_log_setup(const char *component, enum px_log_level least, bool json) {
  setup.component = component;
  setup.least = least;
  setup.json = json;
}

void px_log(enum px_log_level level, const char *event, ...) {
  if (level < setup.least) return;
  struct line line = { .len = 0 };
  char time[25];
  px_clock_rfc3339(px_clock_wall_ms(), time);
  pair(&line, "time", time);
  pair(&line, "level", LEVELS[level]);
  pair(&line, "component", setup.component);
  pair(&line, "event", event);
  va_list args;
  va_start(args, event);
  for (const char *key; (key = va_arg(args, const char *));) {
    const char *value = va_arg(args, const char *);
    pair(&line, key, value ? value : "");
    if (!value) break; /* a forgotten value must not run past the end */
  }
  va_end(args);
  if (setup.json) put_char(&line, '}');
  line.text[line.len++] = '\n';
  /* A log line that cannot be written has nowhere to be reported. */
  if (write(STDERR_FILENO, line.text, line.len) < 0) return;
}

void px_log_err(const char *event, const struct px_err *err, const char *key, const char *value) {
  px_log(PX_LOG_ERROR, event, key, value, "code", px_status_slug(err->code), "message",
         err->message, "at", err->pointer, NULL);
}
