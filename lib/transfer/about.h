/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an export says of itself: which data it is, of which version, by which build. One thread
 * fills it; the facts borrow from it.
 */
#ifndef PX_TRANSFER_ABOUT_H
#define PX_TRANSFER_ABOUT_H

#include "lib/base/fail.h"
#include "lib/transfer/transfer.h"
#include "lib/write/write.h"

struct about {
  struct px_write_fact facts[PX_WRITE_FACTS_MAX];
  size_t n;
  char version[24], act_count[16];
  char *act_low, *act_high; /* JSON lists; owned */
};
/* Whatever happens, free. */
enum px_status about_export(const struct store_dataset *dataset, const struct store_export *what,
                            struct about *out, struct px_err *err) PX_MUST_CHECK;
void about_free(struct about *about);

#endif
