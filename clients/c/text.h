/* SPDX-License-Identifier: Apache-2.0 */
/* Text for people: tables, sizes, durations, a progress bar. Used by the command
 * line client. Not thread safe (one terminal). */
#ifndef PX_CLIENTS_C_TEXT_H
#define PX_CLIENTS_C_TEXT_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

/* "17.2 MB", "3 min 05 s". */
void text_bytes(uint64_t bytes, char *out, size_t n);
void text_duration(double seconds, char *out, size_t n);
/* A value for a table's cell: text as it is without control characters, numbers
 * short, null or missing "-". `path` is "a.b" within object; "a.0" a list's first. */
void text_cell(const json_t *object, const char *path, char *out, size_t n);

/* Rows of objects as aligned columns. */
struct text_column {
  const char *title, *path;
};
void text_table(FILE *out, const json_t *rows, const struct text_column *columns, size_t columns_n);

/* What is doubtful in a result, from its list `warnings`: two lines each, the message and the
 * hint. */
void text_warnings(FILE *out, const json_t *result);

/* A meter of a transfer on a terminal's standard error; silent elsewhere. */
struct text_meter {
  const char *name;
  double started_s, shown_s;
  int on;
};
struct text_meter text_meter_start(const char *name);
/* a client_meter */
void text_meter_show(void *ctx, uint64_t done_bytes, uint64_t total_bytes);
void text_meter_end(struct text_meter *meter);

#endif
