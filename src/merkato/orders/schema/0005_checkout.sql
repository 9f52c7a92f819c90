-- Checkout in full: methods by weight, coupons, what was taken off, price lists of customers.

alter table shipping_methods
    add column weight_steps jsonb   not null default '[]',  -- [{from_g, prices}]: from so heavy on it costs this
    add column weight_max_g integer,                        -- heavier goods are not sent so
    add column version      bigint  not null default 1;

create table customer_price_lists (  -- who pays by another list than the standard one
    customer_id uuid primary key,
    price_list  text not null
);

create table coupons (
    code                  text        primary key check (code ~ '^[A-Z0-9]([A-Z0-9-]{0,38}[A-Z0-9])?$'),
    kind                  text        not null check (kind in ('percent', 'fixed', 'free_shipping')),
    basis_points          integer     check (basis_points between 1 and 10000),
    amounts               jsonb       not null default '{}',  -- currency -> minor units
    minimum               jsonb       not null default '{}',  -- currency -> what the goods have to cost
    valid_from            timestamptz,
    valid_until           timestamptz,
    uses_max              bigint,
    uses_per_customer_max bigint,
    note                  text,
    uses                  bigint      not null default 0,  -- orders that hold or have used it
    archived              boolean     not null default false,
    version               bigint      not null default 1,  -- grows with what it says, not with its uses
    created_at            timestamptz not null default clock_timestamp(),
    check (uses >= 0 and uses <= uses_max),
    check ((kind = 'percent') = (basis_points is not null))
) with (fillfactor = 70);

create table coupon_customers (  -- how often each customer holds or has used a coupon
    code     text   not null references coupons,
    customer text   not null,  -- user:<id>, or guest:<keyed hash of the e-mail address>
    uses     bigint not null check (uses >= 0),
    primary key (code, customer)
) with (fillfactor = 70);

create table coupon_uses (  -- which order has which coupon
    order_id uuid        primary key references orders,
    code     text        not null references coupons,
    customer text        not null,
    state    text        not null check (state in ('held', 'used', 'freed')),
    at       timestamptz not null default clock_timestamp()
);
create index coupon_uses_of on coupon_uses (code, at);

alter table carts add column coupon text references coupons;

alter table orders add column coupon text references coupons;

create table adjustments (  -- what was taken off, and why; of the lines they sum to discount_minor
    order_id     uuid    not null references orders,
    n            integer not null,
    line_no      integer,  -- null: off the shipping
    source       text    not null check (source in ('coupon')),
    code         text    not null,
    amount_minor bigint  not null check (amount_minor > 0),
    primary key (order_id, n),
    foreign key (order_id, line_no) references order_lines
);
