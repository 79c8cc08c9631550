-- Files on their way into a dataset.

-- name: upload_submit
with made as (select new_id('job') as job, new_id('up') as upload), job as (
  insert into jobs (id, kind, name, spec, dataset_id, token_id, limit_s)
  select made.job, 'ingest', left($2, 100), jsonb_build_object('dataset', $1::text, 'upload', made.upload), $1, $7,
         3600 + $6::bigint / 100000 from made returning id
)
insert into uploads (id, dataset_id, file_name, format, options, blob_id, job_id, size_bytes, received_bytes)
select made.upload, $1, $2, $3, $4::jsonb, $5, job.id, $6, $6 from made, job
returning job_id

-- name: upload_of_blob
select job_id from uploads where blob_id = $1

-- name: upload_get
select id, dataset_id, file_name, format, coalesce(blob_id, 0) as blob_id, options from uploads where id = $1 and job_id is not null

-- Its content grows in parts, so its length and digest are not known. The id is the caller's choice: the statement may run
-- again when its answer was lost, and makes one upload all the same.
-- name: upload_create
with content as (
  insert into blobs (size_bytes, sha256) select 0, null where not exists (select from uploads where id = $8) returning id
), made as (
  insert into uploads (id, dataset_id, file_name, format, options, blob_id, size_bytes, metadata, expires_at)
  select $8, $1, $2, $3, $4::jsonb, content.id, $5, $6, clock_timestamp() + $7::bigint * interval '1 second' from content
  returning *
)
select id, dataset_id, coalesce(job_id, '') as job_id, size_bytes, received_bytes, metadata,
       extract(epoch from expires_at)::bigint as expires_at_s
from (select * from made union all select * from uploads where id = $8) as upload

-- New uploads are admitted one at a time, so that none counts on room that another was promised at the same moment.
-- name: uploads_admit
select pg_advisory_xact_lock(7810114)

-- What uploads in parts still need: the bytes to come, and as many again for the segments that their jobs will make of them.
-- name: uploads_promised
select coalesce(sum(u.size_bytes + case when u.job_id is null then u.size_bytes - u.received_bytes else 0 end), 0)::bigint as bytes
from uploads u left join jobs j on j.id = u.job_id
where u.id <> $1 and case when u.job_id is null then u.expires_at > clock_timestamp() else not job_is_final(j.state) end

-- name: upload_state
select id, dataset_id, coalesce(job_id, '') as job_id, size_bytes, received_bytes, metadata,
       extract(epoch from expires_at)::bigint as expires_at_s
from uploads where id = $1 and expires_at > clock_timestamp()

-- name: upload_document
select jsonb_build_object('id', u.id, 'dataset_id', u.dataset_id, 'file', u.file_name, 'format', u.format,
         'state', case when u.job_id is null then 'receiving' else 'received' end, 'size_bytes', u.size_bytes,
         'received_bytes', u.received_bytes, 'job_id', u.job_id, 'created_at', rfc3339(u.created_at),
         'expires_at', rfc3339(u.expires_at)) as document
from uploads u where u.id = $1 and u.expires_at > clock_timestamp()

-- The offset is compared and moved under the row's lock: of two writers at one place only one goes on.
-- name: upload_grow
update uploads set received_bytes = received_bytes + $3, parts_n = parts_n + $4,
  expires_at = clock_timestamp() + $5::bigint * interval '1 second'
where id = $1 and received_bytes = $2 and received_bytes + $3 <= size_bytes and job_id is null
  and expires_at > clock_timestamp()
returning blob_id, parts_n - $4 as parts_before, received_bytes = size_bytes as whole

-- name: upload_complete
with content as (
  update blobs b set size_bytes = u.received_bytes from uploads u where u.id = $1 and b.id = u.blob_id
), job as (
  insert into jobs (kind, name, spec, dataset_id, token_id, limit_s)
  select 'ingest', left(file_name, 100), jsonb_build_object('dataset', dataset_id, 'upload', id), dataset_id, $2,
         3600 + received_bytes / 100000
  from uploads where id = $1 returning id
)
update uploads u set job_id = job.id from job where u.id = $1

-- Its job is asked for by another statement: this one may have waited for the part that made the job, and sees no row that
-- is younger than its beginning but the locked one.
-- name: upload_lock
select coalesce(job_id, '') as job_id from uploads where id = $1 and expires_at > clock_timestamp() for no key update

-- name: upload_job_final
select job_is_final(state) as final from jobs where id = $1

-- name: upload_delete
delete from uploads where id = $1

-- The content of a file that was read; of one whose ingest failed a day later, for it may be looked at.
-- name: janitor_upload_content
update uploads u set blob_id = null from jobs j
where j.id = u.job_id and u.blob_id is not null and job_is_final(j.state)
  and (j.state = 'succeeded' or j.finished_at < clock_timestamp() - interval '1 day')

-- The row of a whole file stays until it expires: whoever lost the last answer learns that all has arrived.
-- name: janitor_uploads
delete from uploads where expires_at < clock_timestamp() and (job_id is null or blob_id is null)
