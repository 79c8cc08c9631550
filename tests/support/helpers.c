/* SPDX-License-Identifier: Apache-2.0 */
/* Every kind of helper: see helpers.h. */
#include "tests/support/helpers.h"

#include "lib/base/subprocess.h"
#include "lib/read/sandbox.h"
#include "lib/sim/mjcf.h"
#include "lib/write/write.h"
#include "worker/sim/sim_box.h"

static const struct px_subprocess_kind *const KINDS[] = { &px_sandbox_helper, &px_write_hdf5_helper,
                                                          &px_mjcf_helper, &sim_box_helper, NULL };

int helpers_main(int argc, char **argv) { return px_subprocess_main(KINDS, argc, argv); }
