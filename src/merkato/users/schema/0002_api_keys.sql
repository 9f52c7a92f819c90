-- Keys of programs. A key is shown once; what proves it is kept as a hash only.

create table api_keys (
    id           uuid        primary key,
    prefix       text        not null unique,  -- how the key begins, by which people tell it
    hash         bytea       not null unique,  -- SHA-256 of the key, which has 256 random bits
    name         text        not null,
    scopes       text[]      not null check (cardinality(scopes) > 0),  -- names of permissions
    made_by      uuid        not null references users,  -- a key may never do more than its maker
    made_at      timestamptz not null default clock_timestamp(),
    expires_at   timestamptz,
    last_used_at timestamptz,  -- to the minute
    revoked_at   timestamptz
);
create index api_keys_newest on api_keys (made_at desc, id desc);
create index api_keys_by_maker on api_keys (made_by);
