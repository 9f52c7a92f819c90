-- What people ask for is sent although the breaker holds its endpoint back.

alter table deliveries
    add column urgent boolean not null default false;  -- somebody asked for it, until its next try
create index deliveries_urgent on deliveries (subscription_id)
    where state = 'pending' and (urgent or position < 0);
