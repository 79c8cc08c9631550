/* SPDX-License-Identifier: Apache-2.0 */
/* The helper processes of the programs under test, for programs that test them. */
#ifndef PX_SUPPORT_HELPERS_H
#define PX_SUPPORT_HELPERS_H

/* px_subprocess_main with every kind there is. cu_run calls it; other programs do so first of
 * all. */
int helpers_main(int argc, char **argv);

#endif
