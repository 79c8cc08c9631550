-- serves: 11
-- A kind of job: rehearse, which tries among the labelled trajectories which labels a policy should learn from.

alter table jobs drop constraint jobs_kind_check;
alter table jobs add constraint jobs_kind_check
  check (kind in ('ingest', 'train_idm', 'label_shard', 'simulate_shard', 'check_simulator', 'label', 'train_policy',
                  'evaluate', 'assess', 'rehearse', 'report', 'export', 'pipeline'));
