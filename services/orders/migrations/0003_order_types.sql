-- What orders have since rules 2: triggers, icebergs, expiry, groups, and fees in another asset than what is received. Orders
-- of before have none of it, so the defaults are what they were; a default costs no rewrite of the table.

alter table orders
    add column trigger_ticks bigint not null default 0,
    add column trigger_by smallint not null default 0,
    add column trail_ticks bigint not null default 0,
    add column trail_ppm bigint not null default 0,
    add column activation_ticks bigint not null default 0,
    add column peak_ticks bigint not null default 0,
    add column triggered_us bigint not null default 0,
    add column display_lots bigint not null default 0,
    add column min_fill_lots bigint not null default 0,
    add column expires_us bigint not null default 0,
    add column protection_ticks bigint not null default 0,
    -- The first order of its group; a word of SQL, so it is always quoted.
    add column "group" bigint not null default 0,
    add column group_kind smallint not null default 0,
    add column group_member smallint not null default 0,
    add column other_fee_asset bigint not null default 0,
    add column other_fee_minor bigint not null default 0;
