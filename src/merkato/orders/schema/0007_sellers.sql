-- Who sells, as configured and since when: an invoice shows whoever sold at that time.

create table sellers (
    valid_from timestamptz primary key default clock_timestamp(),
    seller     jsonb       not null
);
