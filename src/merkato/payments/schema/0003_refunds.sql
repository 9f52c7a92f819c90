-- Refunds are listed newest first; most operations are none.
create index refunds_by_time on operations (created_at desc, id desc) where kind = 'refund';
