-- A partition that is made as one of the topic's locks out whoever reads the topic, and so waits for a dump, and all appends
-- with it. One that is made by itself and then attached does not.

create or replace function extend(p_topic int, p_below bigint) returns void language plpgsql as $$
declare
    t topic;
    n bigint;
begin
    select * into strict t from topic where id = p_topic;
    while t.partitioned_to < p_below loop
        n := t.partitioned_to / t.partition_records;
        execute format(
            'create table record_%1$s_%2$s (like record_%1$s including storage including constraints)'
            -- Records are never changed, so there is nothing to vacuum; whole tables are dropped.
            ' with (autovacuum_enabled = off, toast.autovacuum_enabled = off, toast_tuple_target = 8160)',
            p_topic, n);
        execute format(
            'alter table record_%1$s attach partition record_%1$s_%2$s for values from (%3$s) to (%4$s)',
            p_topic, n, n * t.partition_records, (n + 1) * t.partition_records);
        t.partitioned_to := (n + 1) * t.partition_records;
    end loop;
    update topic set partitioned_to = t.partitioned_to where id = p_topic;
end $$;
