-- The audit trail of all services: who did what to what, in the order in which it was heard.
-- Append-only. Each entry's hash covers its text and the hash before it, so that whoever changes or
-- takes away an entry would have to write anew all that follow; see law T1.

create table trail (
    n       bigint      primary key,  -- 1, 2, 3 … without a gap
    at      timestamptz not null,     -- when it was done, as the text says
    body    text        not null,     -- contracts.trail.ActionNoted as JSON, as it was said
    hash    bytea       not null,     -- SHA-256 of the hash before (nothing at first) and the text
    id      uuid        not null unique generated always as ((body::jsonb ->> 'entry_id')::uuid) stored,
    actor   text        not null generated always as (body::jsonb ->> 'actor') stored,
    action  text        not null generated always as (body::jsonb ->> 'action') stored,
    subject text        not null generated always as (body::jsonb ->> 'subject') stored
);
create index trail_by_actor on trail (actor, n);
create index trail_by_action on trail (action, n);
create index trail_by_subject on trail (subject, n);
create index trail_by_time on trail (at);

create table trail_head (  -- the last entry; locked by whoever adds one
    one  boolean primary key default true check (one),
    n    bigint  not null default 0,
    hash bytea   not null default ''
);
insert into trail_head default values;

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'the audit trail is append-only';
end $$;
create trigger trail_is_append_only before update or delete or truncate on trail
   for each statement execute function refuse_change();
