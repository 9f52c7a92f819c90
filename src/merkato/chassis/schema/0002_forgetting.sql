-- People, and buyers of orders, whom this service has to forget. Their ids lead to nobody.

create table forgotten (
    subject  uuid        primary key,
    kind     text        not null check (kind in ('user', 'order')),
    rounds   int         not null default 0,  -- done by the job
    next_at  timestamptz default clock_timestamp(),  -- of the next round; null: it is done
    heard_at timestamptz not null default clock_timestamp()
);
create index forgotten_due on forgotten (next_at) where next_at is not null;
