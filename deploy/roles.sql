-- The roles of Proxact's programs, for an administrator to run once:
--   psql -d proxact -f deploy/roles.sql
--   \password proxact_migrate   (and the other two, unless pg_hba.conf lets them in by other means)
--   proxact_migrate   owns the schema: `proxact-server migrate`, `restored` and `token create`
--   proxact_server    `proxact-server serve`: reads and writes data, cannot change or switch off a rule
--   proxact_worker    `proxact-worker`: makes what jobs make; sees no token and deletes no dataset
-- `proxact-server migrate` gives the last two what they need, table by table.
create role proxact_migrate login;
create role proxact_server login;
create role proxact_worker login;

do $$
begin
  execute format('alter database %I owner to proxact_migrate', current_database());
  execute format('revoke all on database %I from public', current_database());
  execute format('grant connect on database %I to proxact_server, proxact_worker', current_database());
end $$;
