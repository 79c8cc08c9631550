-- What is probably a mistake in an upload, found as it was read. Builds of before write no row; their uploads then have no
-- findings.
-- serves: 1
create table lint_findings (
  dataset_id        text not null references datasets on delete cascade,
  first_trajectory  bigint not null check (first_trajectory >= 0),
  file_name         text not null,
  findings          jsonb not null check (jsonb_typeof(findings) = 'array'),
  primary key (dataset_id, first_trajectory)
);
comment on table lint_findings is 'What is probably a mistake in an upload (schema/lint.def); no row where nothing was found';
comment on column lint_findings.dataset_id is 'The dataset';
comment on column lint_findings.first_trajectory is 'Number in the dataset of the first trajectory of the upload';
comment on column lint_findings.file_name is 'What the upload was called';
comment on column lint_findings.findings is 'List of {code, severity, trajectory, step, field, figure, message, hint}; trajectory counts within the upload';
