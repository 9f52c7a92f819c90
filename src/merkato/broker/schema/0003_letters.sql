-- Dead letters of all services that were noticed: each is told of once.

create table letters_noticed (
    service    text        not null,
    event_id   uuid        not null,
    noticed_at timestamptz not null default now(),
    primary key (service, event_id)
);
