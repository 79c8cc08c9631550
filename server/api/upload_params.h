/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a file on its way in is said to be: its name, its format, how to read it.
 * Used by both ways of uploading, so that they understand the same words. Pure.
 */
#ifndef PX_SERVER_API_UPLOAD_PARAMS_H
#define PX_SERVER_API_UPLOAD_PARAMS_H

#include "lib/base/fail.h"
#include "lib/transfer/transfer.h"

/* As the client gave them; NULL where it did not. The format is what `format` says, else the media
 * type, else the ending of the name. */
struct upload_params_words {
  const char *file_name, *format, *media_type, *ignore_actions, *obs_keys, *split, *on_duplicate,
    *source;
};
struct upload_params {
  char name[128]; /* for errors: UTF-8 that can be shown, no folders */
  enum px_read_format format;
  struct transfer_options options;
};
/* UNSUPPORTED_MEDIA when no format can be told; BAD_FIELD names a word. */
enum px_status upload_params_read(const struct upload_params_words *words,
                                  struct upload_params *out, struct px_err *err) PX_MUST_CHECK;
/* The last part of the path given, or `otherwise`, fit for errors. */
enum { UPLOAD_PARAMS_NAME_MAX = 128 };
void upload_params_name(const char *given, const char *otherwise, char out[UPLOAD_PARAMS_NAME_MAX]);
/* Absent: false; "": true, as in ?async. */
enum px_status upload_params_flag(const char *name, const char *text, bool *out,
                                  struct px_err *err) PX_MUST_CHECK;

#endif
