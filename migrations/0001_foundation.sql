-- Proxact's catalogue: datasets and their segments, jobs and their law, labels, models.
--
-- Everything a job writes is fenced here, not only in C: a row written on a job's behalf names
-- (job_id, epoch), and a trigger refuses it unless that epoch is the one running now. Time is
-- clock_timestamp() of this database; no worker's clock decides anything.

create function new_id(prefix text) returns text language sql volatile
  return prefix || '_' || left(replace(gen_random_uuid()::text, '-', ''), 20);
comment on function new_id is 'A fresh random id such as ds_1b9d6bcd0f3e4a5b8c7d';

create function rfc3339(at timestamptz) returns text language sql stable
  return to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');
comment on function rfc3339 is 'A time as documents show it: 2026-01-31T12:34:56.789Z';

-- Access --------------------------------------------------------------------------------------

create table api_tokens (
  id          text primary key default new_id('tok'),
  name        text not null,
  sha256      bytea not null unique check (length(sha256) = 32),
  created_at  timestamptz not null default clock_timestamp(),
  expires_at  timestamptz
);
comment on table api_tokens is 'Bearer tokens; the token itself is shown once and never stored';
comment on column api_tokens.id is 'Names the token in lists';
comment on column api_tokens.name is 'What the owner calls it';
comment on column api_tokens.sha256 is 'SHA-256 of the whole token text';
comment on column api_tokens.created_at is 'When it was made';
comment on column api_tokens.expires_at is 'When it stops working; null: never';

-- Bulk bytes ----------------------------------------------------------------------------------

create table blobs (
  id          bigint generated always as identity primary key,
  size_bytes  bigint not null check (size_bytes >= 0),
  sha256      bytea not null check (length(sha256) = 32),
  attached    boolean not null default false,
  created_at  timestamptz not null default clock_timestamp()
);
create index blobs_loose on blobs (created_at) where not attached;
comment on table blobs is 'Byte strings: segments, label segments, models, artifacts, uploads';
comment on column blobs.id is 'Internal number; never shown';
comment on column blobs.size_bytes is 'Length of all chunks together';
comment on column blobs.sha256 is 'Digest of the whole content';
comment on column blobs.attached is 'Whether some row refers to it; the janitor removes those that nothing took up';
comment on column blobs.created_at is 'When it was written';

create table blob_chunks (
  blob_id  bigint not null references blobs on delete cascade,
  no       integer not null check (no >= 0),
  bytes    bytea not null,
  primary key (blob_id, no)
);
-- Segments are float32 noise to a compressor: EXTERNAL skips the attempt.
alter table blob_chunks alter column bytes set storage external;
comment on table blob_chunks is 'Content of blobs in pieces of at most 8 MiB, so that no reader needs it whole';
comment on column blob_chunks.blob_id is 'The blob';
comment on column blob_chunks.no is 'Position, from 0';
comment on column blob_chunks.bytes is 'The piece';

-- Datasets ------------------------------------------------------------------------------------

create table datasets (
  id                text primary key default new_id('ds'),
  name              text not null unique check (length(name) between 1 and 200),
  obs_dim           integer not null check (obs_dim between 1 and 4096),
  act_dim           integer not null check (act_dim between 1 and 1024),
  act_low           real[] not null,
  act_high          real[] not null,
  env               text,
  segments_n        integer not null default 0 check (segments_n >= 0),
  trajectories_n    bigint not null default 0 check (trajectories_n >= 0),
  steps_n           bigint not null default 0 check (steps_n >= 0),
  labelled_steps_n  bigint not null default 0 check (labelled_steps_n between 0 and steps_n),
  labelled_n        bigint not null default 0 check (labelled_n between 0 and trajectories_n),
  obs_n             bigint not null default 0 check (obs_n >= 0),
  obs_mean          float8[],
  obs_m2            float8[],
  size_bytes        bigint not null default 0 check (size_bytes >= 0),
  label_set_id      text,
  version           bigint not null default 1,
  created_at        timestamptz not null default clock_timestamp(),
  updated_at        timestamptz not null default clock_timestamp(),
  check (cardinality(act_low) = act_dim and cardinality(act_high) = act_dim)
);
comment on table datasets is 'Append-only lists of sealed segments; the first n segments are a snapshot';
comment on column datasets.id is 'Public id';
comment on column datasets.name is 'Unique name given by the user';
comment on column datasets.obs_dim is 'O, observation dimensions';
comment on column datasets.act_dim is 'A, action dimensions';
comment on column datasets.act_low is 'Lowest action per dimension';
comment on column datasets.act_high is 'Highest action per dimension';
comment on column datasets.env is 'Simulator the data came from, when policies can be rolled out in it';
comment on column datasets.segments_n is 'Sealed segments';
comment on column datasets.trajectories_n is 'Trajectories in them';
comment on column datasets.steps_n is 'Transitions in them';
comment on column datasets.labelled_steps_n is 'Transitions with a true action';
comment on column datasets.labelled_n is 'Trajectories with at least one true action';
comment on column datasets.obs_n is 'Observation rows, final observations included';
comment on column datasets.obs_mean is 'Mean observation per dimension, float64';
comment on column datasets.obs_m2 is 'Sum of squared deviations per dimension, float64 (Chan et al. 1979)';
comment on column datasets.size_bytes is 'Bytes of all segments';
comment on column datasets.label_set_id is 'The current label set: flipped when one is published';
comment on column datasets.version is 'Grows with every change; the ETag';
comment on column datasets.created_at is 'When it was made';
comment on column datasets.updated_at is 'When it last changed';

create table segments (
  dataset_id        text not null references datasets on delete cascade,
  seq               integer not null check (seq >= 0),
  blob_id           bigint not null unique references blobs,
  sha256            bytea not null check (length(sha256) = 32),
  first_trajectory  bigint not null check (first_trajectory >= 0),
  trajectories_n    integer not null check (trajectories_n > 0),
  steps_n           bigint not null check (steps_n > 0),
  labelled_steps_n  bigint not null check (labelled_steps_n between 0 and steps_n),
  size_bytes        bigint not null check (size_bytes > 0),
  created_at        timestamptz not null default clock_timestamp(),
  primary key (dataset_id, seq)
);
comment on table segments is 'Sealed safetensors files of whole trajectories, about 4 MiB each, in upload order';
comment on column segments.dataset_id is 'The dataset';
comment on column segments.seq is 'Position in the dataset, from 0 without gaps';
comment on column segments.blob_id is 'The bytes';
comment on column segments.sha256 is 'Digest of the bytes';
comment on column segments.first_trajectory is 'Number in the dataset of its first trajectory';
comment on column segments.trajectories_n is 'Trajectories in it';
comment on column segments.steps_n is 'Transitions in it';
comment on column segments.labelled_steps_n is 'Transitions with a true action';
comment on column segments.size_bytes is 'Length of the bytes';
comment on column segments.created_at is 'When it was sealed';

create table trajectories (
  dataset_id        text not null references datasets on delete cascade,
  n                 bigint not null check (n >= 0),
  segment_seq       integer not null,
  length            integer not null check (length > 0),
  return            float8 not null,
  labelled_steps_n  integer not null check (labelled_steps_n between 0 and length),
  has_final         boolean not null,
  terminated        boolean not null,
  truncated         boolean not null,
  primary key (dataset_id, n)
);
comment on table trajectories is 'Index of the trajectories in the segments';
comment on column trajectories.dataset_id is 'The dataset';
comment on column trajectories.n is 'Number in the dataset, upload order, from 0';
comment on column trajectories.segment_seq is 'Segment that holds it';
comment on column trajectories.length is 'T, transitions';
comment on column trajectories.return is 'Undiscounted sum of rewards, float64';
comment on column trajectories.labelled_steps_n is 'Transitions with a true action';
comment on column trajectories.has_final is 'Whether the observation after the last action is known';
comment on column trajectories.terminated is 'Ended in a terminal state (bootstrap 0)';
comment on column trajectories.truncated is 'Cut by a time limit or the end of the file (bootstrap)';

-- Jobs ----------------------------------------------------------------------------------------

create table workers (
  id            text primary key,
  host          text not null,
  pid           integer not null,
  version       text not null,
  started_at    timestamptz not null default clock_timestamp(),
  last_seen_at  timestamptz not null default clock_timestamp(),
  draining      boolean not null default false
);
comment on table workers is 'Worker processes that have shown themselves';
comment on column workers.id is 'host:pid:random, chosen by the worker';
comment on column workers.host is 'Its host name';
comment on column workers.pid is 'Its process id there';
comment on column workers.version is 'Its build';
comment on column workers.started_at is 'When it registered';
comment on column workers.last_seen_at is 'Its last heartbeat';
comment on column workers.draining is 'Whether it takes no more jobs';

create table jobs (
  id                text primary key default new_id('job'),
  kind              text not null check (kind in ('ingest', 'train_idm', 'label_shard', 'label', 'train_policy',
                                                  'evaluate', 'report', 'export', 'pipeline')),
  name              text not null default '',
  state             text not null default 'ready'
                    check (state in ('blocked', 'ready', 'running', 'succeeded', 'failed', 'cancelled')),
  spec              jsonb not null check (jsonb_typeof(spec) = 'object'),
  dataset_id        text references datasets on delete cascade,
  parent_id         text references jobs on delete cascade,
  priority          integer not null default 0 check (priority between -100 and 100),
  attempt           integer not null default 0,
  max_attempts      integer not null default 5 check (max_attempts between 1 and 100),
  lost_leases       integer not null default 0 check (lost_leases >= 0),
  epoch             bigint not null default 0 check (epoch >= 0),
  lease_owner       text,
  lease_expires_at  timestamptz,
  run_after         timestamptz not null default clock_timestamp(),
  cancel_requested  boolean not null default false,
  phase             text,
  step              bigint not null default 0 check (step >= 0),
  total             bigint not null default 0 check (total >= 0),
  reason            text,
  error             jsonb,
  result            jsonb,
  dedupe_key        text,
  version           bigint not null default 1,
  created_at        timestamptz not null default clock_timestamp(),
  ready_at          timestamptz,
  started_at        timestamptz,
  finished_at       timestamptz,
  check ((state = 'running') = (lease_owner is not null)),
  check ((state = 'running') = (lease_expires_at is not null)),
  check ((state in ('succeeded', 'failed', 'cancelled')) = (finished_at is not null)),
  check (attempt between 0 and max_attempts),
  check (state <> 'running' or kind <> 'pipeline')
);
create index jobs_claim on jobs (priority desc, created_at, id) where state = 'ready';
create index jobs_lease on jobs (lease_expires_at) where state = 'running';
create index jobs_parent on jobs (parent_id) where parent_id is not null;
create index jobs_open_child on jobs (parent_id)
  where parent_id is not null and state in ('blocked', 'ready', 'running');
create index jobs_dataset on jobs (dataset_id, created_at desc);
create index jobs_created on jobs (created_at desc, id desc);
create unique index jobs_dedupe on jobs (dedupe_key)
  where dedupe_key is not null and state in ('blocked', 'ready', 'running');
comment on table jobs is 'Work to do, with its own law: see the triggers below';
comment on column jobs.id is 'Public id; its model is mdl_ and its label set ls_ with the same digits';
comment on column jobs.kind is 'What is to be done; a pipeline is never run, only resolved from its children';
comment on column jobs.name is 'Its role in the pipeline, such as train/ss/td3bc/0';
comment on column jobs.state is 'blocked -> ready -> running -> succeeded | failed | cancelled; running -> ready again';
comment on column jobs.spec is 'Validated parameters, defaults filled in';
comment on column jobs.dataset_id is 'Dataset it works on';
comment on column jobs.parent_id is 'Pipeline it belongs to';
comment on column jobs.priority is 'Higher is claimed first';
comment on column jobs.attempt is 'Times it was claimed, less those given back';
comment on column jobs.max_attempts is 'Claims after which it fails';
comment on column jobs.lost_leases is 'Leases that ran out; three make it fail';
comment on column jobs.epoch is 'Fencing token: grows by one with each claim';
comment on column jobs.lease_owner is 'Worker that holds it';
comment on column jobs.lease_expires_at is 'When the reaper may take it back';
comment on column jobs.run_after is 'Not claimed before (back-off)';
comment on column jobs.cancel_requested is 'Told to the worker at its next heartbeat';
comment on column jobs.phase is 'What it is doing now, one word';
comment on column jobs.step is 'Progress within total';
comment on column jobs.total is 'Steps of the whole, 0 while unknown';
comment on column jobs.reason is 'Error code of the last failure or loss';
comment on column jobs.error is 'Problem details of the last failure';
comment on column jobs.result is 'What it found; only when succeeded';
comment on column jobs.dedupe_key is 'At most one unfinished job has it';
comment on column jobs.version is 'Grows with every change; the ETag';
comment on column jobs.created_at is 'When it was submitted';
comment on column jobs.ready_at is 'When it last became ready';
comment on column jobs.started_at is 'When its current or last attempt began';
comment on column jobs.finished_at is 'When it ended for good';

create table job_deps (
  job_id    text not null references jobs on delete cascade,
  needs_id  text not null references jobs on delete cascade,
  primary key (job_id, needs_id),
  check (job_id <> needs_id)
);
create index job_deps_needs on job_deps (needs_id);
comment on table job_deps is 'A blocked job becomes ready when all it needs have succeeded';
comment on column job_deps.job_id is 'The job that waits';
comment on column job_deps.needs_id is 'What it waits for';

create table job_events (
  job_id      text not null references jobs on delete cascade,
  no          bigint generated always as identity,
  at          timestamptz not null default clock_timestamp(),
  from_state  text,
  to_state    text not null,
  epoch       bigint not null,
  worker      text,
  reason      text,
  primary key (job_id, no)
);
comment on table job_events is 'Every change of state, appended by a trigger';
comment on column job_events.job_id is 'The job';
comment on column job_events.no is 'Order';
comment on column job_events.at is 'When';
comment on column job_events.from_state is 'State before; null when it was submitted';
comment on column job_events.to_state is 'State after';
comment on column job_events.epoch is 'Fencing token then';
comment on column job_events.worker is 'Worker that held or took it';
comment on column job_events.reason is 'Error code, if any';

create table job_metrics (
  job_id  text not null references jobs on delete cascade,
  epoch   bigint not null,
  name    text not null check (length(name) <= 64),
  step    bigint not null,
  value   float8 not null,
  primary key (job_id, epoch, name, step)
);
comment on table job_metrics is 'Curves a job reports while it runs';
comment on column job_metrics.job_id is 'The job';
comment on column job_metrics.epoch is 'Attempt that reported it';
comment on column job_metrics.name is 'Such as loss_q';
comment on column job_metrics.step is 'Optimiser step';
comment on column job_metrics.value is 'The value';

-- What jobs leave ----------------------------------------------------------------------------

create table uploads (
  id            text primary key default new_id('up'),
  dataset_id    text not null references datasets on delete cascade,
  file_name     text not null,
  format        text not null check (format in ('hdf5', 'npz', 'jsonl', 'safetensors')),
  options       jsonb not null default '{}',
  blob_id       bigint not null unique references blobs,
  job_id        text not null unique references jobs on delete cascade,
  created_at    timestamptz not null default clock_timestamp()
);
comment on table uploads is 'Files received whole and waiting for their ingest job';
comment on column uploads.id is 'Public id';
comment on column uploads.dataset_id is 'Where its trajectories go';
comment on column uploads.file_name is 'Name used in errors';
comment on column uploads.format is 'How to read it';
comment on column uploads.options is 'Reader options';
comment on column uploads.blob_id is 'The bytes';
comment on column uploads.job_id is 'Its ingest job; the file is removed after that has ended';
comment on column uploads.created_at is 'When it arrived';

create table models (
  id          text primary key,
  job_id      text not null unique references jobs on delete cascade,
  epoch       bigint not null,
  dataset_id  text not null references datasets on delete cascade,
  role        text not null check (role in ('idm', 'policy')),
  algo        text not null,
  blob_id     bigint not null unique references blobs,
  sha256      bytea not null check (length(sha256) = 32),
  size_bytes  bigint not null,
  metrics     jsonb not null,
  created_at  timestamptz not null default clock_timestamp()
);
comment on table models is 'Trained networks: inverse dynamics models and policies';
comment on column models.id is 'mdl_ and the digits of the job that trained it';
comment on column models.job_id is 'That job';
comment on column models.epoch is 'Attempt that published it';
comment on column models.dataset_id is 'Dataset it was trained on';
comment on column models.role is 'idm or policy';
comment on column models.algo is 'Algorithm and profile';
comment on column models.blob_id is 'Weights, normalisation and action scaling, as safetensors';
comment on column models.sha256 is 'Digest of those bytes';
comment on column models.size_bytes is 'Length of those bytes';
comment on column models.metrics is 'Final metrics';
comment on column models.created_at is 'When it was published';

create table artifacts (
  job_id      text not null references jobs on delete cascade,
  name        text not null check (length(name) between 1 and 200),
  epoch       bigint not null,
  media_type  text not null,
  blob_id     bigint not null unique references blobs,
  size_bytes  bigint not null,
  created_at  timestamptz not null default clock_timestamp(),
  primary key (job_id, name)
);
comment on table artifacts is 'Files a job leaves: reports, exports';
comment on column artifacts.job_id is 'The job';
comment on column artifacts.name is 'File name';
comment on column artifacts.epoch is 'Attempt that published it';
comment on column artifacts.media_type is 'Its media type';
comment on column artifacts.blob_id is 'The bytes';
comment on column artifacts.size_bytes is 'Length of the bytes';
comment on column artifacts.created_at is 'When it was published';

create table label_segments (
  label_job_id  text not null references jobs on delete cascade,
  seq           integer not null check (seq >= 0),
  job_id        text not null references jobs on delete cascade,
  epoch         bigint not null,
  blob_id       bigint not null unique references blobs,
  sha256        bytea not null check (length(sha256) = 32),
  steps_n       bigint not null check (steps_n > 0),
  known_n       bigint not null check (known_n between 0 and steps_n),
  score_sum     float8 not null,
  primary key (label_job_id, seq, job_id, epoch)
);
comment on table label_segments is 'Proxy actions, one file per dataset segment; staged by shards, reachable only once published';
comment on column label_segments.label_job_id is 'The label job that will publish it';
comment on column label_segments.seq is 'Dataset segment it labels';
comment on column label_segments.job_id is 'The shard that wrote it';
comment on column label_segments.epoch is 'Attempt of the shard';
comment on column label_segments.blob_id is 'actions, std, epistemic, score, known, as safetensors';
comment on column label_segments.sha256 is 'Digest of the bytes';
comment on column label_segments.steps_n is 'Transitions in it';
comment on column label_segments.known_n is 'Transitions that could be labelled (their next state is known)';
comment on column label_segments.score_sum is 'Sum of the uncertainty scores over known_n';

create table label_sets (
  id          text primary key,
  dataset_id  text not null references datasets on delete cascade,
  job_id      text not null unique references jobs on delete cascade,
  epoch       bigint not null,
  segments_n  integer not null check (segments_n > 0),
  steps_n     bigint not null,
  known_n     bigint not null,
  mean_score  float8 not null,
  sha256      bytea not null check (length(sha256) = 32),
  created_at  timestamptz not null default clock_timestamp()
);
alter table datasets add foreign key (label_set_id) references label_sets on delete set null deferrable;
comment on table label_sets is 'Published, immutable proxy actions for the first segments_n segments of a dataset';
comment on column label_sets.id is 'ls_ and the digits of the label job';
comment on column label_sets.dataset_id is 'The dataset';
comment on column label_sets.job_id is 'Label job that published it';
comment on column label_sets.epoch is 'Attempt that published it';
comment on column label_sets.segments_n is 'Snapshot it covers';
comment on column label_sets.steps_n is 'Transitions covered';
comment on column label_sets.known_n is 'Transitions that have a proxy action';
comment on column label_sets.mean_score is 'Mean uncertainty score';
comment on column label_sets.sha256 is 'Digest over the digests of its segments in order';
comment on column label_sets.created_at is 'When it was published';

-- The jobs' law -------------------------------------------------------------------------------

create function job_is_final(state text) returns boolean language sql immutable
  return state in ('succeeded', 'failed', 'cancelled');
comment on function job_is_final is 'Whether a job in this state never changes again';

create function jobs_law() returns trigger language plpgsql as $$
begin
  if job_is_final(old.state) then
    raise exception 'job % is % and does not change any more', old.id, old.state using errcode = 'PX002';
  end if;
  if new.id <> old.id or new.kind <> old.kind or new.spec <> old.spec or new.created_at <> old.created_at
     or new.dataset_id is distinct from old.dataset_id or new.parent_id is distinct from old.parent_id then
    raise exception 'what job % is cannot be changed', old.id using errcode = 'PX002';
  end if;
  if new.state = 'running' and old.state = 'ready' then
    if new.epoch <> old.epoch + 1 then
      raise exception 'claiming job % needs epoch %', old.id, old.epoch + 1 using errcode = 'PX002';
    end if;
  elsif new.epoch <> old.epoch then
    raise exception 'the epoch of job % grows only when it is claimed', old.id using errcode = 'PX002';
  end if;
  if old.state = 'running' and new.state = 'running' and new.lease_owner <> old.lease_owner then
    raise exception 'job % is held by %', old.id, old.lease_owner using errcode = 'PX002';
  end if;
  if new.state <> old.state and not (
       (old.state = 'blocked' and new.state in ('ready', 'failed', 'cancelled'))
    or (old.state = 'blocked' and new.state = 'succeeded' and old.kind = 'pipeline')
    or (old.state = 'ready' and new.state in ('running', 'failed', 'cancelled') and old.kind <> 'pipeline')
    or (old.state = 'running' and new.state in ('ready', 'succeeded', 'failed', 'cancelled'))) then
    raise exception 'job % cannot go from % to %', old.id, old.state, new.state using errcode = 'PX002';
  end if;
  if new.state <> old.state and new.state = 'ready' then new.ready_at := clock_timestamp(); end if;
  if new.state <> old.state and job_is_final(new.state) then new.finished_at := clock_timestamp(); end if;
  if old.state = 'running' and new.state <> 'running' then
    new.lease_owner := null;
    new.lease_expires_at := null;
  end if;
  new.version := old.version + 1;
  return new;
end $$;
comment on function jobs_law is 'Refuses every illegal change of a job (PX002), sets times and version';
create trigger jobs_law before update on jobs for each row execute function jobs_law();

create function jobs_begin() returns trigger language plpgsql as $$
begin
  if new.kind = 'pipeline' then new.state := 'blocked'; end if;
  if new.state not in ('blocked', 'ready') or new.epoch <> 0 or new.attempt <> 0 then
    raise exception 'a job begins blocked or ready, with epoch and attempt 0' using errcode = 'PX002';
  end if;
  if new.state = 'ready' then new.ready_at := clock_timestamp(); end if;
  return new;
end $$;
comment on function jobs_begin is 'How a job may come into being';
create trigger jobs_begin before insert on jobs for each row execute function jobs_begin();

create function jobs_record() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    insert into job_events (job_id, from_state, to_state, epoch) values (new.id, null, new.state, new.epoch);
  elsif new.state <> old.state then
    insert into job_events (job_id, from_state, to_state, epoch, worker, reason)
    values (new.id, old.state, new.state, new.epoch, coalesce(new.lease_owner, old.lease_owner),
            case when old.state = 'running' or new.state in ('failed', 'cancelled') then new.reason end);
  end if;
  return null;
end $$;
comment on function jobs_record is 'Appends every change of state to job_events';
create trigger jobs_record after insert or update on jobs for each row execute function jobs_record();

-- Dependants are locked in order of id before their other needs are looked at, so of two needs that
-- end at once the later one sees the earlier one's end and nobody stays blocked. The end of one may have ended
-- another of the list already (a diamond), so each update looks at the state again.
create function jobs_resolve() returns trigger language plpgsql as $$
declare
  waiting jobs;
begin
  for waiting in
    select j.* from jobs j join job_deps d on d.job_id = j.id
    where d.needs_id = new.id and j.state = 'blocked' order by j.id for no key update of j
  loop
    if new.state = 'cancelled' then
      update jobs set state = 'cancelled', reason = 'cancelled' where id = waiting.id and state = 'blocked';
    elsif new.state = 'failed' then
      -- The root cause travels unchanged, however long the chain.
      update jobs set state = 'failed', reason = 'dependency_failed',
        error = case when new.reason = 'dependency_failed' then new.error else
          jsonb_build_object('code', 'dependency_failed', 'job', new.id, 'cause', new.reason,
            'detail', format('%s %s failed: %s', new.kind, new.id,
                             coalesce(new.error->>'detail', new.reason, 'no reason was given')))
          end
      where id = waiting.id and state = 'blocked';
    elsif not exists (select from job_deps d join jobs n on n.id = d.needs_id
                      where d.job_id = waiting.id and n.state <> 'succeeded') then
      if waiting.kind = 'pipeline' then
        update jobs set state = 'succeeded',
          result = (select r.result from job_deps d join jobs r on r.id = d.needs_id
                    where d.job_id = waiting.id and r.kind = 'report' limit 1)
        where id = waiting.id and state = 'blocked';
      else
        update jobs set state = 'ready' where id = waiting.id and state = 'blocked';
      end if;
    end if;
  end loop;
  return null;
end $$;
comment on function jobs_resolve is 'When a job ends: readies, fails or cancels what waited for it';
create trigger jobs_resolve after update on jobs for each row
  when (old.state <> new.state and new.state in ('succeeded', 'failed', 'cancelled'))
  execute function jobs_resolve();

create function job_fence(job text, token bigint) returns void language plpgsql as $$
begin
  perform from jobs where id = job and epoch = token and state = 'running';
  if not found then
    raise exception 'job % is not running under epoch %', job, token using errcode = 'PX001';
  end if;
end $$;
comment on function job_fence is 'Refuses (PX001) whoever does not hold the job now';

create function fence_row() returns trigger language plpgsql as $$
begin
  perform job_fence(new.job_id, new.epoch);
  return new;
end $$;
comment on function fence_row is 'Every row written on a job''s behalf passes the fence';
create trigger fence before insert or update on job_metrics for each row execute function fence_row();
create trigger fence before insert or update on models for each row execute function fence_row();
create trigger fence before insert or update on artifacts for each row execute function fence_row();
create trigger fence before insert or update on label_segments for each row execute function fence_row();
create trigger fence before insert or update on label_sets for each row execute function fence_row();

create function attach_blob() returns trigger language plpgsql as $$
begin
  update blobs set attached = true where id = new.blob_id and not attached;
  return null;
end $$;
comment on function attach_blob is 'Marks a blob as taken up, so that the janitor leaves it';
create function drop_blob() returns trigger language plpgsql as $$
begin
  delete from blobs where id = old.blob_id;
  return null;
end $$;
comment on function drop_blob is 'A blob goes with the one row that refers to it';
create trigger attach after insert on segments for each row execute function attach_blob();
create trigger attach after insert on label_segments for each row execute function attach_blob();
create trigger attach after insert on models for each row execute function attach_blob();
create trigger attach after insert on artifacts for each row execute function attach_blob();
create trigger attach after insert on uploads for each row execute function attach_blob();
create trigger drop_blob after delete on segments for each row execute function drop_blob();
create trigger drop_blob after delete on label_segments for each row execute function drop_blob();
create trigger drop_blob after delete on models for each row execute function drop_blob();
create trigger drop_blob after delete on artifacts for each row execute function drop_blob();
create trigger drop_blob after delete on uploads for each row execute function drop_blob();

create view label_rows as
  select l.* from label_segments l join jobs shard on shard.id = l.job_id
  where shard.state = 'succeeded' and shard.epoch = l.epoch
    and exists (select from job_deps d where d.job_id = l.label_job_id and d.needs_id = l.job_id);
comment on view label_rows is 'Label segments that count: written by the attempt under which their shard succeeded';

-- Documents ------------------------------------------------------------------------------------

create function shown_state(state text) returns text language sql immutable
  return case state when 'ready' then 'queued' else state end;
comment on function shown_state is 'What users call a state';

create function job_state_shown(j jobs) returns text language sql stable
  return case when j.state = 'blocked' and j.kind = 'pipeline' then
                case when exists (select from jobs c where c.parent_id = j.id and c.started_at is not null)
                  then 'running' else 'queued' end
              else shown_state(j.state) end;
comment on function job_state_shown is 'The state as users see it: ready is queued, a pipeline runs when a child has begun';

-- What is left takes as long per step as what this attempt has done.
create function job_progress(j jobs) returns jsonb language sql stable
  return case when j.kind = 'pipeline' then
    (select jsonb_build_object('step', count(*) filter (where c.state = 'succeeded'), 'total', count(*), 'eta_s', null)
     from jobs c where c.parent_id = j.id)
  else jsonb_build_object('step', j.step, 'total', j.total, 'eta_s',
    case when j.state = 'running' and j.step > 0 and j.total >= j.step then
      round((extract(epoch from clock_timestamp() - j.started_at) * (j.total - j.step) / j.step)::numeric, 1) end)
  end;
comment on function job_progress is 'step of total and the seconds left; of a pipeline, its children that succeeded';

create function job_summary(j jobs) returns jsonb language sql stable
  return jsonb_build_object(
    'id', j.id, 'kind', j.kind, 'name', j.name, 'state', job_state_shown(j), 'phase', j.phase, 'reason', j.reason,
    'attempt', j.attempt, 'max_attempts', j.max_attempts, 'epoch', j.epoch, 'dataset_id', j.dataset_id,
    'parent_id', j.parent_id, 'priority', j.priority, 'progress', job_progress(j),
    'cancel_requested', j.cancel_requested, 'created_at', rfc3339(j.created_at), 'started_at', rfc3339(j.started_at),
    'finished_at', rfc3339(j.finished_at))
  || case when j.state <> 'succeeded' then '{}'
          when j.kind in ('train_idm', 'train_policy') then jsonb_build_object('model_id', 'mdl_' || substr(j.id, 5))
          when j.kind = 'label' then jsonb_build_object('label_set_id', 'ls_' || substr(j.id, 5))
          else '{}' end;
comment on function job_summary is 'A job as lists show it';

create function job_version(j jobs) returns bigint language sql stable
  return j.version + coalesce((select sum(c.version) from jobs c where c.parent_id = j.id), 0)::bigint;
comment on function job_version is 'The ETag: a pipeline changes with its children';

create function dataset_summary(d datasets) returns jsonb language sql stable
  return jsonb_build_object(
    'id', d.id, 'name', d.name, 'env', d.env, 'obs_dim', d.obs_dim, 'act_dim', d.act_dim,
    'act_low', d.act_low, 'act_high', d.act_high, 'segments', d.segments_n, 'trajectories', d.trajectories_n,
    'steps', d.steps_n, 'labelled_trajectories', d.labelled_n, 'labelled_steps', d.labelled_steps_n,
    'size_bytes', d.size_bytes, 'label_set_id', d.label_set_id, 'version', d.version,
    'created_at', rfc3339(d.created_at), 'updated_at', rfc3339(d.updated_at));
comment on function dataset_summary is 'A dataset as lists show it';
