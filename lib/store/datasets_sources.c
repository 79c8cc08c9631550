/* SPDX-License-Identifier: Apache-2.0 */
/* What the trajectories of a snapshot came from: see datasets.h. */
#include <stdio.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/store/datasets.h"
#include "lib/store/db.h"
#include "lib/store/store.h"

/* Which it is; a new one is added while there is room. */
static uint8_t index_of(struct store_sources *s, const char *name) {
  uint32_t i = 0;
  if (!*name) return STORE_SOURCE_NONE;
  while (i < s->n && strcmp(s->name[i], name) != 0) i++;
  if (i == STORE_SOURCES_MAX) return STORE_SOURCE_NONE;
  if (i == s->n) snprintf(s->name[s->n++], STORE_SOURCE_BYTES, "%s", name);
  return (uint8_t)i;
}

enum px_status store_dataset_sources(struct store *store, const struct store_segment_range *range,
                                     struct store_sources *out, struct px_err *err) {
  memset(out, 0, sizeof *out);
  struct db_params p = DB_PARAMS;
  db_text(&p, range->dataset_id);
  db_int(&p, range->count);
  db_int(&p, range->version);
  PGresult *rows;
  enum px_status status = db_run(store, SQL_trajectory_sources, &p, DB_TEXT, &rows, err);
  if (status) return status;
  out->traj_n = (uint32_t)PQntuples(rows);
  out->of = px_mem_calloc((size_t)out->traj_n + 1, 1);
  if (!out->of) status = px_fail(err, PX_E_NO_MEMORY, "no memory for the sources");
  for (uint32_t i = 0; !status && i < out->traj_n; i++)
    out->of[i] = index_of(out, db_get(rows, (int)i, "source"));
  PQclear(rows);
  return status;
}
