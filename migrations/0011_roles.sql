-- serves: 10
-- What each program may do. Roles belong to the whole cluster, so an administrator makes them (deploy/roles.sql); this gives
-- them what they need, and `proxact-server migrate` calls it each time. Without the roles nothing changes.

-- Any session may find that a restore or a failover has happened, and what follows is the owner's business.
alter function incarnation_settle() security definer set search_path = public, pg_temp;
revoke execute on function incarnation_begin(text) from public;

create function grant_to_server() returns void language plpgsql as $$
begin
  grant usage on schema public to proxact_server;
  grant select, insert, update, delete on all tables in schema public to proxact_server;
  grant usage on all sequences in schema public to proxact_server;
  revoke insert, update, delete on schema_migrations, incarnations from proxact_server;
  revoke update, delete on api_tokens from proxact_server;
end $$;
comment on function grant_to_server is 'The server reads and writes data, and changes no rule: it owns nothing';

-- A worker makes and removes what jobs make. It sees no token and no stored answer, and deletes no dataset.
create function grant_to_worker() returns void language plpgsql as $$
begin
  grant usage on schema public to proxact_worker;
  grant select, insert, update, delete on all tables in schema public to proxact_worker;
  grant usage on all sequences in schema public to proxact_worker;
  revoke all on api_tokens, idempotency_keys from proxact_worker;
  grant delete, select (created_at) on idempotency_keys to proxact_worker;
  revoke insert, update, delete on schema_migrations, incarnations from proxact_worker;
  revoke insert, delete on datasets from proxact_worker;
  revoke insert on uploads from proxact_worker;
  revoke delete on segments, trajectories from proxact_worker;
end $$;
comment on function grant_to_worker is 'A worker makes what jobs make; it sees no token, and deletes no dataset';

create function grant_to_roles() returns void language plpgsql as $$
begin
  if exists (select from pg_roles where rolname = 'proxact_server') then perform grant_to_server(); end if;
  if exists (select from pg_roles where rolname = 'proxact_worker') then perform grant_to_worker(); end if;
end $$;
comment on function grant_to_roles is 'Gives the roles that are there what they may do; migrate calls it each time';
