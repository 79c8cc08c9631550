/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header of a CSV upload: what each column means, by its name; and cells, cut off a line in
 * place. Inner header of lib/read, for read_csv.c; one reading belongs to one thread.
 */
#ifndef PX_READ_CSV_HEADER_H
#define PX_READ_CSV_HEADER_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/fail.h"
#include "lib/read/reader.h"

enum px_csv_role {
  PX_CSV_IGNORED,
  PX_CSV_EPISODE,
  PX_CSV_STEP,
  PX_CSV_OBSERVATION,
  PX_CSV_ACTION,
  PX_CSV_REWARD,
  PX_CSV_TERMINATED,
  PX_CSV_TRUNCATED,
  PX_CSV_DONE,
  PX_CSV_MASK,
  PX_CSV_SOURCE,
  PX_CSV_UNCERTAINTY, /* of a proxy: of no use to us, but our own export writes it */
  PX_CSV_ROLES_N
};

struct px_csv_column {
  enum px_csv_role role;
  uint32_t index; /* of an observation or an action */
};

struct px_csv_header {
  char separator;
  struct px_csv_column *columns; /* [n], owned; NULL before a header was read */
  uint32_t n;
  bool has[PX_CSV_ROLES_N];
};

/* Understands the line, which is changed, and checks it against what the dataset declares. Notes
 * columns that mean nothing. BAD_DATA at "header". Whatever happens, px_csv_header_free. */
enum px_status px_csv_header_read(struct px_reader *r, char *line, struct px_csv_header *h,
                                  struct px_err *err) PX_MUST_CHECK;
void px_csv_header_free(struct px_csv_header *header);
/* The role's name, the first of those that it may have: "obs" ... */
const char *px_csv_header_name(enum px_csv_role role);

struct px_csv_cell {
  const char *text; /* ends with a NUL */
  size_t n;
};
/* Cuts the next cell off *at, in place, without its quotes; *at is NULL after the last one.
 * BAD_DATA at "line N" for a quoted cell that does not end. */
enum px_status px_csv_header_next_cell(char separator, uint64_t line, char **at,
                                       struct px_csv_cell *out, struct px_err *err) PX_MUST_CHECK;

#endif
