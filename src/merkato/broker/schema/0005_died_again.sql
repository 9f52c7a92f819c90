-- A dead letter that was tried again and died again is told of again.

alter table letters_noticed
    add column died_at timestamptz  -- the death that was told of
;
