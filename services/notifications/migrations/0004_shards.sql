-- A house has several shards, each with an event log of its own: offsets and sequences are of one of them. What was there before
-- is of the first.

alter table block add column shard smallint not null default 0;
alter table block alter column shard drop default;
alter table block drop constraint block_pkey;
alter table block add primary key (shard, first_offset);
drop index block_by_sequence;
create index block_by_sequence on block (shard, last_sequence);
