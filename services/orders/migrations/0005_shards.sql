-- A house has several shards, whose ids are in no order among them: what is newest is told by its time. The lists' own indexes,
-- of 0002, begin with it already.

create index orders_by_name_and_time on orders (account, client_order_id, created_us, order_id)
    where client_order_id <> '';
drop index orders_by_name;
