-- Where on the event log an account is spoken of, so that a stream can be resumed without reading a day of the log.

create table block (
    -- First event record of the block; the block ends where the next one starts.
    first_offset bigint primary key,
    next_offset bigint not null,
    -- The key of the last record of the block, to go on after it.
    last_command bigint not null,
    last_part bigint not null,
    was_last boolean not null,
    -- Sequences of the first and the last command in the block; last < first where it has none.
    first_sequence bigint not null,
    last_sequence bigint not null,
    -- Log time of its last record.
    time_us bigint not null,
    -- Everybody it concerns, ascending.
    accounts bigint[] not null
);
create index block_by_sequence on block (last_sequence);
