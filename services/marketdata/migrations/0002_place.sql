-- The place on the event log is kept in the same columns by every room: see services/runtime/place.py. What only the
-- tape has stands beside it, and changes in the same transaction.

create table tape (
    topic text primary key,
    -- The log's clock at the end of the newest part that is on the tape.
    clock_us bigint not null,
    -- How many trades are on the tape, to see whether it is this tape.
    trades bigint not null,
    -- Where the block ends that is on its way, an offset of the event log; null if none is.
    pending_to bigint
);
insert into tape select topic, clock_us, trades, pending_to from consumer_offset;
alter table consumer_offset drop column clock_us, drop column trades, drop column pending_to;
