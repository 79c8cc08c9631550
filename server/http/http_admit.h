/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the head of a request decides: its method and id, its route, who may ask for it, and whether
 * its body will be taken. Inner header of server/http; a request belongs to one thread at a time.
 */
#ifndef PX_SERVER_HTTP_HTTP_ADMIT_H
#define PX_SERVER_HTTP_HTTP_ADMIT_H

#include "lib/base/fail.h"
#include "server/http/http_exchange.h"

/* Sets the method meant, the id and the declared bytes of the body. */
void http_admit_head(struct exchange *x, const char *method);
/* What http_recv.c found wrong with the bytes of this very request. */
enum px_status http_admit_bytes(const struct exchange *x, struct px_err *err) PX_MUST_CHECK;
/* Everything else that the headers decide. */
enum px_status http_admit(struct exchange *x, struct px_err *err) PX_MUST_CHECK;

#endif
