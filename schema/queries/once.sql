-- Idempotency keys.

-- name: once_lock
select pg_try_advisory_lock(hashtextextended($1, 7810113)) as locked

-- name: once_unlock
select pg_advisory_unlock(hashtextextended($1, 7810113))

-- name: once_find
select fingerprint, status, head::text as head, body from idempotency_keys where key = $1

-- name: once_keep
insert into idempotency_keys (key, fingerprint, status, head, body) values ($1, $2, $3, $4::jsonb, $5)

-- name: janitor_once
delete from idempotency_keys where created_at < clock_timestamp() - interval '24 hours'
