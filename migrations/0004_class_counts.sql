-- How often each discrete action was taken, where it is known.

alter table datasets add column class_counts bigint[];
comment on column datasets.class_counts is 'Labelled steps of each discrete action; null: continuous, or nothing appended yet';
