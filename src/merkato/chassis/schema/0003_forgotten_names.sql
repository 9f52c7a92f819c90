-- What a service had of a person when it was asked to forget: looked for again in later rounds.
alter table forgotten add column names text[] not null default '{}';
