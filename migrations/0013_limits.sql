-- serves: 11
-- What a job may take, whose it is, and cursors of lists that outlive what they point at.

alter table jobs
  add column memory_bytes bigint not null default 0 check (memory_bytes >= 0),
  add column limit_s bigint not null default 0 check (limit_s >= 0),
  add column token_id text;
create index jobs_of_token on jobs (token_id) where token_id is not null and state in ('blocked', 'ready', 'running');
create index jobs_finished on jobs (finished_at) where finished_at is not null;
comment on column jobs.memory_bytes is 'Estimate of its process''s memory: only a worker that has so much claims it; 0: not known';
comment on column jobs.limit_s is 'Seconds after which an attempt is ended for good; 0: none';
comment on column jobs.token_id is 'Token that submitted it; null: the service itself, or before tokens were recorded';

alter table workers add column memory_bytes bigint not null default 0 check (memory_bytes >= 0);
comment on column workers.memory_bytes is 'Memory that a job''s process may take there; 0: not told';

create function cursor_of(at timestamptz, id text) returns text language sql immutable
  return (extract(epoch from at) * 1000000)::bigint || '.' || id;
comment on function cursor_of is 'Where a page of a list by time ends: microseconds and id';
create function cursor_time(place text) returns timestamptz language sql immutable
  return timestamptz '1970-01-01 00:00:00+00' + split_part(place, '.', 1)::bigint * interval '1 microsecond';
comment on function cursor_time is 'The time in a cursor';
create function cursor_id(place text) returns text language sql immutable
  return split_part(place, '.', 2);
comment on function cursor_id is 'The id in a cursor';
