-- Who did what with events that were set aside, and which replaced which.

alter table set_aside
    add column acted_by    text,  -- the principal who retried, edited or discarded it last
    add column cause       uuid,  -- the event it was edited from
    add column replaced_by uuid;  -- the event it was edited to
create index set_aside_by_time on set_aside (set_aside_at, event_id);
