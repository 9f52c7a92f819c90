-- An edit that comes again with its Idempotency-Key is told from another with that key.

alter table set_aside
    add column edit_print bytea  -- of the change that replaced it
;
