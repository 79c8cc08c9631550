/* SPDX-License-Identifier: Apache-2.0 */
/* A reader of MJCF that decides what may be compiled: see mjcf.h. It is stricter than XML where
 * MJCF needs no more. */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/sim/mjcf.h"

enum { NAME_MAX_BYTES = 64 };

struct scan {
  const char *text, *at, *end;
  uint32_t depth, elements;
  bool root_seen;
  char open[PX_MJCF_DEPTH_MAX][NAME_MAX_BYTES];
  struct px_err *err;
};

static enum px_status refuse(struct scan *s, const char *fmt, ...) PX_PRINTF(2, 3);
static enum px_status refuse(struct scan *s, const char *fmt, ...) {
  uint32_t line = 1;
  char what[300];
  for (const char *c = s->text; c < s->at; c++) line += *c == '\n';
  va_list args;
  va_start(args, fmt);
  vsnprintf(what, sizeof what, fmt, args);
  va_end(args);
  px_fail_at(s->err, PX_E_BAD_FIELD, "/mjcf", "line %u: %s", line, what);
  px_fail_hint(
    s->err,
    "One self-contained MJCF text is taken: no files, no includes, no plugins, no declarations.");
  return PX_E_BAD_FIELD;
}

static bool starts(const struct scan *s, const char *word) {
  const size_t n = strlen(word);
  return (size_t)(s->end - s->at) >= n && memcmp(s->at, word, n) == 0;
}

/* Moves behind `word`; false if it does not come any more. */
static bool skip_to(struct scan *s, const char *word) {
  const size_t n = strlen(word);
  for (; (size_t)(s->end - s->at) >= n; s->at++)
    if (memcmp(s->at, word, n) == 0) {
      s->at += n;
      return true;
    }
  return false;
}

static void skip_space(struct scan *s) {
  while (s->at < s->end && strchr(" \t\r\n", *s->at) && *s->at) s->at++;
}

static bool take_name(struct scan *s, char out[NAME_MAX_BYTES]) {
  size_t n = 0;
  while (s->at < s->end && (isalnum((unsigned char)*s->at) || *s->at == '_' || *s->at == '-') &&
         n < NAME_MAX_BYTES - 1)
    out[n++] = *s->at++;
  out[n] = '\0';
  return n > 0;
}

/* Whether an attribute names a file: file, fileright, fileup and so on. */
static bool names_file(const char *attribute) { return strncmp(attribute, "file", 4) == 0; }

static enum px_status scan_attribute(struct scan *s, const char *element) {
  char name[NAME_MAX_BYTES];
  if (!take_name(s, name)) return refuse(s, "<%s> has a malformed attribute", element);
  if (names_file(name))
    return refuse(s, "<%s> has the attribute %s: files cannot be named", element, name);
  if (strcmp(name, "plugin") == 0) return refuse(s, "<%s> asks for a plugin", element);
  skip_space(s);
  if (s->at == s->end || *s->at != '=')
    return refuse(s, "attribute %s of <%s> has no value", name, element);
  s->at++;
  skip_space(s);
  const char quote = s->at < s->end ? *s->at : '\0';
  if (quote != '"' && quote != '\'')
    return refuse(s, "attribute %s of <%s> is not quoted", name, element);
  for (s->at++; s->at < s->end && *s->at != quote; s->at++)
    if (*s->at == '<') return refuse(s, "attribute %s of <%s> does not end", name, element);
  if (s->at == s->end) return refuse(s, "attribute %s of <%s> does not end", name, element);
  s->at++;
  return PX_OK;
}

static enum px_status check_element(struct scan *s, const char *name) {
  static const char *const REFUSED[] = { "include", "plugin", "extension", "attach", "model" };
  for (size_t i = 0; i < sizeof REFUSED / sizeof *REFUSED; i++)
    if (strcmp(name, REFUSED[i]) == 0) return refuse(s, "<%s> is not taken", name);
  if (s->depth == 0 && (s->root_seen || strcmp(name, "mujoco") != 0))
    return refuse(s, s->root_seen ? "a second root <%s>" : "the root is <%s>, not <mujoco>", name);
  if (s->depth == PX_MJCF_DEPTH_MAX)
    return refuse(s, "elements are nested more than %d deep", PX_MJCF_DEPTH_MAX);
  if (++s->elements > PX_MJCF_ELEMENTS_MAX)
    return refuse(s, "there are more than %d elements", PX_MJCF_ELEMENTS_MAX);
  s->root_seen = true;
  return PX_OK;
}

static enum px_status scan_open(struct scan *s) {
  char name[NAME_MAX_BYTES];
  s->at++;
  if (!take_name(s, name)) return refuse(s, "an element without a name");
  enum px_status status = check_element(s, name);
  while (!status) {
    skip_space(s);
    if (starts(s, "/>")) {
      s->at += 2;
      return PX_OK;
    }
    if (starts(s, ">")) break;
    status = scan_attribute(s, name);
  }
  if (status) return status;
  s->at++;
  memcpy(s->open[s->depth++], name, sizeof name);
  return PX_OK;
}

static enum px_status scan_close(struct scan *s) {
  char name[NAME_MAX_BYTES];
  s->at += 2;
  if (!take_name(s, name) || !s->depth || strcmp(s->open[s->depth - 1], name) != 0)
    return refuse(s, "</%s> closes nothing that is open", name);
  skip_space(s);
  if (!starts(s, ">")) return refuse(s, "</%s> is malformed", name);
  s->at++;
  s->depth--;
  return PX_OK;
}

static enum px_status scan_next(struct scan *s) {
  if (starts(s, "<!--")) {
    s->at += 4;
    return skip_to(s, "-->") ? PX_OK : refuse(s, "a comment does not end");
  }
  if (starts(s, "<?xml")) {
    if (s->root_seen) return refuse(s, "an XML declaration inside");
    return skip_to(s, "?>") ? PX_OK : refuse(s, "the XML declaration does not end");
  }
  if (starts(s, "<!") || starts(s, "<?"))
    return refuse(s, "declarations, sections and instructions are not taken");
  if (starts(s, "</")) return scan_close(s);
  if (starts(s, "<")) return scan_open(s);
  if (!strchr(" \t\r\n", *s->at)) return refuse(s, "text between elements");
  s->at++;
  return PX_OK;
}

enum px_status px_mjcf_scan(const char *text, size_t n, struct px_err *err) {
  struct px_err own;
  struct scan *s = calloc(1, sizeof *s);
  if (!s) return px_fail(err, PX_E_NO_MEMORY, "reading a model");
  *s = (struct scan){ .text = text, .at = text, .end = text + n, .err = err ? err : &own };
  enum px_status status = PX_OK;
  if (n == 0 || n > PX_MJCF_BYTES_MAX)
    status = px_fail_at(err, PX_E_BAD_FIELD, "/mjcf", "a model has 1 to %d bytes, not %zu",
                        PX_MJCF_BYTES_MAX, n);
  else if (memchr(text, '\0', n))
    status = px_fail_at(err, PX_E_BAD_FIELD, "/mjcf", "the model holds a NUL");
  /* a byte order mark, as editors put one */
  if (!status && starts(s, "\xEF\xBB\xBF")) s->at += 3;
  while (!status && s->at < s->end) status = scan_next(s);
  if (!status && (!s->root_seen || s->depth))
    status = refuse(s, s->depth ? "<%s> is not closed" : "there is no element",
                    s->depth ? s->open[s->depth - 1] : "");
  free(s);
  return status;
}

char *px_mjcf_without_threads(const char *text, size_t n, size_t *out_n) {
  static const char SAYS[] = "<compiler usethread=\"false\"/>";
  const size_t more = sizeof SAYS - 1;
  size_t end = n;
  while (end > 0 && !(n - end >= 2 && memcmp(text + end, "</", 2) == 0))
    end--; /* the last closing tag is the root's */
  char *out = malloc(n + more);
  if (!out) return NULL;
  const size_t at = end ? end : n; /* <mujoco/> has nothing to compile */
  memcpy(out, text, at);
  memcpy(out + at, SAYS, end ? more : 0);
  memcpy(out + at + (end ? more : 0), text + at, n - at);
  *out_n = n + (end ? more : 0);
  return out;
}
