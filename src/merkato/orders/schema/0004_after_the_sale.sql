-- After the sale: shipments in parts, returns, and credits that say for which lines they are.

alter table order_lines
    add column delivered          integer not null default 0,
    add column announced          integer not null default 0,  -- to be returned, not here yet
    add column restocked          integer not null default 0,  -- of those returned
    add column credited_minor     bigint  not null default 0,  -- of gross_minor
    add column credited_tax_minor bigint  not null default 0,  -- of tax_minor
    add check (delivered between 0 and shipped),
    add check (announced >= 0 and returned + announced <= shipped),
    add check (restocked between 0 and returned),
    add check (credited_tax_minor between 0 and tax_minor),
    add check (credited_minor - credited_tax_minor between 0 and net_minor);

alter table orders
    add column captured_minor              bigint not null default 0,  -- as payments told last
    add column refunded_minor              bigint not null default 0,  -- as payments told last
    add column credited_shipping_minor     bigint not null default 0,  -- of shipping_minor
    add column credited_shipping_tax_minor bigint not null default 0,
    add check (credited_shipping_tax_minor between 0 and shipping_tax_minor),
    add check (credited_shipping_minor - credited_shipping_tax_minor between 0 and shipping_net_minor),
    drop constraint orders_payment_status_check,
    add constraint orders_payment_status_check check (payment_status in (
        'due', 'action_required', 'declined', 'authorised', 'partly_paid', 'paid', 'voided',
        'partly_refunded', 'refunded', 'refund_failed')),
    add check (fulfilment_status in (
        'unfulfilled', 'partial', 'shipped', 'delivered', 'partly_returned', 'returned'));
update orders set captured_minor = grand_minor,
                  refunded_minor = case payment_status when 'refunded' then grand_minor else 0 end
 where payment_status in ('paid', 'refunded');

create table shipments (
    id           uuid        primary key,
    order_id     uuid        not null references orders,
    carrier      text,        -- null: handed over in the shop, or by mail
    tracking     text,
    tracking_url text,
    shipped_at   timestamptz not null,
    delivered_at timestamptz,
    actor        text        not null
);
create index shipments_of_order on shipments (order_id);

create table shipment_lines (
    shipment_id uuid    not null references shipments,
    line_no     integer not null,
    quantity    integer not null check (quantity > 0),
    primary key (shipment_id, line_no)
);

create table returns (
    id           uuid        primary key,
    order_id     uuid        not null references orders,
    status       text        not null check (status in ('requested', 'received', 'rejected')),
    note         text,        -- of whoever sends it back; blanked with the person
    rejection    text,        -- why it was refused
    actor        text        not null,
    requested_at timestamptz not null,
    decided_at   timestamptz,
    check ((status = 'requested') = (decided_at is null))
);
create index returns_of_order on returns (order_id);
create index returns_by_time on returns (requested_at desc, id desc);

create table return_lines (
    return_id uuid    not null references returns,
    line_no   integer not null,
    quantity  integer not null check (quantity > 0),  -- to come back
    reason    text    not null,
    received  integer not null default 0 check (received between 0 and quantity),
    restocked integer not null default 0 check (restocked between 0 and received),
    primary key (return_id, line_no)
);

alter table credits
    add column return_id uuid unique references returns,
    add column reason    text,  -- in the words of staff, for the customer
    add column actor     text,
    drop constraint credits_amount_minor_check,
    add check (amount_minor > 0 or (kind = 'cancellation' and amount_minor = 0));

create table credit_lines (
    credit_id   uuid    not null references credits,
    line_no     integer not null,  -- 0: the shipping
    quantity    integer not null check (quantity >= 0),  -- pieces; 0 for goodwill
    net_minor   bigint  not null check (net_minor >= 0),
    tax_minor   bigint  not null check (tax_minor >= 0),
    gross_minor bigint  not null,
    primary key (credit_id, line_no),
    check (gross_minor = net_minor + tax_minor)
);

-- Orders that were cancelled whole, until today: their credit was for all there is.
update order_lines l set cancelled = quantity, credited_minor = gross_minor, credited_tax_minor = tax_minor
  from credits c where c.order_id = l.order_id;
update orders o set credited_shipping_minor = shipping_minor, credited_shipping_tax_minor = shipping_tax_minor
  from credits c where c.order_id = o.id;
insert into credit_lines (credit_id, line_no, quantity, net_minor, tax_minor, gross_minor)
select c.id, l.line_no, l.quantity, l.net_minor, l.tax_minor, l.gross_minor
  from credits c join order_lines l using (order_id)
 union all
select c.id, 0, 0, o.shipping_net_minor, o.shipping_tax_minor, o.shipping_minor
  from credits c join orders o on o.id = c.order_id where o.shipping_minor > 0;
