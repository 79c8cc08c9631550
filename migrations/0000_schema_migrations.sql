-- What has been applied. Run before every migration, so it must be harmless to repeat.
create table if not exists schema_migrations (
  version     integer primary key,
  name        text not null,
  sha256      text not null,
  applied_at  timestamptz not null default clock_timestamp()
);
comment on table schema_migrations is 'Migrations that have been applied';
comment on column schema_migrations.version is 'The number its file name begins with';
comment on column schema_migrations.name is 'The rest of its file name';
comment on column schema_migrations.sha256 is 'Digest of the file, so that a later change to it is noticed';
comment on column schema_migrations.applied_at is 'When it was applied';
-- Even one that finds nothing to do would wait for whoever reads the table, such as a dump.
do $$ begin
  if not exists (select from pg_attribute where attrelid = 'schema_migrations'::regclass and attname = 'serves') then
    alter table schema_migrations add column serves integer;
  end if;
end $$;
comment on column schema_migrations.serves is 'Builds that know the schema up to this version, or more of it, work with it; null: its own';
