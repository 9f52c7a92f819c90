-- Orders placed for customers: the name their caller gave them. One name, one order.
alter table orders add column reference text check (length(reference) <= 100);
create unique index orders_by_reference on orders (reference) where reference is not null;
