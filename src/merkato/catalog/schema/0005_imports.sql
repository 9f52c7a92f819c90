-- Imports: files of products, kept in parts of whole rows until each part has been worked off.

create table imports (
    id          uuid        primary key,
    state       text        not null default 'receiving'
                check (state in ('receiving', 'waiting', 'running', 'done', 'cancelled', 'failed')),
    format      text        not null check (format in ('csv', 'jsonl')),
    name        text,  -- of the file, as whoever sent it calls it
    dry_run     boolean     not null,
    columns     text[],  -- the first row of a CSV file, and …
    delimiter   text,    -- … what is between its cells
    principal   text        not null,  -- who sent it …
    key         text,                  -- … with which Idempotency-Key …
    digest      text,                  -- … and its SHA-256
    size_bytes  bigint      not null default 0,
    rows_total  int         not null default 0,
    parts_total int         not null default 0,
    parts_done  int         not null default 0 check (parts_done <= parts_total),
    rows_done   int         not null default 0 check (rows_done = created + changed + unchanged + failed),
    created     int         not null default 0,
    changed     int         not null default 0,
    unchanged   int         not null default 0,
    failed      int         not null default 0,
    reason      text,  -- why it failed as a whole
    created_at  timestamptz not null default clock_timestamp(),
    started_at  timestamptz,
    ended_at    timestamptz
);
create index imports_newest on imports (created_at desc, id desc);
create index imports_open on imports (created_at, id) where state in ('receiving', 'waiting', 'running');
create unique index imports_once on imports (principal, key) where state not in ('receiving', 'failed');

create table import_parts (
    import_id  uuid  not null references imports on delete cascade,
    n          int   not null,  -- 0, 1, 2 …
    first_line int   not null,  -- where in the file it begins, counted from 1
    content    bytea not null,
    primary key (import_id, n)
);

create table import_errors (
    import_id uuid not null references imports on delete cascade,
    line      int  not null,  -- where the row begins
    n         int  not null,
    subject   text not null,  -- slug or sku of the row, as far as it could be read
    pointer   text not null,  -- the column, or the place in the JSON
    detail    text not null,
    primary key (import_id, line, n)
);
