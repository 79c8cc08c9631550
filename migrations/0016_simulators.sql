-- serves: 11
-- Simulators that users bring: models that label, and how their states make observations.

create table simulators (
  id text primary key default new_id('sim'),
  name text not null unique check (length(name) between 1 and 200),
  mjcf text not null check (octet_length(mjcf) between 1 and 524288),
  layout jsonb not null check (jsonb_typeof(layout) = 'object'),
  obs_dim integer not null check (obs_dim between 1 and 512),
  act_dim integer not null check (act_dim between 1 and 64),
  nq integer not null check (nq >= 0),
  nv integer not null check (nv >= 0),
  nu integer not null check (nu >= 0),
  time_step float8 not null check (time_step > 0),
  step_s float8 not null check (step_s >= 0),
  created_at timestamptz not null default clock_timestamp()
);
create index simulators_created on simulators (created_at desc, id desc);
comment on table simulators is 'Models that users bring, immutable; they are compiled and run in locked-up helper processes only';
comment on column simulators.id is 'Public id';
comment on column simulators.name is 'Unique name given by the user';
comment on column simulators.mjcf is 'The model, a self-contained MJCF text';
comment on column simulators.layout is 'observations, actions, frame_skip, time_step, delay, as given with defaults';
comment on column simulators.obs_dim is 'O, observation dimensions of the layout';
comment on column simulators.act_dim is 'A, action dimensions of the layout';
comment on column simulators.nq is 'Positions of the compiled model';
comment on column simulators.nv is 'Its velocities';
comment on column simulators.nu is 'Its controls';
comment on column simulators.time_step is 'Seconds of a physics step';
comment on column simulators.step_s is 'Processor time of a physics step when it was posted';
comment on column simulators.created_at is 'When it was made';

create or replace function grant_to_worker() returns void language plpgsql as $$
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
  revoke insert, update, delete on simulators from proxact_worker;
end $$;
