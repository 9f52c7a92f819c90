-- Payments: one row per order, what was asked of whom below it, and the ledger of what moved.

create table payments (
    id              uuid        primary key,
    order_id        uuid        not null unique,
    customer_id     uuid,                  -- null for guests
    wanted          text        not null check (wanted in ('pay', 'nothing')),
    method          text        not null check (method in ('on_account', 'card')),
    amount_minor    bigint      not null check (amount_minor >= 0),  -- what is due
    currency        text        not null,
    state           text        not null check (state in (
        'due', 'sent', 'unknown', 'action_required', 'declined', 'authorised', 'captured',
        'voided', 'mismatch')),
    attempt         int         not null default 0,  -- number of the newest attempt
    -- Sums over the operations below, kept here so that the database refuses what must not be.
    authorised_minor bigint     not null default 0,
    captured_minor  bigint      not null default 0,
    voided_minor    bigint      not null default 0,
    refunded_minor  bigint      not null default 0,
    refunding_minor bigint      not null default 0,  -- asked for, not decided
    pay_until       timestamptz,           -- null: cancelled before it was heard to be placed
    note            text        not null default '',  -- of staff, about this payment
    version         bigint      not null default 1,
    created_at      timestamptz not null default clock_timestamp(),
    changed_at      timestamptz not null default clock_timestamp(),
    check (captured_minor >= 0 and voided_minor >= 0),
    check (captured_minor + voided_minor <= authorised_minor),
    check (refunded_minor >= 0 and refunding_minor >= 0),
    check (refunded_minor + refunding_minor <= captured_minor)
) with (fillfactor = 80);
create index payments_by_time on payments (created_at desc, id desc);
create index payments_by_state on payments (state, created_at desc, id desc)
    where state not in ('authorised', 'captured');
create index payments_by_customer on payments (customer_id) where customer_id is not null;

create table operations (  -- what was asked of a provider, or decided by rule
    id            uuid        primary key,
    payment_id    uuid        not null references payments on delete cascade,
    kind          text        not null check (kind in ('authorise', 'capture', 'void', 'refund')),
    key           text        not null unique,  -- ours, shown to the provider: it acts once per key
    attempt       int         not null,         -- to which attempt it belongs
    method        text        not null check (method in ('on_account', 'card')),
    amount_minor  bigint      not null check (amount_minor >= 0),  -- what the provider said, if it did
    currency      text        not null,
    state         text        not null check (state in (
        'intent', 'sent', 'unknown', 'action_required', 'succeeded', 'failed', 'mismatch')),
    reference     text,                  -- the provider's name of it
    origin        text,                  -- the provider's name of the attempt it acts on
    payment_token text,                  -- the provider's name of the card; blanked once decided
    url           text,                  -- where the customer has to go; blanked once decided
    reason        text,
    credit_id     uuid,                  -- the credit of the order that a refund pays
    tries         int         not null default 0,
    ask_at        timestamptz,           -- when the provider is asked (again); null: no need
    created_at    timestamptz not null default clock_timestamp(),
    ended_at      timestamptz,
    check (payment_token is null or state not in ('succeeded', 'failed', 'mismatch'))
) with (fillfactor = 80);
create index operations_of_payment on operations (payment_id);
create index operations_to_ask on operations (ask_at) where ask_at is not null;
create index operations_by_reference on operations (reference) where reference is not null;
-- Never two tries to take the money at once, nor after one that succeeded.
create unique index operations_one_attempt on operations (payment_id)
    where kind = 'authorise' and state not in ('failed', 'mismatch');
create unique index operations_one_refund_per_credit on operations (payment_id, credit_id)
    where kind = 'refund' and state <> 'failed' and credit_id is not null;

create table entries (  -- the ledger: double entry, append only
    seq          bigint      generated always as identity primary key,
    operation_id uuid        not null references operations,
    posting      smallint    not null check (posting in (1, 2)),  -- 1: it happened; 2: it was undone
    account      text        not null check (account in ('receivable', 'customer', 'processor', 'bank')),
    amount_minor bigint      not null check (amount_minor <> 0),  -- signed; a posting sums to zero
    currency     text        not null,
    order_id     uuid        not null,
    payment_id   uuid        not null,
    posted_at    timestamptz not null default clock_timestamp(),
    unique (operation_id, posting, account)
);
create index entries_of_order on entries (order_id, seq);

create function refuse_unbalanced() returns trigger language plpgsql as $$
begin
    if exists (select from added group by operation_id, posting, currency
                having sum(amount_minor) <> 0) then
        raise exception 'a posting does not sum to zero' using errcode = 'check_violation';
    end if;
    return null;
end $$;
-- Once per statement, over the rows it added: a posting is always added whole.
create trigger entries_balance after insert on entries
    referencing new table as added for each statement execute function refuse_unbalanced();

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'the ledger is append only' using errcode = 'check_violation';
end $$;
create trigger entries_stay before update or delete on entries
    for each row execute function refuse_change();

create table webhooks (  -- what providers told us, as it came; only ever a reason to ask them
    event_id    text        primary key,
    provider    text        not null,
    type        text        not null,
    reference   text,                    -- the provider's name of what it is about
    key         text,                    -- our name of it, if the provider told that too
    body        text        not null,    -- blanked with the person it is about
    received_at timestamptz not null default clock_timestamp(),
    look_at     timestamptz default clock_timestamp(),  -- when to look for it (again); null: done
    tries       int         not null default 0
);
create index webhooks_to_look on webhooks (look_at) where look_at is not null;
create index webhooks_by_reference on webhooks (reference);
