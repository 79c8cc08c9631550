/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Warnings: what is doubtful in a result that was still given. Used by every
 * stage that writes a document for users: readers, the server and the jobs.
 *
 * A document holds them in one list, `warnings`: [{code, message, hint,
 * figures, job}]. `code` comes from schema/warnings.def, where a new one is a
 * new row (and a word in schema/openapi.yaml, which a test compares); `message`
 * says what was found, in numbers; `figures` holds the same numbers by name,
 * for programs; `job` is the id of the job that found it, where a report
 * gathers the warnings of several.
 *
 *   json_t *found = px_warn(document, PX_W_LABELS_LAG, "the actions stand %d step late", lag);
 *   px_warn_figure(found, "lag", lag);
 *
 * An entry that is returned is borrowed and belongs to the document. Without
 * memory an entry is left out, and px_json_end tells, as for any part of a
 * document (json.h). One thread for each document.
 */
#ifndef PX_BASE_WARN_H
#define PX_BASE_WARN_H

#include "lib/base/json.h"
#include "lib/base/status.h"

enum px_warning {
#define PX_WARNING(name, code, hint) PX_W_##name,
#include "schema/warnings.def"
#undef PX_WARNING
  PX_WARNING_N
};
enum { PX_WARNINGS_MAX = 100 }; /* in one document; what comes after is left out */

const char *px_warn_code(enum px_warning warning);
const char *px_warn_default_hint(enum px_warning warning);

/* Appends to the document's list, which it creates if need be. The same code
 * and message stand there once: then the entry that is there already is given.
 * NULL, which px_warn_figure takes, when there is no room or no memory. */
json_t *px_warn(json_t *document, enum px_warning warning, const char *fmt, ...) PX_PRINTF(3, 4);
/* A number of the message, in the units that the message names. Not finite: null. */
void px_warn_figure(json_t *entry, const char *name, double value);
/* A word or a name of the message. */
void px_warn_text(json_t *entry, const char *name, const char *text);
/* Another hint than the table's. */
void px_warn_hint(json_t *entry, const char *hint);

/* Puts an empty list where there is none, so that a reader always finds one. */
void px_warn_none(json_t *document);
/* Copies the warnings of another document, but for those whose code and message
 * are there. `job` (may be NULL): whose they are, unless an entry says it. */
void px_warn_add_all(json_t *document, const json_t *other, const char *job);

#endif
