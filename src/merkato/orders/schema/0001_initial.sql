-- Owned by orders. No other service reads or writes these tables. Money in minor units.

create table offers (  -- our copy of what catalog said of a sku last
    sku               text    primary key,
    version           bigint  not null,  -- of catalog; older news are ignored
    active            boolean not null,
    titles            jsonb   not null,  -- locale -> title
    options           jsonb   not null,
    image             text,
    prices            jsonb   not null,  -- [{price_list, currency, from_quantity, amount_minor, tax_included}]
    track_stock       boolean not null,
    requires_shipping boolean not null,
    weight_g          integer not null,
    tax_class         text    not null
);
create unique index offers_sku on offers (lower(sku));

create table tax_rates (
    country      char(2) not null,
    tax_class    text    not null,
    basis_points integer not null check (basis_points between 0 and 10000),
    valid_from   date    not null default '2000-01-01',
    primary key (country, tax_class, valid_from)
);
insert into tax_rates (country, tax_class, basis_points) values
    ('AT', 'standard', 2000), ('AT', 'reduced', 1000), ('BE', 'standard', 2100), ('BE', 'reduced', 600),
    ('CH', 'standard', 810),  ('CH', 'reduced', 260),  ('DE', 'standard', 1900), ('DE', 'reduced', 700),
    ('ES', 'standard', 2100), ('ES', 'reduced', 1000), ('FR', 'standard', 2000), ('FR', 'reduced', 550),
    ('GB', 'standard', 2000), ('GB', 'reduced', 500),  ('IE', 'standard', 2300), ('IE', 'reduced', 1350),
    ('IT', 'standard', 2200), ('IT', 'reduced', 1000), ('JP', 'standard', 1000), ('JP', 'reduced', 800),
    ('NL', 'standard', 2100), ('NL', 'reduced', 900),  ('PL', 'standard', 2300), ('PL', 'reduced', 800);

create table shipping_methods (
    id        text    primary key check (id ~ '^[a-z][a-z0-9-]{0,31}$'),
    position  integer not null,
    titles    jsonb   not null,   -- locale -> title
    countries text[],             -- null: everywhere
    prices    jsonb   not null,   -- currency -> price, tax included as in the price list
    free_from jsonb   not null default '{}',  -- currency -> items total from which it costs nothing
    days_min  integer not null,
    days_max  integer not null,
    tax_class text    not null default 'standard',
    archived  boolean not null default false
);
insert into shipping_methods (id, position, titles, prices, free_from, days_min, days_max) values
    ('standard', 1, '{"en": "Standard delivery", "de": "Standardversand"}',
     '{"EUR": 490, "USD": 590, "GBP": 450, "JPY": 800}', '{"EUR": 6000, "USD": 7000, "GBP": 5500, "JPY": 9000}', 2, 4),
    ('express', 2, '{"en": "Express delivery", "de": "Expressversand"}',
     '{"EUR": 1290, "USD": 1490, "GBP": 1190, "JPY": 2200}', '{}', 1, 1);

create table carts (
    id               uuid        primary key,
    customer_id      uuid,        -- null: a guest's, proven by its token
    status           text        not null default 'open' check (status in ('open', 'ordered', 'merged')),
    version          bigint      not null default 1,
    currency         char(3)     not null,
    locale           text        not null,
    sales_channel    text        not null default 'web',
    contact          jsonb,
    shipping_address jsonb,
    billing_address  jsonb,
    shipping_method  text references shipping_methods,
    metadata         jsonb       not null default '{}',
    created_at       timestamptz not null default clock_timestamp(),
    updated_at       timestamptz not null default clock_timestamp()
) with (fillfactor = 70);
create index carts_of_customer on carts (customer_id) where status = 'open' and customer_id is not null;

create table cart_lines (
    cart_id  uuid        not null references carts on delete cascade,
    line_id  uuid        not null,
    sku      text        not null,  -- of an offer; offers are never deleted
    quantity integer     not null check (quantity between 1 and 1000000),
    added_at timestamptz not null default clock_timestamp(),
    primary key (cart_id, line_id),
    unique (cart_id, sku)
) with (fillfactor = 70);

create table orders (
    id               uuid        primary key,  -- made of principal, key and lines
    number           text        not null unique,
    principal        text        not null,     -- user:<id> or cart:<id>
    idempotency_key  text        not null,
    fingerprint      bytea       not null,     -- of the request
    customer_id      uuid,
    cart_id          uuid        unique references carts,
    status           text        not null check (status in ('placed', 'confirmed', 'cancelled')),
    reason           text,                     -- why it was cancelled
    payment_status   text        not null check (payment_status in
                                 ('due', 'action_required', 'declined', 'authorised', 'paid', 'voided', 'refunded')),
    fulfilment_status text       not null default 'unfulfilled',
    steps            integer     not null,     -- rows in timeline
    currency         char(3)     not null,
    locale           text        not null,
    sales_channel    text        not null default 'web',
    payment_method   text        not null check (payment_method in ('on_account', 'card')),
    shipping_method  text,
    tax_included     boolean     not null,
    items_minor      bigint      not null check (items_minor >= 0),
    discount_minor   bigint      not null default 0 check (discount_minor between 0 and items_minor),
    shipping_minor   bigint      not null check (shipping_minor >= 0),       -- gross
    shipping_net_minor bigint    not null check (shipping_net_minor >= 0),
    shipping_tax_minor bigint    not null check (shipping_tax_minor >= 0),
    shipping_rate_bp integer     not null,
    tax_minor        bigint      not null check (tax_minor >= 0),
    grand_minor      bigint      not null check (grand_minor between 0 and 1000000000000),
    credited_minor   bigint      not null default 0 check (credited_minor between 0 and grand_minor),
    metadata         jsonb       not null default '{}',
    placed_at        timestamptz not null,
    reference_time   timestamptz,
    pay_until        timestamptz not null,
    changed_at       timestamptz not null,
    unique (principal, idempotency_key),
    check (shipping_minor = shipping_net_minor + shipping_tax_minor)
) with (fillfactor = 65, autovacuum_vacuum_scale_factor = 0.02);  -- room to confirm in place
create index orders_of_customer on orders (customer_id, placed_at desc, id desc) where customer_id is not null;
create index orders_by_time on orders (placed_at desc, id desc);

create table standing (  -- placed orders, until they are confirmed or cancelled; for the watch
    order_id uuid        primary key references orders,
    look_at  timestamptz not null  -- when to ask about it next
) with (autovacuum_vacuum_scale_factor = 0.05);
create index standing_by_time on standing (look_at);

create table order_contacts (  -- all that is personal about an order, in one row
    order_id         uuid  primary key references orders,
    contact          jsonb,
    shipping_address jsonb,
    billing_address  jsonb  -- null: the shipping address
);

create table order_lines (  -- as it was at placing; only the counters change
    order_id          uuid    not null references orders,
    line_no           integer not null,
    sku               text    not null,
    quantity          integer not null check (quantity between 1 and 1000000),
    title             text    not null,
    options           jsonb   not null,
    image             text,
    price_list        text    not null,
    list_price_minor  bigint  not null check (list_price_minor >= 0),
    unit_price_minor  bigint  not null check (unit_price_minor >= 0),
    tax_class         text    not null,
    rate_bp           integer not null,
    net_minor         bigint  not null,
    tax_minor         bigint  not null,
    gross_minor       bigint  not null,
    tracked           boolean not null,
    requires_shipping boolean not null,
    cancelled         integer not null default 0,
    shipped           integer not null default 0,
    returned          integer not null default 0,
    primary key (order_id, line_no),
    check (gross_minor = net_minor + tax_minor),
    check (cancelled between 0 and quantity),
    check (shipped between 0 and quantity - cancelled),
    check (returned between 0 and shipped)
);

create table timeline (  -- what happened to an order, in order
    order_id    uuid        not null references orders,
    n           integer     not null,
    what        text        not null,  -- placed, confirmed, cancelled, or news such as payment_declined
    from_status text,                  -- set for what moved the status
    to_status   text,
    at          timestamptz not null,
    actor       text        not null,
    cause       uuid,                  -- the event that led to it
    detail      text,
    primary key (order_id, n)
);

create table credits (  -- what a customer is given back, and why
    id           uuid        primary key,
    order_id     uuid        not null references orders,
    kind         text        not null check (kind in ('cancellation', 'return', 'goodwill')),
    amount_minor bigint      not null check (amount_minor > 0),
    created_at   timestamptz not null default clock_timestamp()
);
create index credits_of_order on credits (order_id);
