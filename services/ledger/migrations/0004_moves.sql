-- Several shards: each numbers what comes to it from each of two sources, 1 from and to the outside, 2 between the shards.

-- Money of one account from one shard to another.
create table move (
    -- Of who asked: the same id is the same move.
    request_id bytea primary key check (length(request_id) = 16),
    account bigint not null,
    asset bigint not null,
    amount bigint not null check (amount > 0),
    from_shard smallint not null,
    to_shard smallint not null check (to_shard <> from_shard),
    -- 1 asked, 2 in transit, 3 done, 4 refused, 5 returning, 6 returned: bourse.ledger.v1.MoveState.
    state smallint not null,
    refusal int not null,
    -- Sequences of the debit and of the credit that was taken; 0 until there is one.
    debit_sequence bigint not null,
    credit_sequence bigint not null,
    -- Debits and credits numbered for it so far.
    commands int not null,
    created_us bigint not null,
    -- The shard that took the credit; null until one has.
    credit_shard smallint generated always as (
        case state when 3 then to_shard when 6 then from_shard end
    ) stored
);
create index move_under_way on move (account) where state in (1, 2, 5);
create index move_returning on move (request_id) where state = 5;
-- What is between the shards is asked for sequences of just now: what lies above them is little, however much has moved.
create index move_left on move (from_shard, debit_sequence) where debit_sequence > 0;
create index move_came on move (credit_shard, credit_sequence) where credit_sequence > 0;

-- What the outbox had was of source 1.
alter table outbox add column source smallint not null default 1;
alter table outbox alter column source drop default;
-- Of a debit: it is refused when the log's clock is past this; 0: no deadline.
alter table outbox add column valid_until_us bigint not null default 0;
-- The move it is a leg of; null for what comes from or goes to the outside.
alter table outbox add column move bytea references move;
alter table outbox drop constraint outbox_pkey;
alter table outbox add primary key (source, shard, number);
-- A transfer's id is chosen by who asks for it, a leg's follows from its move.
alter table outbox drop constraint outbox_request_id_key;
alter table outbox add unique (source, request_id);
drop index outbox_under_way;
create index outbox_under_way on outbox (source, shard, number) where state = 1;
create index outbox_of_move on outbox (move) where move is not null and state = 1;
