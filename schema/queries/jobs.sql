-- The transitions of jobs. The triggers of schema/functions/jobs.sql check each of them.

-- Locked against their end until the submission is committed, or a job could wait for what has just ended.
-- removed: its model or label set was removed.
-- name: job_lock_needs
select id, state, kind, state = 'succeeded' and case
         when kind in ('train_idm', 'train_policy') then not exists (select from models m where m.job_id = jobs.id)
         when kind = 'label' then not exists (select from label_sets l where l.job_id = jobs.id) else false end as removed
from jobs where id = any($1::text[]) order by id for share

-- No row: an unfinished job has the dedupe key.
-- name: job_insert
insert into jobs (id, kind, name, state, spec, dataset_id, parent_id, dedupe_key, priority, memory_bytes, limit_s, token_id,
  revision)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
on conflict (dedupe_key) where dedupe_key is not null and state in ('blocked', 'ready', 'running') do nothing
returning id

-- Submissions of one token go one after another, so that together they keep to its bound. No row: it is no token.
-- name: job_submitter
select id, pg_advisory_xact_lock(hashtextextended(id, 7810114)) from api_tokens where sha256 = $1

-- name: job_unfinished
select count(*) as n from jobs where token_id = $1 and state in ('blocked', 'ready', 'running')

-- name: job_dep_insert
insert into job_deps (job_id, needs_id) select distinct $1, needs from unnest($2::text[]) as needs

-- name: job_dedupe_find
select id from jobs where dedupe_key = $1 and state in ('blocked', 'ready', 'running')

-- $2: null, or what the job's worker told last ({epoch, phase, progress}), newer than its last heartbeat.
-- name: job_document
select job_summary(j)
       || case when j.state = 'running' and $2::jsonb -> 'epoch' = to_jsonb(j.epoch)
               then jsonb_build_object('phase', $2::jsonb -> 'phase', 'progress', $2::jsonb -> 'progress') else '{}' end
       || jsonb_build_object(
         'memory_bytes', nullif(j.memory_bytes, 0), 'limit_s', nullif(j.limit_s, 0), 'spec', j.spec, 'error', j.error, 'result', j.result,
         'transitions', (select jsonb_agg(jsonb_build_object('at', rfc3339(e.at),
                                   'from', shown_state(e.from_state), 'to', shown_state(e.to_state), 'reason', e.reason, 'worker', e.worker) order by e.no)
                         from job_events e where e.job_id = j.id),
         'needs', (select coalesce(jsonb_agg(d.needs_id order by d.needs_id), '[]')
                   from job_deps d where d.job_id = j.id),
         'resumed_from', j.resumed_from,
         'checkpoint', (select jsonb_build_object('step', c.step, 'size_bytes', c.size_bytes, 'sha256', encode(c.sha256, 'hex'),
                                 'created_at', rfc3339(c.created_at))
                        from job_checkpoints c where c.job_id = j.id order by c.epoch desc, c.step desc limit 1))
       || case when j.kind <> 'pipeline' then '{}' else jsonb_build_object('children',
            (select coalesce(jsonb_agg(jsonb_build_object('id', c.id, 'kind', c.kind, 'name', c.name,
                      'state', job_state_shown(c), 'phase', c.phase, 'progress', job_progress(c), 'reason', c.reason)
                    order by c.created_at, c.id), '[]')
             from jobs c where c.parent_id = j.id)) end as document,
       job_version(j) as version, job_is_final(j.state) as final
from jobs j where j.id = $1

-- name: job_list
with page as (
  select j, j.id, j.created_at, row_number() over (order by j.created_at desc, j.id desc) as i
  from jobs j
  where ($1::text is null or j.dataset_id = $1) and ($2::text is null or j.kind = any (string_to_array($2, ',')))
    and ($3::text is null or job_state_shown(j) = $3) and ($4::text is null or j.parent_id = $4)
    and ($5::text is null or (j.created_at, j.id) < (cursor_time($5), cursor_id($5)))
  order by j.created_at desc, j.id desc limit $6::bigint + 1
)
select jsonb_build_object(
  'items', coalesce(jsonb_agg(job_summary(j) order by i) filter (where i <= $6::bigint), '[]'),
  'next', case when count(*) > $6::bigint then max(cursor_of(created_at, id)) filter (where i = $6::bigint) end) as document
from page

-- name: job_events
select jsonb_build_object('items', jsonb_agg(jsonb_build_object('no', e.no, 'at', rfc3339(e.at), 'from', shown_state(e.from_state),
         'to', shown_state(e.to_state), 'epoch', e.epoch, 'reason', e.reason, 'worker', e.worker) order by e.no), 'next', null) as document
from job_events e where e.job_id = $1 having count(*) > 0

-- The present attempt's, and those of the attempts before it up to where it went on. One that is not finite is null.
-- name: job_metrics
select jsonb_build_object('items', coalesce((
         select jsonb_agg(jsonb_build_object('name', m.name, 'step', m.step, 'value',
           case when m.value between -1.7976931348623157e308 and 1.7976931348623157e308 then m.value end) order by m.name, m.step)
         from (select distinct on (name, step) name, step, value from job_metrics
               where job_id = j.id and (epoch = j.epoch or step <= j.resumed_from)
               order by name, step, epoch desc) m), '[]'), 'next', null) as document
from jobs j where j.id = $1

-- Many may ask for the same job: it is looked at once.
-- name: job_versions
with seen as materialized (
  select j.id, job_version(j) as version, job_is_final(j.state) as final from jobs j where j.id = any($1::text[])
)
select coalesce(seen.version, -1) as version, coalesce(seen.final, false) as final
from unnest($1::text[]) with ordinality as asked (id, i) left join seen on seen.id = asked.id order by asked.i

-- Jobs that this one's end has made ready and nobody has claimed.
-- name: job_readied
select count(*) as n from job_deps d join jobs j on j.id = d.job_id where d.needs_id = $1 and j.state = 'ready'

-- name: job_lock
select state, epoch, kind from jobs where id = $1 for no key update

-- name: job_cancel
update jobs set state = 'cancelled', reason = 'cancelled' where id = $1

-- One that the end of another has ended meanwhile is left alone.
-- name: job_cancel_open
update jobs set state = 'cancelled', reason = 'cancelled' where id = $1 and state in ('blocked', 'ready')

-- name: job_ask_cancel
update jobs set cancel_requested = true where id = $1 and not cancel_requested

-- name: job_open_children
select id, state from jobs where parent_id = $1 and state in ('blocked', 'ready', 'running') order by id
for no key update

-- One statement: two claimers never wait for each other and never get the same job. FOR UPDATE would be starved
-- by the key share locks that foreign keys take. $5: the revision that the worker knows of each kind of $2.
-- name: job_claim
with best as materialized (
  select id from jobs
  where state = 'ready' and run_after <= clock_timestamp()
    and exists (select from unnest($2::text[], $5::integer[]) known(kind, revision)
                where known.kind = jobs.kind and known.revision >= jobs.revision)
    and ($4::bigint = 0 or memory_bytes <= $4::bigint)
  order by priority desc, created_at, id limit 1
  for no key update skip locked
)
update jobs j set state = 'running', epoch = j.epoch + 1, attempt = j.attempt + 1, lease_owner = $1,
  lease_expires_at = clock_timestamp() + $3::bigint * interval '1 millisecond', started_at = clock_timestamp(),
  phase = null, step = 0, total = 0, resumed_from = null
from best where j.id = best.id
returning j.id, j.epoch, j.kind, j.name, coalesce(j.dataset_id, '') as dataset_id,
  coalesce(j.parent_id, '') as parent_id, j.attempt,
  j.max_attempts, j.spec, j.limit_s

-- What a claim took whose answer was lost. A worker has one job at a time, and this one knows of none.
-- name: job_adopt
update jobs j set lease_expires_at = clock_timestamp() + $2::bigint * interval '1 millisecond'
where j.state = 'running' and j.lease_owner = $1 and j.lease_expires_at > clock_timestamp()
returning j.id, j.epoch, j.kind, j.name, coalesce(j.dataset_id, '') as dataset_id,
  coalesce(j.parent_id, '') as parent_id, j.attempt,
  j.max_attempts, j.spec, j.limit_s

-- No wait for the disk: a heartbeat lost in a crash only makes a lease end earlier. A claim must wait, because an epoch
-- that is forgotten would be given out twice.
-- name: job_heartbeat
update jobs set lease_expires_at = clock_timestamp() + $3::bigint * interval '1 millisecond',
  phase = coalesce($4, phase), step = $5, total = $6
where id = $1 and epoch = $2 and state = 'running'
returning cancel_requested, set_config('synchronous_commit', 'off', true)

-- name: job_metrics_put
insert into job_metrics (job_id, epoch, name, step, value)
select $1, $2::bigint, name, step, value from unnest($3::text[], $4::bigint[], $5::float8[]) as u (name, step, value)
on conflict (job_id, epoch, name, step) do update set value = excluded.value

-- name: job_succeed
update jobs set state = 'succeeded', result = $3::jsonb, reason = null, error = null, phase = null,
  step = greatest(step, total)
where id = $1 and epoch = $2 and state = 'running'
returning id

-- Back to ready while the code may be retried ($8) and attempts are left; the pause doubles, from half a second to 60 s, and
-- jitters by a quarter either way. Want of room ($9) is no fault of the job: it spends no attempt, however long it lasts,
-- and the pause grows with the times that it was met. A job that ran out of memory is tried once more, perhaps by a worker
-- that has more of it: a third time would end as the first two.
-- name: job_fail
update jobs set
  state = case when cancel_requested or $3 = 'cancelled' then 'cancelled'
               when $9::boolean or ($8::boolean and attempt < max_attempts and not ($3 = 'oom' and exists (
                 select from job_events e where e.job_id = jobs.id and e.reason = 'oom'))) then 'ready' else 'failed' end,
  attempt = attempt - $9::boolean::int,
  reason = case when cancel_requested then 'cancelled' else $3 end,
  error = jsonb_strip_nulls(jsonb_build_object('code', $3::text, 'title', $4::text, 'detail', $5::text,
            'hint', nullif($6::text, ''), 'pointer', nullif($7::text, ''))),
  run_after = clock_timestamp() + (0.75 + 0.5 * random()) * interval '1 second' * least(60, 2 ^ least(6, -1 + case when $9::boolean
    then (select count(*) from job_events e where e.job_id = jobs.id and e.reason = $3) else attempt - 1 end)),
  phase = null
where id = $1 and epoch = $2 and state = 'running'
returning state

-- name: job_give_back
update jobs set state = case when cancel_requested then 'cancelled' else 'ready' end, attempt = attempt - 1,
  reason = case when cancel_requested then 'cancelled' else 'drained' end, phase = null
where id = $1 and epoch = $2 and state = 'running'
returning state

-- Skips whoever is being heartbeaten right now; the lock rechecks state and expiry.
-- name: jobs_reap_expired
with expired as materialized (
  select id from jobs where state = 'running' and lease_expires_at < clock_timestamp()
  order by id limit 1000 for no key update skip locked
)
update jobs j set lost_leases = lost_leases + 1,
  state = case when cancel_requested then 'cancelled'
               when lost_leases >= 2 or attempt >= max_attempts then 'failed' else 'ready' end,
  reason = case when cancel_requested then 'cancelled' else 'worker_lost' end,
  error = jsonb_build_object('code', 'worker_lost', 'title', $1::text, 'hint', $2::text, 'detail',
            format('worker %s stopped answering (lease %s of 3 lost)', lease_owner, lost_leases + 1)),
  run_after = clock_timestamp(), phase = null
from expired where j.id = expired.id
returning j.state

-- A child's session is named "px JOB EPOCH"; epochs only grow, so another one means an older one.
-- name: jobs_end_sessions
select count(*) filter (where pg_terminate_backend(a.pid)) as n
from pg_stat_activity a join jobs j on j.id = split_part(a.application_name, ' ', 2)
where a.datname = current_database() and a.application_name like 'px job\_%' and a.pid <> pg_backend_pid()
  and (j.epoch::text <> split_part(a.application_name, ' ', 3) or j.state not in ('running', 'succeeded'))

-- name: jobs_orphans
select c.id, c.state from jobs c join jobs p on p.id = c.parent_id
where c.parent_id is not null and c.state in ('blocked', 'ready', 'running') and not c.cancel_requested
  and job_is_final(p.state)
order by c.id for no key update of c

-- A job with what goes when it goes: a pipeline's children, a label job's shards.
-- name: job_lock_family
select id, state, kind, coalesce(parent_id, '') as parent_id from jobs where id in (
  select $1::text union select id from jobs where parent_id = $1
  union select d.needs_id from job_deps d join jobs l on l.id = d.job_id and l.kind = 'label'
          join jobs s on s.id = d.needs_id and s.kind = 'label_shard' where d.job_id = $1)
order by id for update

-- Jobs outside of $1 that need one within: unfinished ones, or any ($2).
-- name: job_needed_by
select w.id, w.kind from job_deps d join jobs w on w.id = d.job_id
where d.needs_id = any($1::text[]) and w.id <> all($1::text[]) and ($2::boolean or not job_is_final(w.state))
order by w.created_at limit 1

-- The label job of a shard.
-- name: job_label_of_shard
select l.id from job_deps d join jobs l on l.id = d.job_id and l.kind = 'label' where d.needs_id = $1 limit 1

-- name: job_drop_current_labels
update datasets set label_set_id = null, version = version + 1, updated_at = clock_timestamp()
where label_set_id in (select id from label_sets where job_id = any($1::text[]))

-- name: job_delete
delete from jobs where id = any($1::text[])

-- Finished jobs, oldest first, that are older than $1 days or beyond the newest $2 (0: no bound), and that neither left a
-- model or a label set that is still there nor are needed by any other job. Pipelines count with their children.
-- name: janitor_old_jobs
with heads as (
  select j.id, j.kind, j.finished_at, row_number() over (order by j.finished_at desc, j.id desc) as place
  from jobs j where j.parent_id is null and job_is_final(j.state) and j.kind <> 'label_shard'
), old as (
  select id, kind, finished_at from heads
  where ($1::float8 > 0 and finished_at < clock_timestamp() - $1::float8 * interval '1 day') or ($2::bigint > 0 and place > $2::bigint)
), family as (
  select o.id as head, j.id, j.state from old o join jobs j on j.id = o.id or j.parent_id = o.id
)
select o.id from old o
where not exists (select from family f where f.head = o.id
                  and (not job_is_final(f.state) or exists (select from models m where m.job_id = f.id)
                       or exists (select from label_sets l where l.job_id = f.id)
                       or exists (select from job_deps d join jobs w on w.id = d.job_id
                                  where d.needs_id = f.id and w.id <> o.id and w.parent_id is distinct from o.id)))
order by o.finished_at limit 500

-- name: janitor_old_metrics
delete from job_metrics where job_id in (
  select j.id from jobs j where j.finished_at < clock_timestamp() - $1::float8 * interval '1 day'
    and exists (select from job_metrics m where m.job_id = j.id) order by j.finished_at limit 1000)

-- The first and the last event stay: when it was submitted, and how it ended.
-- name: janitor_old_events
delete from job_events e using jobs j
where j.id = e.job_id and j.finished_at < clock_timestamp() - $1::float8 * interval '1 day'
  and exists (select from job_events a where a.job_id = e.job_id and a.no < e.no)
  and exists (select from job_events b where b.job_id = e.job_id and b.no > e.no)

-- name: janitor_old_artifacts
delete from artifacts a using jobs j
where j.id = a.job_id and j.finished_at < clock_timestamp() - $1::float8 * interval '1 day'
  and not exists (select from job_deps d join jobs w on w.id = d.job_id where d.needs_id = j.id and not job_is_final(w.state))

-- name: janitor_blobs
delete from blobs where not attached and created_at < clock_timestamp() - interval '1 day'

-- A shard that is still to end may keep what its earlier attempts have staged.
-- name: janitor_labels
delete from label_segments l using jobs shard, jobs label
where shard.id = l.job_id and label.id = l.label_job_id
  and (label.state in ('failed', 'cancelled') or shard.state in ('failed', 'cancelled')
       or (shard.state = 'succeeded' and shard.epoch <> l.epoch))

-- Curves of attempts that were lost, beyond the step from which the last one went on: nobody is shown them.
-- name: janitor_metrics
delete from job_metrics m using jobs j
where j.id = m.job_id and m.epoch < j.epoch and job_is_final(j.state) and m.step > coalesce(j.resumed_from, 0)

-- name: janitor_workers
delete from workers where last_seen_at < clock_timestamp() - interval '1 day'

-- name: worker_seen
insert into workers (id, host, pid, version, draining, memory_bytes) values ($1, $2, $3, $4, $5, $6)
on conflict (id) do update set last_seen_at = clock_timestamp(), draining = excluded.draining

-- The most memory that a worker gives a job; 0: one does not say. No row: there is none. One that takes no more jobs, or
-- has not been seen for two minutes, does not count.
-- name: worker_memory
select case when min(memory_bytes) = 0 then 0 else max(memory_bytes) end as memory_bytes from workers
where not draining and last_seen_at > clock_timestamp() - interval '2 minutes' having count(*) > 0

-- name: worker_gone
delete from workers where id = $1

-- name: worker_list
select jsonb_build_object('items', coalesce(jsonb_agg(jsonb_build_object('id', w.id, 'host', w.host, 'pid', w.pid,
         'version', w.version, 'draining', w.draining, 'memory_bytes', nullif(w.memory_bytes, 0), 'started_at', rfc3339(w.started_at),
         'last_seen_at', rfc3339(w.last_seen_at),
         'jobs', (select coalesce(jsonb_agg(j.id order by j.id), '[]') from jobs j
                  where j.state = 'running' and j.lease_owner = w.id)) order by w.id), '[]'), 'next', null) as document
from workers w

-- name: job_counts
select coalesce(jsonb_agg(jsonb_build_object('kind', kind, 'state', state, 'n', n) order by kind, state), '[]') as document
from (select kind, shown_state(state) as state, count(*) as n
      from jobs group by 1, 2) as counted
