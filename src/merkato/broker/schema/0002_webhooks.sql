-- Webhooks: who wants which events where, and what became of each.

create table subscriptions (  -- an endpoint and what it wants
    id               uuid        primary key,
    url              text        not null,
    description      text        not null,
    topics           text[]      not null,  -- names with or without version; none: everything
    ordered          boolean     not null,  -- events of one key one after the other
    state            text        not null default 'active' check (state in ('active', 'paused', 'disabled')),
    reason           text,                  -- why it was disabled
    secret           bytea       not null,  -- sealed with the key of the configuration
    old_secret       bytea,                 -- signs too …
    old_secret_until timestamptz,           -- … until then
    began            bigint      not null,  -- events behind this position of the log are owed
    position         bigint      not null,  -- and up to this one they are deliveries
    failures         int         not null default 0,  -- tries in a row that failed
    failing_since    timestamptz,
    open_until       timestamptz,           -- nothing is sent before: the breaker
    version          bigint      not null default 1,
    created_by       text        not null,
    created_at       timestamptz not null default now(),
    changed_at       timestamptz not null default now(),
    check ((state = 'disabled') = (reason is not null)),
    check ((old_secret is null) = (old_secret_until is null)),
    check (began <= position)
) with (fillfactor = 50);

create table deliveries (  -- one event for one endpoint
    id              uuid        primary key default uuidv7(),
    subscription_id uuid        not null references subscriptions on delete cascade,
    position        bigint      not null,  -- in the log; negative for a ping
    event_id        uuid        not null,  -- the webhook-id: the same on every try and for every endpoint
    type            text        not null,
    key             text        not null,
    ping            text,                  -- the body of a ping
    state           text        not null default 'pending' check (state in ('pending', 'delivered', 'failed')),
    tries           int         not null default 0 check (tries >= 0),  -- of this round, begun ones included
    attempts        int         not null default 0,                     -- of all rounds
    due_at          timestamptz not null default clock_timestamp(),     -- while one is sent: when it counts as lost
    reason          text,
    created_at      timestamptz not null default now(),
    ended_at        timestamptz,
    unique (subscription_id, position),
    check ((state = 'pending') = (ended_at is null)),
    check (state <> 'failed' or reason is not null)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
create index deliveries_due on deliveries (subscription_id, due_at) where state = 'pending';
create index deliveries_waiting on deliveries (subscription_id, key, position) where state = 'pending';
create index deliveries_failed on deliveries (ended_at) where state = 'failed';
create index deliveries_delivered on deliveries (ended_at) where state = 'delivered';

create table attempts (  -- each try
    delivery_id uuid        not null references deliveries on delete cascade,
    n           int         not null,  -- 1, 2, 3 … over all rounds
    at          timestamptz not null,
    status      int,                   -- what was answered; null: nothing was
    error       text,                  -- why it failed
    duration_ms int         not null,
    primary key (delivery_id, n)
);
