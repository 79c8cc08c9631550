/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading HDF5 that nobody vouches for: a file in memory, hard links only, and
 * datasets that hold plain numbers inside the file. Used by read_hdf5.c, in the
 * helper process. Source: the HDF5 1.10 reference manual.
 */
#ifndef PX_READ_H5_H
#define PX_READ_H5_H

#include <hdf5.h>

#include "lib/base/fail.h"
#include "lib/read/column.h"
#include "lib/read/reader.h"

/* Before the process locks itself up: takes the lzf filter from the library's own folder of
 * plugins, where Debian's hdf5-plugin-lzf puts it (liblzf1 is needed beside). Without it files
 * packed so are refused. No other plugin is ever loaded. */
void px_h5_prepare(void);
/* The bytes are borrowed, not copied, and never written to. Close with H5Fclose. */
enum px_status px_h5_open(const void *bytes, size_t n, hid_t *file,
                          struct px_err *err) PX_MUST_CHECK;

enum { PX_H5_PATH_BYTES = 192 };
enum px_h5_kind { PX_H5_NONE, PX_H5_GROUP, PX_H5_DATASET };
/* What stands at the path ("a/b/c" below `file`). BAD_DATA when the way there
 * leads over a soft or external link, or to something else. */
enum px_status px_h5_kind(hid_t file, const char *path, enum px_h5_kind *kind,
                          struct px_err *err) PX_MUST_CHECK;

/* Opens the dataset at `path` as a column of 1 (also for [N] and scalars) or
 * more dimensions. Everything that would make the library leave the file or run
 * foreign code is refused before a byte of it is read; its size is charged. */
enum px_status px_h5_column(struct px_reader *r, hid_t file, const char *path,
                            struct px_column *out, struct px_err *err) PX_MUST_CHECK;

/* Leaves out rows of a column opened here. */
void px_h5_skip(struct px_column *column, uint64_t rows);

/* Calls `each` for the names in a group, in no particular order, until it fails. */
enum px_status px_h5_names(hid_t file, const char *path,
                           enum px_status (*each)(void *ctx, const char *name), void *ctx,
                           struct px_err *err) PX_MUST_CHECK;

/* Calls `each` for the texts of the dataset at `path`, which are of fixed length ("demo_3"), in
 * their order, until it fails. BAD_DATA where it holds anything else, or holds it elsewhere. */
enum { PX_H5_TEXT_BYTES = 64, PX_H5_TEXTS_MAX = 1000000 };
enum px_status px_h5_texts(struct px_reader *r, hid_t file, const char *path,
                           enum px_status (*each)(void *ctx, const char *text), void *ctx,
                           struct px_err *err) PX_MUST_CHECK;

#endif
