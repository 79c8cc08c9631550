/* SPDX-License-Identifier: Apache-2.0 */
/* Reading later actions: see actions.h. */
#include "lib/read/actions.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/fail.h"
#include "lib/data/spaces.h"
#include "lib/read/actions_parts.h"
#include "lib/read/read.h"
#include "lib/read/reader.h"
#include "lib/read/sandbox.h"

/* Stands before the caller's sink, and knows whose fault a failure is. */
struct runs_gate {
  const struct px_actions_sink *sink;
  bool sink_failed;
};

static enum px_status put_run(void *ctx, const struct px_actions_run *run, struct px_err *err) {
  struct runs_gate *gate = ctx;
  const enum px_status status = gate->sink->put(gate->sink->ctx, run, err);
  gate->sink_failed = status != PX_OK;
  return status;
}

enum px_status px_actions_read(const struct px_actions_file *file, const struct px_spaces *spaces,
                               const struct px_actions_sink *sink, struct px_err *err) {
  const struct px_read_options options = { .max_logical_bytes = file->max_bytes };
  struct px_read_report *found = calloc(1, sizeof *found);
  if (!found) return px_fail(err, PX_E_NO_MEMORY, "no memory to read %s", file->name);
  struct px_reader r = { .options = &options,
                         .spaces = spaces,
                         .report = found,
                         .no_integers = px_spaces_take_no_integers(spaces) };
  const struct px_actions_reading what = { true, file->format, file->steps, file->trajectory };
  struct runs_gate gate = { sink, false };
  const struct px_actions_sink checked = { &gate, put_run };
  struct px_err why = { 0 };
  enum px_status status = px_reader_measure(&r, file->fd, &why);
  if (!status) status = px_sandbox_actions(&r, file->fd, &what, &checked, &why);
  free(found);
  if (!status) return PX_OK;
  if (!gate.sink_failed) px_reader_name_file(file->name, &why);
  why.code = status;
  if (err) *err = why;
  return status;
}

enum px_status px_actions_format(const char *media_type, const char *file_name,
                                 enum px_actions_format *out, struct px_err *err) {
  const char *dot = file_name ? strrchr(file_name, '.') : NULL;
  enum px_read_format found = PX_FORMAT_N;
  if ((media_type && !strncasecmp(media_type, "application/json", 16) &&
       strchr("; \t", media_type[16])) ||
      (dot && !strcasecmp(dot, ".json"))) {
    *out = PX_ACTIONS_JSON;
    return PX_OK;
  }
  if (px_read_format_from_media_type(media_type, &found, NULL) && file_name &&
      px_read_format_from_name(file_name, &found, NULL))
    found = PX_FORMAT_N;
  if (found != PX_FORMAT_NPZ && found != PX_FORMAT_JSONL)
    return px_fail(err, PX_E_UNSUPPORTED_MEDIA,
                   "actions come as application/json, application/jsonl or application/x-npz, not "
                   "as '%.80s'",
                   media_type ? media_type : "");
  *out = found == PX_FORMAT_NPZ ? PX_ACTIONS_NPZ : PX_ACTIONS_JSONL;
  return PX_OK;
}
