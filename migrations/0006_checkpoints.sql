-- Checkpoints: the state of a training that is still to end, so that another attempt goes on from it.

create table job_checkpoints (
  job_id      text not null references jobs on delete cascade,
  epoch       bigint not null,
  step        bigint not null check (step > 0),
  blob_id     bigint not null unique references blobs,
  sha256      bytea not null check (length(sha256) = 32),
  size_bytes  bigint not null check (size_bytes > 0),
  profile     text not null,
  created_at  timestamptz not null default clock_timestamp(),
  primary key (job_id, epoch, step)
);
comment on table job_checkpoints is 'What a training needs to go on: the last two of a job, until it succeeds';
comment on column job_checkpoints.job_id is 'The job';
comment on column job_checkpoints.epoch is 'Attempt that kept it';
comment on column job_checkpoints.step is 'Steps behind it';
comment on column job_checkpoints.blob_id is 'Parameters, optimiser, counters, as safetensors';
comment on column job_checkpoints.sha256 is 'Digest of those bytes';
comment on column job_checkpoints.size_bytes is 'Length of those bytes';
comment on column job_checkpoints.profile is 'Instruction set and libraries: going on under others would give other bits';
comment on column job_checkpoints.created_at is 'When it was kept';

create trigger fence before insert or update on job_checkpoints for each row execute function fence_row();
create trigger attach after insert on job_checkpoints for each row execute function attach_blob();
create trigger drop_blob after delete on job_checkpoints for each row execute function drop_blob();

create function jobs_drop_checkpoints() returns trigger language plpgsql as $$
begin
  delete from job_checkpoints where job_id = new.id;
  return null;
end $$;
comment on function jobs_drop_checkpoints is 'What succeeded has its result and what was cancelled is not wanted; a failed job keeps its last state to look at';
create trigger jobs_drop_checkpoints after update on jobs for each row
  when (old.state <> new.state and new.state in ('succeeded', 'cancelled'))
  execute function jobs_drop_checkpoints();

alter table jobs add column resumed_from bigint check (resumed_from > 0);
comment on column jobs.resumed_from is 'Step of the checkpoint that the current or last attempt went on from; null: from the start';

-- Steps of earlier attempts took none of this one's time.
create or replace function job_progress(j jobs) returns jsonb language sql stable
  return case when j.kind = 'pipeline' then
    (select jsonb_build_object('step', count(*) filter (where c.state = 'succeeded'), 'total', count(*), 'eta_s', null)
     from jobs c where c.parent_id = j.id)
  else jsonb_build_object('step', j.step, 'total', j.total, 'eta_s',
    case when j.state = 'running' and j.step > coalesce(j.resumed_from, 0) and j.total >= j.step then
      round((extract(epoch from clock_timestamp() - j.started_at) * (j.total - j.step)
             / (j.step - coalesce(j.resumed_from, 0)))::numeric, 1) end)
  end;
