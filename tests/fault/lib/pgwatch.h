/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Enough of PostgreSQL's protocol (version 3, "Message Formats" in its manual) to see what a client
 * asks (a simple query, or the run of a prepared statement), to stop right before or right after
 * it, and to see what it is told. For clients that ask one thing at a time. Used by chaosproxy
 * only.
 */
#ifndef PX_FAULT_PGWATCH_H
#define PX_FAULT_PGWATCH_H

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
void pgtrap_set(struct pgtrap *trap, const char *match, bool before, long nth,
                const char *application);

/* Where one direction of a connection is. */
struct pgstream {
  /* of the present message: type and length; the type is left out in the client's first one */
  uint8_t head[5];
  size_t head_n;
  uint32_t left;  /* bytes of its body that have not come yet */
  char body[512]; /* the beginning of its body */
  size_t body_n;
};

/* A question and its answer. */
struct pgcall {
  bool open; /* it has no answer yet */
  /* name of the prepared statement, or the text of a simple query */
  char statement[PGWATCH_TEXT];
  char param[2][48]; /* its first two parameters, when they are text */
  char answer[40];   /* "UPDATE 1", or an SQLSTATE */
};

/* One client's session. All zero at its begin. */
struct pgwatch {
  /* after the startup message; the Sync that ends the trapped statement is awaited */
  bool started, sync_next;
  struct pgstream up, down;
  struct pgcall call;
  char application[PGWATCH_TEXT];
};

/* Follows `*n` bytes of the client. True when the trap springs: then *n is how many of them are
 * still to be forwarded. */
bool pgwatch_put(struct pgwatch *watch, struct pgtrap *trap, const char *bytes, size_t *n);
/* Follows bytes of the server, up to the end of the open call's answer. True when it is there, in
 * watch->call. */
bool pgwatch_answer(struct pgwatch *watch, const char *bytes, size_t n);

#endif
