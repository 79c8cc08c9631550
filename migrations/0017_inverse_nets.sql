-- serves: 11
-- A kind of job: train_inverse, whose model inverts a simulator.

alter table jobs drop constraint jobs_kind_check;
alter table jobs add constraint jobs_kind_check
  check (kind in ('ingest', 'train_idm', 'label_shard', 'simulate_shard', 'check_simulator', 'train_inverse', 'label',
                  'train_policy', 'evaluate', 'assess', 'rehearse', 'report', 'export', 'pipeline'));

alter table models drop constraint models_role_check;
alter table models add constraint models_role_check check (role in ('idm', 'policy', 'inverse'));
comment on column models.role is 'idm, policy or inverse';
comment on table models is 'Trained networks: inverse dynamics models, policies and nets that invert a simulator';
