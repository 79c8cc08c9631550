-- Where trajectories came from, in the words of whoever uploaded them. Builds of before write none.
-- serves: 1
alter table trajectories add column source text check (length(source) between 1 and 100);
comment on column trajectories.source is 'What the uploader says it came from; null: nothing said';
-- Pages of one source, and whether there is any, look at those trajectories alone.
create index trajectories_source on trajectories (dataset_id, source, n) where source is not null;
