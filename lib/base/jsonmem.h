/*
 * JSON that there was no memory for. jansson leaves out what it cannot allocate, and a document made of many parts would
 * be sent or stored without one of them, a default would stand in for what was asked. So its failed allocations are
 * remembered, for each thread: what was made meanwhile is not committed (lib/store/db.c), not answered (server/http.c),
 * and what was refused meanwhile was refused for want of memory.
 */
#ifndef PX_BASE_JSONMEM_H
#define PX_BASE_JSONMEM_H

#include <stdbool.h>

/* Once, at the program's start; without it nothing is ever remembered. */
void px_json_setup(void);
/* Whether an allocation of this thread has failed since px_json_forget. */
bool px_json_lacking(void);
void px_json_forget(void);

#endif
