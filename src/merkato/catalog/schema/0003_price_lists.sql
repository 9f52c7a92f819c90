-- Price lists beside the standard one.

alter table price_lists
    add column title   text,  -- for staff
    add column version bigint not null default 1,
    add check (name ~ '^[a-z][a-z0-9-]{0,31}$');
create index prices_by_list on prices (price_list, sku);
