-- What reports of sales need beyond an order's sums. The country outlives the address.
alter table orders add column country text;
update orders o set country = coalesce(c.shipping_address, c.billing_address) ->> 'country'
  from order_contacts c where c.order_id = o.id;
create index orders_by_reference_time on orders (coalesce(reference_time, placed_at));
