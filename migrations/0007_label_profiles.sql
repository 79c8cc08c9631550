-- What the bits of staged labels depend on, so that a shard's next attempt may keep what the one before has staged.

alter table label_segments add column profile text not null default '';
comment on column label_segments.profile is 'Instruction set and libraries it was computed under; empty: before they were recorded';
