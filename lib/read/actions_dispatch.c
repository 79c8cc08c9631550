/* SPDX-License-Identifier: Apache-2.0 */
/* Which reader takes a file of later actions: see actions_parts.h. */
#include "lib/base/fail.h"
#include "lib/read/actions_parts.h"

enum px_status px_actions_dispatch(struct px_reader *r, const struct px_actions_reading *what,
                                   const struct px_actions_sink *sink, const void *bytes, size_t n,
                                   struct px_err *err) {
  struct px_actions_rows rows = { .r = r, .what = what, .sink = sink };
  enum px_status status;
  r->actions = &rows;
  if (what->format == PX_ACTIONS_NPZ) status = px_read_npz(r, bytes, n, err);
  else if (what->format == PX_ACTIONS_JSONL) status = px_actions_lines(&rows, err);
  else status = px_actions_object(&rows, bytes, n, err);
  px_actions_rows_free(&rows);
  return status;
}
