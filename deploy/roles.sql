-- The roles of Proxact's programs, for an administrator to run in each database:
--   psql -d proxact -f deploy/roles.sql
--   \password proxact_migrate   (and the other two, unless pg_hba.conf lets them in by other means)
--   proxact_migrate   owns the schema: `proxact-server migrate`, `restored` and `token create`
--   proxact_server    `proxact-server serve`: reads and writes data, cannot change or switch off a rule
--   proxact_worker    `proxact-worker`: makes what jobs make; sees no token and deletes no dataset
-- `proxact-server migrate` gives the last two what they need, table by table.
do $$
declare
  role text;
begin
  foreach role in array array['proxact_migrate', 'proxact_server', 'proxact_worker'] loop
    if not exists (select from pg_roles where rolname = role) then execute format('create role %I login', role); end if;
  end loop;
  execute format('alter database %I owner to proxact_migrate', current_database());
  execute format('revoke all on database %I from public', current_database());
  execute format('grant connect on database %I to proxact_server, proxact_worker', current_database());
end $$;
