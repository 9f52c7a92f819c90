-- Events that the bus refused wait for people as those do that a handler could not deal with.

alter table outbox
    add column acted_by text;  -- who had it tried again or gave it up, once it was refused
alter table set_aside
    add column died_at timestamptz;  -- when it was left to people last
update set_aside set died_at = set_aside_at where state = 'dead';
create index outbox_refusals on outbox (id) where refusal is not null;

-- All that waits for people, or once did. What was said (`said`) and given up has no place in the stream.
create view letters as
select event_id, type, key, state, reason, tries, set_aside_at, next_try_at, ended_at, acted_by,
       cause, replaced_by, died_at, false as said, message, place
  from set_aside
 union all
select id, type, key,
       case when published_at is not null then case when stream_seq is null then 'discarded' else 'done' end
            when refused_at is null then 'waiting' else 'dead' end,
       'The bus refused it: ' || refusal, tries, said_at, null, published_at, acted_by,
       null, null, refused_at, true, body, seq
  from outbox where refusal is not null;
