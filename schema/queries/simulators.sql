-- Simulators that users bring.

-- name: simulator_create
insert into simulators (id, name, mjcf, layout, obs_dim, act_dim, nq, nv, nu, time_step, step_s, token_id)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)

-- What a token has, in number and bytes.
-- name: simulator_usage
select count(*) as n, coalesce(sum(octet_length(mjcf) + octet_length(layout::text)), 0) as bytes from simulators where token_id = $1

-- name: simulator_get
select id, name, mjcf, layout::text as layout, obs_dim, act_dim, nq, nv, nu from simulators where id = $1

-- name: simulator_about
select obs_dim, act_dim from simulators where id = $1

-- name: simulator_document
select jsonb_build_object('id', id, 'name', name, 'obs_dim', obs_dim, 'act_dim', act_dim, 'layout', layout,
         'model', jsonb_build_object('nq', nq, 'nv', nv, 'nu', nu, 'time_step', time_step, 'step_us', step_s * 1e6),
         'mjcf', mjcf, 'sha256', encode(sha256(convert_to(mjcf, 'UTF8')), 'hex'), 'created_at', rfc3339(created_at)) as document
from simulators where id = $1

-- name: simulator_list
with page as (
  select s.*, row_number() over (order by created_at desc, id desc) as i
  from simulators s
  where $1::text is null or (created_at, id) < (cursor_time($1), cursor_id($1))
  order by created_at desc, id desc limit $2::bigint + 1
)
select jsonb_build_object('items', coalesce(jsonb_agg(jsonb_build_object('id', id, 'name', name, 'obs_dim', obs_dim,
         'act_dim', act_dim, 'created_at', rfc3339(created_at)) order by i) filter (where i <= $2::bigint), '[]'),
  'next', case when count(*) > $2::bigint then max(cursor_of(created_at, id)) filter (where i = $2::bigint) end) as document
from page

-- The row is locked first: see dataset_lock_all.
-- name: simulator_lock
select id from simulators where id = $1 for update

-- name: simulator_busy
select id from jobs
where not job_is_final(state) and (spec ->> 'simulator' = $1 or spec #>> '{labeller,simulator}' = $1) limit 1

-- name: simulator_delete
delete from simulators where id = $1
