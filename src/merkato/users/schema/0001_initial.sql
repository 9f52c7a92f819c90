-- Accounts, addresses, logins. What is personal can be blanked; what proves is kept as a hash only.

create table users (
    id             uuid        primary key,
    email          text,                 -- as its owner writes it; null once erased
    email_key      text        unique,   -- folded (NFKC, lower case, IDNA), by which it is found
    email_verified boolean     not null default false,
    name           text,
    locale         text        not null default 'en',
    password_hash  text,                 -- argon2id with its salt and cost
    role           text        not null default 'customer'
                               check (role in ('customer', 'staff', 'admin')),
    blocked        boolean     not null default false,
    metadata       jsonb       not null default '{}',  -- staff's own notes, shown to staff
    version        bigint      not null default 1,     -- grows with every change; the ETag
    access_version bigint      not null default 0,     -- grows when older tokens are refused
    not_before     timestamptz not null default to_timestamp(0),  -- whole s; tokens since then count
    registered_at  timestamptz not null default clock_timestamp(),
    erased_at      timestamptz,
    check (num_nulls(email, email_key, password_hash) = case when erased_at is null then 0 else 3 end),
    check (erased_at is null or (name is null and metadata = '{}' and blocked))
);
create index users_newest on users (registered_at desc, id desc);
create index users_by_role on users (role, registered_at desc, id desc);

create table addresses (
    id         uuid        primary key,
    user_id    uuid        not null references users on delete cascade,
    address    jsonb       not null,  -- contracts.values.Address; personal as a whole
    is_default boolean     not null default false,
    version    bigint      not null default 1,
    added_at   timestamptz not null default clock_timestamp()
);
create index addresses_by_user on addresses (user_id, id);
create unique index addresses_one_default on addresses (user_id) where is_default;

create table sessions (  -- a login: the family of refresh tokens that follow each other
    id           uuid        primary key,
    user_id      uuid        not null references users on delete cascade,
    seed         bytea       not null,  -- a token's successor is HMAC(seed, token)
    began_at     timestamptz not null default clock_timestamp(),
    refreshed_at timestamptz not null default clock_timestamp(),
    ended_at     timestamptz,
    end_reason   text        check (end_reason in ('revoked', 'reused', 'access-changed')),
    check ((ended_at is null) = (end_reason is null))
);
create index sessions_by_user on sessions (user_id);

create table refresh_tokens (  -- each is used once; the newest of a session is the one to use
    hash       bytea       primary key,  -- SHA-256 of the token
    session_id uuid        not null references sessions on delete cascade,
    expires_at timestamptz not null,
    used_at    timestamptz
);
create unique index refresh_tokens_one_unused on refresh_tokens (session_id) where used_at is null;
create index refresh_tokens_by_session on refresh_tokens (session_id);
create index refresh_tokens_by_age on refresh_tokens (expires_at);

create table email_tokens (  -- links sent by mail; the secret in them is an HMAC of the id
    id         uuid        primary key,
    user_id    uuid        not null references users on delete cascade,
    purpose    text        not null check (purpose in ('verify', 'reset')),
    expires_at timestamptz not null,
    used_at    timestamptz
);
create index email_tokens_by_user on email_tokens (user_id) where used_at is null;
create index email_tokens_by_age on email_tokens (expires_at);

create table tries (  -- how often something was tried with an e-mail address, known to us or not
    what         bytea       primary key,  -- SHA-256 of what is tried and the address's key
    count        int         not null default 0 check (count >= 0),
    last_at      timestamptz not null default clock_timestamp(),
    paused_until timestamptz
);
create index tries_by_age on tries (last_at);
