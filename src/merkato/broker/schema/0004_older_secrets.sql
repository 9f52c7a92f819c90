-- A secret that is replaced while the one before it signs still ends neither before its time.

alter table subscriptions
    add column older_secrets bytea[]       not null default '{}',  -- of before old_secret, sign too …
    add column older_until   timestamptz[] not null default '{}',  -- … each until then
    add check (cardinality(older_secrets) = cardinality(older_until));
