-- The history of orders and fills: what the event log says, in the order people ask for it. It can be built again
-- from the log. Words (side, state, ...) keep the contract's numbers; prices are ticks, quantities lots, amounts minor units.

create table orders (
    account bigint not null,
    order_id bigint not null,
    instrument bigint not null,
    side smallint not null,
    type smallint not null,
    time_in_force smallint not null,
    post_only boolean not null,
    self_trade_prevention smallint not null,
    client_order_id text not null,
    price_ticks bigint not null,
    quantity_lots bigint not null,
    quote_minor bigint not null,
    state smallint not null,
    reason smallint not null,
    remaining_lots bigint not null,
    filled_lots bigint not null,
    filled_quote_minor bigint not null,
    fee_asset bigint not null,
    fee_minor bigint not null,
    created_us bigint not null,
    updated_us bigint not null,
    sequence bigint not null,
    -- How often the order was said to have ended. More than once would be a fault, so it is kept to be seen.
    ends smallint not null,
    primary key (account, order_id)
) with (
    -- No index holds what changes in the life of an order, so with room in the page a change touches no index.
    fillfactor = 60,
    autovacuum_vacuum_scale_factor = 0.05
);
create index orders_by_name on orders (account, client_order_id, order_id)
    where client_order_id <> '';

-- Each trade is two fills: the taker's and the maker's, of one account if it traded with itself.
create table fill (
    account bigint not null,
    trade_id bigint not null,
    maker boolean not null,
    order_id bigint not null,
    client_order_id text not null,
    instrument bigint not null,
    side smallint not null,
    price_ticks bigint not null,
    lots bigint not null,
    quote_minor bigint not null,
    fee_asset bigint not null,
    fee_minor bigint not null,
    time_us bigint not null,
    sequence bigint not null,
    primary key (account, trade_id, maker)
);
create index fill_of_order on fill (order_id, trade_id);

create table consumer_offset (
    topic text primary key,
    next_offset bigint not null,
    -- The newest part that is in the tables, and whether its command record ended with it.
    last_command bigint not null,
    last_part bigint not null,
    record_ended boolean not null,
    sequence bigint not null,
    writer_epoch bigint not null
);
