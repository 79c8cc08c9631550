/* SPDX-License-Identifier: Apache-2.0 */
/* Reading uploads: see read.h. */
#include "lib/read/read.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/base/text.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"
#include "lib/read/reader.h"
#include "lib/read/sandbox.h"

static const struct {
  const char *name, *media_type, *words;
} formats[PX_FORMAT_N] = {
#define PX_UPLOAD(NAME, name, media_type, words) [PX_FORMAT_##NAME] = { #name, media_type, words },
#include "schema/uploads.def"
#undef PX_UPLOAD
};

const char *px_read_format_name(enum px_read_format format) { return formats[format].name; }
const char *px_read_format_media_type(enum px_read_format format) {
  return formats[format].media_type;
}

bool px_read_takes_keys(enum px_read_format format) {
  return format == PX_FORMAT_HDF5 || format == PX_FORMAT_LEROBOT;
}

bool px_read_takes_split(enum px_read_format format) { return format == PX_FORMAT_HDF5; }

static bool same_word(const char *word, const char *text, size_t n) {
  return strlen(word) == n && !strncasecmp(word, text, n);
}

static bool is_listed(const char *words, const char *text, size_t n) {
  for (; *words; words += *words == '|') {
    const size_t len = strcspn(words, "|");
    if (len == n && !strncasecmp(words, text, n)) return true;
    words += len;
  }
  return false;
}

static bool find_format(const char *text, size_t n, enum px_read_format *out) {
  for (int i = 0; i < PX_FORMAT_N; i++)
    if (same_word(formats[i].name, text, n) || same_word(formats[i].media_type, text, n) ||
        is_listed(formats[i].words, text, n)) {
      *out = (enum px_read_format)i;
      return true;
    }
  return false;
}

void px_read_media_types(char out[PX_READ_TYPES_MAX]) {
  size_t used = 0;
  for (int i = 0; i < PX_FORMAT_N && used < PX_READ_TYPES_MAX; i++)
    used += (size_t)snprintf(out + used, PX_READ_TYPES_MAX - used, "%s%s", i ? ", " : "",
                             formats[i].media_type);
}

enum px_status px_read_format_from_media_type(const char *type, enum px_read_format *out,
                                              struct px_err *err) {
  const size_t n = type ? strcspn(type, "; \t") : 0;
  if (n && memchr(type, '/', n) && find_format(type, n, out)) return PX_OK;
  char types[PX_READ_TYPES_MAX];
  px_read_media_types(types);
  return px_fail(err, PX_E_UNSUPPORTED_MEDIA, "the content type '%.80s' is not one of %.300s",
                 type ? type : "", types);
}

enum px_status px_read_format_from_name(const char *name, enum px_read_format *out,
                                        struct px_err *err) {
  const char *dot = strrchr(name, '.');
  const char *ending = dot ? dot + 1 : name;
  if (find_format(ending, strlen(ending), out)) return PX_OK;
  static const char ENDINGS[] =
#define PX_UPLOAD(NAME, name, ...) ", ." #name
#include "schema/uploads.def"
#undef PX_UPLOAD
    ;
  return px_fail(err, PX_E_UNSUPPORTED_MEDIA, "'%.80s' ends in none of %s", name, ENDINGS + 2);
}

/* Stands before the caller's sink: checks what goes there, and knows whose fault a failure is. */
struct gate {
  struct px_reader *r;
  const struct px_traj_sink *sink;
  bool sink_failed;
};

static enum px_status check_and_put(void *ctx, const struct px_traj *traj, struct px_err *err) {
  struct gate *gate = ctx;
  enum px_status status =
    px_traj_check(gate->r->spaces, traj, gate->r->report->trajectories_n, err);
  if (status) return status;
  status = gate->sink->put(gate->sink->ctx, traj, err);
  gate->sink_failed = status != PX_OK;
  return status;
}

static enum px_status dispatch(struct px_reader *r, int fd, enum px_read_format format,
                               struct px_err *err) {
  enum px_status status = px_reader_measure(r, fd, err);
  if (!status && !px_read_takes_keys(format)) status = px_reader_no_keys(r, err);
  if (!status && !px_read_takes_split(format)) status = px_reader_no_split(r, err);
  return status ? status : px_sandbox_read(r, fd, format, err);
}

enum px_status px_read_file(int fd, enum px_read_format format, const char *name,
                            const struct px_read_options *options, const struct px_spaces *spaces,
                            const struct px_traj_sink *sink, struct px_read_report *report,
                            struct px_err *err) {
  static const struct px_read_options defaults;
  struct px_read_report found = { 0 };
  struct px_reader r = { .options = options ? options : &defaults,
                         .spaces = spaces,
                         .report = &found,
                         .no_integers = px_spaces_take_no_integers(spaces) };
  struct gate gate = { &r, sink, false };
  const struct px_traj_sink checked = { &gate, check_and_put };
  r.sink = &checked;
  struct px_err why = { 0 };
  const enum px_status status = dispatch(&r, fd, format, &why);
  if (!status) {
    *report = found;
    return PX_OK;
  }
  if (!gate.sink_failed) px_reader_name_file(name, &why);
  why.code = status;
  if (err) *err = why;
  return status;
}
