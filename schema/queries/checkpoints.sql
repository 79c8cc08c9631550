-- The state of trainings that are still to end.

-- An attempt that comes further than any before it is no failure of the job: what it may still try begins anew.
-- name: checkpoint_advance
update jobs set attempt = 1, lost_leases = 0
where id = $1 and epoch = $2 and (attempt > 1 or lost_leases > 0)
  and not exists (select from job_checkpoints c where c.job_id = $1 and c.step >= $3)

-- Again after a commit whose answer was lost: what is kept stays.
-- name: checkpoint_insert
insert into job_checkpoints (job_id, epoch, step, blob_id, sha256, size_bytes, profile)
values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing

-- The last two stay: one to go on from, one for the case that it is damaged.
-- name: checkpoint_trim
delete from job_checkpoints
where job_id = $1 and (epoch, step) < (select epoch, step from job_checkpoints where job_id = $1
                                       order by epoch desc, step desc offset 1 limit 1)

-- Newest first; one row of nulls for a job that has none.
-- name: checkpoint_list
select c.epoch, c.step, c.blob_id, c.sha256, c.size_bytes, c.profile
from jobs j left join job_checkpoints c on c.job_id = j.id where j.id = $1 order by c.epoch desc, c.step desc

-- name: checkpoint_resumed
update jobs set resumed_from = $3, step = $3 where id = $1 and epoch = $2 and state = 'running' returning id

-- name: janitor_checkpoints
delete from job_checkpoints c using jobs j
where j.id = c.job_id and j.state = 'failed' and j.finished_at < clock_timestamp() - interval '7 days'
