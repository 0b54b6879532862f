-- A tape that begins anew, after a restore, where the log has been cut has none of what traded before.

alter table tape
    -- Where on the event log it begins; 0: with the first record.
    add column begins_at bigint not null default 0;
