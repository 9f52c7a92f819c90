-- Invitations to become staff. What is personal is deleted with the account, or some time after.

create table invitations (
    id          uuid        primary key,  -- the token of its link is an HMAC of it
    email       text        not null,
    email_key   text        not null,
    role        text        not null,
    locale      text        not null default 'en',
    invited_by  uuid        not null references users,
    invited_at  timestamptz not null default clock_timestamp(),
    expires_at  timestamptz not null,
    accepted_at timestamptz,
    revoked_at  timestamptz,
    check (accepted_at is null or revoked_at is null)
);
create unique index invitations_one_open on invitations (email_key)
 where accepted_at is null and revoked_at is null;
create index invitations_newest on invitations (invited_at desc, id desc);
create index invitations_by_end on invitations (expires_at);
