-- The stand-in card processor's own ledger. `body` is the object as the API answers it, in JSON.

create table if not exists intents (
  seq integer primary key,
  id text not null unique,
  body blob not null
);

-- Metadata of intents, so that the caller's own references can be searched for.
create table if not exists labels (
  name text not null,
  value text not null,
  intent text not null,
  primary key (name, value, intent)
) without rowid;

create table if not exists refunds (
  seq integer primary key,
  id text not null unique,
  intent text not null,
  body blob not null,
  settle_at real,   -- when a refund that is not final changes by itself
  settle_as text    -- what it changes to
);
create index if not exists refunds_of on refunds (intent);
create index if not exists refunds_open on refunds (settle_at) where settle_at is not null;

create table if not exists disputes (
  id text primary key,
  intent text not null,
  body blob not null
) without rowid;

-- Money that moved, for reconciliation: a row for each succeeded capture and refund, and lost dispute.
create table if not exists movements (
  seq integer primary key autoincrement,  -- a number is never given twice, not even after a reset
  kind text not null,          -- capture | refund | dispute
  reference text not null unique,  -- pi_… of a capture, re_… of a refund
  intent text not null,
  charge text not null,
  amount integer not null,     -- minor units, always positive
  currency text not null,      -- lower case, as in the API
  metadata text not null,      -- JSON, of the intent or of the refund
  created integer not null     -- Unix seconds
);

-- Answers kept for 24 hours under their Idempotency-Key.
create table if not exists answers (
  key text primary key,
  fingerprint blob not null,
  status integer not null,
  body blob not null,
  kept_at integer not null
) without rowid;
create index if not exists answers_by_age on answers (kept_at);

-- Cards that behave differently the first time, and have had it.
create table if not exists used (name text primary key) without rowid;

create table if not exists events (
  seq integer primary key,
  id text not null unique,
  type text not null,
  body blob not null,
  created integer not null     -- Unix seconds
);

-- One row for each delivery that is owed or was made.
create table if not exists webhooks (
  seq integer primary key autoincrement,
  event text not null,
  type text not null,
  state text not null default 'owed',   -- owed | delivered | given_up
  due_at real not null,                 -- Unix seconds
  tries integer not null default 0,
  status integer,                       -- of the last answer
  error text                            -- of the last try, if there was no answer
);
create index if not exists webhooks_owed on webhooks (due_at) where state = 'owed';
