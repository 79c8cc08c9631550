-- What each program may do. Roles belong to the whole cluster, so an administrator makes them (deploy/roles.sql). These
-- functions grant them what they need, and `proxact-server migrate` calls grant_to_roles() each time. Without the roles nothing
-- changes.

create or replace function grant_to_server() returns void language plpgsql as $$
begin
  grant usage on schema public to proxact_server;
  grant select, insert, update, delete on all tables in schema public to proxact_server;
  grant usage on all sequences in schema public to proxact_server;
  revoke insert, update, delete on schema_migrations, schema_functions, incarnations from proxact_server;
  revoke update, delete on api_tokens from proxact_server;
end $$;
comment on function grant_to_server is 'The server reads and writes data, and changes no rule: it owns nothing';

-- A worker makes and removes what jobs make. It sees no token and no stored answer, and deletes no dataset.
create or replace function grant_to_worker() returns void language plpgsql as $$
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
comment on function grant_to_worker is 'A worker makes what jobs make; it sees no token, and deletes no dataset';

create or replace function grant_to_roles() returns void language plpgsql as $$
begin
  if exists (select from pg_roles where rolname = 'proxact_server') then perform grant_to_server(); end if;
  if exists (select from pg_roles where rolname = 'proxact_worker') then perform grant_to_worker(); end if;
end $$;
comment on function grant_to_roles is 'Gives the roles that are there what they may do; migrate calls it each time';
