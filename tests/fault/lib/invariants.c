/* SPDX-License-Identifier: Apache-2.0 */
/* The invariants: see invariants.h. */
#include "tests/fault/lib/invariants.h"

const struct invariant INVARIANTS[] = {
  { INVARIANT_LOST, "bytes are not those of their digest",
    "select b.id from blobs b left join lateral (select sha256(string_agg(bytes, ''::bytea order "
    "by no)) as sum, coalesce(sum(length(bytes)), 0) as n"
    " from blob_chunks where blob_id = b.id) s on true where b.attached and (s.n <> b.size_bytes "
    "or s.sum <> b.sha256)" },
  { INVARIANT_LOST, "label set is not what its digest says",
    "select s.id from label_sets s left join lateral (select count(*) as n, sum(steps_n) as steps, "
    "sha256(string_agg(sha256, ''::bytea order by seq)) as sum"
    " from label_rows r where r.label_job_id = s.job_id) r on true where (r.n, r.steps, r.sum) is "
    "distinct from (s.segments_n, s.steps_n, s.sha256)" },
  { INVARIANT_LOST, "dataset's counts are not those of its segments",
    "select d.id from datasets d left join lateral (select count(*) as n, sum(trajectories_n) as "
    "t, sum(steps_n) as s, max(seq) + 1 as next from segments"
    " where dataset_id = d.id) x on true where (x.n, coalesce(x.t, 0), coalesce(x.s, 0), "
    "coalesce(x.next, 0)) <>"
    " (d.segments_n, d.trajectories_n, d.steps_n, d.segments_n)"
    " or d.trajectories_n <> (select count(*) from trajectories t where t.dataset_id = d.id)" },
  { INVARIANT_LOST, "succeeded job has no result",
    "select j.id, j.kind from jobs j where j.state = 'succeeded' and ((j.kind in ('train_idm', "
    "'train_policy') and not exists (select from models m where"
    " m.job_id = j.id and m.epoch = j.epoch)) or (j.kind = 'label' and not exists (select from "
    "label_sets s where s.job_id = j.id and s.epoch = j.epoch))"
    " or (j.kind in ('export', 'report') and not exists (select from artifacts a where a.job_id = "
    "j.id and a.epoch = j.epoch)))" },
  { INVARIANT_DOUBLED, "job succeeded twice",
    "select job_id, count(*) from job_events where to_state = 'succeeded' group by 1 having "
    "count(*) > 1" },
  { INVARIANT_DOUBLED, "epoch was given out twice",
    "select job_id, epoch, count(*) from job_events where to_state = 'running' group by 1, 2 "
    "having count(*) > 1" },
  { INVARIANT_DOUBLED, "epochs and claims differ",
    "select j.id, j.epoch, count(e.*) from jobs j left join job_events e on e.job_id = j.id and "
    "e.to_state = 'running' group by 1, 2 having count(e.*) <> j.epoch" },
  { INVARIANT_DOUBLED, "hold of an ended job has not ended exactly once",
    "select r.job_id, r.epoch, count(e.*) from job_events r left join job_events e on e.job_id = "
    "r.job_id and e.epoch = r.epoch and e.from_state = 'running'"
    " join jobs j on j.id = r.job_id where r.to_state = 'running' and job_is_final(j.state) group "
    "by 1, 2 having count(e.*) <> 1" },
  { INVARIANT_DOUBLED, "segment is labelled twice in a set",
    "select r.label_job_id, r.seq, count(*) from label_rows r join label_sets s on s.job_id = "
    "r.label_job_id group by 1, 2 having count(*) > 1" },
  { INVARIANT_DOUBLED, "job has two results",
    "select job_id, count(*) from (select job_id, 'model' as what from models union all select "
    "job_id, 'set' from label_sets union all"
    " select job_id, name from artifacts) r group by job_id, what having count(*) > 1" },
  { INVARIANT_DOUBLED, "result of a job that has not succeeded",
    "select r.job_id, j.state from (select job_id, epoch from models union all select job_id, "
    "epoch from label_sets union all select job_id, epoch from artifacts) r"
    " join jobs j on j.id = r.job_id where j.state <> 'succeeded' or j.epoch <> r.epoch" },
  { INVARIANT_STUCK, "job has not ended",
    "select id, kind, state, lease_owner, attempt, run_after from jobs where not "
    "job_is_final(state)" },
};
const size_t INVARIANTS_N = sizeof INVARIANTS / sizeof *INVARIANTS;
