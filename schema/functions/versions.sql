-- What a dataset was at each of its versions.

create or replace function segments_at(dataset text, v bigint)
returns table (seq integer, blob_id bigint, size_bytes bigint, sha256 bytea, trajectories_n integer, steps_n bigint, labelled_steps_n bigint)
language sql stable as $$
  select s.seq, s.blob_id, s.size_bytes, s.sha256, s.trajectories_n, s.steps_n, s.labelled_steps_n
  from segments s where s.dataset_id = dataset and s.since_version <= v
  union all
  select r.seq, r.blob_id, r.size_bytes, r.sha256, r.trajectories_n, r.steps_n, r.labelled_steps_n
  from segment_revisions r where r.dataset_id = dataset and r.since_version <= v and r.until_version > v
$$;
comment on function segments_at is 'The segments of a dataset at one of its versions, in no order; those taken out are not there';

create or replace function gaps_at(dataset text, v bigint) returns table (seq integer) language sql stable as $$
  select distinct r.seq from segment_revisions r
  where r.dataset_id = dataset and r.until_version <= v
    and not exists (select from segments s where s.dataset_id = dataset and s.seq = r.seq and s.since_version <= v)
    and not exists (select from segment_revisions l where l.dataset_id = dataset and l.seq = r.seq and l.since_version <= v and l.until_version > v)
$$;
comment on function gaps_at is 'Segments that had been taken out by then';

create or replace function segments_n_at(dataset text, v bigint) returns integer language sql stable as $$
  select coalesce(max(seq) + 1, 0) from (
    select seq from segments where dataset_id = dataset and since_version <= v
    union all
    select seq from segment_revisions where dataset_id = dataset and since_version <= v) as u
$$;
comment on function segments_n_at is 'How many segments it had by then, those taken out included';
