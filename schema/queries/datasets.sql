-- Datasets, segments, trajectories.

-- name: dataset_create
insert into datasets (id, name, obs_dim, act_dim, act_low, act_high, env, act_count)
values ($1, $2, $3, $4, $5::float8[]::real[], $6::float8[]::real[], nullif($7, ''), $8)

-- The row is locked first: a job submitted meanwhile waits, and then finds no dataset.
-- name: dataset_lock_all
select id, version from datasets where id = $1 for update

-- name: dataset_busy
select id from jobs where dataset_id = $1 and not job_is_final(state) order by created_at limit 1

-- name: dataset_delete
delete from datasets where id = $1

-- name: dataset_get
select id, name, coalesce(env, '') as env, coalesce(label_set_id, '') as label_set_id, obs_dim, act_dim,
       act_low::float8[] as act_low, act_high::float8[] as act_high,
       segments_n, trajectories_n, steps_n, labelled_steps_n, size_bytes, act_count, version, data_version
from datasets where id = $1 or name = $1 order by (id = $1) desc limit 1

-- Percentiles over all trajectories take long, and change only with the data: $3 is what they were when `state` was $2, or
-- null. Gives them back with their state, a number that grows with each change of the data. Sums are in upload order: the same data has the same last digits.
-- name: dataset_document
select dataset_summary(d) || jsonb_build_object(
         'class_counts', d.class_counts, 'obs_mean', d.obs_mean,
         'obs_std', (select array_agg(sqrt(m2 / d.obs_n) order by i)
                             from unnest(d.obs_m2) with ordinality as u (m2, i) where d.obs_n > 0))
       || spread.of_it as document,
       d.version, d.segments_n + d.data_version as state, spread.of_it as spread
from datasets d cross join lateral (
  select case when d.segments_n + d.data_version = $2::bigint then $3::jsonb
              when d.trajectories_n = 0 then '{"returns": null, "lengths": null, "rewarded_trajectories": 0, "sources": []}'
              else (
    select jsonb_build_object(
      'rewarded_trajectories', count(return),
      'returns', case when count(return) > 0 then jsonb_build_object('mean', avg(return), 'std', stddev_pop(return), 'min', min(return),
         'p10', percentile_cont(0.1) within group (order by return),
         'p50', percentile_cont(0.5) within group (order by return),
         'p90', percentile_cont(0.9) within group (order by return), 'max', max(return)) end,
      'lengths', jsonb_build_object('mean', avg(length::float8), 'std', stddev_pop(length::float8), 'min', min(length),
         'p10', percentile_cont(0.1) within group (order by length),
         'p50', percentile_cont(0.5) within group (order by length),
         'p90', percentile_cont(0.9) within group (order by length), 'max', max(length)),
      'sources', (select coalesce(jsonb_agg(jsonb_build_object('source', source, 'trajectories', n, 'steps', steps,
                           'labelled_steps', labelled) order by n desc, source), '[]')
                  from (select source, count(*) as n, sum(length) as steps, sum(labelled_steps_n) as labelled
                        from trajectories where dataset_id = d.id and source is not null
                        group by source order by 2 desc, 1 limit 20) as s))
    from (select return, length from trajectories where dataset_id = d.id order by n) t) end as of_it
  offset 0 -- or it would be worked out for each use
) spread
where d.id = $1

-- The cursor is the last name: names are unique, and it still works when that dataset is gone.
-- name: dataset_list
with page as (
  select d, d.name, row_number() over (order by d.name) as i
  from datasets d where $1::text is null or d.name > $1 order by d.name limit $2::bigint + 1
)
select jsonb_build_object(
  'items', coalesce(jsonb_agg(dataset_summary(d) order by name) filter (where i <= $2::bigint), '[]'),
  'next', case when count(*) > $2::bigint then max(name) filter (where i = $2::bigint) end) as document
from page

-- name: trajectory_list
with page as (
  select * from trajectories
  where dataset_id = $1 and n >= $2 and ($4::text is null or source = $4) order by n limit $3::bigint + 1
), numbered as (select page.*, row_number() over (order by n) as i from page)
select jsonb_build_object(
  'items', coalesce(jsonb_agg(jsonb_build_object('n', n, 'segment', segment_seq, 'length', length, 'return', return,
             'labelled_steps', labelled_steps_n, 'has_final', has_final, 'terminated', terminated,
             'truncated', truncated, 'source', source) order by n) filter (where i <= $3::bigint), '[]'),
  'next', max(n) filter (where i > $3::bigint)) as document
from numbered

-- Warnings first, each in upload order. $3: of the uploads in the first so many segments.
-- name: dataset_lint
with found as (
  select f.value || jsonb_build_object('file', l.file_name, 'source', (select t.source from trajectories t
                                         where t.dataset_id = l.dataset_id and t.n = l.first_trajectory),
                                       'trajectory', (f.value ->> 'trajectory')::bigint + l.first_trajectory) as finding,
         f.value ->> 'severity' as severity,
         row_number() over (order by f.value ->> 'severity' = 'warning' desc, l.first_trajectory, f.i) as i
  from lint_findings l cross join jsonb_array_elements(l.findings) with ordinality as f (value, i)
  where l.dataset_id = $1
    and exists (select from segments s where s.dataset_id = $1 and s.first_trajectory = l.first_trajectory and s.seq < $3::bigint)
)
select jsonb_build_object(
  'warnings', count(*) filter (where severity = 'warning'), 'infos', count(*) filter (where severity = 'info'),
  'items', coalesce(jsonb_agg(finding order by i) filter (where i <= $2::bigint), '[]')) as document
from found

-- name: trajectory_find
select t.segment_seq as segment, t.n - s.first_trajectory as index, t.length, coalesce(t.source, '') as source
from trajectories t join segments s on s.dataset_id = t.dataset_id and s.seq = t.segment_seq
where t.dataset_id = $1 and t.n = $2

-- name: trajectory_returns
select return, (case labelled_steps_n when 0 then 0 when length then 2 else 1 end)::"char" as labelled
from trajectories where dataset_id = $1 and segment_seq < $2 order by n

-- Of each trajectory of the first $2 segments. No rows where places have moved since version $3: nobody knows who was where.
-- name: trajectory_sources
select coalesce(t.source, '') as source
from trajectories t
where t.dataset_id = $1 and t.segment_seq < $2
  and exists (select from trajectories s where s.dataset_id = $1 and s.source is not null)
  and not exists (select from dataset_versions v where v.dataset_id = $1 and v.change = 'delete' and v.version > $3::bigint)
order by t.n

-- Whether an edit has changed any of the first $2 segments since version $3.
-- name: version_edited
select exists (select from segment_revisions where dataset_id = $1 and seq < $2::integer and until_version > $3::bigint) as edited

-- name: dataset_has_rewards
select exists (select from trajectories where dataset_id = $1 and segment_seq < $2 and return is not null) as has_rewards

-- name: append_lock
select obs_dim, segments_n, trajectories_n, obs_n, coalesce(obs_mean, '{}') as obs_mean,
       coalesce(obs_m2, '{}') as obs_m2, act_count, version
from datasets where id = $1 for no key update

-- Of digests in an array, those that the dataset has: their places in the array, and the trajectories.
-- Each row of the dataset is looked at once, however many of both are the same.
-- name: append_duplicates
select d.i as place, t.n as trajectory
from unnest($2::uuid[]) with ordinality as d (digest, i)
join (select digest, min(n) as n from trajectories where dataset_id = $1 and digest = any ($2::uuid[]) group by digest) t
  on t.digest = d.digest
order by d.i

-- name: append_attached
select d.version from segments s join datasets d on d.id = s.dataset_id where s.blob_id = $1

-- name: append_segment
insert into segments (dataset_id, seq, blob_id, sha256, first_trajectory, trajectories_n, steps_n, labelled_steps_n,
                      size_bytes, since_version)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)

-- name: append_trajectories
insert into trajectories (dataset_id, n, segment_seq, length, return, labelled_steps_n, has_final, terminated, truncated,
                          digest, source)
select $1, $2::bigint + i - 1, $3::integer, length, return, labelled, flags & 1 > 0, flags & 2 > 0, flags & 4 > 0, digest, $9
from unnest($4::integer[], $5::float8[], $6::integer[], $7::integer[], $8::uuid[]) with ordinality
     as u (length, return, labelled, flags, digest, i)

-- name: append_lint
insert into lint_findings (dataset_id, first_trajectory, file_name, findings) values ($1, $2, $3, $4::jsonb)

-- name: append_count
update datasets set
  segments_n = segments_n + $2, trajectories_n = trajectories_n + $3, steps_n = steps_n + $4,
  labelled_steps_n = labelled_steps_n + $5, labelled_n = labelled_n + $6, size_bytes = size_bytes + $7,
  obs_n = $8, obs_mean = $9, obs_m2 = $10,
  class_counts = (select array_agg(n + coalesce(class_counts[i], 0) order by i)
                  from unnest($11::bigint[]) with ordinality as u (n, i)),
  version = version + 1, data_version = version + 1, updated_at = clock_timestamp()
where id = $1
returning version

-- One row for each: those taken out have no blob. $4 is a version.
-- name: segment_blobs
select seq, blob_id, size_bytes, sha256 from segments_at($1, $4::bigint) where seq >= $2::integer and seq < $3::integer
union all
select seq, null, 0, null from gaps_at($1, $4::bigint) where seq >= $2::integer and seq < $3::integer
order by seq
