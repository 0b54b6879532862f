-- What operators have done to a shard by hand: who, when, what. Rows are added, and never changed or removed.

create table audit (
    number bigint generated always as identity primary key,
    at timestamptz not null default clock_timestamp(),
    shard int not null,
    -- As the operator called themselves.
    who text not null check (who <> ''),
    action text not null,
    -- What it was done to, and why.
    detail jsonb not null
);

create function audit_is_for_ever() returns trigger language plpgsql as $$
begin
    raise exception 'the audit of operators is never changed';
end
$$;

create trigger audit_is_for_ever before update or delete or truncate on audit
    for each statement execute function audit_is_for_ever();
