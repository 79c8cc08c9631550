/*
 * How our own loops use wide vector units: gcc compiles a function marked
 * PX_CLONES once per instruction set and the loader picks one. Used by
 * worker/nn and worker/rl only.
 *
 * Sums are split into PX_LANES partial sums in the source, and contraction is
 * off, so every clone gives the same bits; only the BLAS differs by machine.
 */
#ifndef PX_NN_SIMD_H
#define PX_NN_SIMD_H

/* Resolvers run before a sanitizer's runtime is up, so there are none there. */
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define PX_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define PX_CLONES
#endif

enum { PX_LANES = 16 };

#endif
