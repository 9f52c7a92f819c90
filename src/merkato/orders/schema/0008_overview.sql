-- The overview counts the carts of the last hours.
create index carts_by_time on carts (created_at);
