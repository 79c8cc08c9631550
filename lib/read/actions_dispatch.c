/* SPDX-License-Identifier: Apache-2.0 */
/* Which reader takes a file of later actions: see actions_parts.h. */
#include "lib/base/fail.h"
#include "lib/read/actions_parts.h"

enum px_status px_actions_dispatch(struct px_actions_rows *rows, const void *bytes, size_t n,
                                   struct px_err *err) {
  rows->r->actions = rows;
  switch (rows->what->format) {
    case PX_ACTIONS_NPZ: return px_read_npz(rows->r, bytes, n, err);
    case PX_ACTIONS_JSONL: return px_actions_lines(rows, err);
    default: return px_actions_object(rows, bytes, n, err);
  }
}
