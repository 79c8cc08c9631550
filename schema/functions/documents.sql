-- Rows as the documents of the API show them.
--
-- PostgreSQL plans a function in SQL that holds a query anew in every statement that calls it, which took most of a document's
-- time. PL/pgSQL keeps its plans for the session. Most jobs are no pipeline, and have nothing to ask their children.

create or replace function shown_state(state text) returns text language sql immutable
  return case state when 'ready' then 'queued' else state end;
comment on function shown_state is 'What users call a state';

create or replace function job_state_shown(j jobs) returns text language plpgsql stable as $$
begin
  if j.kind <> 'pipeline' or j.state <> 'blocked' then return shown_state(j.state); end if;
  return case when exists (select from jobs c where c.parent_id = j.id and c.started_at is not null)
              then 'running' else 'queued' end;
end $$;
comment on function job_state_shown is 'The state as users see it: ready is queued, a pipeline runs when a child has begun';

-- What is left takes as long per step as what this attempt has done; steps of earlier attempts took none of its time.
create or replace function job_progress(j jobs) returns jsonb language plpgsql stable as $$
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
comment on function job_progress is 'step of total and the seconds left; of a pipeline, its children that succeeded';

create or replace function job_summary(j jobs) returns jsonb language sql stable
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

-- Only a pipeline is a parent.
create or replace function job_version(j jobs) returns bigint language plpgsql stable as $$
begin
  if j.kind <> 'pipeline' then return j.version; end if;
  return j.version + coalesce((select sum(c.version) from jobs c where c.parent_id = j.id), 0)::bigint;
end $$;
comment on function job_version is 'The ETag: a pipeline changes with its children';

create or replace function dataset_summary(d datasets) returns jsonb language sql stable
  return jsonb_build_object(
    'id', d.id, 'name', d.name, 'env', d.env, 'obs_dim', d.obs_dim, 'act_dim', d.act_dim, 'act_count', d.act_count,
    'act_low', d.act_low, 'act_high', d.act_high, 'segments', d.segments_n, 'trajectories', d.trajectories_n,
    'steps', d.steps_n, 'labelled_trajectories', d.labelled_n, 'labelled_steps', d.labelled_steps_n,
    'size_bytes', d.size_bytes, 'label_set_id', d.label_set_id, 'version', d.version, 'data_version', d.data_version,
    'created_at', rfc3339(d.created_at), 'updated_at', rfc3339(d.updated_at));
comment on function dataset_summary is 'A dataset as lists show it';

-- Cursors of lists by time outlive the row that they point at.
create or replace function cursor_of(at timestamptz, id text) returns text language sql immutable
  return (extract(epoch from at) * 1000000)::bigint || '.' || id;
comment on function cursor_of is 'Where a page of a list by time ends: microseconds and id';

create or replace function cursor_time(place text) returns timestamptz language sql immutable
  return timestamptz '1970-01-01 00:00:00+00' + split_part(place, '.', 1)::bigint * interval '1 microsecond';
comment on function cursor_time is 'The time in a cursor';

create or replace function cursor_id(place text) returns text language sql immutable
  return split_part(place, '.', 2);
comment on function cursor_id is 'The id in a cursor';
