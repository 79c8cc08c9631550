/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets for the fault tests: addresses as text (unix:PATH, tcp:HOST:PORT), listening, connecting,
 * one-line questions.
 *
 * Used by chaosproxy, nemesis and the load. Functions that give a descriptor give -1 on failure,
 * with errno set. Thread safe.
 */
#ifndef PX_FAULT_SOCK_H
#define PX_FAULT_SOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { SOCK_ADDRESS_MAX = 128 };

/* A non-blocking listener. `bound` gets its address: a port 0 becomes the real one. */
int sock_listen(const char *address, char bound[SOCK_ADDRESS_MAX]);
/* The next connection, non-blocking or blocking. */
int sock_accept(int listener);
int sock_accept_blocking(int listener);
/* Connects and gives a non-blocking descriptor. */
int sock_connect(const char *address);
/* The same, blocking, with a bound on connecting, sending and receiving. */
int sock_connect_timeout(const char *address, int timeout_ms);
/* In order, or with a reset where the protocol has one. */
void sock_close(int fd, bool reset);

bool sock_write_all(int fd, const void *bytes, size_t n);
/* Reads up to a newline, which is taken off; bytes read, or -1. */
ssize_t sock_read_line(int fd, char *line, size_t size);
/* Sends a line and reads one (answer may be the question's buffer). False when nobody answered
 * within 10 s. */
bool sock_ask(const char *address, const char *question, char *answer, size_t size);

#endif
