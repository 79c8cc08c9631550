/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must be true of a database at any time, whatever has happened to the service, as questions:
 * each gives the rows that break it, or none. What depends on a history of clients is in
 * tools/verify_history.c. Used there and by torture.
 */
#ifndef PX_FAULT_INVARIANTS_H
#define PX_FAULT_INVARIANTS_H

#include <stddef.h>

enum invariant_class { INVARIANT_LOST, INVARIANT_DOUBLED, INVARIANT_STUCK, INVARIANT_CLASSES };
struct invariant {
  enum invariant_class class;
  const char *what, *sql;
};
extern const struct invariant INVARIANTS[];
extern const size_t INVARIANTS_N;

#endif
