-- serves: 11
-- Whose an uploaded simulator is, so that a token's are bounded.

alter table simulators add column token_id text;
create index simulators_of_token on simulators (token_id) where token_id is not null;
comment on column simulators.token_id is 'Token that posted it; null: before tokens were recorded';
