-- The table that remembers which of the other migrations have been applied; migrate makes it in an empty database.
create table schema_migrations (
  version     integer primary key,
  name        text not null,
  sha256      text not null,
  serves      integer not null,
  applied_at  timestamptz not null default clock_timestamp()
);
comment on table schema_migrations is 'Migrations that have been applied';
comment on column schema_migrations.version is 'The number its file name begins with';
comment on column schema_migrations.name is 'The rest of its file name';
comment on column schema_migrations.sha256 is 'Digest of the file, so that a later change to it is noticed';
comment on column schema_migrations.serves is 'Builds that know the schema up to this version, or more of it, work with it';
comment on column schema_migrations.applied_at is 'When it was applied';
