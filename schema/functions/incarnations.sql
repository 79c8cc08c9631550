-- Incarnations of the database. After a restore, or a failover that lost the last commits, numbers that were given out may come
-- again: epochs, ids of blobs. Each such event begins an incarnation, whose numbers start far beyond all that the one before can
-- have given out. So a number from before never means something else later.

-- A failover and a recovery to a point in time change the timeline, pg_upgrade and a restore into another cluster the system
-- identifier, any restore of a dump the numbers of database and table. A copy of the files that just starts again changes
-- nothing: incarnation_begin has to be told.
create or replace function database_place() returns text language sql volatile
  return (select system_identifier from pg_control_system()) || ' ' ||
         left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) || ' ' ||
         (select oid from pg_database where datname = current_database()) || ' ' || 'incarnations'::regclass::oid;
comment on function database_place is 'System identifier, timeline, database and table: which life of which database this is';

create or replace function random_40_bits() returns bigint language sql volatile
  return ('x' || left(replace(gen_random_uuid()::text, '-', ''), 10))::bit(40)::bigint;
comment on function random_40_bits is 'A random number below 2^40: epochs stay below 2^53 for thousands of restores';

-- Rows that a worker wrote for its job may be lost, so every lease ends, at no cost to the job: the next attempt continues from
-- the rows that are there.
create or replace function incarnation_begin(why text) returns integer language plpgsql as $$
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
revoke execute on function incarnation_begin(text) from public;

-- Every session asks first, and a session does not outlive a restart, so nothing is written in another life before it has begun.
-- Sessions on a standby do outlive its promotion, so this refuses them. Any session may find that a restore or a failover has
-- happened; what follows is done with the owner's rights.
create or replace function incarnation_settle(out place text, out given_back integer) language plpgsql
  security definer set search_path = public, pg_temp as $$
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

-- The first one begins with the schema.
insert into incarnations (n, place, epoch_base, reason)
select 1, database_place(), 0, 'the beginning' where not exists (select from incarnations);
