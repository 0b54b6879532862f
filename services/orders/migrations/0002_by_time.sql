-- People ask for their orders and fills by time, of one instrument or of all, newest first. None of these columns changes in
-- the life of an order, so a change touches no index still.

create index orders_by_time on orders (account, created_us, order_id);
create index orders_by_instrument on orders (account, instrument, created_us, order_id);

-- A trade has one time, so the key with its time in it keeps a fill from being there twice as well as the one without.
alter table fill drop constraint fill_pkey;
alter table fill add constraint fill_by_time primary key (account, time_us, trade_id, maker);
create index fill_by_instrument on fill (account, instrument, time_us, trade_id, maker);
