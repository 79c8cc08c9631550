-- A blob lives as long as the one row that refers to it.

create or replace function attach_blob() returns trigger language plpgsql as $$
begin
  update blobs set attached = true where id = new.blob_id and not attached;
  return null;
end $$;
comment on function attach_blob is 'Marks a blob as taken up, so that the janitor leaves it';

create or replace function drop_blob() returns trigger language plpgsql as $$
begin
  delete from blobs where id = old.blob_id;
  return null;
end $$;
comment on function drop_blob is 'A blob goes with the one row that refers to it';

-- The bytes of a segment that is taken out stay with the revision that it was.
create or replace function drop_segment_blob() returns trigger language plpgsql as $$
begin
  delete from blobs b where b.id = old.blob_id and not exists (select from segment_revisions r where r.blob_id = old.blob_id);
  return null;
end $$;
comment on function drop_segment_blob is 'As drop_blob, unless a revision refers to it too';

create or replace trigger artifacts_attach_blob after insert on artifacts for each row execute function attach_blob();
create or replace trigger job_checkpoints_attach_blob after insert on job_checkpoints for each row execute function attach_blob();
create or replace trigger label_segments_attach_blob after insert on label_segments for each row execute function attach_blob();
create or replace trigger models_attach_blob after insert on models for each row execute function attach_blob();
create or replace trigger segments_attach_blob after insert or update of blob_id on segments for each row execute function attach_blob();
create or replace trigger uploads_attach_blob after insert on uploads for each row execute function attach_blob();

create or replace trigger artifacts_drop_blob after delete on artifacts for each row execute function drop_blob();
create or replace trigger job_checkpoints_drop_blob after delete on job_checkpoints for each row execute function drop_blob();
create or replace trigger label_segments_drop_blob after delete on label_segments for each row execute function drop_blob();
create or replace trigger models_drop_blob after delete on models for each row execute function drop_blob();
create or replace trigger segments_drop_blob after delete on segments for each row execute function drop_segment_blob();
create or replace trigger segment_revisions_drop_blob after delete on segment_revisions for each row execute function drop_blob();
create or replace trigger uploads_drop_blob after delete on uploads for each row execute function drop_blob();
create or replace trigger uploads_drop_ingested_blob after update of blob_id on uploads for each row
  when (old.blob_id is not null and new.blob_id is null) execute function drop_blob();
