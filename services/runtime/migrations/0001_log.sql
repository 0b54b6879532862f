-- The log: topics, and their records in partitions of a fixed number of offsets.

create table topic (
    id int generated always as identity primary key,
    name text not null unique,
    -- The offset of the next record; everything below it is committed.
    next_offset bigint not null default 0,
    -- The oldest offset kept.
    start_offset bigint not null default 0,
    -- The time of the newest record, in microseconds since 1970 UTC; times never decrease.
    last_time_us bigint not null default 0,
    partition_records int not null check (partition_records > 0),
    -- There are partitions for all offsets from start_offset to below this, next_offset among them.
    partitioned_to bigint not null default 0
)
-- One row is rewritten by every append: room on its page keeps it off the index.
with (fillfactor = 10);

create table record (
    topic_id int not null,
    record_offset bigint not null,
    time_us bigint not null,
    -- Never compressed: a record is binary already, and compressing costs more than writing.
    body bytea storage external not null,
    primary key (topic_id, record_offset)
) partition by list (topic_id);

-- Make the partitions of a topic for all offsets below p_below. The caller holds the topic's row.
create function extend(p_topic int, p_below bigint) returns void language plpgsql as $$
declare
    t topic;
    n bigint;
begin
    select * into strict t from topic where id = p_topic;
    while t.partitioned_to < p_below loop
        n := t.partitioned_to / t.partition_records;
        execute format(
            'create table record_%1$s_%2$s partition of record_%1$s for values from (%3$s) to (%4$s)'
            -- Records are never changed, so there is nothing to vacuum; whole tables are dropped.
            ' with (autovacuum_enabled = off, toast.autovacuum_enabled = off, toast_tuple_target = 8160)',
            p_topic, n, n * t.partition_records, (n + 1) * t.partition_records);
        t.partitioned_to := (n + 1) * t.partition_records;
    end loop;
    update topic set partitioned_to = t.partitioned_to where id = p_topic;
end $$;

-- Make a topic, unless it is there.
create function create_topic(p_name text, p_partition_records int) returns void language plpgsql as $$
declare
    new_id int;
begin
    insert into topic (name, partition_records) values (p_name, p_partition_records)
        on conflict (name) do nothing returning id into new_id;
    if new_id is not null then
        execute format(
            'create table record_%1$s partition of record for values in (%1$s)'
            ' partition by range (record_offset)', new_id);
        perform extend(new_id, 1);
    end if;
end $$;

-- Put records at the end of a topic, all or none, and say where and when. The row of the topic is
-- locked until the commit, so offsets have no gaps and commits come in the order of the offsets.
-- Raises BO001 (clocks apart; the detail is this server's clock) and BO002 (no such topic).
create function append(
    p_name text, p_bodies bytea[], p_clock_us bigint, p_apart_us bigint,
    out first_offset bigint, out time_us bigint
) language plpgsql as $$
declare
    now_us bigint := (extract(epoch from clock_timestamp()) * 1000000)::bigint;
    t_id int;
    new_end bigint;
    made_to bigint;
begin
    if abs(now_us - p_clock_us) > p_apart_us then
        raise exception 'clocks apart' using errcode = 'BO001', detail = now_us::text;
    end if;
    update topic t
        set next_offset = t.next_offset + cardinality(p_bodies),
            last_time_us = greatest(
                t.last_time_us, (extract(epoch from clock_timestamp()) * 1000000)::bigint)
        where t.name = p_name
        returning t.id, t.next_offset, t.last_time_us, t.partitioned_to
        into t_id, new_end, time_us, made_to;
    if not found then
        raise exception 'no topic %', p_name using errcode = 'BO002';
    end if;
    if new_end >= made_to then
        perform extend(t_id, new_end + 1);
    end if;
    first_offset := new_end - cardinality(p_bodies);
    insert into record (topic_id, record_offset, time_us, body)
        select t_id, first_offset + n - 1, append.time_us, b
        from unnest(p_bodies) with ordinality as u (b, n);
end $$;

-- Drop the partitions that lie wholly below p_below and the end. Gives the new start.
create function cut(p_name text, p_below bigint) returns bigint language plpgsql as $$
declare
    t topic;
    new_start bigint;
begin
    select * into t from topic where name = p_name for update;
    if not found then
        raise exception 'no topic %', p_name using errcode = 'BO002';
    end if;
    new_start := least(p_below, t.next_offset) / t.partition_records * t.partition_records;
    while t.start_offset < new_start loop
        execute format('drop table record_%s_%s', t.id, t.start_offset / t.partition_records);
        t.start_offset := t.start_offset + t.partition_records;
    end loop;
    update topic set start_offset = t.start_offset where id = t.id;
    return t.start_offset;
end $$;
