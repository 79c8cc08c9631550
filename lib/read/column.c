/* SPDX-License-Identifier: Apache-2.0 */
/* Columns: see column.h. */
#include "lib/read/column.h"

void px_column_close(struct px_column *column) {
  if (column->close) column->close(column->ctx);
  *column = (struct px_column){ 0 };
}

enum px_status px_column_expect(const struct px_column *column, uint32_t cols, const char *what,
                                struct px_err *err) {
  if (column->cols == cols) return PX_OK;
  return px_fail_at(err, PX_E_BAD_DATA, column->name, "'%s' has %u columns, but %s %u",
                    column->name, column->cols, what, cols);
}
