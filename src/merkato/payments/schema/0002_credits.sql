-- What orders credited: refunds name one of these, and together are never more than it.

alter table payments
    add column credits jsonb not null default '[]';  -- [{id, amount_minor}], as orders told of them
