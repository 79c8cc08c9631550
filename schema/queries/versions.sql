-- Versions of a dataset: edits of its data, and what there was before.

-- name: version_lock
select version from datasets where id = $1 for no key update

-- How many segments it had at version $2, which must have been.
-- name: version_segments
select segments_n_at(id, $2::bigint) as segments_n from datasets where id = $1 and $2::bigint between 0 and version

-- Where trajectories are: all segments, in order.
-- name: version_places
select seq, first_trajectory, trajectories_n from segments where dataset_id = $1 order by seq

-- name: version_archive
insert into segment_revisions (dataset_id, seq, since_version, until_version, blob_id, sha256, size_bytes, trajectories_n,
                               steps_n, labelled_steps_n)
select dataset_id, seq, since_version, $3, blob_id, sha256, size_bytes, trajectories_n, steps_n, labelled_steps_n
from segments where dataset_id = $1 and seq = $2

-- name: version_revise
update segments set blob_id = $3, sha256 = $4, size_bytes = $5, labelled_steps_n = $6, since_version = $7
where dataset_id = $1 and seq = $2

-- name: version_relabel
update trajectories t set labelled_steps_n = u.labelled, digest = u.digest
from unnest($2::bigint[], $3::integer[], $4::uuid[]) as u (n, labelled, digest)
where t.dataset_id = $1 and t.n = u.n

-- name: version_take_out
delete from segments where dataset_id = $1 and seq = $2 returning first_trajectory, trajectories_n

-- name: version_forget
delete from trajectories where dataset_id = $1 and n >= $2 and n < $2::bigint + $3::integer

-- Numbers of trajectories are places in the dataset: those behind move up. The rows are taken out before they are put in
-- again, so that no two have the same number meanwhile.
-- name: version_move_up
with moved as (delete from trajectories where dataset_id = $1 and n >= $2::bigint + $3::integer returning *),
     segments_moved as (update segments set first_trajectory = first_trajectory - $3::integer
                        where dataset_id = $1 and first_trajectory >= $2::bigint + $3::integer)
insert into trajectories select (m.t).* from (
  select jsonb_populate_record(row(m.*)::trajectories, jsonb_build_object('n', m.n - $3::integer)) as t from moved m order by m.n offset 0) as m

-- Findings of trajectories that are gone go with them, and the others' numbers move with their trajectories. An upload that
-- began with the segment and goes on behind it begins at its place.
-- name: version_move_findings
with old as (delete from lint_findings where dataset_id = $1 returning *),
placed as (
  select o.*, f.value as finding, f.i, o.first_trajectory + (f.value ->> 'trajectory')::bigint as place,
         case when o.first_trajectory < $2::bigint then o.first_trajectory
              else greatest($2::bigint, o.first_trajectory - $3::integer) end as begins
  from old o cross join jsonb_array_elements(o.findings) with ordinality as f (value, i)
), kept as (
  select *, case when place >= $2::bigint + $3::integer then place - $3::integer else place end - begins as goes
  from placed
  where case when place is null then first_trajectory < $2::bigint or first_trajectory >= $2::bigint + $3::integer
             else place < $2::bigint or place >= $2::bigint + $3::integer end
)
insert into lint_findings (dataset_id, first_trajectory, file_name, findings)
select dataset_id, begins, min(file_name), jsonb_agg(finding || jsonb_build_object('trajectory', goes) order by first_trajectory, i)
from kept group by dataset_id, begins

-- name: version_count
update datasets d set
  trajectories_n = s.trajectories_n, steps_n = s.steps_n, labelled_steps_n = s.labelled_steps_n, size_bytes = s.size_bytes,
  labelled_n = (select count(*) from trajectories t where t.dataset_id = d.id and t.labelled_steps_n > 0),
  class_counts = case when $3::bigint[] is null then d.class_counts
                      else (select array_agg(n + coalesce(d.class_counts[i], 0) order by i)
                            from unnest($3::bigint[]) with ordinality as u (n, i)) end,
  version = $2, data_version = $2, updated_at = clock_timestamp()
from (select coalesce(sum(trajectories_n), 0) as trajectories_n, coalesce(sum(steps_n), 0) as steps_n,
             coalesce(sum(labelled_steps_n), 0) as labelled_steps_n, coalesce(sum(size_bytes), 0) as size_bytes
      from segments where dataset_id = $1) as s
where d.id = $1

-- Without any observation there are no statistics, as in a new dataset.
-- name: version_obs
update datasets set obs_n = $2::bigint, obs_mean = case when $2::bigint > 0 then $3::float8[] end,
                    obs_m2 = case when $2::bigint > 0 then $4::float8[] end
where id = $1

-- name: version_obs_get
select obs_n, coalesce(obs_mean, '{}') as obs_mean, coalesce(obs_m2, '{}') as obs_m2 from datasets where id = $1

-- name: version_record
insert into dataset_versions (dataset_id, version, change, segments_n, trajectories_n, steps_n, labelled_steps_n, detail)
select id, version, $2, segments_n, trajectories_n, steps_n, labelled_steps_n, $3::jsonb from datasets where id = $1

-- Whether an edit whose commit's answer was lost has been done: it wrote this row.
-- name: version_recorded
select version from dataset_versions where dataset_id = $1 and detail ->> 'edit' = $2

-- name: version_list
with page as (
  select *, row_number() over (order by version desc) as i from dataset_versions
  where dataset_id = $1 and ($2::bigint is null or version < $2::bigint) order by version desc limit $3::bigint + 1
)
select jsonb_build_object(
  'items', coalesce(jsonb_agg(jsonb_build_object('version', version, 'change', change, 'segments', segments_n,
             'trajectories', trajectories_n, 'steps', steps_n, 'labelled_steps', labelled_steps_n, 'detail', detail - 'edit',
             'created_at', rfc3339(created_at)) order by i) filter (where i <= $3::bigint), '[]'),
  'next', case when count(*) > $3::bigint then max(version) filter (where i = $3::bigint) end) as document
from page

-- name: version_segment_list
with page as (
  select *, row_number() over (order by seq) as i from segments
  where dataset_id = $1 and seq >= $2::integer order by seq limit $3::bigint + 1
)
select jsonb_build_object(
  'items', coalesce(jsonb_agg(jsonb_build_object('segment', seq, 'first_trajectory', first_trajectory, 'trajectories', trajectories_n,
             'steps', steps_n, 'labelled_steps', labelled_steps_n, 'size_bytes', size_bytes, 'since_version', since_version,
             'created_at', rfc3339(created_at)) order by i) filter (where i <= $3::bigint), '[]'),
  'next', max(seq) filter (where i > $3::bigint)) as document
from page

-- From version $2 to version $3: which segments differ, and what changed them.
-- name: version_diff
with a as (select * from segments_at($1, $2::bigint)), b as (select * from segments_at($1, $3::bigint)),
pairs as (select coalesce(a.seq, b.seq) as seq, a.seq is null as added, b.seq is null as removed, a.blob_id is distinct from b.blob_id as differs
          from a full join b on a.seq = b.seq)
select jsonb_build_object(
  'from', $2::bigint, 'to', $3::bigint,
  'segments_added', coalesce(jsonb_agg(seq order by seq) filter (where added), '[]'),
  'segments_removed', coalesce(jsonb_agg(seq order by seq) filter (where removed), '[]'),
  'segments_relabelled', coalesce(jsonb_agg(seq order by seq) filter (where differs and not added and not removed), '[]'),
  'trajectories', (select jsonb_build_array((select coalesce(sum(trajectories_n), 0) from a), (select coalesce(sum(trajectories_n), 0) from b))),
  'steps', (select jsonb_build_array((select coalesce(sum(steps_n), 0) from a), (select coalesce(sum(steps_n), 0) from b))),
  'labelled_steps', (select jsonb_build_array((select coalesce(sum(labelled_steps_n), 0) from a), (select coalesce(sum(labelled_steps_n), 0) from b))),
  'changes', (select coalesce(jsonb_agg(jsonb_build_object('version', version, 'change', change, 'detail', detail - 'edit',
                'created_at', rfc3339(created_at)) order by version), '[]')
              from dataset_versions where dataset_id = $1 and version > least($2::bigint, $3::bigint) and version <= greatest($2::bigint, $3::bigint))) as document
from pairs
