/* SPDX-License-Identifier: Apache-2.0 */
/* Includes the MJCF files as bytes: see mjcf.h. The assembler resolves the paths from the root of
 * the project. */
#include "worker/env/mjcf.h"

#define EMBED(name) \
  __asm__(".pushsection .rodata\n" \
          ".global px_mjcf_" #name "\n" \
          "px_mjcf_" #name ":\n" \
          ".incbin \"worker/env/mjcf/" #name ".xml\"\n" \
          ".global px_mjcf_" #name "_end\n" \
          "px_mjcf_" #name "_end:\n" \
          ".byte 0\n" \
          ".popsection\n")

EMBED(hopper);
EMBED(walker2d);
EMBED(halfcheetah);
