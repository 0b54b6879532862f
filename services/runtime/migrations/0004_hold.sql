-- Who still needs what of the logs: a topic is cut below the smallest hold on it.

create table hold (
    topic text not null,
    -- A room by its name; `snapshots` for those of the topic's shard.
    reader text not null,
    -- It may read from here on. Nothing at or above is cut.
    next_offset bigint not null,
    -- Of the record before that; null where that is not known.
    checksum bigint,
    -- By the clock of this server.
    seen_at timestamptz not null default clock_timestamp(),
    -- When it lost its hold, by silence or by an operator; null: it holds.
    lost_at timestamptz,
    primary key (topic, reader)
)
-- Rows are rewritten every few seconds: room on their page keeps them off the index.
with (fillfactor = 10);
