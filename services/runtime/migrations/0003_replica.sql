-- The replicas of the shards, each as it has last described itself.

create table replica (
    shard int not null,
    -- A random name that a process gives itself for its life.
    replica text not null,
    -- The machine it runs on, and where it listens there.
    host text not null,
    address text not null,
    started_at timestamptz not null default clock_timestamp(),
    seen_at timestamptz not null default clock_timestamp(),
    -- Offset of the command record applied last; -1: none.
    applied_offset bigint not null,
    sequence bigint not null,
    state_hash text not null,
    -- Of the publisher's lease while it holds that, else 0.
    epoch bigint not null,
    -- The command record it has stopped at, and why; null: it goes on.
    stopped_offset bigint,
    stopped_why text,
    primary key (shard, replica)
)
-- Rows are rewritten twice a second: room on their page keeps them off the index.
with (fillfactor = 10);
