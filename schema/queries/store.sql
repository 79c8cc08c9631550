-- The connection, tokens and migrations.

-- name: ping
select 1

-- Where the database lies, if its server is on this machine (reached by a unix socket) and its user may know.
-- name: data_folder
select current_setting('data_directory') as data_directory where inet_server_addr() is null
  and (select rolsuper or pg_has_role('pg_read_all_settings', 'usage') from pg_roles where rolname = current_user)

-- name: schema_begun
select to_regclass('schema_migrations') is not null as begun

-- Databases from before the first release have no table of functions, and the oldest no column `serves`.
-- name: migrations_applied
select version, sha256, coalesce(to_jsonb(m) ->> 'serves', version::text)::integer as serves,
       to_regclass('schema_functions') is null as before_release
from schema_migrations m order by version

-- name: functions_applied
select name, sha256 from schema_functions

-- name: token_create
insert into api_tokens (name, sha256) values ($1, $2)

-- name: token_check
select 1 from api_tokens where sha256 = $1 and (expires_at is null or expires_at > clock_timestamp())

-- name: token_any
select exists (select from api_tokens) as any_token

-- Twice, after an answer that was lost, is harmless.
-- name: incarnation_begin
select incarnation_begin('restored') as given_back
