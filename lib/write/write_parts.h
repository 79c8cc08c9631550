/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What write.c and its writers share; for nobody else. A writer gets the
 * dataset segment by segment, either as columns of equal meaning (write_hdf5.c,
 * write_spool.c) or as the segment itself (write_jsonl.c).
 */
#ifndef PX_WRITE_WRITE_PARTS_H
#define PX_WRITE_WRITE_PARTS_H

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/data/safetensors.h"
#include "lib/data/segment.h"
#include "lib/data/spaces.h"
#include "lib/write/write.h"

/* A segment with its chosen actions; all borrowed. */
struct px_write_rows {
  const struct px_spaces *spaces;
  const struct px_segment_view *view;
  const float *actions, *std, *epistemic; /* [steps_n, A]; std is the total */
  const float *score, *residual;          /* [steps_n] */
  const uint8_t *source, *verified;       /* [steps_n]; 3 in source: PX_SOURCE_SIMULATOR */
  bool simulated;                         /* the segment's labels have residuals */
  bool rewarded; /* some trajectory of the export has rewards; others are NAN in arrays */
};

enum { PX_WRITE_COLUMNS_MAX = 20 };
/* New rows of one array; the same names, types and widths every time. */
struct px_write_column {
  const char *name;
  enum px_dtype dtype;
  uint32_t width; /* 0: a number per row, so one dimension */
  uint64_t rows;
  const void *data;
};
struct px_write_columns {
  struct px_write_column column[PX_WRITE_COLUMNS_MAX];
  uint32_t n;
};
/* Adds a column. */
void px_write_column_add(struct px_write_columns *columns, const char *name, enum px_dtype dtype,
                         uint32_t width, uint64_t rows, const void *data);

/* Growing memory for the columns that a segment does not hold as they are. */
struct px_write_scratch {
  struct px_buf next, flat, terminals, timeouts, known, labelled, mask, classes, rewards;
};
void px_write_scratch_free(struct px_write_scratch *scratch);
/* D4RL's flat arrays, and the segment's own layout. NO_MEMORY is the only failure. */
enum px_status px_write_columns_d4rl(const struct px_write_rows *rows,
                                     struct px_write_scratch *scratch,
                                     struct px_write_columns *out) PX_MUST_CHECK;
enum px_status px_write_columns_segment(const struct px_write_rows *rows,
                                        struct px_write_scratch *scratch,
                                        struct px_write_columns *out) PX_MUST_CHECK;

/* What the file is to say of itself. */
struct px_write_facts {
  const struct px_write_fact *fact; /* [n] */
  size_t n;
};
/* As a JSON object on one line, from malloc; NULL when out of memory. */
char *px_write_facts_json(const struct px_write_facts *facts);

/* One row of the table of formats. `put` gets columns, or NULL where `columns` is NULL. */
struct px_write_writer {
  enum px_status (*columns)(const struct px_write_rows *, struct px_write_scratch *,
                            struct px_write_columns *);
  enum px_status (*open)(const char *path, void **writer, struct px_err *err);
  enum px_status (*put)(void *writer, const struct px_write_rows *rows,
                        const struct px_write_columns *columns, struct px_err *err);
  enum px_status (*end)(void *writer, const struct px_write_facts *facts, struct px_err *err);
  void (*free)(void *writer); /* NULL is fine */
};
extern const struct px_write_writer px_write_hdf5, px_write_npz, px_write_jsonl, px_write_csv,
  px_write_lerobot, px_write_safetensors;

#endif
