-- The place on the event log is kept in the same columns by every room, and moves in the transaction that adds a block:
-- see services/runtime/place.py. So far it was read off the last block, and a house had one shard.

create table consumer_offset (
    topic text primary key,
    next_offset bigint not null,
    -- The newest part that is in the tables, and whether its command record ended with it.
    last_command bigint not null,
    last_part bigint not null,
    record_ended boolean not null,
    sequence bigint not null,
    writer_epoch bigint not null
);
insert into consumer_offset
    select 'bourse.events.0', next_offset, last_command, last_part, was_last, last_sequence, 0
    from block order by first_offset desc limit 1;
alter table block drop column last_command, drop column last_part, drop column was_last;
