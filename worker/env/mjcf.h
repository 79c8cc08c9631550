/* SPDX-License-Identifier: Apache-2.0 */
/* The MJCF files of mjcf/, inside the binary, so that a worker needs no files
 * beside it. Read-only; used by env.c. */
#ifndef PX_ENV_MJCF_H
#define PX_ENV_MJCF_H

/* Each text runs from px_mjcf_NAME to px_mjcf_NAME_end, without a NUL. */
extern const char px_mjcf_hopper[], px_mjcf_hopper_end[];
extern const char px_mjcf_walker2d[], px_mjcf_walker2d_end[];
extern const char px_mjcf_halfcheetah[], px_mjcf_halfcheetah_end[];

#endif
