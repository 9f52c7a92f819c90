-- What every service keeps beside its own tables.

create table outbox (  -- what was said; kept after publishing so that a lost broker can be refilled
    seq          bigint      generated always as identity primary key,
    id           uuid        not null,
    type         text        not null,
    key          text        not null,
    sequence     bigint      not null,  -- 1, 2, 3 … per key, without a gap
    body         text        not null,  -- the event as JSON without its hidden fields
    hidden       text,                  -- personal and secret fields as JSON; blanked when due
    cause        uuid,                  -- the event that led to this one
    request_id   text,
    said_at      timestamptz not null default clock_timestamp(),
    published_at timestamptz,
    stream_seq   bigint,                -- where the broker has it
    tries        int         not null default 0,  -- times it was asked for again
    refused_at   timestamptz,           -- the broker will never take it
    refusal      text,
    unique (key, sequence),
    check (octet_length(body) + coalesce(octet_length(hidden), 0) <= 524288)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 2000);
create index outbox_unpublished on outbox (seq) where published_at is null;
create index outbox_refused on outbox (key) where refused_at is not null and published_at is null;

create table broker (  -- what we know of the stream we published to
    one        boolean     primary key default true check (one),
    created    text        not null,  -- when the stream says it was created
    acked_seq  bigint,                -- the highest place the stream gave to an event of ours …
    acked_id   uuid,                  -- … and that event
    checked_at timestamptz not null default now()
);

create table inbox (  -- each event is heard once
    event_id uuid        primary key,
    heard_at timestamptz not null default clock_timestamp()
) with (autovacuum_vacuum_scale_factor = 0.05);

create table set_aside (  -- events whose handler failed, and those of the same key behind them
    event_id     uuid        primary key,
    type         text        not null,
    key          text        not null,
    stream_seq   bigint      not null,
    message      text        not null,  -- the event as it came
    reason       text        not null,
    tries        int         not null default 0,
    next_try_at  timestamptz,
    state        text        not null check (state in ('waiting', 'dead', 'done', 'discarded')),
    set_aside_at timestamptz not null default clock_timestamp(),
    ended_at     timestamptz
);
create index set_aside_open on set_aside (key, stream_seq) where state in ('waiting', 'dead');

create table answers (  -- the answer to each request that carried an Idempotency-Key, kept 24 h
    principal   text        not null,
    route       text        not null,
    key         text        not null,
    fingerprint bytea       not null,
    status      int         not null,
    headers     text        not null,
    body        bytea       not null,
    answered_at timestamptz not null default clock_timestamp(),
    primary key (principal, route, key)
) with (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 2000);
create index answers_by_age on answers (answered_at);

create table access (  -- users whose tokens are judged anew; older ones are refused
    user_id    uuid        primary key,
    version    bigint      not null,
    role       text        not null,
    blocked    boolean     not null,
    not_before timestamptz not null
);
