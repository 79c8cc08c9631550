-- When the checkpoints of a job are deleted.

create or replace function jobs_drop_checkpoints() returns trigger language plpgsql as $$
begin
  delete from job_checkpoints where job_id = new.id;
  return null;
end $$;
comment on function jobs_drop_checkpoints is 'What succeeded has its result and what was cancelled is not wanted; a failed job keeps its last state to look at';
create or replace trigger jobs_drop_checkpoints after update on jobs for each row
  when (old.state <> new.state and new.state in ('succeeded', 'cancelled'))
  execute function jobs_drop_checkpoints();
