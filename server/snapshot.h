/*
 * A dataset's segments beside the labels that a label set gives them, one pair
 * at a time. Used by exports and single trajectories.
 */
#ifndef PX_SERVER_SNAPSHOT_H
#define PX_SERVER_SNAPSHOT_H

#include "lib/base/mem.h"
#include "lib/data/segment.h"
#include "lib/store/datasets.h"

struct snapshot_labels { char id[STORE_ID_MAX]; uint32_t segments_n; }; /* id "": none; it covers the first segments_n */
/* `asked`: an id, or NULL for the dataset's current label set, if it has one.
 * NOT_FOUND when it is not one of this dataset. */
enum px_status snapshot_labels(struct store *store, const struct store_dataset *ds, const char *asked,
                               struct snapshot_labels *out, struct px_err *err) PX_MUST_CHECK;

/* The bytes of one segment and of its labels (empty when there are none). */
struct snapshot_pair { struct px_buf segment, labels; };
#define SNAPSHOT_PAIR { PX_BUF(PX_SEGMENT_MAX_BYTES + (1 << 20)), PX_BUF((size_t)2 * PX_SEGMENT_MAX_BYTES) }
/* Replaces what the pair held. */
enum px_status snapshot_read(struct store *store, const struct store_dataset *ds, const struct snapshot_labels *labels,
                             uint32_t seq, struct snapshot_pair *pair, struct px_err *err) PX_MUST_CHECK;
void snapshot_pair_free(struct snapshot_pair *pair);

#endif
