-- Who may do what only one may do at a time, such as publish the events of a shard.

create table lease (
    name text primary key,
    holder text not null,
    -- Grows with every change of holder, and never shrinks.
    epoch bigint not null,
    expires_at timestamptz not null
);
