-- Discrete actions: how many there are. They are stored as the class index, one number per step.

alter table datasets add column act_count integer not null default 0 check (act_count = 0 or act_count between 2 and 1024);
alter table datasets add check (act_count = 0 or (act_dim = 1 and act_low[1] = 0 and act_high[1] = act_count - 1));
comment on column datasets.act_count is 'Discrete actions, 0 to act_count - 1; 0: actions are continuous';

create or replace function dataset_summary(d datasets) returns jsonb language sql stable
  return jsonb_build_object(
    'id', d.id, 'name', d.name, 'env', d.env, 'obs_dim', d.obs_dim, 'act_dim', d.act_dim, 'act_count', d.act_count,
    'act_low', d.act_low, 'act_high', d.act_high, 'segments', d.segments_n, 'trajectories', d.trajectories_n,
    'steps', d.steps_n, 'labelled_trajectories', d.labelled_n, 'labelled_steps', d.labelled_steps_n,
    'size_bytes', d.size_bytes, 'label_set_id', d.label_set_id, 'version', d.version,
    'created_at', rfc3339(d.created_at), 'updated_at', rfc3339(d.updated_at));
