-- When a move last asked something of a core, microseconds since 1970: one that is turned away asks again after a pause that grows.
alter table move add column asked_us bigint not null default 0;
update move set asked_us = created_us;

-- The shards that are halted, as their events say.
create table halt (shard smallint primary key);
