/* SPDX-License-Identifier: Apache-2.0 */
/* What a file on its way in is said to be: see upload_params.h. */
#include "server/api/upload_params.h"

#include "lib/base/fail.h"
#include "lib/base/text.h"
#include "lib/flow/names.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool starts_with(const char *text, const char *prefix) {
  return strncasecmp(text, prefix, strlen(prefix)) == 0;
}

static enum px_status choose_format(const struct upload_params_words *words,
                                    struct upload_params *in, struct px_err *err) {
  const char *type = words->media_type;
  if (type && starts_with(type, "multipart/")) {
    px_fail(err, PX_E_UNSUPPORTED_MEDIA,
            "a form (multipart) is not taken; the body must be the file itself");
    px_fail_hint(
      err,
      "With curl: --data-binary @FILE instead of -F, and -H 'Content-Type: application/x-hdf5'.");
    return PX_E_UNSUPPORTED_MEDIA;
  }
  if (words->format) return px_read_format_from_name(words->format, &in->format, err);
  /* These say nothing: curl sends the last for every --data-binary, browsers the others for what
   * they do not know. */
  const bool silent = !type || !*type || starts_with(type, "application/octet-stream") ||
                      starts_with(type, "application/x-www-form-urlencoded");
  if (!silent) return px_read_format_from_media_type(type, &in->format, err);
  if (strchr(in->name, '.')) return px_read_format_from_name(in->name, &in->format, err);
  px_fail(err, PX_E_UNSUPPORTED_MEDIA, "the format of the body is not known");
  char types[PX_READ_TYPES_MAX];
  px_read_media_types(types);
  px_fail_hint(err, "Send its Content-Type (%s), or ?format= or ?filename=.", types);
  return PX_E_UNSUPPORTED_MEDIA;
}

void upload_params_name(const char *given, const char *otherwise,
                        char out[UPLOAD_PARAMS_NAME_MAX]) {
  if (!given || !*given) given = otherwise;
  const char *slash = strrchr(given, '/');
  snprintf(out, UPLOAD_PARAMS_NAME_MAX, "%s", slash ? slash + 1 : given);
  px_text_clean(out);
}

static enum px_status read_keys(const char *text, struct px_read_options *options,
                                struct px_err *err) {
  while (text && *text) {
    const size_t n = strcspn(text, ",");
    if (n == 0 || n >= PX_READ_KEY_BYTES || options->obs_keys_n == PX_READ_KEYS_MAX)
      return px_fail_at(err, PX_E_BAD_FIELD, "obs_keys",
                        "obs_keys must be 1 to %d names of 1 to %d characters, with commas",
                        PX_READ_KEYS_MAX, PX_READ_KEY_BYTES - 1);
    memcpy(options->obs_keys[options->obs_keys_n++], text, n);
    text += n + (text[n] == ',');
  }
  return PX_OK;
}

static enum px_status read_split(const char *text, struct upload_params *in, struct px_err *err) {
  if (!text || !*text) return PX_OK;
  if (strlen(text) >= sizeof in->options.read.split || strchr(text, '/'))
    return px_fail_at(err, PX_E_BAD_FIELD, "split",
                      "split must be a name of at most %zu characters",
                      sizeof in->options.read.split - 1);
  if (!px_read_takes_split(in->format))
    return px_fail_at(err, PX_E_BAD_FIELD, "split",
                      "split chooses among the splits of HDF5 files of"
                      " robomimic; %s has none",
                      px_read_format_name(in->format));
  snprintf(in->options.read.split, sizeof in->options.read.split, "%s", text);
  return PX_OK;
}

static enum px_status read_source(const char *text, struct upload_params *in, struct px_err *err) {
  if (!text) return PX_OK;
  const char *fault = flow_name_fault(text, STORE_SOURCE_MAX);
  if (fault) return px_fail_at(err, PX_E_BAD_FIELD, "source", "source must be %s", fault);
  snprintf(in->options.source, sizeof in->options.source, "%s", text);
  return PX_OK;
}

enum px_status upload_params_flag(const char *name, const char *text, bool *out,
                                  struct px_err *err) {
  if (text && *text && strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
    return px_fail_at(err, PX_E_BAD_FIELD, name, "%s must be true or false", name);
  *out = text && strcmp(text, "false") != 0;
  return PX_OK;
}

enum px_status upload_params_read(const struct upload_params_words *words,
                                  struct upload_params *out, struct px_err *err) {
  memset(out, 0, sizeof *out);
  upload_params_name(words->file_name, "upload", out->name);
  enum px_status status = choose_format(words, out, err);
  if (!status)
    status = upload_params_flag("ignore_actions", words->ignore_actions,
                                &out->options.read.ignore_actions, err);
  if (!status && words->on_duplicate &&
      !transfer_on_duplicate_parse(words->on_duplicate, &out->options.on_duplicate))
    status =
      px_fail_at(err, PX_E_BAD_FIELD, "on_duplicate", "on_duplicate must be allow, skip or refuse");
  if (!status) status = read_keys(words->obs_keys, &out->options.read, err);
  if (!status) status = read_split(words->split, out, err);
  if (!status) status = read_source(words->source, out, err);
  if (!status && out->options.read.obs_keys_n && !px_read_takes_keys(out->format))
    status = px_fail_at(err, PX_E_BAD_FIELD, "obs_keys",
                        "obs_keys choose among several arrays of observations; in %s they are one",
                        px_read_format_name(out->format));
  return status;
}
