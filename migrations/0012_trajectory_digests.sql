-- serves: 11
-- Tells trajectories that are uploaded twice. Those stored before have no digest and are not found.
alter table trajectories add column digest uuid;
comment on column trajectories.digest is 'First half of the SHA-256 of all that its segment keeps of it; null: stored by an older build';
create index trajectories_digest on trajectories (dataset_id, digest) where digest is not null;
