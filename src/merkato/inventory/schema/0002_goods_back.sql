-- Goods come back more than once per order: with each return, and with each line taken off.

alter table journal add column source uuid;  -- the return or credit; null: the order as a whole
drop index journal_once;
create unique index journal_once on journal (order_id, kind, location, sku, source)
    nulls not distinct where order_id is not null;

-- As before, with the source of each entry of the journal; the old form serves older processes.
create function settle(
    orders uuid[], bodies bytea[], befores text[], afters text[],
    skus text[], on_hands int[], reserveds int[],
    journal_skus text[], deltas int[], kinds text[], journal_orders uuid[], sources uuid[]
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
    insert into journal (location, sku, delta, kind, order_id, actor, source)
    select 'main', sku, delta, kind, order_id, 'orders', source
      from unnest(journal_skus, deltas, kinds, journal_orders, sources)
           j(sku, delta, kind, order_id, source);
end $$;
