-- How the auction of each market stood at the end of the tape. It is stated when it changes and cannot be made again from a book,
-- which does not say what is hidden in it.

create table auction (
    topic text not null,
    instrument bigint not null,
    price_ticks bigint not null,
    volume_lots bigint not null,
    surplus_lots bigint not null,
    sequence bigint not null,
    primary key (topic, instrument)
);
