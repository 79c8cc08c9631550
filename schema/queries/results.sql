-- What jobs leave: models, label sets, artifacts.

-- name: model_publish
insert into models (id, job_id, epoch, dataset_id, role, algo, blob_id, sha256, size_bytes, metrics)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)

-- name: model_document
select jsonb_build_object('id', id, 'job_id', job_id, 'dataset_id', dataset_id, 'role', role, 'algo', algo,
         'sha256', encode(sha256, 'hex'), 'size_bytes', size_bytes, 'metrics', metrics,
         'created_at', rfc3339(created_at)) as document
from models where id = $1

-- Cursors say where the page ended, so that they still work when that item is gone.
-- name: model_list
with page as (
  select m.*, row_number() over (order by created_at desc, id desc) as i
  from models m
  where ($1::text is null or dataset_id = $1) and ($2::text is null or role = $2)
    and ($3::text is null or (created_at, id) < (cursor_time($3), cursor_id($3)))
  order by created_at desc, id desc limit $4::bigint + 1
)
select jsonb_build_object('items', coalesce(jsonb_agg(jsonb_build_object('id', id, 'job_id', job_id,
         'dataset_id', dataset_id, 'role', role, 'algo', algo, 'size_bytes', size_bytes,
         'created_at', rfc3339(created_at)) order by i) filter (where i <= $4::bigint), '[]'),
  'next', case when count(*) > $4::bigint then max(cursor_of(created_at, id)) filter (where i = $4::bigint) end) as document
from page

-- What a model, a label set or a job ($1, made by job $2) is, or will be. No row: there is none, or its job has lost it.
-- name: result_about
select case when left($1, 4) = 'job_' then j.kind
            when left($1, 4) = 'mdl_' and j.kind = 'train_idm' then 'idm'
            when left($1, 4) = 'mdl_' and j.kind = 'train_policy' then 'policy'
            when left($1, 3) = 'ls_' and j.kind = 'label' then 'labels' end as role,
       j.state, coalesce(j.spec #>> '{policy,algo}', j.spec #>> '{labeller,kind}', '') as algo, j.dataset_id, d.obs_dim, d.act_dim, d.act_count,
       coalesce((j.spec ->> 'segments')::integer, 0) as segments_n
from jobs j join datasets d on d.id = j.dataset_id
where j.id = $2
  and (left($1, 4) = 'job_' or j.state <> 'succeeded'
       or exists (select from models where id = $1) or exists (select from label_sets where id = $1))

-- name: model_job
select job_id from models where id = $1

-- name: model_delete
delete from models where id = $1

-- name: model_blob
select blob_id from models where id = $1

-- A model, or the members of an inverse dynamics model's ensemble: those of the same pipeline and spec, in their order.
-- name: model_members
select o.id, o.blob_id, o.size_bytes
from models m
join jobs j on j.id = m.job_id
join jobs k on k.id = j.id
  or (m.role = 'idm' and k.parent_id = j.parent_id and k.kind = j.kind and k.spec - 'member' = j.spec - 'member')
join models o on o.job_id = k.id
where m.id = $1
order by coalesce((k.spec ->> 'member')::integer, 0), o.id
limit $2::bigint

-- name: label_staged
select 1 from label_segments where label_job_id = $1 and seq = $2 and job_id = $3 and epoch = $4

-- name: label_stage
insert into label_segments (label_job_id, seq, job_id, epoch, blob_id, sha256, steps_n, known_n, score_sum, profile,
                            verified_n, simulated_n, residual_sum)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)

-- What an earlier attempt of the same shard staged under the same profile has the bytes that this one would give.
-- name: label_adopt
with last as (
  select distinct on (seq) seq, epoch from label_segments
  where label_job_id = $1 and job_id = $2 and epoch < $3 and profile = $4 order by seq, epoch desc
)
update label_segments l set epoch = $3 from last
where l.label_job_id = $1 and l.job_id = $2 and l.seq = last.seq and l.epoch = last.epoch
returning l.seq

-- The first segment that no successful shard has labelled, or whose length does not fit. $4: of that version.
-- name: label_missing
select s.seq from generate_series(0, $3::integer - 1) as s (seq)
where not exists (select from label_rows l join segments_at($2, $4::bigint) d on d.seq = l.seq
                  where l.label_job_id = $1 and l.seq = s.seq and l.steps_n = d.steps_n)
  and not exists (select from gaps_at($2, $4::bigint) g where g.seq = s.seq)
order by s.seq limit 1

-- Should two shards have labelled the same segment, the first of them counts.
-- name: label_drop_dead
delete from label_segments l
where l.label_job_id = $1
  and (l.seq >= $2::integer
       or array[l.job_id, l.epoch::text] is distinct from (select array[r.job_id, r.epoch::text] from label_rows r
            where r.label_job_id = $1 and r.seq = l.seq order by r.job_id limit 1))

-- name: label_publish
insert into label_sets (id, dataset_id, job_id, epoch, segments_n, steps_n, known_n, mean_score, sha256, verified_n,
                        simulated_n, mean_residual)
select $1, $2, $3, $4::bigint, $5::integer, sum(steps_n), sum(known_n), coalesce(sum(score_sum) / nullif(sum(known_n), 0), 0),
       sha256(string_agg(sha256, ''::bytea order by seq)), sum(verified_n), sum(simulated_n),
       sum(residual_sum) / nullif(sum(known_n), 0)
from label_rows where label_job_id = $3

-- name: label_flip
update datasets set label_set_id = $2, version = version + 1, updated_at = clock_timestamp() where id = $1

-- name: label_set_document
select jsonb_build_object('id', l.id, 'dataset_id', l.dataset_id, 'job_id', l.job_id, 'segments', l.segments_n,
         'steps', l.steps_n, 'known_steps', l.known_n, 'mean_score', l.mean_score, 'sha256', encode(l.sha256, 'hex'),
         'current', coalesce(d.label_set_id = l.id, false), 'created_at', rfc3339(l.created_at), 'quality', j.result,
         'labeller', coalesce(j.spec -> 'labeller', '{"kind": "idm"}'))
       || case when l.verified_n is null then '{}' else jsonb_build_object('verified_steps', l.verified_n,
            'verified_share', l.verified_n::float8 / nullif(l.known_n, 0), 'simulator_steps', l.simulated_n,
            'mean_residual', l.mean_residual) end as document
from label_sets l join datasets d on d.id = l.dataset_id join jobs j on j.id = l.job_id where l.id = $1

-- name: label_set_list
with page as (
  select l.*, coalesce(d.label_set_id = l.id, false) as current,
         coalesce(j.spec #>> '{labeller,kind}', 'idm') as labeller, row_number() over (order by l.created_at desc, l.id desc) as i
  from label_sets l join datasets d on d.id = l.dataset_id join jobs j on j.id = l.job_id
  where ($1::text is null or l.dataset_id = $1)
    and ($2::text is null or (l.created_at, l.id) < (cursor_time($2), cursor_id($2)))
  order by l.created_at desc, l.id desc limit $3::bigint + 1
)
select jsonb_build_object('items', coalesce(jsonb_agg(jsonb_build_object('id', id, 'dataset_id', dataset_id,
         'job_id', job_id, 'segments', segments_n, 'steps', steps_n, 'known_steps', known_n, 'mean_score', mean_score,
         'labeller', labeller, 'verified_steps', verified_n, 'current', current, 'created_at', rfc3339(created_at)) order by i) filter (where i <= $3::bigint), '[]'),
  'next', case when count(*) > $3::bigint then max(cursor_of(created_at, id)) filter (where i = $3::bigint) end) as document
from page

-- One row for each: those taken out before there were labels have no blob.
-- name: label_blobs
select r.seq, r.blob_id, b.size_bytes, r.sha256
from label_sets s join label_rows r on r.label_job_id = s.job_id join blobs b on b.id = r.blob_id
where s.id = $1 and r.seq >= $2 and r.seq < $3 and r.seq < s.segments_n
union all
select g.seq, null, 0, null
from label_sets s join jobs j on j.id = s.job_id
  cross join gaps_at(s.dataset_id, coalesce((j.spec ->> 'dataset_version')::bigint, 0)) g
where s.id = $1 and g.seq >= $2::integer and g.seq < $3::integer and g.seq < s.segments_n
order by seq

-- name: artifact_publish
insert into artifacts (job_id, name, epoch, media_type, blob_id, size_bytes) values ($1, $2, $3, $4, $5, $6)

-- name: artifact_list
select jsonb_build_object('items', coalesce(jsonb_agg(jsonb_build_object('name', a.name, 'media_type', a.media_type,
         'size_bytes', a.size_bytes, 'sha256', encode(b.sha256, 'hex'), 'created_at', rfc3339(a.created_at))
         order by a.name), '[]'), 'next', null) as document
from artifacts a join blobs b on b.id = a.blob_id where a.job_id = $1

-- name: artifact_find
select a.media_type, a.blob_id, a.size_bytes, b.sha256
from artifacts a join blobs b on b.id = a.blob_id where a.job_id = $1 and a.name = $2

-- name: job_result
select result as document from jobs where id = $1 and state = 'succeeded' and result is not null
