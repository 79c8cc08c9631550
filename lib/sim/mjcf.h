/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Users' MuJoCo models: MJCF texts from strangers, judged before any of our processes depends on
 * them. Used by the server where one is posted, and by the worker again before it runs one.
 *
 * The text is first read by a small reader of our own (px_mjcf_scan), which knows no declarations,
 * entities of their own or files: it refuses what names a file (mesh, hfield, texture, skin,
 * include), plugins and declarations, at the element's line. What passes is compiled and stepped in
 * a helper process (lib/base/subprocess.h, lockup.h) with limits of time, memory and system calls;
 * a model that does not come through is refused with the reason. Thread safe: there is no shared
 * state.
 */
#ifndef PX_SIM_MJCF_H
#define PX_SIM_MJCF_H

#include <stdint.h>

#include "lib/base/fail.h"
#include "lib/base/subprocess.h"

enum {
  PX_MJCF_BYTES_MAX = 512 << 10,
  PX_MJCF_DEPTH_MAX = 64,
  PX_MJCF_ELEMENTS_MAX = 20000,
  PX_MJCF_DOF_MAX = 1000
};
#define PX_MJCF_MEMORY_BYTES (1ull << 30) /* address space of a helper that runs a model */

/* BAD_FIELD at /mjcf naming line and element. */
enum px_status px_mjcf_scan(const char *text, size_t n, struct px_err *err) PX_MUST_CHECK;

/* How much processor time a step of the data may take. */
#define PX_MJCF_STEP_S 0.02
/* What a model turned out to be. */
struct px_mjcf_model {
  uint32_t nq, nv, nu, nbody;
  double time_step; /* seconds of a physics step */
  double step_s;    /* processor time of one */
};
/* Scans, compiles and takes a few physics steps from the model's own start, `frame_skip` for each
 * step of the data. time_step: 0 for the model's. BAD_FIELD at /mjcf with what is wrong. */
enum px_status px_mjcf_check(const char *text, size_t n, double time_step, uint32_t frame_skip,
                             struct px_mjcf_model *out, struct px_err *err) PX_MUST_CHECK;

/* For px_subprocess_main of a program that checks. */
extern const struct px_subprocess_kind px_mjcf_helper;

/* For helpers that compile: the same text, told to use no threads, which a locked-up process cannot
 * start. The caller frees *out; *out_n bytes without a NUL. NULL when out of memory. `text` has
 * passed the scan. */
char *px_mjcf_without_threads(const char *text, size_t n, size_t *out_n);

#endif
