-- The books. One writer: the ledger room. Amounts are minor units of the asset; shard -1 is outside all shards.

create table journal (
    seq bigint primary key,
    -- Where the entry comes from: a place on an event log, or a request. Nothing is ever posted twice.
    event_key bytea not null unique,
    kind text not null,
    time_us bigint not null,
    prev_hash bytea not null check (length(prev_hash) = 32),
    hash bytea not null check (length(hash) = 32)
);

create table posting (
    seq bigint not null references journal,
    leg smallint not null,
    account bigint not null,
    asset bigint not null,
    shard smallint not null,
    amount bigint not null check (amount <> 0),
    primary key (seq, leg)
);
create index posting_of_account on posting (account, seq);
-- The journal's rows come first in the same transaction, and a check of each leg would cost a third of the speed.
alter table posting drop constraint posting_seq_fkey;

create table balance (
    account bigint not null,
    asset bigint not null,
    shard smallint not null,
    posted bigint not null,
    last_seq bigint not null,
    primary key (account, asset, shard),
    -- Only the world outside may owe.
    check (posted >= 0 or account = 1)
);

create table consumer_offset (
    topic text primary key,
    next_offset bigint not null,
    last_command bigint not null,
    last_part bigint not null,
    was_last boolean not null,
    sequence bigint not null,
    writer_epoch bigint not null
);

-- Credits and debits for the core, numbered without gaps from 1.
create table outbox (
    number bigint primary key,
    request_id bytea not null unique check (length(request_id) = 16),
    shard smallint not null,
    account bigint not null,
    asset bigint not null,
    -- Positive into the account.
    amount bigint not null check (amount <> 0),
    -- 1 sent, 2 done, 3 refused: bourse.ledger.v1.TransferState.
    state smallint not null,
    refusal int not null default 0,
    sequence bigint not null default 0,
    created_us bigint not null
);
create index outbox_under_way on outbox (number) where state = 1;

-- Rows of the journal are never changed: a correction is a reversal.
create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only: write a reversal instead', tg_table_name
        using errcode = 'restrict_violation';
end $$;
create trigger journal_is_kept before update or delete or truncate on journal
    for each statement execute function refuse_change();
create trigger posting_is_kept before update or delete or truncate on posting
    for each statement execute function refuse_change();
