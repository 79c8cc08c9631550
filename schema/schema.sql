-- Made by 'make schema' from migrations/ and schema/functions/; do not edit.

CREATE FUNCTION public.attach_blob() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  update blobs set attached = true where id = new.blob_id and not attached;
  return null;
end $$;

COMMENT ON FUNCTION public.attach_blob() IS 'Marks a blob as taken up, so that the janitor leaves it';

CREATE FUNCTION public.check_fence() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  perform job_fence(new.job_id, new.epoch);
  return new;
end $$;

COMMENT ON FUNCTION public.check_fence() IS 'Every row written on a job''s behalf passes the fence';

CREATE FUNCTION public.check_fence_at_commit() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  perform from jobs where id = new.job_id and epoch = new.epoch and state in ('running', 'succeeded') for share;
  if not found then
    raise exception 'job % was taken from epoch % before the commit', new.job_id, new.epoch using errcode = 'PX001';
  end if;
  return null;
end $$;

COMMENT ON FUNCTION public.check_fence_at_commit() IS 'Every row written on a job''s behalf passes the fence again when it is committed';

CREATE FUNCTION public.cursor_id(place text) RETURNS text
    LANGUAGE sql IMMUTABLE
    RETURN split_part(place, '.'::text, 2);

COMMENT ON FUNCTION public.cursor_id(place text) IS 'The id in a cursor';

CREATE FUNCTION public.cursor_of(at timestamp with time zone, id text) RETURNS text
    LANGUAGE sql IMMUTABLE
    RETURN ((((EXTRACT(epoch FROM at) * (1000000)::numeric))::bigint || '.'::text) || id);

COMMENT ON FUNCTION public.cursor_of(at timestamp with time zone, id text) IS 'Where a page of a list by time ends: microseconds and id';

CREATE FUNCTION public.cursor_time(place text) RETURNS timestamp with time zone
    LANGUAGE sql IMMUTABLE
    RETURN ('1970-01-01 00:00:00+00'::timestamp with time zone + (((split_part(place, '.'::text, 1))::bigint)::double precision * '00:00:00.000001'::interval));

COMMENT ON FUNCTION public.cursor_time(place text) IS 'The time in a cursor';

CREATE FUNCTION public.new_id(prefix text) RETURNS text
    LANGUAGE sql
    RETURN ((prefix || '_'::text) || "left"(replace((gen_random_uuid())::text, '-'::text, ''::text), 20));

COMMENT ON FUNCTION public.new_id(prefix text) IS 'A fresh random id such as ds_1b9d6bcd0f3e4a5b8c7d';

CREATE TABLE public.incarnations (
    n bigint NOT NULL,
    id text DEFAULT public.new_id('inc'::text) NOT NULL,
    place text NOT NULL,
    epoch_base bigint NOT NULL,
    reason text NOT NULL,
    began_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT incarnations_epoch_base_check CHECK ((epoch_base >= 0)),
    CONSTRAINT incarnations_n_check CHECK ((n > 0))
);

COMMENT ON TABLE public.incarnations IS 'Lives of this database: the last one is now';

COMMENT ON COLUMN public.incarnations.n IS 'Order';

COMMENT ON COLUMN public.incarnations.id IS 'Random, so that two restores of one backup are told apart';

COMMENT ON COLUMN public.incarnations.place IS 'database_place() in it: another one means another life';

COMMENT ON COLUMN public.incarnations.epoch_base IS 'Claims get epochs above this';

COMMENT ON COLUMN public.incarnations.reason IS 'What began it';

COMMENT ON COLUMN public.incarnations.began_at IS 'When it began';

CREATE FUNCTION public.database_place() RETURNS text
    LANGUAGE sql
    RETURN (((((((SELECT pg_control_system.system_identifier FROM pg_control_system() pg_control_system(pg_control_version, catalog_version_no, system_identifier, pg_control_last_modified)) || ' '::text) || "left"(pg_walfile_name(pg_current_wal_insert_lsn()), 8)) || ' '::text) || (SELECT pg_database.oid FROM pg_database WHERE (pg_database.datname = current_database()))) || ' '::text) || ('public.incarnations'::regclass)::oid);

COMMENT ON FUNCTION public.database_place() IS 'System identifier, timeline, database and table: which life of which database this is';

CREATE FUNCTION public.rfc3339(at timestamp with time zone) RETURNS text
    LANGUAGE sql STABLE
    RETURN to_char((at AT TIME ZONE 'UTC'::text), 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'::text);

COMMENT ON FUNCTION public.rfc3339(at timestamp with time zone) IS 'A time as documents show it: 2026-01-31T12:34:56.789Z';

CREATE TABLE public.datasets (
    id text DEFAULT public.new_id('ds'::text) NOT NULL,
    name text NOT NULL,
    obs_dim integer NOT NULL,
    act_dim integer NOT NULL,
    act_low real[] NOT NULL,
    act_high real[] NOT NULL,
    act_count integer DEFAULT 0 NOT NULL,
    env text,
    segments_n integer DEFAULT 0 NOT NULL,
    trajectories_n bigint DEFAULT 0 NOT NULL,
    steps_n bigint DEFAULT 0 NOT NULL,
    labelled_steps_n bigint DEFAULT 0 NOT NULL,
    labelled_n bigint DEFAULT 0 NOT NULL,
    class_counts bigint[],
    obs_n bigint DEFAULT 0 NOT NULL,
    obs_mean double precision[],
    obs_m2 double precision[],
    size_bytes bigint DEFAULT 0 NOT NULL,
    label_set_id text,
    version bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    data_version bigint DEFAULT 0 NOT NULL,
    CONSTRAINT datasets_act_count_check CHECK (((act_count = 0) OR ((act_count >= 2) AND (act_count <= 1024)))),
    CONSTRAINT datasets_act_dim_check CHECK (((act_dim >= 1) AND (act_dim <= 1024))),
    CONSTRAINT datasets_check CHECK (((labelled_steps_n >= 0) AND (labelled_steps_n <= steps_n))),
    CONSTRAINT datasets_check1 CHECK (((labelled_n >= 0) AND (labelled_n <= trajectories_n))),
    CONSTRAINT datasets_check2 CHECK (((cardinality(act_low) = act_dim) AND (cardinality(act_high) = act_dim))),
    CONSTRAINT datasets_check3 CHECK (((act_count = 0) OR ((act_dim = 1) AND (act_low[1] = (0)::double precision) AND (act_high[1] = ((act_count - 1))::double precision)))),
    CONSTRAINT datasets_name_check CHECK (((length(name) >= 1) AND (length(name) <= 200))),
    CONSTRAINT datasets_obs_dim_check CHECK (((obs_dim >= 1) AND (obs_dim <= 4096))),
    CONSTRAINT datasets_obs_n_check CHECK ((obs_n >= 0)),
    CONSTRAINT datasets_segments_n_check CHECK ((segments_n >= 0)),
    CONSTRAINT datasets_size_bytes_check CHECK ((size_bytes >= 0)),
    CONSTRAINT datasets_steps_n_check CHECK ((steps_n >= 0)),
    CONSTRAINT datasets_trajectories_n_check CHECK ((trajectories_n >= 0))
);

COMMENT ON TABLE public.datasets IS 'Append-only lists of sealed segments; the first n segments are a snapshot';

COMMENT ON COLUMN public.datasets.id IS 'Public id';

COMMENT ON COLUMN public.datasets.name IS 'Unique name given by the user';

COMMENT ON COLUMN public.datasets.obs_dim IS 'O, observation dimensions';

COMMENT ON COLUMN public.datasets.act_dim IS 'A, action dimensions';

COMMENT ON COLUMN public.datasets.act_low IS 'Lowest action per dimension';

COMMENT ON COLUMN public.datasets.act_high IS 'Highest action per dimension';

COMMENT ON COLUMN public.datasets.act_count IS 'Discrete actions, 0 to act_count - 1; 0: actions are continuous';

COMMENT ON COLUMN public.datasets.env IS 'Simulator the data came from, when policies can be rolled out in it';

COMMENT ON COLUMN public.datasets.segments_n IS 'Sealed segments';

COMMENT ON COLUMN public.datasets.trajectories_n IS 'Trajectories in them';

COMMENT ON COLUMN public.datasets.steps_n IS 'Transitions in them';

COMMENT ON COLUMN public.datasets.labelled_steps_n IS 'Transitions with a true action';

COMMENT ON COLUMN public.datasets.labelled_n IS 'Trajectories with at least one true action';

COMMENT ON COLUMN public.datasets.class_counts IS 'Labelled steps of each discrete action; null: continuous, or nothing appended yet';

COMMENT ON COLUMN public.datasets.obs_n IS 'Observation rows, final observations included';

COMMENT ON COLUMN public.datasets.obs_mean IS 'Mean observation per dimension, float64';

COMMENT ON COLUMN public.datasets.obs_m2 IS 'Sum of squared deviations per dimension, float64 (Chan et al. 1979)';

COMMENT ON COLUMN public.datasets.size_bytes IS 'Bytes of all segments';

COMMENT ON COLUMN public.datasets.label_set_id IS 'The current label set: flipped when one is published';

COMMENT ON COLUMN public.datasets.version IS 'Grows with every change; the ETag';

COMMENT ON COLUMN public.datasets.created_at IS 'When it was made';

COMMENT ON COLUMN public.datasets.updated_at IS 'When it last changed';

COMMENT ON COLUMN public.datasets.data_version IS 'The version at which its data last changed; label sets raise version alone';

CREATE FUNCTION public.dataset_summary(d public.datasets) RETURNS jsonb
    LANGUAGE sql STABLE
    RETURN jsonb_build_object('id', (d).id, 'name', (d).name, 'env', (d).env, 'obs_dim', (d).obs_dim, 'act_dim', (d).act_dim, 'act_count', (d).act_count, 'act_low', (d).act_low, 'act_high', (d).act_high, 'segments', (d).segments_n, 'trajectories', (d).trajectories_n, 'steps', (d).steps_n, 'labelled_trajectories', (d).labelled_n, 'labelled_steps', (d).labelled_steps_n, 'size_bytes', (d).size_bytes, 'label_set_id', (d).label_set_id, 'version', (d).version, 'data_version', (d).data_version, 'created_at', public.rfc3339((d).created_at), 'updated_at', public.rfc3339((d).updated_at));

COMMENT ON FUNCTION public.dataset_summary(d public.datasets) IS 'A dataset as lists show it';

CREATE FUNCTION public.drop_blob() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  delete from blobs where id = old.blob_id;
  return null;
end $$;

COMMENT ON FUNCTION public.drop_blob() IS 'A blob goes with the one row that refers to it';

CREATE FUNCTION public.drop_segment_blob() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  delete from blobs b where b.id = old.blob_id and not exists (select from segment_revisions r where r.blob_id = old.blob_id);
  return null;
end $$;

COMMENT ON FUNCTION public.drop_segment_blob() IS 'As drop_blob, unless a revision refers to it too';

CREATE FUNCTION public.gaps_at(dataset text, v bigint) RETURNS TABLE(seq integer)
    LANGUAGE sql STABLE
    AS $$
  select distinct r.seq from segment_revisions r
  where r.dataset_id = dataset and r.until_version <= v
    and not exists (select from segments s where s.dataset_id = dataset and s.seq = r.seq and s.since_version <= v)
    and not exists (select from segment_revisions l where l.dataset_id = dataset and l.seq = r.seq and l.since_version <= v and l.until_version > v)
$$;

COMMENT ON FUNCTION public.gaps_at(dataset text, v bigint) IS 'Segments that had been taken out by then';

CREATE FUNCTION public.grant_to_roles() RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  if exists (select from pg_roles where rolname = 'proxact_server') then perform grant_to_server(); end if;
  if exists (select from pg_roles where rolname = 'proxact_worker') then perform grant_to_worker(); end if;
end $$;

COMMENT ON FUNCTION public.grant_to_roles() IS 'Gives the roles that are there what they may do; migrate calls it each time';

CREATE FUNCTION public.grant_to_server() RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  grant usage on schema public to proxact_server;
  grant select, insert, update, delete on all tables in schema public to proxact_server;
  grant usage on all sequences in schema public to proxact_server;
  revoke insert, update, delete on schema_migrations, schema_functions, incarnations from proxact_server;
  revoke update, delete on api_tokens from proxact_server;
end $$;

COMMENT ON FUNCTION public.grant_to_server() IS 'The server reads and writes data, and changes no rule: it owns nothing';

CREATE FUNCTION public.grant_to_worker() RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  grant usage on schema public to proxact_worker;
  grant select, insert, update, delete on all tables in schema public to proxact_worker;
  grant usage on all sequences in schema public to proxact_worker;
  revoke all on api_tokens, idempotency_keys from proxact_worker;
  grant delete, select (created_at) on idempotency_keys to proxact_worker;
  revoke insert, update, delete on schema_migrations, schema_functions, incarnations from proxact_worker;
  revoke insert, delete on datasets from proxact_worker;
  revoke insert on uploads from proxact_worker;
  revoke delete on segments, trajectories from proxact_worker;
  revoke insert, update, delete on segment_revisions from proxact_worker;
  revoke update, delete on lint_findings from proxact_worker;
  revoke insert, update, delete on simulators from proxact_worker;
end $$;

COMMENT ON FUNCTION public.grant_to_worker() IS 'A worker makes what jobs make; it sees no token, and deletes no dataset';

CREATE FUNCTION public.incarnation_begin(why text) RETURNS integer
    LANGUAGE plpgsql
    AS $$
declare
  given_back integer;
begin
  lock table incarnations in share row exclusive mode;
  insert into incarnations (n, place, epoch_base, reason)
  select coalesce(max(n), 0) + 1, database_place(), coalesce(max(epoch_base), 0) + 1 + random_40_bits(), why from incarnations;
  perform setval('blobs_id_seq', nextval('blobs_id_seq') + random_40_bits());
  update jobs set state = case when cancel_requested then 'cancelled' else 'ready' end, attempt = attempt - 1,
    reason = case when cancel_requested then 'cancelled' else 'restored' end, phase = null
  where state = 'running';
  get diagnostics given_back = row_count;
  return given_back;
end $$;

COMMENT ON FUNCTION public.incarnation_begin(why text) IS 'Begins another life: running jobs are given back, and no number of the one before comes again';

CREATE FUNCTION public.incarnation_settle(OUT place text, OUT given_back integer) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
begin
  if pg_is_in_recovery() then
    raise exception 'the database is a standby' using errcode = 'read_only_sql_transaction';
  end if;
  place := database_place();
  if place = (select i.place from incarnations i order by i.n desc limit 1) then return; end if;
  lock table incarnations in share row exclusive mode;
  if place = (select i.place from incarnations i order by i.n desc limit 1) then return; end if;
  given_back := incarnation_begin('another place');
end $$;

COMMENT ON FUNCTION public.incarnation_settle(OUT place text, OUT given_back integer) IS 'Begins another life if the database is in another place than before; given_back is null if it is not';

CREATE FUNCTION public.job_fence(job text, token bigint) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  perform from jobs where id = job and epoch = token and state = 'running';
  if not found then
    raise exception 'job % is not running under epoch %', job, token using errcode = 'PX001';
  end if;
end $$;

COMMENT ON FUNCTION public.job_fence(job text, token bigint) IS 'Refuses (PX001) whoever does not hold the job now';

CREATE FUNCTION public.job_is_final(state text) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    RETURN (state = ANY (ARRAY['succeeded'::text, 'failed'::text, 'cancelled'::text]));

COMMENT ON FUNCTION public.job_is_final(state text) IS 'Whether a job in this state never changes again';

CREATE TABLE public.jobs (
    id text DEFAULT public.new_id('job'::text) NOT NULL,
    kind text NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    spec jsonb NOT NULL,
    revision integer DEFAULT 0 NOT NULL,
    dataset_id text,
    parent_id text,
    token_id text,
    dedupe_key text,
    priority integer DEFAULT 0 NOT NULL,
    memory_bytes bigint DEFAULT 0 NOT NULL,
    limit_s bigint DEFAULT 0 NOT NULL,
    max_attempts integer DEFAULT 5 NOT NULL,
    state text DEFAULT 'ready'::text NOT NULL,
    attempt integer DEFAULT 0 NOT NULL,
    lost_leases integer DEFAULT 0 NOT NULL,
    run_after timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    epoch bigint DEFAULT 0 NOT NULL,
    lease_owner text,
    lease_expires_at timestamp with time zone,
    cancel_requested boolean DEFAULT false NOT NULL,
    phase text,
    step bigint DEFAULT 0 NOT NULL,
    total bigint DEFAULT 0 NOT NULL,
    resumed_from bigint,
    reason text,
    error jsonb,
    result jsonb,
    version bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    ready_at timestamp with time zone,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    CONSTRAINT jobs_check CHECK (((state = 'running'::text) = (lease_owner IS NOT NULL))),
    CONSTRAINT jobs_check1 CHECK (((state = 'running'::text) = (lease_expires_at IS NOT NULL))),
    CONSTRAINT jobs_check2 CHECK (((state = ANY (ARRAY['succeeded'::text, 'failed'::text, 'cancelled'::text])) = (finished_at IS NOT NULL))),
    CONSTRAINT jobs_check3 CHECK (((attempt >= 0) AND (attempt <= max_attempts))),
    CONSTRAINT jobs_check4 CHECK (((state <> 'running'::text) OR (kind <> 'pipeline'::text))),
    CONSTRAINT jobs_dedupe_length CHECK (((length(dedupe_key) >= 1) AND (length(dedupe_key) <= 200))),
    CONSTRAINT jobs_epoch_check CHECK ((epoch >= 0)),
    CONSTRAINT jobs_kind_check CHECK ((kind ~ '^[a-z][a-z0-9_]{0,30}$'::text)),
    CONSTRAINT jobs_limit_s_check CHECK ((limit_s >= 0)),
    CONSTRAINT jobs_lost_leases_check CHECK ((lost_leases >= 0)),
    CONSTRAINT jobs_max_attempts_check CHECK (((max_attempts >= 1) AND (max_attempts <= 100))),
    CONSTRAINT jobs_memory_bytes_check CHECK ((memory_bytes >= 0)),
    CONSTRAINT jobs_priority_check CHECK (((priority >= '-100'::integer) AND (priority <= 100))),
    CONSTRAINT jobs_resumed_from_check CHECK ((resumed_from > 0)),
    CONSTRAINT jobs_revision_check CHECK ((revision >= 0)),
    CONSTRAINT jobs_spec_check CHECK ((jsonb_typeof(spec) = 'object'::text)),
    CONSTRAINT jobs_state_check CHECK ((state = ANY (ARRAY['blocked'::text, 'ready'::text, 'running'::text, 'succeeded'::text, 'failed'::text, 'cancelled'::text]))),
    CONSTRAINT jobs_step_check CHECK ((step >= 0)),
    CONSTRAINT jobs_total_check CHECK ((total >= 0))
);

COMMENT ON TABLE public.jobs IS 'Work to do; triggers check every change of it';

COMMENT ON COLUMN public.jobs.id IS 'Public id; its model is mdl_ and its label set ls_ with the same digits';

COMMENT ON COLUMN public.jobs.kind IS 'What is to be done; a pipeline is never run, only resolved from its children';

COMMENT ON COLUMN public.jobs.name IS 'Its role in the pipeline, such as train/ss/td3bc/0';

COMMENT ON COLUMN public.jobs.spec IS 'Validated parameters, defaults filled in';

COMMENT ON COLUMN public.jobs.revision IS 'Revision of its kind''s spec: only a worker that knows it, or a later one, claims the job';

COMMENT ON COLUMN public.jobs.dataset_id IS 'Dataset it works on';

COMMENT ON COLUMN public.jobs.parent_id IS 'Pipeline it belongs to';

COMMENT ON COLUMN public.jobs.token_id IS 'Token that submitted it; null: the service itself';

COMMENT ON COLUMN public.jobs.dedupe_key IS 'At most one unfinished job has it';

COMMENT ON COLUMN public.jobs.priority IS 'Higher is claimed first';

COMMENT ON COLUMN public.jobs.memory_bytes IS 'Estimate of its process''s memory: only a worker that has so much claims it; 0: not known';

COMMENT ON COLUMN public.jobs.limit_s IS 'Seconds after which an attempt is ended for good; 0: none';

COMMENT ON COLUMN public.jobs.max_attempts IS 'Claims after which it fails';

COMMENT ON COLUMN public.jobs.state IS 'blocked -> ready -> running -> succeeded | failed | cancelled; running -> ready again';

COMMENT ON COLUMN public.jobs.attempt IS 'Times it was claimed, less those given back';

COMMENT ON COLUMN public.jobs.lost_leases IS 'Leases that ran out; three make it fail';

COMMENT ON COLUMN public.jobs.run_after IS 'Not claimed before (back-off)';

COMMENT ON COLUMN public.jobs.epoch IS 'Fencing token: grows by one with each claim';

COMMENT ON COLUMN public.jobs.lease_owner IS 'Worker that holds it';

COMMENT ON COLUMN public.jobs.lease_expires_at IS 'When the reaper may take it back';

COMMENT ON COLUMN public.jobs.cancel_requested IS 'Told to the worker at its next heartbeat';

COMMENT ON COLUMN public.jobs.phase IS 'What it is doing now, one word';

COMMENT ON COLUMN public.jobs.step IS 'Progress within total';

COMMENT ON COLUMN public.jobs.total IS 'Steps of the whole, 0 while unknown';

COMMENT ON COLUMN public.jobs.resumed_from IS 'Step of the checkpoint that the current or last attempt went on from; null: from the start';

COMMENT ON COLUMN public.jobs.reason IS 'Error code of the last failure or loss';

COMMENT ON COLUMN public.jobs.error IS 'Problem details of the last failure';

COMMENT ON COLUMN public.jobs.result IS 'What it found; only when succeeded';

COMMENT ON COLUMN public.jobs.version IS 'Grows with every change; the ETag';

COMMENT ON COLUMN public.jobs.created_at IS 'When it was submitted';

COMMENT ON COLUMN public.jobs.ready_at IS 'When it last became ready';

COMMENT ON COLUMN public.jobs.started_at IS 'When its current or last attempt began';

COMMENT ON COLUMN public.jobs.finished_at IS 'When it ended for good';

CREATE FUNCTION public.job_progress(j public.jobs) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    AS $$
begin
  if j.kind = 'pipeline' then
    return (select jsonb_build_object('step', count(*) filter (where c.state = 'succeeded'), 'total', count(*), 'eta_s', null)
            from jobs c where c.parent_id = j.id);
  end if;
  return jsonb_build_object('step', j.step, 'total', j.total, 'eta_s',
    case when j.state = 'running' and j.step > coalesce(j.resumed_from, 0) and j.total >= j.step then
      round((extract(epoch from clock_timestamp() - j.started_at) * (j.total - j.step)
             / (j.step - coalesce(j.resumed_from, 0)))::numeric, 1) end);
end $$;

COMMENT ON FUNCTION public.job_progress(j public.jobs) IS 'step of total and the seconds left; of a pipeline, its children that succeeded';

CREATE FUNCTION public.job_state_shown(j public.jobs) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
begin
  if j.kind <> 'pipeline' or j.state <> 'blocked' then return shown_state(j.state); end if;
  return case when exists (select from jobs c where c.parent_id = j.id and c.started_at is not null)
              then 'running' else 'queued' end;
end $$;

COMMENT ON FUNCTION public.job_state_shown(j public.jobs) IS 'The state as users see it: ready is queued, a pipeline runs when a child has begun';

CREATE FUNCTION public.job_summary(j public.jobs) RETURNS jsonb
    LANGUAGE sql STABLE
    RETURN (jsonb_build_object('id', (j).id, 'kind', (j).kind, 'name', (j).name, 'state', public.job_state_shown(j), 'phase', (j).phase, 'reason', (j).reason, 'attempt', (j).attempt, 'max_attempts', (j).max_attempts, 'epoch', (j).epoch, 'dataset_id', (j).dataset_id, 'parent_id', (j).parent_id, 'priority', (j).priority, 'progress', public.job_progress(j), 'cancel_requested', (j).cancel_requested, 'created_at', public.rfc3339((j).created_at), 'started_at', public.rfc3339((j).started_at), 'finished_at', public.rfc3339((j).finished_at)) || CASE WHEN ((j).state <> 'succeeded'::text) THEN '{}'::jsonb WHEN ((j).kind = ANY (ARRAY['train_idm'::text, 'train_policy'::text])) THEN jsonb_build_object('model_id', ('mdl_'::text || substr((j).id, 5))) WHEN ((j).kind = 'label'::text) THEN jsonb_build_object('label_set_id', ('ls_'::text || substr((j).id, 5))) ELSE '{}'::jsonb END);

COMMENT ON FUNCTION public.job_summary(j public.jobs) IS 'A job as lists show it';

CREATE FUNCTION public.job_version(j public.jobs) RETURNS bigint
    LANGUAGE plpgsql STABLE
    AS $$
begin
  if j.kind <> 'pipeline' then return j.version; end if;
  return j.version + coalesce((select sum(c.version) from jobs c where c.parent_id = j.id), 0)::bigint;
end $$;

COMMENT ON FUNCTION public.job_version(j public.jobs) IS 'The ETag: a pipeline changes with its children';

CREATE FUNCTION public.jobs_check_insert() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  if new.kind = 'pipeline' then new.state := 'blocked'; end if;
  if new.state not in ('blocked', 'ready') or new.epoch <> 0 or new.attempt <> 0 then
    raise exception 'a job begins blocked or ready, with epoch and attempt 0' using errcode = 'PX002';
  end if;
  if new.state = 'ready' then new.ready_at := clock_timestamp(); end if;
  return new;
end $$;

COMMENT ON FUNCTION public.jobs_check_insert() IS 'How a job may come into being';

CREATE FUNCTION public.jobs_check_transition() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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
    new.epoch := greatest(old.epoch, (select epoch_base from incarnations order by n desc limit 1)) + 1;
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

COMMENT ON FUNCTION public.jobs_check_transition() IS 'Refuses every illegal change of a job (PX002), sets times and version';

CREATE FUNCTION public.jobs_drop_checkpoints() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  delete from job_checkpoints where job_id = new.id;
  return null;
end $$;

COMMENT ON FUNCTION public.jobs_drop_checkpoints() IS 'What succeeded has its result and what was cancelled is not wanted; a failed job keeps its last state to look at';

CREATE FUNCTION public.jobs_log_event() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

COMMENT ON FUNCTION public.jobs_log_event() IS 'Appends every change of state to job_events';

CREATE FUNCTION public.jobs_resolve_dependants() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

COMMENT ON FUNCTION public.jobs_resolve_dependants() IS 'When a job ends: readies, fails or cancels what waited for it';

CREATE FUNCTION public.random_40_bits() RETURNS bigint
    LANGUAGE sql
    RETURN ((('x'::text || "left"(replace((gen_random_uuid())::text, '-'::text, ''::text), 10)))::bit(40))::bigint;

COMMENT ON FUNCTION public.random_40_bits() IS 'A random number below 2^40: epochs stay below 2^53 for thousands of restores';

CREATE FUNCTION public.segments_at(dataset text, v bigint) RETURNS TABLE(seq integer, blob_id bigint, size_bytes bigint, sha256 bytea, trajectories_n integer, steps_n bigint, labelled_steps_n bigint)
    LANGUAGE sql STABLE
    AS $$
  select s.seq, s.blob_id, s.size_bytes, s.sha256, s.trajectories_n, s.steps_n, s.labelled_steps_n
  from segments s where s.dataset_id = dataset and s.since_version <= v
  union all
  select r.seq, r.blob_id, r.size_bytes, r.sha256, r.trajectories_n, r.steps_n, r.labelled_steps_n
  from segment_revisions r where r.dataset_id = dataset and r.since_version <= v and r.until_version > v
$$;

COMMENT ON FUNCTION public.segments_at(dataset text, v bigint) IS 'The segments of a dataset at one of its versions, in no order; those taken out are not there';

CREATE FUNCTION public.segments_n_at(dataset text, v bigint) RETURNS integer
    LANGUAGE sql STABLE
    AS $$
  select coalesce(max(seq) + 1, 0) from (
    select seq from segments where dataset_id = dataset and since_version <= v
    union all
    select seq from segment_revisions where dataset_id = dataset and since_version <= v) as u
$$;

COMMENT ON FUNCTION public.segments_n_at(dataset text, v bigint) IS 'How many segments it had by then, those taken out included';

CREATE FUNCTION public.shown_state(state text) RETURNS text
    LANGUAGE sql IMMUTABLE
    RETURN CASE state WHEN 'ready'::text THEN 'queued'::text ELSE state END;

COMMENT ON FUNCTION public.shown_state(state text) IS 'What users call a state';

CREATE TABLE public.api_tokens (
    id text DEFAULT public.new_id('tok'::text) NOT NULL,
    name text NOT NULL,
    sha256 bytea NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    expires_at timestamp with time zone,
    CONSTRAINT api_tokens_sha256_check CHECK ((length(sha256) = 32))
);

COMMENT ON TABLE public.api_tokens IS 'Bearer tokens; the token itself is shown once and never stored';

COMMENT ON COLUMN public.api_tokens.id IS 'Names the token in lists';

COMMENT ON COLUMN public.api_tokens.name IS 'What the owner calls it';

COMMENT ON COLUMN public.api_tokens.sha256 IS 'SHA-256 of the whole token text';

COMMENT ON COLUMN public.api_tokens.created_at IS 'When it was made';

COMMENT ON COLUMN public.api_tokens.expires_at IS 'When it stops working; null: never';

CREATE TABLE public.artifacts (
    job_id text NOT NULL,
    name text NOT NULL,
    epoch bigint NOT NULL,
    media_type text NOT NULL,
    blob_id bigint NOT NULL,
    size_bytes bigint NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT artifacts_name_check CHECK (((length(name) >= 1) AND (length(name) <= 200)))
);

COMMENT ON TABLE public.artifacts IS 'Files a job leaves: reports, exports';

COMMENT ON COLUMN public.artifacts.job_id IS 'The job';

COMMENT ON COLUMN public.artifacts.name IS 'File name';

COMMENT ON COLUMN public.artifacts.epoch IS 'Attempt that published it';

COMMENT ON COLUMN public.artifacts.media_type IS 'Its media type';

COMMENT ON COLUMN public.artifacts.blob_id IS 'The bytes';

COMMENT ON COLUMN public.artifacts.size_bytes IS 'Length of the bytes';

COMMENT ON COLUMN public.artifacts.created_at IS 'When it was published';

CREATE TABLE public.blob_chunks (
    blob_id bigint NOT NULL,
    no integer NOT NULL,
    bytes bytea NOT NULL,
    CONSTRAINT blob_chunks_no_check CHECK ((no >= 0))
);
ALTER TABLE ONLY public.blob_chunks ALTER COLUMN bytes SET STORAGE EXTERNAL;

COMMENT ON TABLE public.blob_chunks IS 'Content of blobs in pieces of at most 8 MiB, so that no reader needs it whole';

COMMENT ON COLUMN public.blob_chunks.blob_id IS 'The blob';

COMMENT ON COLUMN public.blob_chunks.no IS 'Position, from 0';

COMMENT ON COLUMN public.blob_chunks.bytes IS 'The piece';

CREATE TABLE public.blobs (
    id bigint NOT NULL,
    size_bytes bigint NOT NULL,
    sha256 bytea,
    attached boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT blobs_sha256_check CHECK ((length(sha256) = 32)),
    CONSTRAINT blobs_size_bytes_check CHECK ((size_bytes >= 0))
);

COMMENT ON TABLE public.blobs IS 'Byte strings: segments, label segments, models, artifacts, uploads';

COMMENT ON COLUMN public.blobs.id IS 'Internal number; never shown';

COMMENT ON COLUMN public.blobs.size_bytes IS 'Length of all chunks together';

COMMENT ON COLUMN public.blobs.sha256 IS 'Digest of the whole content; null when it came in parts';

COMMENT ON COLUMN public.blobs.attached IS 'Whether some row refers to it; the janitor removes those that nothing took up';

COMMENT ON COLUMN public.blobs.created_at IS 'When it was written';

ALTER TABLE public.blobs ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.blobs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.dataset_versions (
    dataset_id text NOT NULL,
    version bigint NOT NULL,
    change text NOT NULL,
    segments_n integer NOT NULL,
    trajectories_n bigint NOT NULL,
    steps_n bigint NOT NULL,
    labelled_steps_n bigint NOT NULL,
    detail jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT dataset_versions_change_check CHECK ((change = ANY (ARRAY['append'::text, 'actions'::text, 'delete'::text]))),
    CONSTRAINT dataset_versions_detail_check CHECK ((jsonb_typeof(detail) = 'object'::text))
);

COMMENT ON TABLE public.dataset_versions IS 'What changed the data of a dataset, and what there was after it';

COMMENT ON COLUMN public.dataset_versions.dataset_id IS 'The dataset';

COMMENT ON COLUMN public.dataset_versions.version IS 'Its version after the change';

COMMENT ON COLUMN public.dataset_versions.change IS 'append: an upload; actions: true actions that came later; delete: a segment was taken out';

COMMENT ON COLUMN public.dataset_versions.segments_n IS 'Segments after it, those taken out included';

COMMENT ON COLUMN public.dataset_versions.trajectories_n IS 'Trajectories after it';

COMMENT ON COLUMN public.dataset_versions.steps_n IS 'Transitions after it';

COMMENT ON COLUMN public.dataset_versions.labelled_steps_n IS 'Transitions with a true action after it';

COMMENT ON COLUMN public.dataset_versions.detail IS 'Which segments, and how much';

COMMENT ON COLUMN public.dataset_versions.created_at IS 'When it was';

CREATE TABLE public.idempotency_keys (
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    status integer NOT NULL,
    head jsonb NOT NULL,
    body bytea NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT idempotency_keys_fingerprint_check CHECK ((length(fingerprint) = 32)),
    CONSTRAINT idempotency_keys_key_check CHECK (((length(key) >= 1) AND (length(key) <= 255))),
    CONSTRAINT idempotency_keys_status_check CHECK (((status >= 200) AND (status <= 299)))
);

COMMENT ON TABLE public.idempotency_keys IS 'Answers to requests that changed something, written together with what they did';

COMMENT ON COLUMN public.idempotency_keys.key IS 'The client''s Idempotency-Key';

COMMENT ON COLUMN public.idempotency_keys.fingerprint IS 'SHA-256 of the request: method, path, headers that matter, body';

COMMENT ON COLUMN public.idempotency_keys.status IS 'Status of the answer';

COMMENT ON COLUMN public.idempotency_keys.head IS 'Headers of the answer';

COMMENT ON COLUMN public.idempotency_keys.body IS 'Body of the answer';

COMMENT ON COLUMN public.idempotency_keys.created_at IS 'When it was carried out; kept for 24 hours';

CREATE TABLE public.job_checkpoints (
    job_id text NOT NULL,
    epoch bigint NOT NULL,
    step bigint NOT NULL,
    blob_id bigint NOT NULL,
    sha256 bytea NOT NULL,
    size_bytes bigint NOT NULL,
    profile text NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT job_checkpoints_sha256_check CHECK ((length(sha256) = 32)),
    CONSTRAINT job_checkpoints_size_bytes_check CHECK ((size_bytes > 0)),
    CONSTRAINT job_checkpoints_step_check CHECK ((step > 0))
);

COMMENT ON TABLE public.job_checkpoints IS 'What a training needs to go on: the last two of a job, until it succeeds';

COMMENT ON COLUMN public.job_checkpoints.job_id IS 'The job';

COMMENT ON COLUMN public.job_checkpoints.epoch IS 'Attempt that kept it';

COMMENT ON COLUMN public.job_checkpoints.step IS 'Steps behind it';

COMMENT ON COLUMN public.job_checkpoints.blob_id IS 'Parameters, optimiser, counters, as safetensors';

COMMENT ON COLUMN public.job_checkpoints.sha256 IS 'Digest of those bytes';

COMMENT ON COLUMN public.job_checkpoints.size_bytes IS 'Length of those bytes';

COMMENT ON COLUMN public.job_checkpoints.profile IS 'Instruction set and libraries: going on under others would give other bits';

COMMENT ON COLUMN public.job_checkpoints.created_at IS 'When it was kept';

CREATE TABLE public.job_deps (
    job_id text NOT NULL,
    needs_id text NOT NULL,
    CONSTRAINT job_deps_check CHECK ((job_id <> needs_id))
);

COMMENT ON TABLE public.job_deps IS 'A blocked job becomes ready when all it needs have succeeded';

COMMENT ON COLUMN public.job_deps.job_id IS 'The job that waits';

COMMENT ON COLUMN public.job_deps.needs_id IS 'What it waits for';

CREATE TABLE public.job_events (
    job_id text NOT NULL,
    no bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    from_state text,
    to_state text NOT NULL,
    epoch bigint NOT NULL,
    worker text,
    reason text
);

COMMENT ON TABLE public.job_events IS 'Every change of state, appended by a trigger';

COMMENT ON COLUMN public.job_events.job_id IS 'The job';

COMMENT ON COLUMN public.job_events.no IS 'Order';

COMMENT ON COLUMN public.job_events.at IS 'When';

COMMENT ON COLUMN public.job_events.from_state IS 'State before; null when it was submitted';

COMMENT ON COLUMN public.job_events.to_state IS 'State after';

COMMENT ON COLUMN public.job_events.epoch IS 'Fencing token then';

COMMENT ON COLUMN public.job_events.worker IS 'Worker that held or took it';

COMMENT ON COLUMN public.job_events.reason IS 'Error code, if any';

ALTER TABLE public.job_events ALTER COLUMN no ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.job_events_no_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.job_metrics (
    job_id text NOT NULL,
    epoch bigint NOT NULL,
    name text NOT NULL,
    step bigint NOT NULL,
    value double precision NOT NULL,
    CONSTRAINT job_metrics_name_check CHECK ((length(name) <= 64))
);

COMMENT ON TABLE public.job_metrics IS 'Curves a job reports while it runs';

COMMENT ON COLUMN public.job_metrics.job_id IS 'The job';

COMMENT ON COLUMN public.job_metrics.epoch IS 'Attempt that reported it';

COMMENT ON COLUMN public.job_metrics.name IS 'Such as loss_q';

COMMENT ON COLUMN public.job_metrics.step IS 'Optimiser step';

COMMENT ON COLUMN public.job_metrics.value IS 'The value';

CREATE TABLE public.label_segments (
    label_job_id text NOT NULL,
    seq integer NOT NULL,
    job_id text NOT NULL,
    epoch bigint NOT NULL,
    blob_id bigint NOT NULL,
    sha256 bytea NOT NULL,
    profile text DEFAULT ''::text NOT NULL,
    steps_n bigint NOT NULL,
    known_n bigint NOT NULL,
    score_sum double precision NOT NULL,
    verified_n bigint,
    simulated_n bigint,
    residual_sum double precision,
    CONSTRAINT label_segments_check CHECK (((known_n >= 0) AND (known_n <= steps_n))),
    CONSTRAINT label_segments_check1 CHECK (((verified_n >= 0) AND (verified_n <= known_n))),
    CONSTRAINT label_segments_check2 CHECK (((simulated_n >= 0) AND (simulated_n <= known_n))),
    CONSTRAINT label_segments_residual_sum_check CHECK ((residual_sum >= (0)::double precision)),
    CONSTRAINT label_segments_seq_check CHECK ((seq >= 0)),
    CONSTRAINT label_segments_sha256_check CHECK ((length(sha256) = 32)),
    CONSTRAINT label_segments_steps_n_check CHECK ((steps_n > 0))
);

COMMENT ON TABLE public.label_segments IS 'Proxy actions, one file per dataset segment; staged by shards, reachable only once published';

COMMENT ON COLUMN public.label_segments.label_job_id IS 'The label job that will publish it';

COMMENT ON COLUMN public.label_segments.seq IS 'Dataset segment it labels';

COMMENT ON COLUMN public.label_segments.job_id IS 'The shard that wrote it';

COMMENT ON COLUMN public.label_segments.epoch IS 'Attempt of the shard';

COMMENT ON COLUMN public.label_segments.blob_id IS 'actions, std, epistemic, score, known, as safetensors';

COMMENT ON COLUMN public.label_segments.sha256 IS 'Digest of the bytes';

COMMENT ON COLUMN public.label_segments.profile IS 'Instruction set and libraries it was computed under: the shard''s next attempt keeps rows of its own';

COMMENT ON COLUMN public.label_segments.steps_n IS 'Transitions in it';

COMMENT ON COLUMN public.label_segments.known_n IS 'Transitions that could be labelled (their next state is known)';

COMMENT ON COLUMN public.label_segments.score_sum IS 'Sum of the uncertainty scores over known_n';

COMMENT ON COLUMN public.label_segments.verified_n IS 'Labels that a simulator verified; null, as the next two: none took part';

COMMENT ON COLUMN public.label_segments.simulated_n IS 'Labels that are the simulator''s own';

COMMENT ON COLUMN public.label_segments.residual_sum IS 'Sum of residuals over known_n, each counted as obs_dim at most';

CREATE VIEW public.label_rows AS
 SELECT l.label_job_id,
    l.seq,
    l.job_id,
    l.epoch,
    l.blob_id,
    l.sha256,
    l.steps_n,
    l.known_n,
    l.score_sum,
    l.verified_n,
    l.simulated_n,
    l.residual_sum
   FROM (public.label_segments l
     JOIN public.jobs shard ON ((shard.id = l.job_id)))
  WHERE ((shard.state = 'succeeded'::text) AND (shard.epoch = l.epoch) AND (EXISTS ( SELECT
           FROM public.job_deps d
          WHERE ((d.job_id = l.label_job_id) AND (d.needs_id = l.job_id)))));

COMMENT ON VIEW public.label_rows IS 'Label segments that count: written by the attempt under which their shard succeeded';

CREATE TABLE public.label_sets (
    id text NOT NULL,
    dataset_id text NOT NULL,
    job_id text NOT NULL,
    epoch bigint NOT NULL,
    segments_n integer NOT NULL,
    steps_n bigint NOT NULL,
    known_n bigint NOT NULL,
    mean_score double precision NOT NULL,
    verified_n bigint,
    simulated_n bigint,
    mean_residual double precision,
    sha256 bytea NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT label_sets_segments_n_check CHECK ((segments_n > 0)),
    CONSTRAINT label_sets_sha256_check CHECK ((length(sha256) = 32))
);

COMMENT ON TABLE public.label_sets IS 'Published, immutable proxy actions for the first segments_n segments of a dataset';

COMMENT ON COLUMN public.label_sets.id IS 'ls_ and the digits of the label job';

COMMENT ON COLUMN public.label_sets.dataset_id IS 'The dataset';

COMMENT ON COLUMN public.label_sets.job_id IS 'Label job that published it';

COMMENT ON COLUMN public.label_sets.epoch IS 'Attempt that published it';

COMMENT ON COLUMN public.label_sets.segments_n IS 'Snapshot it covers';

COMMENT ON COLUMN public.label_sets.steps_n IS 'Transitions covered';

COMMENT ON COLUMN public.label_sets.known_n IS 'Transitions that have a proxy action';

COMMENT ON COLUMN public.label_sets.mean_score IS 'Mean uncertainty score';

COMMENT ON COLUMN public.label_sets.verified_n IS 'Proxy actions that a simulator verified; null, as the next two: none took part';

COMMENT ON COLUMN public.label_sets.simulated_n IS 'Proxy actions that are the simulator''s own';

COMMENT ON COLUMN public.label_sets.mean_residual IS 'Mean residual, each counted as obs_dim at most';

COMMENT ON COLUMN public.label_sets.sha256 IS 'Digest over the digests of its segments in order';

COMMENT ON COLUMN public.label_sets.created_at IS 'When it was published';

CREATE TABLE public.lint_findings (
    dataset_id text NOT NULL,
    first_trajectory bigint NOT NULL,
    file_name text NOT NULL,
    findings jsonb NOT NULL,
    CONSTRAINT lint_findings_findings_check CHECK ((jsonb_typeof(findings) = 'array'::text)),
    CONSTRAINT lint_findings_first_trajectory_check CHECK ((first_trajectory >= 0))
);

COMMENT ON TABLE public.lint_findings IS 'What is probably a mistake in an upload (schema/lint.def); no row where nothing was found';

COMMENT ON COLUMN public.lint_findings.dataset_id IS 'The dataset';

COMMENT ON COLUMN public.lint_findings.first_trajectory IS 'Number in the dataset of the first trajectory of the upload';

COMMENT ON COLUMN public.lint_findings.file_name IS 'What the upload was called';

COMMENT ON COLUMN public.lint_findings.findings IS 'List of {code, severity, trajectory, step, field, figure, message, hint}; trajectory counts within the upload';

CREATE TABLE public.models (
    id text NOT NULL,
    job_id text NOT NULL,
    epoch bigint NOT NULL,
    dataset_id text NOT NULL,
    role text NOT NULL,
    algo text NOT NULL,
    blob_id bigint NOT NULL,
    sha256 bytea NOT NULL,
    size_bytes bigint NOT NULL,
    metrics jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT models_role_check CHECK ((role = ANY (ARRAY['idm'::text, 'policy'::text, 'inverse'::text]))),
    CONSTRAINT models_sha256_check CHECK ((length(sha256) = 32))
);

COMMENT ON TABLE public.models IS 'Trained networks: inverse dynamics models, policies and nets that invert a simulator';

COMMENT ON COLUMN public.models.id IS 'mdl_ and the digits of the job that trained it';

COMMENT ON COLUMN public.models.job_id IS 'That job';

COMMENT ON COLUMN public.models.epoch IS 'Attempt that published it';

COMMENT ON COLUMN public.models.dataset_id IS 'Dataset it was trained on';

COMMENT ON COLUMN public.models.role IS 'idm, policy or inverse';

COMMENT ON COLUMN public.models.algo IS 'Algorithm and profile';

COMMENT ON COLUMN public.models.blob_id IS 'Weights, normalisation and action scaling, as safetensors';

COMMENT ON COLUMN public.models.sha256 IS 'Digest of those bytes';

COMMENT ON COLUMN public.models.size_bytes IS 'Length of those bytes';

COMMENT ON COLUMN public.models.metrics IS 'Final metrics';

COMMENT ON COLUMN public.models.created_at IS 'When it was published';

CREATE TABLE public.schema_functions (
    name text NOT NULL,
    sha256 text NOT NULL,
    version integer NOT NULL,
    applied_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

COMMENT ON TABLE public.schema_functions IS 'Files of schema/functions that have been applied';

COMMENT ON COLUMN public.schema_functions.name IS 'Name of the file';

COMMENT ON COLUMN public.schema_functions.sha256 IS 'Digest of the file: another one means that migrate applies all of them again';

COMMENT ON COLUMN public.schema_functions.version IS 'Version of the schema that the build knew which applied it';

COMMENT ON COLUMN public.schema_functions.applied_at IS 'When it was applied';

CREATE TABLE public.schema_migrations (
    version integer NOT NULL,
    name text NOT NULL,
    sha256 text NOT NULL,
    serves integer NOT NULL,
    applied_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

COMMENT ON TABLE public.schema_migrations IS 'Migrations that have been applied';

COMMENT ON COLUMN public.schema_migrations.version IS 'The number its file name begins with';

COMMENT ON COLUMN public.schema_migrations.name IS 'The rest of its file name';

COMMENT ON COLUMN public.schema_migrations.sha256 IS 'Digest of the file, so that a later change to it is noticed';

COMMENT ON COLUMN public.schema_migrations.serves IS 'Builds that know the schema up to this version, or more of it, work with it';

COMMENT ON COLUMN public.schema_migrations.applied_at IS 'When it was applied';

CREATE TABLE public.segment_revisions (
    dataset_id text NOT NULL,
    seq integer NOT NULL,
    since_version bigint NOT NULL,
    until_version bigint NOT NULL,
    blob_id bigint NOT NULL,
    sha256 bytea NOT NULL,
    size_bytes bigint NOT NULL,
    trajectories_n integer NOT NULL,
    steps_n bigint NOT NULL,
    labelled_steps_n bigint NOT NULL,
    CONSTRAINT segment_revisions_check CHECK (((labelled_steps_n >= 0) AND (labelled_steps_n <= steps_n))),
    CONSTRAINT segment_revisions_check1 CHECK ((since_version < until_version)),
    CONSTRAINT segment_revisions_seq_check CHECK ((seq >= 0)),
    CONSTRAINT segment_revisions_sha256_check CHECK ((length(sha256) = 32)),
    CONSTRAINT segment_revisions_size_bytes_check CHECK ((size_bytes > 0)),
    CONSTRAINT segment_revisions_steps_n_check CHECK ((steps_n > 0)),
    CONSTRAINT segment_revisions_trajectories_n_check CHECK ((trajectories_n > 0))
);

COMMENT ON TABLE public.segment_revisions IS 'What segments were before an edit';

COMMENT ON COLUMN public.segment_revisions.dataset_id IS 'The dataset';

COMMENT ON COLUMN public.segment_revisions.seq IS 'Position in the dataset';

COMMENT ON COLUMN public.segment_revisions.since_version IS 'The dataset''s version that brought these bytes';

COMMENT ON COLUMN public.segment_revisions.until_version IS 'The version that replaced them, or took them out';

COMMENT ON COLUMN public.segment_revisions.blob_id IS 'The bytes';

COMMENT ON COLUMN public.segment_revisions.sha256 IS 'Digest of the bytes';

COMMENT ON COLUMN public.segment_revisions.size_bytes IS 'Length of the bytes';

COMMENT ON COLUMN public.segment_revisions.trajectories_n IS 'Trajectories in it';

COMMENT ON COLUMN public.segment_revisions.steps_n IS 'Transitions in it';

COMMENT ON COLUMN public.segment_revisions.labelled_steps_n IS 'Transitions with a true action';

CREATE TABLE public.segments (
    dataset_id text NOT NULL,
    seq integer NOT NULL,
    blob_id bigint NOT NULL,
    sha256 bytea NOT NULL,
    size_bytes bigint NOT NULL,
    first_trajectory bigint NOT NULL,
    trajectories_n integer NOT NULL,
    steps_n bigint NOT NULL,
    labelled_steps_n bigint NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    since_version bigint DEFAULT 0 NOT NULL,
    CONSTRAINT segments_check CHECK (((labelled_steps_n >= 0) AND (labelled_steps_n <= steps_n))),
    CONSTRAINT segments_first_trajectory_check CHECK ((first_trajectory >= 0)),
    CONSTRAINT segments_seq_check CHECK ((seq >= 0)),
    CONSTRAINT segments_sha256_check CHECK ((length(sha256) = 32)),
    CONSTRAINT segments_size_bytes_check CHECK ((size_bytes > 0)),
    CONSTRAINT segments_steps_n_check CHECK ((steps_n > 0)),
    CONSTRAINT segments_trajectories_n_check CHECK ((trajectories_n > 0))
);

COMMENT ON TABLE public.segments IS 'Sealed safetensors files of whole trajectories, about 4 MiB each, in upload order';

COMMENT ON COLUMN public.segments.dataset_id IS 'The dataset';

COMMENT ON COLUMN public.segments.seq IS 'Position in the dataset, from 0 without gaps';

COMMENT ON COLUMN public.segments.blob_id IS 'The bytes';

COMMENT ON COLUMN public.segments.sha256 IS 'Digest of the bytes';

COMMENT ON COLUMN public.segments.size_bytes IS 'Length of the bytes';

COMMENT ON COLUMN public.segments.first_trajectory IS 'Number in the dataset of its first trajectory';

COMMENT ON COLUMN public.segments.trajectories_n IS 'Trajectories in it';

COMMENT ON COLUMN public.segments.steps_n IS 'Transitions in it';

COMMENT ON COLUMN public.segments.labelled_steps_n IS 'Transitions with a true action';

COMMENT ON COLUMN public.segments.created_at IS 'When it was sealed';

COMMENT ON COLUMN public.segments.since_version IS 'The dataset''s version that brought these bytes';

CREATE TABLE public.simulators (
    id text DEFAULT public.new_id('sim'::text) NOT NULL,
    name text NOT NULL,
    mjcf text NOT NULL,
    layout jsonb NOT NULL,
    obs_dim integer NOT NULL,
    act_dim integer NOT NULL,
    nq integer NOT NULL,
    nv integer NOT NULL,
    nu integer NOT NULL,
    time_step double precision NOT NULL,
    step_s double precision NOT NULL,
    token_id text,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT simulators_act_dim_check CHECK (((act_dim >= 1) AND (act_dim <= 64))),
    CONSTRAINT simulators_layout_check CHECK ((jsonb_typeof(layout) = 'object'::text)),
    CONSTRAINT simulators_mjcf_check CHECK (((octet_length(mjcf) >= 1) AND (octet_length(mjcf) <= 524288))),
    CONSTRAINT simulators_name_check CHECK (((length(name) >= 1) AND (length(name) <= 200))),
    CONSTRAINT simulators_nq_check CHECK ((nq >= 0)),
    CONSTRAINT simulators_nu_check CHECK ((nu >= 0)),
    CONSTRAINT simulators_nv_check CHECK ((nv >= 0)),
    CONSTRAINT simulators_obs_dim_check CHECK (((obs_dim >= 1) AND (obs_dim <= 512))),
    CONSTRAINT simulators_step_s_check CHECK ((step_s >= (0)::double precision)),
    CONSTRAINT simulators_time_step_check CHECK ((time_step > (0)::double precision))
);

COMMENT ON TABLE public.simulators IS 'Models that users bring, immutable; they are compiled and run in locked-up helper processes only';

COMMENT ON COLUMN public.simulators.id IS 'Public id';

COMMENT ON COLUMN public.simulators.name IS 'Unique name given by the user';

COMMENT ON COLUMN public.simulators.mjcf IS 'The model, a self-contained MJCF text';

COMMENT ON COLUMN public.simulators.layout IS 'observations, actions, frame_skip, time_step, delay, as given with defaults';

COMMENT ON COLUMN public.simulators.obs_dim IS 'O, observation dimensions of the layout';

COMMENT ON COLUMN public.simulators.act_dim IS 'A, action dimensions of the layout';

COMMENT ON COLUMN public.simulators.nq IS 'Positions of the compiled model';

COMMENT ON COLUMN public.simulators.nv IS 'Its velocities';

COMMENT ON COLUMN public.simulators.nu IS 'Its controls';

COMMENT ON COLUMN public.simulators.time_step IS 'Seconds of a physics step';

COMMENT ON COLUMN public.simulators.step_s IS 'Processor time of a physics step when it was posted';

COMMENT ON COLUMN public.simulators.token_id IS 'Token that posted it, so that a token''s are bounded';

COMMENT ON COLUMN public.simulators.created_at IS 'When it was made';

CREATE TABLE public.trajectories (
    dataset_id text NOT NULL,
    n bigint NOT NULL,
    segment_seq integer NOT NULL,
    length integer NOT NULL,
    return double precision,
    labelled_steps_n integer NOT NULL,
    has_final boolean NOT NULL,
    terminated boolean NOT NULL,
    truncated boolean NOT NULL,
    digest uuid,
    source text,
    CONSTRAINT trajectories_check CHECK (((labelled_steps_n >= 0) AND (labelled_steps_n <= length))),
    CONSTRAINT trajectories_length_check CHECK ((length > 0)),
    CONSTRAINT trajectories_n_check CHECK ((n >= 0)),
    CONSTRAINT trajectories_source_check CHECK (((length(source) >= 1) AND (length(source) <= 100)))
);

COMMENT ON TABLE public.trajectories IS 'Index of the trajectories in the segments';

COMMENT ON COLUMN public.trajectories.dataset_id IS 'The dataset';

COMMENT ON COLUMN public.trajectories.n IS 'Number in the dataset, upload order, from 0';

COMMENT ON COLUMN public.trajectories.segment_seq IS 'Segment that holds it';

COMMENT ON COLUMN public.trajectories.length IS 'T, transitions';

COMMENT ON COLUMN public.trajectories.return IS 'Undiscounted sum of rewards, float64; null without rewards';

COMMENT ON COLUMN public.trajectories.labelled_steps_n IS 'Transitions with a true action';

COMMENT ON COLUMN public.trajectories.has_final IS 'Whether the observation after the last action is known';

COMMENT ON COLUMN public.trajectories.terminated IS 'Ended in a terminal state (bootstrap 0)';

COMMENT ON COLUMN public.trajectories.truncated IS 'Cut by a time limit or the end of the file (bootstrap)';

COMMENT ON COLUMN public.trajectories.digest IS 'First half of the SHA-256 of all that its segment keeps of it: tells trajectories that are uploaded twice';

COMMENT ON COLUMN public.trajectories.source IS 'What the uploader says it came from; null: nothing said';

CREATE TABLE public.uploads (
    id text DEFAULT public.new_id('up'::text) NOT NULL,
    dataset_id text NOT NULL,
    file_name text NOT NULL,
    format text NOT NULL,
    options jsonb DEFAULT '{}'::jsonb NOT NULL,
    metadata text DEFAULT ''::text NOT NULL,
    size_bytes bigint DEFAULT 0 NOT NULL,
    received_bytes bigint DEFAULT 0 NOT NULL,
    parts_n integer DEFAULT 0 NOT NULL,
    blob_id bigint,
    job_id text,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    expires_at timestamp with time zone DEFAULT (clock_timestamp() + '1 day'::interval) NOT NULL,
    CONSTRAINT uploads_check CHECK ((received_bytes <= size_bytes)),
    CONSTRAINT uploads_check1 CHECK (((job_id IS NULL) OR (received_bytes = size_bytes))),
    CONSTRAINT uploads_format_check CHECK ((format ~ '^[a-z][a-z0-9_]{0,30}$'::text)),
    CONSTRAINT uploads_parts_n_check CHECK ((parts_n >= 0)),
    CONSTRAINT uploads_received_bytes_check CHECK ((received_bytes >= 0)),
    CONSTRAINT uploads_size_bytes_check CHECK ((size_bytes >= 0))
);

COMMENT ON TABLE public.uploads IS 'Files on their way into a dataset: being received in parts, or whole and waiting for their ingest job';

COMMENT ON COLUMN public.uploads.id IS 'Public id';

COMMENT ON COLUMN public.uploads.dataset_id IS 'Where its trajectories go';

COMMENT ON COLUMN public.uploads.file_name IS 'Name used in errors';

COMMENT ON COLUMN public.uploads.format IS 'How to read it';

COMMENT ON COLUMN public.uploads.options IS 'Reader options';

COMMENT ON COLUMN public.uploads.metadata IS 'Upload-Metadata as it came';

COMMENT ON COLUMN public.uploads.size_bytes IS 'Length announced';

COMMENT ON COLUMN public.uploads.received_bytes IS 'Length that is stored: the tus offset';

COMMENT ON COLUMN public.uploads.parts_n IS 'Chunks of the blob so far';

COMMENT ON COLUMN public.uploads.blob_id IS 'The bytes received so far; null once they are not needed any more';

COMMENT ON COLUMN public.uploads.job_id IS 'Its ingest job, made with the last byte';

COMMENT ON COLUMN public.uploads.created_at IS 'When it was begun';

COMMENT ON COLUMN public.uploads.expires_at IS 'When what was received is dropped, unless more arrives; for a whole file, when its row is';

CREATE TABLE public.workers (
    id text NOT NULL,
    host text NOT NULL,
    pid integer NOT NULL,
    version text NOT NULL,
    memory_bytes bigint DEFAULT 0 NOT NULL,
    draining boolean DEFAULT false NOT NULL,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    last_seen_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT workers_memory_bytes_check CHECK ((memory_bytes >= 0))
);

COMMENT ON TABLE public.workers IS 'Worker processes that have shown themselves';

COMMENT ON COLUMN public.workers.id IS 'host:pid:random, chosen by the worker';

COMMENT ON COLUMN public.workers.host IS 'Its host name';

COMMENT ON COLUMN public.workers.pid IS 'Its process id there';

COMMENT ON COLUMN public.workers.version IS 'Its build';

COMMENT ON COLUMN public.workers.memory_bytes IS 'Memory that a job''s process may take there; 0: not told';

COMMENT ON COLUMN public.workers.draining IS 'Whether it takes no more jobs';

COMMENT ON COLUMN public.workers.started_at IS 'When it registered';

COMMENT ON COLUMN public.workers.last_seen_at IS 'Its last heartbeat';

ALTER TABLE ONLY public.api_tokens
    ADD CONSTRAINT api_tokens_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.api_tokens
    ADD CONSTRAINT api_tokens_sha256_key UNIQUE (sha256);

ALTER TABLE ONLY public.artifacts
    ADD CONSTRAINT artifacts_blob_id_key UNIQUE (blob_id);

ALTER TABLE ONLY public.artifacts
    ADD CONSTRAINT artifacts_pkey PRIMARY KEY (job_id, name);

ALTER TABLE ONLY public.blob_chunks
    ADD CONSTRAINT blob_chunks_pkey PRIMARY KEY (blob_id, no);

ALTER TABLE ONLY public.blobs
    ADD CONSTRAINT blobs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.dataset_versions
    ADD CONSTRAINT dataset_versions_pkey PRIMARY KEY (dataset_id, version);

ALTER TABLE ONLY public.datasets
    ADD CONSTRAINT datasets_name_key UNIQUE (name);

ALTER TABLE ONLY public.datasets
    ADD CONSTRAINT datasets_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (key);

ALTER TABLE ONLY public.incarnations
    ADD CONSTRAINT incarnations_id_key UNIQUE (id);

ALTER TABLE ONLY public.incarnations
    ADD CONSTRAINT incarnations_pkey PRIMARY KEY (n);

ALTER TABLE ONLY public.job_checkpoints
    ADD CONSTRAINT job_checkpoints_blob_id_key UNIQUE (blob_id);

ALTER TABLE ONLY public.job_checkpoints
    ADD CONSTRAINT job_checkpoints_pkey PRIMARY KEY (job_id, epoch, step);

ALTER TABLE ONLY public.job_deps
    ADD CONSTRAINT job_deps_pkey PRIMARY KEY (job_id, needs_id);

ALTER TABLE ONLY public.job_events
    ADD CONSTRAINT job_events_pkey PRIMARY KEY (job_id, no);

ALTER TABLE ONLY public.job_metrics
    ADD CONSTRAINT job_metrics_pkey PRIMARY KEY (job_id, epoch, name, step);

ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT jobs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.label_segments
    ADD CONSTRAINT label_segments_blob_id_key UNIQUE (blob_id);

ALTER TABLE ONLY public.label_segments
    ADD CONSTRAINT label_segments_pkey PRIMARY KEY (label_job_id, seq, job_id, epoch);

ALTER TABLE ONLY public.label_sets
    ADD CONSTRAINT label_sets_job_id_key UNIQUE (job_id);

ALTER TABLE ONLY public.label_sets
    ADD CONSTRAINT label_sets_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.lint_findings
    ADD CONSTRAINT lint_findings_pkey PRIMARY KEY (dataset_id, first_trajectory);

ALTER TABLE ONLY public.models
    ADD CONSTRAINT models_blob_id_key UNIQUE (blob_id);

ALTER TABLE ONLY public.models
    ADD CONSTRAINT models_job_id_key UNIQUE (job_id);

ALTER TABLE ONLY public.models
    ADD CONSTRAINT models_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.schema_functions
    ADD CONSTRAINT schema_functions_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (version);

ALTER TABLE ONLY public.segment_revisions
    ADD CONSTRAINT segment_revisions_blob_id_key UNIQUE (blob_id);

ALTER TABLE ONLY public.segment_revisions
    ADD CONSTRAINT segment_revisions_pkey PRIMARY KEY (dataset_id, seq, until_version);

ALTER TABLE ONLY public.segments
    ADD CONSTRAINT segments_blob_id_key UNIQUE (blob_id);

ALTER TABLE ONLY public.segments
    ADD CONSTRAINT segments_pkey PRIMARY KEY (dataset_id, seq);

ALTER TABLE ONLY public.simulators
    ADD CONSTRAINT simulators_name_key UNIQUE (name);

ALTER TABLE ONLY public.simulators
    ADD CONSTRAINT simulators_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.trajectories
    ADD CONSTRAINT trajectories_pkey PRIMARY KEY (dataset_id, n);

ALTER TABLE ONLY public.uploads
    ADD CONSTRAINT uploads_blob_id_key UNIQUE (blob_id);

ALTER TABLE ONLY public.uploads
    ADD CONSTRAINT uploads_job_id_key UNIQUE (job_id);

ALTER TABLE ONLY public.uploads
    ADD CONSTRAINT uploads_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.workers
    ADD CONSTRAINT workers_pkey PRIMARY KEY (id);

CREATE INDEX blobs_loose ON public.blobs USING btree (created_at) WHERE (NOT attached);

CREATE INDEX idempotency_keys_created ON public.idempotency_keys USING btree (created_at);

CREATE INDEX job_deps_needs ON public.job_deps USING btree (needs_id);

CREATE INDEX jobs_claim ON public.jobs USING btree (priority DESC, created_at, id) WHERE (state = 'ready'::text);

CREATE INDEX jobs_created ON public.jobs USING btree (created_at DESC, id DESC);

CREATE INDEX jobs_dataset ON public.jobs USING btree (dataset_id, created_at DESC);

CREATE UNIQUE INDEX jobs_dedupe ON public.jobs USING btree (dedupe_key) WHERE ((dedupe_key IS NOT NULL) AND (state = ANY (ARRAY['blocked'::text, 'ready'::text, 'running'::text])));

CREATE INDEX jobs_finished ON public.jobs USING btree (finished_at) WHERE (finished_at IS NOT NULL);

CREATE INDEX jobs_lease ON public.jobs USING btree (lease_expires_at) WHERE (state = 'running'::text);

CREATE INDEX jobs_of_token ON public.jobs USING btree (token_id) WHERE ((token_id IS NOT NULL) AND (state = ANY (ARRAY['blocked'::text, 'ready'::text, 'running'::text])));

CREATE INDEX jobs_open_child ON public.jobs USING btree (parent_id) WHERE ((parent_id IS NOT NULL) AND (state = ANY (ARRAY['blocked'::text, 'ready'::text, 'running'::text])));

CREATE INDEX jobs_parent ON public.jobs USING btree (parent_id) WHERE (parent_id IS NOT NULL);

CREATE INDEX simulators_created ON public.simulators USING btree (created_at DESC, id DESC);

CREATE INDEX simulators_of_token ON public.simulators USING btree (token_id) WHERE (token_id IS NOT NULL);

CREATE INDEX trajectories_digest ON public.trajectories USING btree (dataset_id, digest) WHERE (digest IS NOT NULL);

CREATE INDEX trajectories_source ON public.trajectories USING btree (dataset_id, source, n) WHERE (source IS NOT NULL);

CREATE INDEX uploads_expires ON public.uploads USING btree (expires_at);

CREATE TRIGGER artifacts_attach_blob AFTER INSERT ON public.artifacts FOR EACH ROW EXECUTE FUNCTION public.attach_blob();

CREATE TRIGGER artifacts_check_fence BEFORE INSERT OR UPDATE ON public.artifacts FOR EACH ROW EXECUTE FUNCTION public.check_fence();

CREATE CONSTRAINT TRIGGER artifacts_check_fence_at_commit AFTER INSERT OR UPDATE ON public.artifacts DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.check_fence_at_commit();

CREATE TRIGGER artifacts_drop_blob AFTER DELETE ON public.artifacts FOR EACH ROW EXECUTE FUNCTION public.drop_blob();

CREATE TRIGGER job_checkpoints_attach_blob AFTER INSERT ON public.job_checkpoints FOR EACH ROW EXECUTE FUNCTION public.attach_blob();

CREATE TRIGGER job_checkpoints_check_fence BEFORE INSERT OR UPDATE ON public.job_checkpoints FOR EACH ROW EXECUTE FUNCTION public.check_fence();

CREATE CONSTRAINT TRIGGER job_checkpoints_check_fence_at_commit AFTER INSERT OR UPDATE ON public.job_checkpoints DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.check_fence_at_commit();

CREATE TRIGGER job_checkpoints_drop_blob AFTER DELETE ON public.job_checkpoints FOR EACH ROW EXECUTE FUNCTION public.drop_blob();

CREATE TRIGGER job_metrics_check_fence BEFORE INSERT OR UPDATE ON public.job_metrics FOR EACH ROW EXECUTE FUNCTION public.check_fence();

CREATE CONSTRAINT TRIGGER job_metrics_check_fence_at_commit AFTER INSERT OR UPDATE ON public.job_metrics DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.check_fence_at_commit();

CREATE TRIGGER jobs_check_insert BEFORE INSERT ON public.jobs FOR EACH ROW EXECUTE FUNCTION public.jobs_check_insert();

CREATE TRIGGER jobs_check_transition BEFORE UPDATE ON public.jobs FOR EACH ROW EXECUTE FUNCTION public.jobs_check_transition();

CREATE TRIGGER jobs_drop_checkpoints AFTER UPDATE ON public.jobs FOR EACH ROW WHEN (((old.state <> new.state) AND (new.state = ANY (ARRAY['succeeded'::text, 'cancelled'::text])))) EXECUTE FUNCTION public.jobs_drop_checkpoints();

CREATE TRIGGER jobs_log_event AFTER INSERT OR UPDATE ON public.jobs FOR EACH ROW EXECUTE FUNCTION public.jobs_log_event();

CREATE TRIGGER jobs_resolve_dependants AFTER UPDATE ON public.jobs FOR EACH ROW WHEN (((old.state <> new.state) AND (new.state = ANY (ARRAY['succeeded'::text, 'failed'::text, 'cancelled'::text])))) EXECUTE FUNCTION public.jobs_resolve_dependants();

CREATE TRIGGER label_segments_attach_blob AFTER INSERT ON public.label_segments FOR EACH ROW EXECUTE FUNCTION public.attach_blob();

CREATE TRIGGER label_segments_check_fence BEFORE INSERT OR UPDATE ON public.label_segments FOR EACH ROW EXECUTE FUNCTION public.check_fence();

CREATE CONSTRAINT TRIGGER label_segments_check_fence_at_commit AFTER INSERT OR UPDATE ON public.label_segments DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.check_fence_at_commit();

CREATE TRIGGER label_segments_drop_blob AFTER DELETE ON public.label_segments FOR EACH ROW EXECUTE FUNCTION public.drop_blob();

CREATE TRIGGER label_sets_check_fence BEFORE INSERT OR UPDATE ON public.label_sets FOR EACH ROW EXECUTE FUNCTION public.check_fence();

CREATE CONSTRAINT TRIGGER label_sets_check_fence_at_commit AFTER INSERT OR UPDATE ON public.label_sets DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.check_fence_at_commit();

CREATE TRIGGER models_attach_blob AFTER INSERT ON public.models FOR EACH ROW EXECUTE FUNCTION public.attach_blob();

CREATE TRIGGER models_check_fence BEFORE INSERT OR UPDATE ON public.models FOR EACH ROW EXECUTE FUNCTION public.check_fence();

CREATE CONSTRAINT TRIGGER models_check_fence_at_commit AFTER INSERT OR UPDATE ON public.models DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.check_fence_at_commit();

CREATE TRIGGER models_drop_blob AFTER DELETE ON public.models FOR EACH ROW EXECUTE FUNCTION public.drop_blob();

CREATE TRIGGER segment_revisions_drop_blob AFTER DELETE ON public.segment_revisions FOR EACH ROW EXECUTE FUNCTION public.drop_blob();

CREATE TRIGGER segments_attach_blob AFTER INSERT OR UPDATE OF blob_id ON public.segments FOR EACH ROW EXECUTE FUNCTION public.attach_blob();

CREATE TRIGGER segments_drop_blob AFTER DELETE ON public.segments FOR EACH ROW EXECUTE FUNCTION public.drop_segment_blob();

CREATE TRIGGER uploads_attach_blob AFTER INSERT ON public.uploads FOR EACH ROW EXECUTE FUNCTION public.attach_blob();

CREATE TRIGGER uploads_drop_blob AFTER DELETE ON public.uploads FOR EACH ROW EXECUTE FUNCTION public.drop_blob();

CREATE TRIGGER uploads_drop_ingested_blob AFTER UPDATE OF blob_id ON public.uploads FOR EACH ROW WHEN (((old.blob_id IS NOT NULL) AND (new.blob_id IS NULL))) EXECUTE FUNCTION public.drop_blob();

ALTER TABLE ONLY public.artifacts
    ADD CONSTRAINT artifacts_blob_id_fkey FOREIGN KEY (blob_id) REFERENCES public.blobs(id);

ALTER TABLE ONLY public.artifacts
    ADD CONSTRAINT artifacts_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.jobs(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.blob_chunks
    ADD CONSTRAINT blob_chunks_blob_id_fkey FOREIGN KEY (blob_id) REFERENCES public.blobs(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.dataset_versions
    ADD CONSTRAINT dataset_versions_dataset_id_fkey FOREIGN KEY (dataset_id) REFERENCES public.datasets(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.datasets
    ADD CONSTRAINT datasets_label_set_id_fkey FOREIGN KEY (label_set_id) REFERENCES public.label_sets(id) ON DELETE SET NULL DEFERRABLE;

ALTER TABLE ONLY public.job_checkpoints
    ADD CONSTRAINT job_checkpoints_blob_id_fkey FOREIGN KEY (blob_id) REFERENCES public.blobs(id);

ALTER TABLE ONLY public.job_checkpoints
    ADD CONSTRAINT job_checkpoints_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.jobs(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.job_deps
    ADD CONSTRAINT job_deps_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.jobs(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.job_deps
    ADD CONSTRAINT job_deps_needs_id_fkey FOREIGN KEY (needs_id) REFERENCES public.jobs(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.job_events
    ADD CONSTRAINT job_events_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.jobs(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.job_metrics
    ADD CONSTRAINT job_metrics_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.jobs(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT jobs_dataset_id_fkey FOREIGN KEY (dataset_id) REFERENCES public.datasets(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT jobs_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES public.jobs(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.label_segments
    ADD CONSTRAINT label_segments_blob_id_fkey FOREIGN KEY (blob_id) REFERENCES public.blobs(id);

ALTER TABLE ONLY public.label_segments
    ADD CONSTRAINT label_segments_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.jobs(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.label_segments
    ADD CONSTRAINT label_segments_label_job_id_fkey FOREIGN KEY (label_job_id) REFERENCES public.jobs(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.label_sets
    ADD CONSTRAINT label_sets_dataset_id_fkey FOREIGN KEY (dataset_id) REFERENCES public.datasets(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.label_sets
    ADD CONSTRAINT label_sets_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.jobs(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.lint_findings
    ADD CONSTRAINT lint_findings_dataset_id_fkey FOREIGN KEY (dataset_id) REFERENCES public.datasets(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.models
    ADD CONSTRAINT models_blob_id_fkey FOREIGN KEY (blob_id) REFERENCES public.blobs(id);

ALTER TABLE ONLY public.models
    ADD CONSTRAINT models_dataset_id_fkey FOREIGN KEY (dataset_id) REFERENCES public.datasets(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.models
    ADD CONSTRAINT models_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.jobs(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.segment_revisions
    ADD CONSTRAINT segment_revisions_blob_id_fkey FOREIGN KEY (blob_id) REFERENCES public.blobs(id);

ALTER TABLE ONLY public.segment_revisions
    ADD CONSTRAINT segment_revisions_dataset_id_fkey FOREIGN KEY (dataset_id) REFERENCES public.datasets(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.segments
    ADD CONSTRAINT segments_blob_id_fkey FOREIGN KEY (blob_id) REFERENCES public.blobs(id);

ALTER TABLE ONLY public.segments
    ADD CONSTRAINT segments_dataset_id_fkey FOREIGN KEY (dataset_id) REFERENCES public.datasets(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.trajectories
    ADD CONSTRAINT trajectories_dataset_id_fkey FOREIGN KEY (dataset_id) REFERENCES public.datasets(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.uploads
    ADD CONSTRAINT uploads_blob_id_fkey FOREIGN KEY (blob_id) REFERENCES public.blobs(id);

ALTER TABLE ONLY public.uploads
    ADD CONSTRAINT uploads_dataset_id_fkey FOREIGN KEY (dataset_id) REFERENCES public.datasets(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.uploads
    ADD CONSTRAINT uploads_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.jobs(id) ON DELETE CASCADE;

