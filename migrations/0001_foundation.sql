-- serves: 1
-- The tables of Proxact, with their constraints and indexes. Functions, triggers and views are in schema/functions.
--
-- PostgreSQL keeps everything that must survive. A server writes what clients ask for; a worker's child process writes what
-- its job makes, and names (job_id, epoch) in each row, so that triggers can refuse it once the lease is lost. All times are
-- clock_timestamp() of this database; no other machine's clock decides anything.

-- The schema itself --------------------------------------------------------------------------------

-- `proxact-server migrate` writes it.
create table schema_functions (
  name        text primary key,
  sha256      text not null,
  version     integer not null,
  applied_at  timestamptz not null default clock_timestamp()
);
comment on table schema_functions is 'Files of schema/functions that have been applied';
comment on column schema_functions.name is 'Name of the file';
comment on column schema_functions.sha256 is 'Digest of the file: another one means that migrate applies all of them again';
comment on column schema_functions.version is 'Version of the schema that the build knew which applied it';
comment on column schema_functions.applied_at is 'When it was applied';

-- Each row begins a life of the database; incarnation_begin() alone writes it. After a restore, or a failover that lost the
-- last commits, epochs and blob numbers that were given out would come again; the next incarnation starts far beyond them.
create table incarnations (
  n           bigint primary key check (n > 0),
  id          text not null unique default new_id('inc'),
  place       text not null,
  epoch_base  bigint not null check (epoch_base >= 0),
  reason      text not null,
  began_at    timestamptz not null default clock_timestamp()
);
comment on table incarnations is 'Lives of this database: the last one is now';
comment on column incarnations.n is 'Order';
comment on column incarnations.id is 'Random, so that two restores of one backup are told apart';
comment on column incarnations.place is 'database_place() in it: another one means another life';
comment on column incarnations.epoch_base is 'Claims get epochs above this';
comment on column incarnations.reason is 'What began it';
comment on column incarnations.began_at is 'When it began';

-- Access and requests ------------------------------------------------------------------------------

-- `proxact-server token create` and a server with a token file write it. Workers cannot read it.
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

-- The server writes an answer in the transaction of the request. The janitor, which runs in workers, deletes old ones.
create table idempotency_keys (
  key          text primary key check (length(key) between 1 and 255),
  fingerprint  bytea not null check (length(fingerprint) = 32),
  status       integer not null check (status between 200 and 299),
  head         jsonb not null,
  body         bytea not null,
  created_at   timestamptz not null default clock_timestamp()
);
create index idempotency_keys_created on idempotency_keys (created_at);
comment on table idempotency_keys is 'Answers to requests that changed something, written together with what they did';
comment on column idempotency_keys.key is 'The client''s Idempotency-Key';
comment on column idempotency_keys.fingerprint is 'SHA-256 of the request: method, path, headers that matter, body';
comment on column idempotency_keys.status is 'Status of the answer';
comment on column idempotency_keys.head is 'Headers of the answer';
comment on column idempotency_keys.body is 'Body of the answer';
comment on column idempotency_keys.created_at is 'When it was carried out; kept for 24 hours';

-- Bulk bytes ---------------------------------------------------------------------------------------

-- Servers write uploads and segments, workers what jobs make. One row of another table refers to a blob, and triggers
-- (schema/functions/blobs.sql) delete the blob with that row. The janitor deletes blobs that no row ever referred to.
create table blobs (
  id          bigint generated always as identity primary key,
  size_bytes  bigint not null check (size_bytes >= 0),
  sha256      bytea check (length(sha256) = 32),
  attached    boolean not null default false,
  created_at  timestamptz not null default clock_timestamp()
);
create index blobs_loose on blobs (created_at) where not attached;
comment on table blobs is 'Byte strings: segments, label segments, models, artifacts, uploads';
comment on column blobs.id is 'Internal number; never shown';
comment on column blobs.size_bytes is 'Length of all chunks together';
comment on column blobs.sha256 is 'Digest of the whole content; null when it came in parts';
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

-- Datasets -----------------------------------------------------------------------------------------

-- A server makes and deletes the row. An append, in a server or in an ingest job, adds to its counts, and a label job sets its
-- label set.
create table datasets (
  id                text primary key default new_id('ds'),
  name              text not null unique check (length(name) between 1 and 200),
  obs_dim           integer not null check (obs_dim between 1 and 4096),
  act_dim           integer not null check (act_dim between 1 and 1024),
  act_low           real[] not null,
  act_high          real[] not null,
  act_count         integer not null default 0 check (act_count = 0 or act_count between 2 and 1024),
  env               text,
  segments_n        integer not null default 0 check (segments_n >= 0),
  trajectories_n    bigint not null default 0 check (trajectories_n >= 0),
  steps_n           bigint not null default 0 check (steps_n >= 0),
  labelled_steps_n  bigint not null default 0 check (labelled_steps_n between 0 and steps_n),
  labelled_n        bigint not null default 0 check (labelled_n between 0 and trajectories_n),
  class_counts      bigint[],
  obs_n             bigint not null default 0 check (obs_n >= 0),
  obs_mean          float8[],
  obs_m2            float8[],
  size_bytes        bigint not null default 0 check (size_bytes >= 0),
  label_set_id      text, -- references label_sets, see below
  version           bigint not null default 1,
  created_at        timestamptz not null default clock_timestamp(),
  updated_at        timestamptz not null default clock_timestamp(),
  check (cardinality(act_low) = act_dim and cardinality(act_high) = act_dim),
  check (act_count = 0 or (act_dim = 1 and act_low[1] = 0 and act_high[1] = act_count - 1))
);
comment on table datasets is 'Append-only lists of sealed segments; the first n segments are a snapshot';
comment on column datasets.id is 'Public id';
comment on column datasets.name is 'Unique name given by the user';
comment on column datasets.obs_dim is 'O, observation dimensions';
comment on column datasets.act_dim is 'A, action dimensions';
comment on column datasets.act_low is 'Lowest action per dimension';
comment on column datasets.act_high is 'Highest action per dimension';
comment on column datasets.act_count is 'Discrete actions, 0 to act_count - 1; 0: actions are continuous';
comment on column datasets.env is 'Simulator the data came from, when policies can be rolled out in it';
comment on column datasets.segments_n is 'Sealed segments';
comment on column datasets.trajectories_n is 'Trajectories in them';
comment on column datasets.steps_n is 'Transitions in them';
comment on column datasets.labelled_steps_n is 'Transitions with a true action';
comment on column datasets.labelled_n is 'Trajectories with at least one true action';
comment on column datasets.class_counts is 'Labelled steps of each discrete action; null: continuous, or nothing appended yet';
comment on column datasets.obs_n is 'Observation rows, final observations included';
comment on column datasets.obs_mean is 'Mean observation per dimension, float64';
comment on column datasets.obs_m2 is 'Sum of squared deviations per dimension, float64 (Chan et al. 1979)';
comment on column datasets.size_bytes is 'Bytes of all segments';
comment on column datasets.label_set_id is 'The current label set: flipped when one is published';
comment on column datasets.version is 'Grows with every change; the ETag';
comment on column datasets.created_at is 'When it was made';
comment on column datasets.updated_at is 'When it last changed';

-- An append writes its segments and their trajectories in one transaction with the dataset's counts.
create table segments (
  dataset_id        text not null references datasets on delete cascade,
  seq               integer not null check (seq >= 0),
  blob_id           bigint not null unique references blobs,
  sha256            bytea not null check (length(sha256) = 32),
  size_bytes        bigint not null check (size_bytes > 0),
  first_trajectory  bigint not null check (first_trajectory >= 0),
  trajectories_n    integer not null check (trajectories_n > 0),
  steps_n           bigint not null check (steps_n > 0),
  labelled_steps_n  bigint not null check (labelled_steps_n between 0 and steps_n),
  created_at        timestamptz not null default clock_timestamp(),
  primary key (dataset_id, seq)
);
comment on table segments is 'Sealed safetensors files of whole trajectories, about 4 MiB each, in upload order';
comment on column segments.dataset_id is 'The dataset';
comment on column segments.seq is 'Position in the dataset, from 0 without gaps';
comment on column segments.blob_id is 'The bytes';
comment on column segments.sha256 is 'Digest of the bytes';
comment on column segments.size_bytes is 'Length of the bytes';
comment on column segments.first_trajectory is 'Number in the dataset of its first trajectory';
comment on column segments.trajectories_n is 'Trajectories in it';
comment on column segments.steps_n is 'Transitions in it';
comment on column segments.labelled_steps_n is 'Transitions with a true action';
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
  digest            uuid,
  primary key (dataset_id, n)
);
create index trajectories_digest on trajectories (dataset_id, digest) where digest is not null;
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
comment on column trajectories.digest is 'First half of the SHA-256 of all that its segment keeps of it: tells trajectories that are uploaded twice';

-- A server makes and deletes the row; label jobs read it.
create table simulators (
  id          text primary key default new_id('sim'),
  name        text not null unique check (length(name) between 1 and 200),
  mjcf        text not null check (octet_length(mjcf) between 1 and 524288),
  layout      jsonb not null check (jsonb_typeof(layout) = 'object'),
  obs_dim     integer not null check (obs_dim between 1 and 512),
  act_dim     integer not null check (act_dim between 1 and 64),
  nq          integer not null check (nq >= 0),
  nv          integer not null check (nv >= 0),
  nu          integer not null check (nu >= 0),
  time_step   float8 not null check (time_step > 0),
  step_s      float8 not null check (step_s >= 0),
  token_id    text,
  created_at  timestamptz not null default clock_timestamp()
);
create index simulators_created on simulators (created_at desc, id desc);
create index simulators_of_token on simulators (token_id) where token_id is not null;
comment on table simulators is 'Models that users bring, immutable; they are compiled and run in locked-up helper processes only';
comment on column simulators.id is 'Public id';
comment on column simulators.name is 'Unique name given by the user';
comment on column simulators.mjcf is 'The model, a self-contained MJCF text';
comment on column simulators.layout is 'observations, actions, frame_skip, time_step, delay, as given with defaults';
comment on column simulators.obs_dim is 'O, observation dimensions of the layout';
comment on column simulators.act_dim is 'A, action dimensions of the layout';
comment on column simulators.nq is 'Positions of the compiled model';
comment on column simulators.nv is 'Its velocities';
comment on column simulators.nu is 'Its controls';
comment on column simulators.time_step is 'Seconds of a physics step';
comment on column simulators.step_s is 'Processor time of a physics step when it was posted';
comment on column simulators.token_id is 'Token that posted it, so that a token''s are bounded';
comment on column simulators.created_at is 'When it was made';

-- Jobs ---------------------------------------------------------------------------------------------

-- Each worker writes its own row; the janitor deletes rows of workers that have gone.
create table workers (
  id            text primary key,
  host          text not null,
  pid           integer not null,
  version       text not null,
  memory_bytes  bigint not null default 0 check (memory_bytes >= 0),
  draining      boolean not null default false,
  started_at    timestamptz not null default clock_timestamp(),
  last_seen_at  timestamptz not null default clock_timestamp()
);
comment on table workers is 'Worker processes that have shown themselves';
comment on column workers.id is 'host:pid:random, chosen by the worker';
comment on column workers.host is 'Its host name';
comment on column workers.pid is 'Its process id there';
comment on column workers.version is 'Its build';
comment on column workers.memory_bytes is 'Memory that a job''s process may take there; 0: not told';
comment on column workers.draining is 'Whether it takes no more jobs';
comment on column workers.started_at is 'When it registered';
comment on column workers.last_seen_at is 'Its last heartbeat';

-- A server submits and cancels jobs; a worker claims a job, extends its lease and ends it. Triggers check every change and end
-- what depends on an ended job (schema/functions/jobs.sql).
create table jobs (
  id                text primary key default new_id('job'),
  kind              text not null check (kind ~ '^[a-z][a-z0-9_]{0,30}$'), -- schema/kinds.def lists them
  name              text not null default '',
  -- what is to be done, for whom; fixed at submission
  spec              jsonb not null check (jsonb_typeof(spec) = 'object'),
  revision          integer not null default 0 check (revision >= 0),
  dataset_id        text references datasets on delete cascade,
  parent_id         text references jobs on delete cascade,
  token_id          text,
  dedupe_key        text,
  priority          integer not null default 0 check (priority between -100 and 100),
  memory_bytes      bigint not null default 0 check (memory_bytes >= 0),
  limit_s           bigint not null default 0 check (limit_s >= 0),
  max_attempts      integer not null default 5 check (max_attempts between 1 and 100),
  -- where it stands, and who holds it
  state             text not null default 'ready'
                    check (state in ('blocked', 'ready', 'running', 'succeeded', 'failed', 'cancelled')),
  attempt           integer not null default 0,
  lost_leases       integer not null default 0 check (lost_leases >= 0),
  run_after         timestamptz not null default clock_timestamp(),
  epoch             bigint not null default 0 check (epoch >= 0),
  lease_owner       text,
  lease_expires_at  timestamptz,
  cancel_requested  boolean not null default false,
  -- what it has done so far, and how it ended
  phase             text,
  step              bigint not null default 0 check (step >= 0),
  total             bigint not null default 0 check (total >= 0),
  resumed_from      bigint check (resumed_from > 0),
  reason            text,
  error             jsonb,
  result            jsonb,
  version           bigint not null default 1,
  created_at        timestamptz not null default clock_timestamp(),
  ready_at          timestamptz,
  started_at        timestamptz,
  finished_at       timestamptz,
  constraint jobs_dedupe_length check (length(dedupe_key) between 1 and 200),
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
create index jobs_finished on jobs (finished_at) where finished_at is not null;
create index jobs_of_token on jobs (token_id) where token_id is not null and state in ('blocked', 'ready', 'running');
create unique index jobs_dedupe on jobs (dedupe_key)
  where dedupe_key is not null and state in ('blocked', 'ready', 'running');
comment on table jobs is 'Work to do; triggers check every change of it';
comment on column jobs.id is 'Public id; its model is mdl_ and its label set ls_ with the same digits';
comment on column jobs.kind is 'What is to be done; a pipeline is never run, only resolved from its children';
comment on column jobs.name is 'Its role in the pipeline, such as train/ss/td3bc/0';
comment on column jobs.spec is 'Validated parameters, defaults filled in';
comment on column jobs.revision is 'Revision of its kind''s spec: only a worker that knows it, or a later one, claims the job';
comment on column jobs.dataset_id is 'Dataset it works on';
comment on column jobs.parent_id is 'Pipeline it belongs to';
comment on column jobs.token_id is 'Token that submitted it; null: the service itself';
comment on column jobs.dedupe_key is 'At most one unfinished job has it';
comment on column jobs.priority is 'Higher is claimed first';
comment on column jobs.memory_bytes is 'Estimate of its process''s memory: only a worker that has so much claims it; 0: not known';
comment on column jobs.limit_s is 'Seconds after which an attempt is ended for good; 0: none';
comment on column jobs.max_attempts is 'Claims after which it fails';
comment on column jobs.state is 'blocked -> ready -> running -> succeeded | failed | cancelled; running -> ready again';
comment on column jobs.attempt is 'Times it was claimed, less those given back';
comment on column jobs.lost_leases is 'Leases that ran out; three make it fail';
comment on column jobs.run_after is 'Not claimed before (back-off)';
comment on column jobs.epoch is 'Fencing token: grows by one with each claim';
comment on column jobs.lease_owner is 'Worker that holds it';
comment on column jobs.lease_expires_at is 'When the reaper may take it back';
comment on column jobs.cancel_requested is 'Told to the worker at its next heartbeat';
comment on column jobs.phase is 'What it is doing now, one word';
comment on column jobs.step is 'Progress within total';
comment on column jobs.total is 'Steps of the whole, 0 while unknown';
comment on column jobs.resumed_from is 'Step of the checkpoint that the current or last attempt went on from; null: from the start';
comment on column jobs.reason is 'Error code of the last failure or loss';
comment on column jobs.error is 'Problem details of the last failure';
comment on column jobs.result is 'What it found; only when succeeded';
comment on column jobs.version is 'Grows with every change; the ETag';
comment on column jobs.created_at is 'When it was submitted';
comment on column jobs.ready_at is 'When it last became ready';
comment on column jobs.started_at is 'When its current or last attempt began';
comment on column jobs.finished_at is 'When it ended for good';

-- A server writes it with the submission.
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

-- The trigger jobs_log_event alone writes it.
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

-- The job's child process writes it while it runs.
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

-- A training's child process writes it. A trigger deletes it when the job has succeeded or was cancelled.
create table job_checkpoints (
  job_id      text not null references jobs on delete cascade,
  epoch       bigint not null,
  step        bigint not null check (step > 0),
  blob_id     bigint not null unique references blobs,
  sha256      bytea not null check (length(sha256) = 32),
  size_bytes  bigint not null check (size_bytes > 0),
  profile     text not null,
  created_at  timestamptz not null default clock_timestamp(),
  primary key (job_id, epoch, step)
);
comment on table job_checkpoints is 'What a training needs to go on: the last two of a job, until it succeeds';
comment on column job_checkpoints.job_id is 'The job';
comment on column job_checkpoints.epoch is 'Attempt that kept it';
comment on column job_checkpoints.step is 'Steps behind it';
comment on column job_checkpoints.blob_id is 'Parameters, optimiser, counters, as safetensors';
comment on column job_checkpoints.sha256 is 'Digest of those bytes';
comment on column job_checkpoints.size_bytes is 'Length of those bytes';
comment on column job_checkpoints.profile is 'Instruction set and libraries: going on under others would give other bits';
comment on column job_checkpoints.created_at is 'When it was kept';

-- What jobs take and leave -------------------------------------------------------------------------

-- A server makes the row and appends the parts. The ingest job takes the bytes; the janitor deletes what has expired.
create table uploads (
  id              text primary key default new_id('up'),
  dataset_id      text not null references datasets on delete cascade,
  file_name       text not null,
  format          text not null check (format ~ '^[a-z][a-z0-9_]{0,30}$'), -- schema/uploads.def lists them
  options         jsonb not null default '{}',
  metadata        text not null default '',
  size_bytes      bigint not null default 0 check (size_bytes >= 0),
  received_bytes  bigint not null default 0 check (received_bytes >= 0),
  parts_n         integer not null default 0 check (parts_n >= 0),
  blob_id         bigint unique references blobs,
  job_id          text unique references jobs on delete cascade,
  created_at      timestamptz not null default clock_timestamp(),
  expires_at      timestamptz not null default clock_timestamp() + interval '1 day',
  check (received_bytes <= size_bytes),
  check (job_id is null or received_bytes = size_bytes)
);
create index uploads_expires on uploads (expires_at);
comment on table uploads is 'Files on their way into a dataset: being received in parts, or whole and waiting for their ingest job';
comment on column uploads.id is 'Public id';
comment on column uploads.dataset_id is 'Where its trajectories go';
comment on column uploads.file_name is 'Name used in errors';
comment on column uploads.format is 'How to read it';
comment on column uploads.options is 'Reader options';
comment on column uploads.metadata is 'Upload-Metadata as it came';
comment on column uploads.size_bytes is 'Length announced';
comment on column uploads.received_bytes is 'Length that is stored: the tus offset';
comment on column uploads.parts_n is 'Chunks of the blob so far';
comment on column uploads.blob_id is 'The bytes received so far; null once they are not needed any more';
comment on column uploads.job_id is 'Its ingest job, made with the last byte';
comment on column uploads.created_at is 'When it was begun';
comment on column uploads.expires_at is 'When what was received is dropped, unless more arrives; for a whole file, when its row is';

-- Trainings write it, in the transaction in which they succeed.
create table models (
  id          text primary key,
  job_id      text not null unique references jobs on delete cascade,
  epoch       bigint not null,
  dataset_id  text not null references datasets on delete cascade,
  role        text not null check (role in ('idm', 'policy', 'inverse')),
  algo        text not null,
  blob_id     bigint not null unique references blobs,
  sha256      bytea not null check (length(sha256) = 32),
  size_bytes  bigint not null,
  metrics     jsonb not null,
  created_at  timestamptz not null default clock_timestamp()
);
comment on table models is 'Trained networks: inverse dynamics models, policies and nets that invert a simulator';
comment on column models.id is 'mdl_ and the digits of the job that trained it';
comment on column models.job_id is 'That job';
comment on column models.epoch is 'Attempt that published it';
comment on column models.dataset_id is 'Dataset it was trained on';
comment on column models.role is 'idm, policy or inverse';
comment on column models.algo is 'Algorithm and profile';
comment on column models.blob_id is 'Weights, normalisation and action scaling, as safetensors';
comment on column models.sha256 is 'Digest of those bytes';
comment on column models.size_bytes is 'Length of those bytes';
comment on column models.metrics is 'Final metrics';
comment on column models.created_at is 'When it was published';

-- Report and export jobs write it.
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

-- Shards write it. The view label_rows (schema/functions/labels.sql) says which rows count.
create table label_segments (
  label_job_id  text not null references jobs on delete cascade,
  seq           integer not null check (seq >= 0),
  job_id        text not null references jobs on delete cascade,
  epoch         bigint not null,
  blob_id       bigint not null unique references blobs,
  sha256        bytea not null check (length(sha256) = 32),
  profile       text not null default '',
  steps_n       bigint not null check (steps_n > 0),
  known_n       bigint not null check (known_n between 0 and steps_n),
  score_sum     float8 not null,
  verified_n    bigint check (verified_n between 0 and known_n),
  simulated_n   bigint check (simulated_n between 0 and known_n),
  residual_sum  float8 check (residual_sum >= 0),
  primary key (label_job_id, seq, job_id, epoch)
);
comment on table label_segments is 'Proxy actions, one file per dataset segment; staged by shards, reachable only once published';
comment on column label_segments.label_job_id is 'The label job that will publish it';
comment on column label_segments.seq is 'Dataset segment it labels';
comment on column label_segments.job_id is 'The shard that wrote it';
comment on column label_segments.epoch is 'Attempt of the shard';
comment on column label_segments.blob_id is 'actions, std, epistemic, score, known, as safetensors';
comment on column label_segments.sha256 is 'Digest of the bytes';
comment on column label_segments.profile is 'Instruction set and libraries it was computed under: the shard''s next attempt keeps rows of its own';
comment on column label_segments.steps_n is 'Transitions in it';
comment on column label_segments.known_n is 'Transitions that could be labelled (their next state is known)';
comment on column label_segments.score_sum is 'Sum of the uncertainty scores over known_n';
comment on column label_segments.verified_n is 'Labels that a simulator verified; null, as the next two: none took part';
comment on column label_segments.simulated_n is 'Labels that are the simulator''s own';
comment on column label_segments.residual_sum is 'Sum of residuals over known_n, each counted as obs_dim at most';

-- Label jobs write it, in the transaction in which they succeed.
create table label_sets (
  id             text primary key,
  dataset_id     text not null references datasets on delete cascade,
  job_id         text not null unique references jobs on delete cascade,
  epoch          bigint not null,
  segments_n     integer not null check (segments_n > 0),
  steps_n        bigint not null,
  known_n        bigint not null,
  mean_score     float8 not null,
  verified_n     bigint,
  simulated_n    bigint,
  mean_residual  float8,
  sha256         bytea not null check (length(sha256) = 32),
  created_at     timestamptz not null default clock_timestamp()
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
comment on column label_sets.verified_n is 'Proxy actions that a simulator verified; null, as the next two: none took part';
comment on column label_sets.simulated_n is 'Proxy actions that are the simulator''s own';
comment on column label_sets.mean_residual is 'Mean residual, each counted as obs_dim at most';
comment on column label_sets.sha256 is 'Digest over the digests of its segments in order';
comment on column label_sets.created_at is 'When it was published';
