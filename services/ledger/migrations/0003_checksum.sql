-- The checksum of the record that was read last, to see at a start whether the log still has it: see services/runtime/place.py.
-- Null until the place moves for the first time.

alter table consumer_offset add column checksum bigint;
