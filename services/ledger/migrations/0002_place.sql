-- The place on the event log is kept in the same columns by every room: see services/runtime/place.py.

alter table consumer_offset rename column was_last to record_ended;
