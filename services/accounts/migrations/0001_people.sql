-- Who may ask. Nothing here is ever deleted; secrets are not here at all: they follow from the master key.

create table account (
    account bigint primary key,
    name text not null unique,
    request_id bytea not null unique check (length(request_id) = 16),
    demo boolean not null,
    created_us bigint not null
);

create table api_key (
    key text primary key,
    account bigint not null references account,
    request_id bytea not null unique check (length(request_id) = 16),
    -- bourse.accounts.v1.Scope
    scopes smallint[] not null check (cardinality(scopes) > 0),
    -- What its secret was derived with, beside the master key.
    salt bytea not null check (length(salt) = 32),
    created_us bigint not null,
    revoked_us bigint not null default 0
);
create index api_key_of_account on api_key (account, created_us);
