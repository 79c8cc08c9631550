-- serves: 11
-- Labels from a simulator: kinds of jobs of their own, which older workers leave alone, and what the labels came to.

alter table jobs drop constraint jobs_kind_check;
alter table jobs add constraint jobs_kind_check
  check (kind in ('ingest', 'train_idm', 'label_shard', 'simulate_shard', 'check_simulator', 'label', 'train_policy',
                  'evaluate', 'assess', 'report', 'export', 'pipeline'));

alter table label_segments
  add column verified_n bigint check (verified_n between 0 and known_n),
  add column simulated_n bigint check (simulated_n between 0 and known_n),
  add column residual_sum float8 check (residual_sum >= 0);
comment on column label_segments.verified_n is 'Labels that a simulator verified; null, as the next two: none took part';
comment on column label_segments.simulated_n is 'Labels that are the simulator''s own';
comment on column label_segments.residual_sum is 'Sum of residuals over known_n, each counted as obs_dim at most';

create or replace view label_rows as
select l.label_job_id, l.seq, l.job_id, l.epoch, l.blob_id, l.sha256, l.steps_n, l.known_n, l.score_sum, l.verified_n,
       l.simulated_n, l.residual_sum
from label_segments l join jobs shard on shard.id = l.job_id
where shard.state = 'succeeded' and shard.epoch = l.epoch
  and exists (select from job_deps d where d.job_id = l.label_job_id and d.needs_id = l.job_id);

alter table label_sets
  add column verified_n bigint,
  add column simulated_n bigint,
  add column mean_residual float8;
comment on column label_sets.verified_n is 'Proxy actions that a simulator verified; null, as the next two: none took part';
comment on column label_sets.simulated_n is 'Proxy actions that are the simulator''s own';
comment on column label_sets.mean_residual is 'Mean residual, each counted as obs_dim at most';
