-- serves: 9
-- Incarnations of the database. After a restore, or a failover that lost the last commits, numbers that were given out may
-- come again: epochs, ids of blobs. Each such event begins an incarnation, which goes on far behind anything that the one
-- before can have given out, so what was handed out before it never means something else after it.

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

-- A failover and a recovery to a point in time change the timeline, pg_upgrade and a restore into another cluster the
-- system identifier, any restore of a dump the numbers of database and table. A copy of the files that just starts again
-- changes nothing: incarnation_begin has to be told.
create function database_place() returns text language sql volatile
  return (select system_identifier from pg_control_system()) || ' ' ||
         left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) || ' ' ||
         (select oid from pg_database where datname = current_database()) || ' ' || 'incarnations'::regclass::oid;
comment on function database_place is 'System identifier, timeline, database and table: which life of which database this is';

create function random_40_bits() returns bigint language sql volatile
  return ('x' || left(replace(gen_random_uuid()::text, '-', ''), 10))::bit(40)::bigint;
comment on function random_40_bits is 'A random number below 2^40: epochs stay below 2^53 for thousands of restores';

-- What a worker did for its job may be lost in part, so every hold ends, at no cost to the job: the next attempt goes on
-- from what is there.
create function incarnation_begin(why text) returns integer language plpgsql as $$
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
comment on function incarnation_begin is 'Begins another life: running jobs are given back, and no number of the one before comes again';

-- Every session asks first, and a session does not outlive a restart, so nothing is written in another life before it has begun.
-- Sessions on a standby do outlive its promotion: there are none.
create function incarnation_settle(out place text, out given_back integer) language plpgsql as $$
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
comment on function incarnation_settle is 'Begins another life if the database is in another place than before; given_back is null if it is not';

insert into incarnations (n, place, epoch_base, reason) values (1, database_place(), 0, 'the beginning');

create or replace function jobs_law() returns trigger language plpgsql as $$
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
