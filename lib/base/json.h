/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON when there is no memory. jansson leaves out what it cannot allocate: a document made of many
 * parts would be sent or stored without one of them, a default would stand in for what was asked.
 *
 * Therefore whoever makes documents says so: an answer, a job and a child's input each have a
 * struct px_json_making, which keeps whether an allocation failed. What lacks a part is not
 * committed (lib/store/db.c) and not answered (server/http/http.c), and what was refused for it was
 * refused for want of memory. A failure ends with its making: the next one knows nothing of it.
 */
#ifndef PX_BASE_JSON_H
#define PX_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/base/status.h"

/*
 * As json_loadb, but for whole numbers that no json_int_t holds: they become reals instead of an
 * error, as a figure of 2^63 or more comes out of PostgreSQL's jsonb with all its digits. Use
 * nothing else. jansson's own functions lose a byte of a string or a number whose buffer cannot
 * grow, and take what is left of it, or end the program when it is a number's last.
 * Returns a new reference. NULL: malformed, as `why` (may be NULL) says, or without memory: then
 * json_error_code(why) is json_error_out_of_memory, and what is made around it lacks a part.
 */
json_t *px_json_parse(const char *text, size_t n, size_t flags, json_error_t *why);

/* A real, or null where x is not finite: JSON has no word for that, and json_real and json_pack
 * would give NULL. */
json_t *px_json_number(double x);

/*
 * As json_dumps, but reals have the fewest digits that read as the same number: 320.4, not
 * 320.39999999999998. A fraction that a float holds exactly, as stored data does, has the fewest
 * that read as the same float. Use nothing else. The caller frees the text. NULL: there is no
 * memory.
 */
char *px_json_dumps(const json_t *json, size_t flags);

/* One document, or several that belong together, while a thread makes them. */
struct px_json_making {
  bool lacking; /* an allocation of jansson's failed */
  struct px_json_making *around;
};
/* Each begin has its end, in the same thread; one may be made within another, which does not take
 * its failure over. */
void px_json_begin(struct px_json_making *making);
/* Whether every part is there. */
bool px_json_end(struct px_json_making *making) PX_MUST_CHECK;
/* Whether what this thread makes, if anything, lacks a part so far. */
bool px_json_lacking(void);

#endif
