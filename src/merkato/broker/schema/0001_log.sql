-- Every public event, in one order, and the topics that others publish to.

-- A position is given by one writer at a time: milliseconds since 1970 shifted left by 20 bits, and
-- one more for each further event. So positions only grow, a time is a position, and a day is a
-- range of positions: a partition, dropped whole when it is too old.
create table log_head (
    one      boolean primary key default true check (one),
    position bigint  not null,  -- the last one given
    ready    bigint  not null   -- positions below this have a partition
);
insert into log_head (position, ready) values (0, 0);

create table log (
    position bigint not null primary key,
    id       uuid   not null,  -- of the event on the bus; for webhooks the message's id
    type     text   not null,
    key      text   not null,
    event    text   not null   -- the CloudEvent as JSON, its data the public projection
) partition by range (position);
create index log_by_key on log (hashtextextended(key, 0), position);

-- Make the partitions for `until` and the two days after it.
create function prepare_log(until bigint) returns void language plpgsql as $$
declare
    day_ms constant bigint := 86400000;
    day bigint := greatest((until >> 20) / day_ms,
                           (select (ready >> 20) / day_ms from log_head));
begin
    while day <= (until >> 20) / day_ms + 2 loop
        execute format('create table if not exists log_%s partition of log for values from (%s) to (%s)',
                       to_char(to_timestamp(day * 86400) at time zone 'UTC', 'YYYYMMDD'),
                       (day * day_ms) << 20, ((day + 1) * day_ms) << 20);
        day := day + 1;
    end loop;
    update log_head set ready = greatest(ready, (day * day_ms) << 20);
end $$;

-- Append events in order; gives the position of the last. The lock of the head's row makes all
-- writers one, so what a reader sees at a position stays all there is up to it.
create function append_to_log(ids uuid[], types text[], keys text[], events text[])
returns bigint language plpgsql as $$
declare
    last bigint; prepared bigint; amount int := cardinality(ids);
begin
    update log_head
       set position = greatest(position, (extract(epoch from clock_timestamp()) * 1000)::bigint << 20) + amount
    returning position, ready into last, prepared;
    if last >= prepared then
        perform prepare_log(last);
    end if;
    insert into log (position, id, type, key, event)
    select last - amount + e.n, e.id, e.type, e.key, e.event
      from unnest(ids, types, keys, events) with ordinality e(id, type, key, event, n);
    return last;
end $$;

-- Drop the partitions of days that ended more than `days` days ago; gives how many.
create function drop_old_log(days int) returns int language plpgsql as $$
declare
    oldest text := 'log_' || to_char(now() at time zone 'UTC' - make_interval(days => days), 'YYYYMMDD');
    partition record; dropped int := 0;
begin
    for partition in
        select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
         where i.inhparent = 'log'::regclass and c.relname < oldest
    loop
        execute format('drop table %I', partition.relname);
        dropped := dropped + 1;
    end loop;
    return dropped;
end $$;

create table topics (  -- what others publish; our own topics are made from the code
    name          text        not null,
    version       int         not null check (version >= 1),
    description   text        not null,
    schema        jsonb       not null,  -- of `data`, JSON Schema 2020-12
    revision      int         not null default 1 check (revision >= 1),  -- compatible changes made
    registered_by text        not null,
    registered_at timestamptz not null default now(),
    changed_at    timestamptz not null default now(),
    primary key (name, version)
);

create table published (  -- a pair of source and id is published once
    source       text        not null,
    id           text        not null,
    published_at timestamptz not null default now(),
    primary key (source, id)
);
create index published_by_age on published (published_at);
