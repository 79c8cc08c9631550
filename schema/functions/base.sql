-- Functions that refer to no table. Defaults and checks of tables may call them, so migrate applies this file before the
-- migrations too.

create or replace function new_id(prefix text) returns text language sql volatile
  return prefix || '_' || left(replace(gen_random_uuid()::text, '-', ''), 20);
comment on function new_id is 'A fresh random id such as ds_1b9d6bcd0f3e4a5b8c7d';

create or replace function rfc3339(at timestamptz) returns text language sql stable
  return to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');
comment on function rfc3339 is 'A time as documents show it: 2026-01-31T12:34:56.789Z';
