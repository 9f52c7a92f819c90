-- The development mailbox: the newest messages, and counts of all there ever were.

create table if not exists messages (
  id integer primary key autoincrement,
  message_id text not null,    -- of the header, without < and >; may be empty
  sender text not null,        -- of the envelope
  recipients text not null,    -- of the envelope, JSON
  subject text not null,       -- decoded
  source blob not null,        -- the message as it came
  accepted_at real not null    -- Unix seconds
);
create index if not exists messages_by_message_id on messages (message_id);

create table if not exists recipients (
  address text not null,       -- lower case
  message integer not null references messages (id),
  primary key (address, message)
) without rowid;
create index if not exists recipients_of on recipients (message);

-- Every Message-ID ever accepted, as a digest, so that mails sent twice can be counted.
create table if not exists seen (digest blob primary key) without rowid;

create table if not exists counts (
  one integer primary key check (one = 1),
  accepted integer not null,
  different integer not null
);
insert or ignore into counts (one, accepted, different) values (1, 0, 0);
