-- Filters of lists that people of the staff gave a name to. They go with the account.

create table saved_views (
    user_id  uuid        not null references users,
    list     text        not null,  -- of which list, such as products
    name     text        not null,
    query    text        not null,  -- the filter, as the query of an address
    saved_at timestamptz not null default clock_timestamp(),
    primary key (user_id, list, name)
);
