-- What people want to hear of, where mail cannot reach them, texts of the shop's own, and messages
-- that go over a gateway to telephones.

alter table messages
    drop constraint messages_channel_check,
    add constraint messages_channel_check check (channel in ('email', 'inbox', 'sms', 'push')),
    add column kind text not null default 'order'
        check (kind in ('order', 'account', 'staff', 'marketing')),
    add column bounced_at timestamptz,  -- the mail came back, or was refused at its address
    add column bounce     text;         -- what the other side said
create index messages_bounced on messages (created_at, id) where bounced_at is not null;

alter table due add column channel text not null default 'email';  -- of its message
drop index due_by_time;
create index due_by_channel on due (channel, due_at);

alter table orders_seen add column phone text;  -- null when unknown or erased

create table preferences (  -- of users who have changed something; see domain/preferences.py
    user_id    uuid        primary key,
    choices    jsonb       not null,  -- kind -> channel -> wanted
    version    bigint      not null default 1,
    changed_at timestamptz not null default now()
);

create table suppressed (  -- addresses that get no more than what an order or account needs
    id         uuid        primary key,
    address    text        not null unique,  -- in lower case; deleted with its person
    reason     text        not null,
    message_id uuid,                         -- what bounced
    since      timestamptz not null default now()
);
create index suppressed_by_time on suppressed (since, id);

create table edited (  -- texts of the shop's own, in place of ours
    template  text        not null,
    locale    text        not null,
    version   bigint      not null,
    subject   text        not null,
    summary   text        not null,
    text      text        not null,
    html      text        not null,
    edited_by text        not null,
    edited_at timestamptz not null default now(),
    primary key (template, locale)
);
