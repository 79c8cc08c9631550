-- The fence: a row written on a job's behalf names (job_id, epoch), and is refused (PX001) unless that epoch is the running one.
-- Triggers check twice, when the row is written and when it is committed: a transaction may pass the first check, sleep until
-- the lease is lost, and commit.

create or replace function job_fence(job text, token bigint) returns void language plpgsql as $$
begin
  perform from jobs where id = job and epoch = token and state = 'running';
  if not found then
    raise exception 'job % is not running under epoch %', job, token using errcode = 'PX001';
  end if;
end $$;
comment on function job_fence is 'Refuses (PX001) whoever does not hold the job now';

create or replace function check_fence() returns trigger language plpgsql as $$
begin
  perform job_fence(new.job_id, new.epoch);
  return new;
end $$;
comment on function check_fence is 'Every row written on a job''s behalf passes the fence';

create or replace trigger artifacts_check_fence before insert or update on artifacts for each row execute function check_fence();
create or replace trigger job_checkpoints_check_fence before insert or update on job_checkpoints for each row execute function check_fence();
create or replace trigger job_metrics_check_fence before insert or update on job_metrics for each row execute function check_fence();
create or replace trigger label_segments_check_fence before insert or update on label_segments for each row execute function check_fence();
create or replace trigger label_sets_check_fence before insert or update on label_sets for each row execute function check_fence();
create or replace trigger models_check_fence before insert or update on models for each row execute function check_fence();

-- The lock makes whoever takes the job away wait for this commit: either the row is there before the lease is lost, or it never
-- is. The transaction that ends the job with success sees that end.
create or replace function check_fence_at_commit() returns trigger language plpgsql as $$
begin
  perform from jobs where id = new.job_id and epoch = new.epoch and state in ('running', 'succeeded') for share;
  if not found then
    raise exception 'job % was taken from epoch % before the commit', new.job_id, new.epoch using errcode = 'PX001';
  end if;
  return null;
end $$;
comment on function check_fence_at_commit is 'Every row written on a job''s behalf passes the fence again when it is committed';

-- PostgreSQL cannot replace a constraint trigger, so each is made where it is missing.
do $$
declare
  fenced text;
begin
  foreach fenced in array array['artifacts', 'job_checkpoints', 'job_metrics', 'label_segments', 'label_sets', 'models'] loop
    if not exists (select from pg_trigger where tgrelid = fenced::regclass and tgname = fenced || '_check_fence_at_commit') then
      execute format('create constraint trigger %I after insert or update on %I deferrable initially deferred
                      for each row execute function check_fence_at_commit()', fenced || '_check_fence_at_commit', fenced);
    end if;
  end loop;
end $$;
