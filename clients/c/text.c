/* SPDX-License-Identifier: Apache-2.0 */
/* Text for people: see text.h. */
#include "clients/c/text.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"

enum { CELL_MAX = 96, COLUMNS_MAX = 12, BAR_CHARS = 24 };

void text_bytes(uint64_t bytes, char *out, size_t n) {
  static const char *const UNITS[] = { "B", "kB", "MB", "GB", "TB" };
  double x = (double)bytes;
  size_t unit = 0;
  while (x >= 999.5 && unit + 1 < sizeof UNITS / sizeof *UNITS) x /= 1000, unit++;
  snprintf(out, n, unit && x < 99.95 ? "%.1f %s" : "%.0f %s", x, UNITS[unit]);
}

void text_duration(double seconds, char *out, size_t n) {
  const long long s = llround(seconds);
  if (s < 60) snprintf(out, n, "%lld s", s);
  else if (s < 3600) snprintf(out, n, "%lld min %02lld s", s / 60, s % 60);
  else snprintf(out, n, "%lld h %02lld min", s / 3600, s / 60 % 60);
}

void text_cell(const json_t *object, const char *path, char *out, size_t n) {
  const json_t *value = object;
  for (const char *dot; (dot = strchr(path, '.')) != NULL; path = dot + 1) {
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)(dot - path), path);
    value = json_object_get(value, name);
  }
  /* "list.0": a list's first */
  value = json_is_array(value) ? json_array_get(value, 0) : json_object_get(value, path);
  if (json_is_string(value)) {
    snprintf(out, n, "%s", json_string_value(value));
    for (char *c = out; *c; c++) /* no escape sequences from a server onto a terminal */
      if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
  } else if (json_is_integer(value)) {
    snprintf(out, n, "%lld", (long long)json_integer_value(value));
  } else if (json_is_real(value)) {
    snprintf(out, n, "%.4g", json_real_value(value));
  } else if (json_is_boolean(value)) {
    snprintf(out, n, json_is_true(value) ? "yes" : "no");
  } else {
    snprintf(out, n, "-");
  }
}

/* The last column is not padded, so that no line ends in spaces. */
static void put_cell(FILE *out, const char *text, int width, bool last) {
  if (last) fprintf(out, "%s\n", text);
  else fprintf(out, "%-*s  ", width, text);
}

void text_table(FILE *out, const json_t *rows, const struct text_column *columns,
                size_t columns_n) {
  int widths[COLUMNS_MAX] = { 0 };
  char cell[CELL_MAX];
  if (columns_n > COLUMNS_MAX) columns_n = COLUMNS_MAX;
  const size_t rows_n = json_array_size(rows);
  for (size_t c = 0; c < columns_n; c++) {
    widths[c] = (int)strlen(columns[c].title);
    for (size_t i = 0; i < rows_n; i++) {
      text_cell(json_array_get(rows, i), columns[c].path, cell, sizeof cell);
      if ((int)strlen(cell) > widths[c]) widths[c] = (int)strlen(cell);
    }
  }
  for (size_t c = 0; c < columns_n; c++)
    put_cell(out, columns[c].title, widths[c], c + 1 == columns_n);
  for (size_t i = 0; i < rows_n; i++)
    for (size_t c = 0; c < columns_n; c++) {
      text_cell(json_array_get(rows, i), columns[c].path, cell, sizeof cell);
      put_cell(out, cell, widths[c], c + 1 == columns_n);
    }
}

void text_warnings(FILE *out, const json_t *result) {
  size_t i;
  json_t *entry;
  json_array_foreach(json_object_get(result, "warnings"), i, entry) {
    char code[64], message[1024], hint[1024];
    text_cell(entry, "code", code, sizeof code);
    text_cell(entry, "message", message, sizeof message);
    text_cell(entry, "hint", hint, sizeof hint);
    fprintf(out, "warning: %s: %s\n  %s\n", code, message, hint);
  }
}

struct text_meter text_meter_start(const char *name) {
  const char *slash = strrchr(name, '/');
  return (struct text_meter){ slash ? slash + 1 : name, px_clock_s(), 0, isatty(STDERR_FILENO) };
}

void text_meter_show(void *ctx, uint64_t done_bytes, uint64_t total_bytes) {
  struct text_meter *meter = ctx;
  const double now_s = px_clock_s(), elapsed_s = now_s - meter->started_s;
  const bool complete = total_bytes && done_bytes == total_bytes;
  if (!meter->on || !done_bytes || (now_s - meter->shown_s < 0.1 && !complete)) return;
  meter->shown_s = now_s;
  const double rate = elapsed_s > 0 ? (double)done_bytes / elapsed_s : 0;
  char done[32], total[32] = "?", speed[32], left[48] = "";
  text_bytes(done_bytes, done, sizeof done);
  text_bytes((uint64_t)rate, speed, sizeof speed);
  int filled = 0;
  if (total_bytes) {
    text_bytes(total_bytes, total, sizeof total);
    filled = (int)(done_bytes * BAR_CHARS / total_bytes);
    if (rate > 0) text_duration((double)(total_bytes - done_bytes) / rate, left, sizeof left);
  }
  static const char FULL[] = "########################";
  fprintf(stderr, "\r\033[K%s  [%-*.*s]  %s of %s  %s/s  %s", meter->name, BAR_CHARS, filled, FULL,
          done, total, speed, left);
}

void text_meter_end(struct text_meter *meter) {
  if (meter->on && meter->shown_s > 0) fputc('\n', stderr);
}
