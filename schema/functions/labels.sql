-- Which label segments count.

create or replace view label_rows as
  select l.label_job_id, l.seq, l.job_id, l.epoch, l.blob_id, l.sha256, l.steps_n, l.known_n, l.score_sum, l.verified_n,
         l.simulated_n, l.residual_sum
  from label_segments l join jobs shard on shard.id = l.job_id
  where shard.state = 'succeeded' and shard.epoch = l.epoch
    and exists (select from job_deps d where d.job_id = l.label_job_id and d.needs_id = l.job_id);
comment on view label_rows is 'Label segments that count: written by the attempt under which their shard succeeded';
