-- Second factors: codes by time (TOTP, RFC 6238), and codes for whoever lost them.

create table second_factors (
    user_id      uuid        primary key references users on delete cascade,
    sealed       text        not null,  -- the secret, sealed under users.totp_key
    begun_at     timestamptz not null default clock_timestamp(),
    confirmed_at timestamptz,           -- since then a login needs a code
    last_step    bigint      not null default 0  -- of the code used last; each is used once
);

create table recovery_codes (
    user_id uuid        not null references users on delete cascade,
    hash    bytea       not null,  -- SHA-256 of a code of 80 random bits
    used_at timestamptz,
    primary key (user_id, hash)
);
