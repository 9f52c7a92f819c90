-- Credits that integrations find again: their own name of one, and when it was given in their books.
alter table credits
    add column reference      text check (length(reference) <= 100),
    add column reference_time timestamptz;
create unique index credits_by_reference on credits (reference) where reference is not null;
create index credits_by_time on credits (created_at desc, id desc);
create index credits_by_reference_time on credits (coalesce(reference_time, created_at));

create table products_of_skus (  -- our copy of what catalog said of a sku's product last, for reports
    sku        text   primary key,
    product_id uuid   not null,
    version    bigint not null,  -- of the product; older news are ignored
    categories jsonb  not null   -- their ids
);
