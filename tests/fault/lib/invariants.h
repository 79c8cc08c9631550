/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must be true of a database at any time, whatever has happened to the service, as questions:
 * each gives the rows that break it, or none. What depends on a history of clients is in check.c.
 * Used by check and torture.
 */
#ifndef PX_FAULT_INVARIANTS_H
#define PX_FAULT_INVARIANTS_H

#include <stddef.h>

enum law_class { LAW_LOST, LAW_DOUBLED, LAW_STUCK, LAW_CLASSES };
struct law_rule {
  enum law_class class;
  const char *what, *sql;
};
extern const struct law_rule LAW[];
extern const size_t LAW_N;

#endif
