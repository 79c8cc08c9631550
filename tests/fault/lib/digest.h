/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Digests of what jobs leave, by content: ids and times, which differ from run to run, are left
 * out. Used by check, torture and the crash tests. Texts are 64 hex digits, "" when there was
 * nothing to digest. Thread safe.
 */
#ifndef PX_FAULT_DIGEST_H
#define PX_FAULT_DIGEST_H

#include <jansson.h>
#include <stddef.h>

#include "tests/fault/lib/api.h"

enum { DIGEST_BYTES = 65 };

void digest_bytes(const void *bytes, size_t n, char out[DIGEST_BYTES]);
/* A document: strings that are ids ("ds_...", "job_...") and the member "seconds" do not count, nor
 * does the order of members. */
void digest_json(const json_t *document, char out[DIGEST_BYTES]);
/* A model in safetensors: all but its lineage (dataset, job, label_set in the metadata). */
void digest_model(const void *bytes, size_t n, char out[DIGEST_BYTES]);
/* What a succeeded job left, by its kind; `result` is its document's. Asks the API, which has to be
 * there. */
void digest_job(const struct api *api, const char *kind, const char *id, const char *result,
                char out[DIGEST_BYTES]);

#endif
