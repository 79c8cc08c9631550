/* SPDX-License-Identifier: Apache-2.0 */
/* HDF5 layouts with numbered episodes: Minari, robomimic, d3rlpy. Inner header
 * of lib/read, for read_hdf5.c; stateless. */
#ifndef PX_READ_READ_EPISODES_H
#define PX_READ_READ_EPISODES_H

#include "lib/base/fail.h"
#include "lib/read/episodes.h"

enum px_status px_read_episodes(struct px_reader *r, hid_t file, enum px_episodes_layout layout,
                                struct px_err *err) PX_MUST_CHECK;

#endif
