-- Requests that may be repeated, uploads in parts, and the length of dedupe keys.

create table idempotency_keys (
  key          text primary key check (length(key) between 1 and 255),
  fingerprint  bytea not null check (length(fingerprint) = 32),
  status       integer not null check (status between 200 and 299),
  head         jsonb not null,
  body         bytea not null,
  created_at   timestamptz not null default clock_timestamp()
);
create index idempotency_keys_created on idempotency_keys (created_at);
comment on table idempotency_keys is 'Answers to requests that changed something, written together with what they did';
comment on column idempotency_keys.key is 'The client''s Idempotency-Key';
comment on column idempotency_keys.fingerprint is 'SHA-256 of the request: method, path, headers that matter, body';
comment on column idempotency_keys.status is 'Status of the answer';
comment on column idempotency_keys.head is 'Headers of the answer';
comment on column idempotency_keys.body is 'Body of the answer';
comment on column idempotency_keys.created_at is 'When it was carried out; kept for 24 hours';

alter table jobs add constraint jobs_dedupe_length check (length(dedupe_key) between 1 and 200);

-- A blob that comes in parts has its digests by part, and is never read as a whole before a worker does.
alter table blobs alter column sha256 drop not null;
comment on column blobs.sha256 is 'Digest of the whole content; null when it came in parts';

-- The defaults are what the version before this one means by its rows.
alter table uploads
  alter column blob_id drop not null,
  alter column job_id drop not null,
  add column size_bytes bigint not null default 0 check (size_bytes >= 0),
  add column received_bytes bigint not null default 0 check (received_bytes >= 0),
  add column parts_n integer not null default 0 check (parts_n >= 0),
  add column metadata text not null default '',
  add column expires_at timestamptz not null default clock_timestamp() + interval '1 day',
  add check (received_bytes <= size_bytes),
  add check (job_id is null or received_bytes = size_bytes);
update uploads u set size_bytes = b.size_bytes, received_bytes = b.size_bytes from blobs b where b.id = u.blob_id;
create index uploads_expires on uploads (expires_at);
comment on table uploads is 'Files on their way into a dataset: being received in parts, or whole and waiting for their ingest job';
comment on column uploads.blob_id is 'The bytes received so far; null once they are not needed any more';
comment on column uploads.job_id is 'Its ingest job, made with the last byte';
comment on column uploads.created_at is 'When it was begun';
comment on column uploads.size_bytes is 'Length announced';
comment on column uploads.received_bytes is 'Length that is stored: the tus offset';
comment on column uploads.parts_n is 'Chunks of the blob so far';
comment on column uploads.metadata is 'Upload-Metadata as it came';
comment on column uploads.expires_at is 'When what was received is dropped, unless more arrives; for a whole file, when its row is';

create trigger drop_old_blob after update of blob_id on uploads for each row
  when (old.blob_id is not null and new.blob_id is null) execute function drop_blob();
