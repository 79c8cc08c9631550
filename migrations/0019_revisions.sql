-- serves: 19
-- Which revision of its kind's spec a job was written in. Builds without this column would run jobs whose spec they only half know.

alter table jobs add column revision integer not null default 0 check (revision >= 0);
comment on column jobs.revision is 'Revision of its kind''s spec: only a worker that knows it, or a later one, claims the job';
