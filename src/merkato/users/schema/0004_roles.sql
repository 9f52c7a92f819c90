-- Roles that the shop made itself, beside those of the code. One that has ended stays, so that its
-- versions go on should its name be used again.

create table roles (
    name        text        primary key check (name ~ '^[a-z][a-z0-9-]{0,31}$'),
    title       text        not null,
    permissions text[]      not null,
    version     bigint      not null default 1,
    changed_at  timestamptz not null default clock_timestamp(),
    ended_at    timestamptz
);
alter table users drop constraint users_role_check;
