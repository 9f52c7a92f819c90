-- Staff list products by their last change, newest first.
create index products_by_change on products (changed_at desc, id desc);
