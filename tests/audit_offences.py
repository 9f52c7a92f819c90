"""Offences against each law, to be planted in the shop of `audited_shop`."""

from audited_shop import ENTRIES, HOOK, LOGGED, A, B, C, D, E, old_id

EVENT = old_id()
LET = "alter table {} disable trigger user"
OPERATION_OF = f"(select id from operations where payment_id = '{A}' and kind = 'authorise')"
HEARD_OF_A = (
    "delete from inbox where event_id = (select min(event_id::text)::uuid from inbox) "
    "returning event_id"
)
MAIL_OF = "insert into messages (id, channel, fact, template, locale, recipient, data, state{}) "

# law, service, what is written there, whose id is named
PLANTED = [
    ("S1", "inventory", "update stock set on_hand = on_hand + 1", "tea"),
    ("S1", "inventory", "delete from journal where kind = 'initial'", "tea"),
    ("S2", "inventory", "update stock set reserved = reserved + 1", "tea"),
    (
        "S3",
        "inventory",
        "alter table stock drop constraint stock_check;"
        "insert into stock (sku, reserved) values ('ghost', 1);"
        f"insert into reservation_lines (order_id, sku, quantity) values ('{D}', 'ghost', 1)",
        "ghost",
    ),
    (
        "S4",  # a confirmed order took less than its goods
        "inventory",
        f"update journal set delta = -1 where order_id = '{A}'; update stock set on_hand = 7",
        A,
    ),
    (
        "S4",  # of a cancelled order something is still missing
        "inventory",
        f"delete from journal where order_id = '{C}' and kind = 'returned';"
        "update stock set on_hand = 4",
        C,
    ),
    (
        "S4",  # goods came back that nobody gave back
        "inventory",
        "insert into journal (location, sku, delta, kind, order_id, actor) "
        f"values ('main', 'tea', 1, 'returned', '{B}', ''); update stock set on_hand = 7",
        B,
    ),
    (
        "S1",  # more came back than had left
        "inventory",
        "insert into journal (location, sku, delta, kind, order_id, actor) "
        f"values ('main', 'tea', 1, 'returned', '{D}', '');"
        "update stock set on_hand = 7; update reservation_lines set quantity = quantity",
        D,
    ),
    (
        "S4",  # what came back was not put on the shelf
        "inventory",
        f"delete from journal where order_id = '{E}' and kind = 'returned';"
        "update stock set on_hand = 5",
        E,
    ),
    (
        "S5",
        "inventory",
        f"update reservations set state = 'held' where order_id = '{B}';"
        "update stock set reserved = 4",
        B,
    ),
    (
        "S5",  # nobody ordered it, and its minute is over
        "inventory",
        "insert into reservations (order_id, body, state, principal, expires_at, changed_at) "
        f"values ('{EVENT}', '', 'held', '', now() - interval '1 h', now() - interval '1 h')",
        EVENT,
    ),
    ("M1", "orders", f"update orders set items_minor = 2001 where id = '{A}'", A),
    ("M1", "orders", f"update order_lines set unit_price_minor = 999 where order_id = '{B}'", B),
    (
        "M1",
        "orders",
        "alter table order_lines drop constraint order_lines_check;"
        f"update order_lines set net_minor = 1666 where order_id = '{A}'",
        A,
    ),
    ("M1", "orders", f"update credits set amount_minor = 999 where id = '{E}'", E),
    (
        "M1",  # a credit that no line knows of
        "orders",
        "insert into credits (id, order_id, kind, amount_minor) "
        f"values ('{EVENT}', '{E}', 'goodwill', 1);"
        f"insert into credit_lines values ('{EVENT}', 1, 0, 1, 0, 1)",
        E,
    ),
    ("M1", "orders", f"update order_lines set credited_tax_minor = 165 where order_id = '{E}'", E),
    (
        "M2",  # more went back for a credit than it is over
        "payments",
        f"update payments set credits = jsonb_set(credits, '{{0,id}}', '\"{EVENT}\"') "
        f"where id = '{E}'",
        E,
    ),
    (
        "M1",  # something was taken off that the order knows nothing of
        "orders",
        "insert into adjustments (order_id, n, line_no, source, code, amount_minor) "
        f"values ('{A}', 1, 1, 'coupon', 'TEA', 5)",
        A,
    ),
    (
        "M1",  # the discount is what was taken off, but off a line that costs more
        "orders",
        f"update orders set discount_minor = 100, items_minor = 2100 where id = '{A}';"
        f"update order_lines set unit_price_minor = 1050 where order_id = '{A}';"
        "insert into order_lines select order_id, 2, sku, 1, title, options, image, price_list, "
        "list_price_minor, 0, tax_class, rate_bp, 0, 0, 0, false, requires_shipping "
        f"from order_lines where order_id = '{A}';"
        "insert into adjustments (order_id, n, line_no, source, code, amount_minor) "
        f"values ('{A}', 1, 1, 'coupon', 'TEA', 60), ('{A}', 2, 2, 'coupon', 'TEA', 40)",
        A,
    ),
    ("K1", "orders", "update coupons set uses = 1", "TEA"),
    (
        "K1",
        "orders",
        "alter table coupons drop constraint coupons_check; update coupons set uses_max = 1",
        "TEA",
    ),
    ("K1", "orders", "update coupons set uses_per_customer_max = 1", "TEA"),
    ("K1", "orders", "update coupon_customers set uses = 3", "TEA"),
    ("K1", "orders", f"update coupon_uses set state = 'held' where order_id = '{A}'", A),
    (
        "K1",  # an order whose coupon nobody counted
        "orders",
        f"delete from coupon_uses where order_id = '{A}'; update coupons set uses = 1;"
        "update coupon_customers set uses = 1",
        A,
    ),
    ("M2", "payments", f"update payments set refunding_minor = 1 where id = '{B}'", B),
    ("M2", "payments", f"update payments set captured_minor = 1 where id = '{B}'", B),
    (
        "M3",  # a confirmed order that nobody paid
        "payments",
        f"update operations set state = 'failed' where payment_id = '{B}' and kind = 'capture';"
        f"update payments set captured_minor = 0 where id = '{B}'",
        B,
    ),
    (
        "M3",  # a cancelled order whose money was kept
        "payments",
        f"update operations set state = 'failed' where payment_id = '{C}' and kind = 'refund';"
        f"update payments set refunded_minor = 0 where id = '{C}'",
        C,
    ),
    ("M3", "payments", f"update payments set state = 'unknown' where id = '{C}'", C),
    (
        "M3",  # a credit that payments never heard of
        "payments",
        f"update operations set credit_id = null where payment_id = '{E}';"
        f"update payments set credits = '[]' where id = '{E}'",
        E,
    ),
    (
        "M4",
        "payments",
        "alter table payments drop constraint payments_order_id_key;"
        "insert into payments (id, order_id, wanted, method, amount_minor, currency, state) "
        f"values ('{EVENT}', '{A}', 'nothing', 'card', 2490, 'EUR', 'voided');"
        "update payments set changed_at = now() - interval '1 h'",
        A,
    ),
    ("M4", "payments", f"update payments set amount_minor = 1 where id = '{B}'", B),
    ("M4", "payments", f"update payments set currency = 'USD' where id = '{B}'", B),
    (
        "M6",
        "payments",
        LET.format("entries") + ";insert into entries (operation_id, posting, account, "
        "amount_minor, currency, order_id, payment_id) "
        f"values ({OPERATION_OF}, 2, 'bank', 5, 'EUR', '{A}', '{A}')",
        OPERATION_OF,
    ),
    (
        "M7",
        "payments",
        "insert into entries (operation_id, posting, account, amount_minor, currency, order_id, "
        f"payment_id) values ({OPERATION_OF}, 2, 'customer', -5, 'EUR', '{A}', '{A}'), "
        f"({OPERATION_OF}, 2, 'receivable', 5, 'EUR', '{A}', '{A}')",
        "EUR",
    ),
    (
        "O1",  # a step that is none
        "orders",
        f"update timeline set from_status = 'cancelled' where order_id = '{A}' and n = 2",
        A,
    ),
    ("O1", "orders", f"update orders set steps = 5 where id = '{B}'", B),
    (
        "O1",  # cancelled, and shipped all the same
        "orders",
        f"update credit_lines set quantity = 0 where credit_id = '{C}';"
        f"update order_lines set cancelled = 0, shipped = 2 where order_id = '{C}';"
        "insert into shipments (id, order_id, shipped_at, actor) "
        f"values ('{C}', '{C}', now() - interval '20 days', '');"
        f"insert into shipment_lines values ('{C}', 1, 2);"
        f"update orders set fulfilment_status = 'shipped' where id = '{C}'",
        C,
    ),
    ("O1", "orders", f"update shipment_lines set quantity = 1 where shipment_id = '{E}'", E),
    ("O1", "orders", f"update order_lines set delivered = 1 where order_id = '{E}'", E),
    ("O1", "orders", f"update return_lines set restocked = 0 where return_id = '{E}'", E),
    ("O1", "orders", f"update orders set fulfilment_status = 'delivered' where id = '{E}'", E),
    ("O1", "orders", f"update order_lines set cancelled = 1 where order_id = '{C}'", C),
    (
        "O2",
        "orders",
        f"update orders set payment_status = 'due' where id = '{D}'",
        D,
    ),
    (
        "O2",  # its customer's time is over
        "orders",
        f"update orders set pay_until = now() - interval '2 min' where id = '{D}'",
        D,
    ),
    (
        "I1",
        "orders",
        "alter table orders drop constraint orders_principal_idempotency_key_key;"
        f"update orders set principal = 'one', idempotency_key = 'one' where id in ('{A}', '{B}')",
        A,
    ),
    ("N1", "notifications", f"delete from messages where fact = '{A}.confirmed'", A),
    (
        "N1",  # confirmed twice, to two people
        "notifications",
        MAIL_OF.format(", sent_at") + f"values ('{EVENT}', 'email', '{B}.confirmed', "
        "'order_confirmed', 'en', 'bob@merkato.example', '{}', 'sent', now())",
        B,
    ),
    (
        "N1",  # never confirmed
        "notifications",
        MAIL_OF.format(", sent_at") + f"values ('{EVENT}', 'email', '{D}.confirmed', "
        "'order_confirmed', 'en', 'bob@merkato.example', '{}', 'sent', now())",
        D,
    ),
    (
        "N1",  # queued, and nobody will send it
        "notifications",
        MAIL_OF.format("") + f"values ('{EVENT}', 'email', 'a-fact', 'stock_low', 'en', "
        "'bob@merkato.example', '{}', 'queued')",
        "a-fact",
    ),
    (
        "E1",  # a step that nobody heard of
        "orders",
        f"delete from outbox where key = '{A}' and sequence = 2",
        A,
    ),
    ("E1", "orders", f"update outbox set sequence = 3 where key = '{A}' and sequence = 2", A),
    ("E1", "orders", f"update outbox set sequence = sequence + 1 where key = '{D}'", D),
    (
        "E1",  # said twice
        "orders",
        "insert into outbox (id, type, key, sequence, body, published_at) "
        f"values ('f{str(EVENT)[1:]}', 'orders.order_confirmed.v1', '{A}', 3, '{{}}', now())",
        A,
    ),
    (
        "E1",  # not published; outboxes of every service are looked at
        "catalog",
        "insert into outbox (id, type, key, sequence, body, said_at) values "
        f"('{EVENT}', 'catalog.product_changed.v1', 'p', 1, '{{}}', now() - interval '31 s')",
        EVENT,
    ),
    (
        "E1",  # a shipment that nobody was told of
        "orders",
        "insert into shipments (id, order_id, shipped_at, actor) "
        f"values ('{EVENT}', '{A}', now(), '')",
        A,
    ),
    ("E1", "inventory", HEARD_OF_A, None),
    (
        "T1",  # an entry was changed
        "users",
        LET.format("trail")
        + ";update trail set body = replace(body, 'user:1', 'user:2') where n = 1",
        ENTRIES[0],
    ),
    (
        "T1",  # its time was
        "users",
        LET.format("trail") + ";update trail set at = at + interval '1 day' where n = 2",
        ENTRIES[1],
    ),
    (
        "T1",  # one was taken out
        "users",
        LET.format("trail") + ";delete from trail where n = 2;"
        "update trail_head set n = 1, hash = (select hash from trail)",
        ENTRIES[1],
    ),
    (
        "T1",  # one was added by hand
        "users",
        "insert into trail (n, at, body, hash) "
        f"select 3, at, replace(body, '{ENTRIES[1]}', '{A}'), hash from trail where n = 2;"
        "update trail_head set n = 3",
        A,
    ),
    (
        "T1",  # a service noted something else than what was heard
        "orders",
        "update outbox set body = replace(body, 'thing:1', 'thing:2') where body like '%thing:1%'",
        ENTRIES[1],
    ),
    ("W1", "broker", f"delete from deliveries where id = '{LOGGED[0]}'", LOGGED[0]),
    ("W1", "broker", f"delete from attempts where delivery_id = '{LOGGED[1]}'", LOGGED[1]),
    (
        "W1",  # due, and nobody sends it
        "broker",
        "update attempts set at = at - interval '1 hour';"
        "update deliveries set state = 'pending', ended_at = null, "
        f"due_at = now() - interval '5 minutes' where id = '{LOGGED[0]}'",
        HOOK,
    ),
    (
        "W1",  # behind the log
        "broker",
        "update subscriptions set began = began - (600000::bigint << 20), "
        "position = position - (600000::bigint << 20);"
        "insert into log select position - (300000::bigint << 20), uuidv7(), type, key, event "
        "from log limit 1",
        HOOK,
    ),
]
