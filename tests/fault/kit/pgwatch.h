/*
 * Enough of PostgreSQL's protocol (version 3, "Message Formats" in its manual) to see, in what a client sends, a
 * simple query or the run of a prepared statement, and to stop right before or right after it. Used by chaosproxy only.
 */
#ifndef PX_TESTS_FAULT_PGWATCH_H
#define PX_TESTS_FAULT_PGWATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PGWATCH_TEXT = 96 };

/* What to wait for: one for all connections of a link. */
struct pgtrap {
  bool armed, before;
  char match[PGWATCH_TEXT], application[PGWATCH_TEXT]; /* "": any */
  long nth;
};
void pgtrap_set(struct pgtrap *trap, const char *match, bool before, long nth, const char *application);

/* Where one client's stream is. All zero at its begin. */
struct pgwatch {
  bool started, sync_next; /* after the startup message; the Sync that ends the trapped statement is awaited */
  uint8_t head[5];         /* of the present message: type and length, the type left out before the start */
  size_t head_n;
  uint32_t left;           /* bytes of its body that have not come yet */
  char body[512];          /* the beginning of its body */
  size_t body_n;
  char application[PGWATCH_TEXT];
};

/* Follows `*n` bytes. True when the trap springs: then *n is how many of them are still to be forwarded. */
bool pgwatch_put(struct pgwatch *watch, struct pgtrap *trap, const char *bytes, size_t *n);

#endif
