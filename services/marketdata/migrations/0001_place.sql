-- How far the tape in ClickHouse has come. ClickHouse knows no transaction over both, so a block is announced here
-- before it goes there: after a crash exactly that block goes again, and ClickHouse drops what it has of it.

create table consumer_offset (
    topic text primary key,
    -- Where the next block begins.
    next_offset bigint not null,
    -- The newest part that is on the tape, and whether its command record ended with it.
    last_command bigint not null,
    last_part bigint not null,
    record_ended boolean not null,
    sequence bigint not null,
    -- The log's clock at the end of that part.
    clock_us bigint not null,
    -- How many trades are on the tape, to see whether it is this tape.
    trades bigint not null,
    -- Where the block ends that is on its way; null if none is.
    pending_to bigint check (pending_to > next_offset),
    writer_epoch bigint not null
);
