-- What people were told, and what waits to be told to them.

create table messages (  -- one per (fact, template, recipient)
    id          uuid        primary key,  -- UUIDv8 of SHA-256(fact, template, recipient): the key makes
                                          -- a message one per fact, also after its recipient was erased
    channel     text        not null check (channel in ('email', 'inbox')),
    fact        text        not null,  -- what happened: order id and transition, refund id, token id …
    template    text        not null,
    locale      text        not null,
    recipient   text        not null,  -- a mail address, or user:<id> of an inbox; overwritten on erasure
    customer_id uuid,                  -- the user it concerns; null for guests and staff
    data        jsonb       not null,  -- what the template shows; emptied on erasure
    state       text        not null default 'queued' check (state in ('queued', 'sent', 'failed')),
    tries       int         not null default 0 check (tries >= 0),  -- until the last verdict
    edition     int         not null default 1 check (edition >= 1),  -- 2, 3 … when sent again on purpose
    reason      text,                  -- why it failed
    created_at  timestamptz not null default now(),
    sent_at     timestamptz,           -- the mail server took it, or it lies in the inbox
    failed_at   timestamptz,
    read_at     timestamptz,           -- in the inbox, first time
    erased_at   timestamptz,
    check ((state = 'sent') = (sent_at is not null)),
    check ((state = 'failed') = (failed_at is not null and reason is not null)),
    check (channel = 'inbox' or read_at is null)
) with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05);
-- No index names `state` or `sent_at`, so that sending a message touches no index (HOT update).
create index messages_by_time on messages (created_at, id);
create index messages_by_customer on messages (customer_id, created_at, id) where customer_id is not null;
create index messages_by_recipient on messages (recipient, created_at, id);
create index messages_failed on messages (created_at, id) where failed_at is not null;

create table due (  -- mails to be sent: exactly the queued messages
    message_id uuid        primary key,  -- of messages; no foreign key, whose check locks each message
    since      timestamptz not null default now(),
    due_at     timestamptz not null default now(),  -- when to try; while leased, when the lease ends
    tries      int         not null default 0
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 2000);
create index due_by_time on due (due_at);

create table orders_seen (  -- whom to tell about an order's payment: payments says no contact
    order_id    uuid   primary key,
    number      text   not null,
    customer_id uuid,            -- null for guests
    locale      text   not null,
    currency    text   not null,
    grand_minor bigint not null,
    email       text,            -- null when unknown or erased
    name        text
);
create index orders_seen_by_customer on orders_seen (customer_id) where customer_id is not null;
