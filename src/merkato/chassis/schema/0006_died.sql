-- Only letters that died since are asked for, every few seconds.

create index set_aside_dead on set_aside (died_at) where state = 'dead';
