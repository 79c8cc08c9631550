-- Versions of a dataset: true actions may come later, and segments may be taken out. What was there before stays readable, so
-- that a job keeps the version that it was submitted with.
-- Builds of before read what a dataset is now; their jobs on a dataset of which a segment was taken out fail with not_found.
-- serves: 1
alter table datasets add column data_version bigint not null default 0;
comment on column datasets.data_version is 'The version at which its data last changed; label sets raise version alone';

alter table segments add column since_version bigint not null default 0;
comment on column segments.since_version is 'The dataset''s version that brought these bytes';

-- An edit moves here what it replaces or takes out.
create table segment_revisions (
  dataset_id        text not null references datasets on delete cascade,
  seq               integer not null check (seq >= 0),
  since_version     bigint not null,
  until_version     bigint not null,
  blob_id           bigint not null unique references blobs,
  sha256            bytea not null check (length(sha256) = 32),
  size_bytes        bigint not null check (size_bytes > 0),
  trajectories_n    integer not null check (trajectories_n > 0),
  steps_n           bigint not null check (steps_n > 0),
  labelled_steps_n  bigint not null check (labelled_steps_n between 0 and steps_n),
  primary key (dataset_id, seq, until_version),
  check (since_version < until_version)
);
comment on table segment_revisions is 'What segments were before an edit';
comment on column segment_revisions.dataset_id is 'The dataset';
comment on column segment_revisions.seq is 'Position in the dataset';
comment on column segment_revisions.since_version is 'The dataset''s version that brought these bytes';
comment on column segment_revisions.until_version is 'The version that replaced them, or took them out';
comment on column segment_revisions.blob_id is 'The bytes';
comment on column segment_revisions.sha256 is 'Digest of the bytes';
comment on column segment_revisions.size_bytes is 'Length of the bytes';
comment on column segment_revisions.trajectories_n is 'Trajectories in it';
comment on column segment_revisions.steps_n is 'Transitions in it';
comment on column segment_revisions.labelled_steps_n is 'Transitions with a true action';

-- Whatever changes a dataset's data writes a row in the same transaction. Data from before this table has none.
create table dataset_versions (
  dataset_id        text not null references datasets on delete cascade,
  version           bigint not null,
  change            text not null check (change in ('append', 'actions', 'delete')),
  segments_n        integer not null,
  trajectories_n    bigint not null,
  steps_n           bigint not null,
  labelled_steps_n  bigint not null,
  detail            jsonb not null check (jsonb_typeof(detail) = 'object'),
  created_at        timestamptz not null default clock_timestamp(),
  primary key (dataset_id, version)
);
comment on table dataset_versions is 'What changed the data of a dataset, and what there was after it';
comment on column dataset_versions.dataset_id is 'The dataset';
comment on column dataset_versions.version is 'Its version after the change';
comment on column dataset_versions.change is 'append: an upload; actions: true actions that came later; delete: a segment was taken out';
comment on column dataset_versions.segments_n is 'Segments after it, those taken out included';
comment on column dataset_versions.trajectories_n is 'Trajectories after it';
comment on column dataset_versions.steps_n is 'Transitions after it';
comment on column dataset_versions.labelled_steps_n is 'Transitions with a true action after it';
comment on column dataset_versions.detail is 'Which segments, and how much';
comment on column dataset_versions.created_at is 'When it was';
