-- A kind of job: assess, which judges a policy from data alone.

alter table jobs drop constraint jobs_kind_check;
alter table jobs add constraint jobs_kind_check
  check (kind in ('ingest', 'train_idm', 'label_shard', 'label', 'train_policy', 'evaluate', 'assess', 'report', 'export',
                  'pipeline'));
