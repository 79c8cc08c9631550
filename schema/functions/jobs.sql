-- Triggers on jobs: which changes are allowed, what is logged, and what the end of a job does to others. Triggers of one event
-- run in the order of their names: the end of a job is logged before its dependants are resolved.

create or replace function job_is_final(state text) returns boolean language sql immutable
  return state in ('succeeded', 'failed', 'cancelled');
comment on function job_is_final is 'Whether a job in this state never changes again';

create or replace function jobs_check_transition() returns trigger language plpgsql as $$
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
comment on function jobs_check_transition is 'Refuses every illegal change of a job (PX002), sets times and version';
create or replace trigger jobs_check_transition before update on jobs for each row execute function jobs_check_transition();

create or replace function jobs_check_insert() returns trigger language plpgsql as $$
begin
  if new.kind = 'pipeline' then new.state := 'blocked'; end if;
  if new.state not in ('blocked', 'ready') or new.epoch <> 0 or new.attempt <> 0 then
    raise exception 'a job begins blocked or ready, with epoch and attempt 0' using errcode = 'PX002';
  end if;
  if new.state = 'ready' then new.ready_at := clock_timestamp(); end if;
  return new;
end $$;
comment on function jobs_check_insert is 'How a job may come into being';
create or replace trigger jobs_check_insert before insert on jobs for each row execute function jobs_check_insert();

create or replace function jobs_log_event() returns trigger language plpgsql as $$
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
comment on function jobs_log_event is 'Appends every change of state to job_events';
create or replace trigger jobs_log_event after insert or update on jobs for each row execute function jobs_log_event();

-- Dependants are locked in order of id before their other needs are looked at, so of two needs that end at once the later one
-- sees the earlier one's end and nobody stays blocked. The end of one may have ended another of the list already (a diamond), so
-- each update looks at the state again.
create or replace function jobs_resolve_dependants() returns trigger language plpgsql as $$
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
comment on function jobs_resolve_dependants is 'When a job ends: readies, fails or cancels what waited for it';
create or replace trigger jobs_resolve_dependants after update on jobs for each row
  when (old.state <> new.state and new.state in ('succeeded', 'failed', 'cancelled'))
  execute function jobs_resolve_dependants();
