-- Owned by inventory. No other service reads or writes these tables.

create table locations (
    id   text primary key check (id ~ '^[a-z][a-z0-9-]{0,31}$'),
    name text not null
);
insert into locations (id, name) values ('main', 'Main warehouse');

create table stock (
    location   text    not null default 'main' references locations,
    sku        text    not null,
    on_hand    integer not null default 0,
    reserved   integer not null default 0,
    threshold  integer,                      -- low from here on; null: the shop's setting
    low        boolean not null default true,  -- at or below the threshold when last looked
    crossings  bigint  not null default 0,   -- how often it fell to the threshold
    version    bigint  not null default 0,   -- of what was said about it last
    said       integer,                      -- the availability said last; null: never
    said_at    timestamptz,
    primary key (location, sku),
    check (reserved >= 0 and reserved <= on_hand)  -- nothing can be sold that is not there
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);
create unique index stock_sku on stock (lower(sku), location);

create table journal (  -- every change of on_hand, and why; Σ delta = on_hand
    id        bigint      generated always as identity primary key,
    location  text        not null,
    sku       text        not null,
    delta     integer     not null check (delta <> 0),
    kind      text        not null check (kind in ('initial', 'received', 'adjusted', 'committed', 'returned')),
    reason    text,
    order_id  uuid,
    actor     text        not null,
    at        timestamptz not null default clock_timestamp(),
    foreign key (location, sku) references stock (location, sku)
);
create index journal_by_sku on journal (location, sku, id desc);
create unique index journal_once on journal (order_id, kind, location, sku) where order_id is not null;

create table reservations (
    order_id   uuid        primary key,
    body       bytea       not null,  -- SHA-256 of the merged, sorted lines: another body is another order
    state      text        not null check (state in ('held', 'committed', 'released', 'expired')),
    kept       boolean     not null default false,  -- orders knows of it: no clock ends it
    principal  text        not null,
    expires_at timestamptz not null,
    changed_at timestamptz not null default clock_timestamp()
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
create index reservations_provisional on reservations (expires_at) where state = 'held' and not kept;
create index reservations_of_principal on reservations (principal) where state = 'held' and not kept;

create table reservation_lines (
    order_id uuid    not null references reservations,
    location text    not null default 'main',
    sku      text    not null,
    quantity integer not null check (quantity between 1 and 1000000),
    primary key (order_id, sku)  -- of a stock row: what holds goods has locked it
);

-- Decide a batch of reservations, first come first served, all lines of an order or none.
--
-- Order k of `orders` wants the lines where ns = k, sorted by ns, a sku once per order; orders come
-- in order of arrival, each once. Locks: stock by sku, then reservations. Right under READ COMMITTED
-- because each statement of a volatile function takes a new snapshot: what is read after the locks
-- shows what those we waited for have committed. The lock is never held across a network round trip.
-- Verdicts: held, repeat (its lines are held or sold already), refused (with the skus missing),
-- differs (the id was used with other lines), closed (the order was cancelled), hoarding (too many
-- provisional holds of one principal).
create function reserve(
    orders uuid[], bodies bytea[], principals text[], ns int[], skus text[], quantities int[],
    ttls interval[], holds_max int
) returns table (order_id uuid, verdict text, missing text[]) language plpgsql as $$
#variable_conflict use_column
declare
    names text[];
    room  int[];
    at    int[];
    known jsonb;
    was   jsonb;
    open  jsonb;
    held  int[] := '{}';
    again int[] := '{}';
    i     int := 1;
    upto  int;
    done  int;
    total int := cardinality(ns);
begin
    select array_agg(sku), array_agg(free) into names, room from
        (select sku, on_hand - reserved as free from stock
          where location = 'main' and sku = any(skus) order by sku for no key update) shelf;
    select coalesce(jsonb_object_agg(order_id, jsonb_build_array(state, encode(body, 'hex'))), '{}')
      into known from reservations where order_id = any(orders);
    select coalesce(jsonb_object_agg(principal, n), '{}') into open from
        (select principal, count(*) as n from reservations
          where state = 'held' and not kept and principal = any(principals) group by principal) p;
    select coalesce(array_agg(array_position(names, s) order by o), '{}') into at
      from unnest(skus) with ordinality u(s, o);
    for k in 1 .. cardinality(orders) loop
        upto := i;
        while upto <= total and ns[upto] = k loop upto := upto + 1; end loop;  -- its lines: i .. upto-1
        order_id := orders[k];
        missing := '{}';
        was := known -> orders[k]::text;
        if was is not null and was ->> 1 <> encode(bodies[k], 'hex') then
            verdict := 'differs';
        elsif was ->> 0 in ('held', 'committed') then
            verdict := 'repeat';
            again := again || k;
        elsif was ->> 0 = 'released' then
            verdict := 'closed';
        elsif coalesce((open ->> principals[k])::int, 0) >= holds_max then
            verdict := 'hoarding';
        else
            for j in i .. upto - 1 loop
                if at[j] is null or room[at[j]] < quantities[j] then
                    missing := missing || skus[j];
                end if;
            end loop;
            if missing = '{}' then
                for j in i .. upto - 1 loop room[at[j]] := room[at[j]] - quantities[j]; end loop;
                held := held || k;
                verdict := 'held';
            else
                verdict := 'refused';
            end if;
        end if;
        i := upto;
        return next;
    end loop;
    if again <> '{}' then  -- whoever asks again is about to commit: give it time
        update reservations r set expires_at = greatest(r.expires_at, clock_timestamp() + ttls[a])
          from (select a from unnest(again) a order by orders[a]) t
         where r.order_id = orders[a] and r.state = 'held';
    end if;
    if held <> '{}' then
        insert into reservations as r (order_id, body, state, principal, expires_at)
        select orders[h], bodies[h], 'held', principals[h], clock_timestamp() + ttls[h]
          from unnest(held) h order by 1
            on conflict (order_id) do update
           set state = 'held', kept = false, expires_at = excluded.expires_at,
               changed_at = clock_timestamp()
         where r.state = 'expired';
        get diagnostics done = row_count;
        if done <> cardinality(held) then  -- the same order in another process, just now
            raise exception 'reservation taken meanwhile' using errcode = 'serialization_failure';
        end if;
        insert into reservation_lines (order_id, sku, quantity)
        select orders[n], sku, quantity from unnest(ns, skus, quantities) l(n, sku, quantity)
         where n = any(held)
            on conflict do nothing;  -- an expired one has its lines still: same body, same lines
        update stock s set reserved = s.reserved + t.quantity
          from (select sku, sum(quantity) as quantity from unnest(ns, skus, quantities) l(n, sku, quantity)
                 where n = any(held) group by sku) t
         where s.location = 'main' and s.sku = t.sku;
    end if;
end $$;

-- Move goods of orders that were confirmed or cancelled, whose holds are known to be as expected.
--
-- The caller has decided by what it read without locks; here, in one round trip, the rows are locked
-- in order (stock by sku, reservations by order), what was read is compared, and all is written. So a
-- lock on a hot sku is held for one round trip, the commit. Raises serialization_failure when a hold
-- has changed meanwhile: the batch is decided again.
create function settle(
    orders uuid[], bodies bytea[], befores text[], afters text[],
    skus text[], on_hands int[], reserveds int[],
    journal_skus text[], deltas int[], kinds text[], journal_orders uuid[]
) returns void language plpgsql as $$
begin
    perform from stock where location = 'main' and sku = any(skus) order by sku for no key update;
    perform from reservations where order_id = any(orders) order by order_id for update;
    if exists (select from unnest(orders, befores) e(id, state)
                 left join reservations r on r.order_id = e.id
                where coalesce(r.state, 'none') <> e.state) then
        raise exception 'a hold has changed meanwhile' using errcode = 'serialization_failure';
    end if;
    insert into reservations as r (order_id, body, state, kept, principal, expires_at)
    select id, body, state, true, '', clock_timestamp()
      from unnest(orders, bodies, afters) h(id, body, state) order by id
        on conflict (order_id) do update
       set state = excluded.state, kept = true, changed_at = clock_timestamp();
    update stock s set on_hand = s.on_hand + m.on_hand, reserved = s.reserved + m.reserved
      from unnest(skus, on_hands, reserveds) m(sku, on_hand, reserved)
     where s.location = 'main' and s.sku = m.sku;
    insert into journal (location, sku, delta, kind, order_id, actor)
    select 'main', sku, delta, kind, order_id, 'orders'
      from unnest(journal_skus, deltas, kinds, journal_orders) j(sku, delta, kind, order_id);
end $$;
