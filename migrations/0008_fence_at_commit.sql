-- The fence holds until the commit: a transaction that passed it, slept past the lease and then commits is refused too.

-- At commit, under a lock that whoever takes the job away must wait for: either the row is there before the hold is
-- lost, or it never is. The transaction that ends the job with success sees that end.
create function fence_commit() returns trigger language plpgsql as $$
begin
  perform from jobs where id = new.job_id and epoch = new.epoch and state in ('running', 'succeeded') for share;
  if not found then
    raise exception 'job % was taken from epoch % before the commit', new.job_id, new.epoch using errcode = 'PX001';
  end if;
  return null;
end $$;
comment on function fence_commit is 'Every row written on a job''s behalf passes the fence again when it is committed';

create constraint trigger fence_commit after insert or update on job_metrics
  deferrable initially deferred for each row execute function fence_commit();
create constraint trigger fence_commit after insert or update on models
  deferrable initially deferred for each row execute function fence_commit();
create constraint trigger fence_commit after insert or update on artifacts
  deferrable initially deferred for each row execute function fence_commit();
create constraint trigger fence_commit after insert or update on label_segments
  deferrable initially deferred for each row execute function fence_commit();
create constraint trigger fence_commit after insert or update on label_sets
  deferrable initially deferred for each row execute function fence_commit();
create constraint trigger fence_commit after insert or update on job_checkpoints
  deferrable initially deferred for each row execute function fence_commit();
