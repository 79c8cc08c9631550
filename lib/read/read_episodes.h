/* SPDX-License-Identifier: Apache-2.0 */
/* HDF5 layouts with numbered episodes: Minari, robomimic, d3rlpy. Inner header
 * of lib/data, for read_hdf5.c; stateless. */
#ifndef PX_READ_READ_EPISODES_H
#define PX_READ_READ_EPISODES_H

#include "lib/base/fail.h"
#include "lib/read/h5.h"

enum px_episodes_layout {
  PX_EPISODES_MINARI,
  PX_EPISODES_ROBOMIMIC,
  PX_EPISODES_D3RLPY,
  PX_EPISODES_LAYOUTS_N
};

/* Whether a member of that name at the file's root speaks for the layout. */
bool px_read_episodes_recognises(enum px_episodes_layout layout, const char *name);
enum px_status px_read_episodes(struct px_reader *r, hid_t file, enum px_episodes_layout layout,
                                struct px_err *err) PX_MUST_CHECK;

#endif
