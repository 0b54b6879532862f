"""Each account's private stream, resumable from a cursor.

Owns its read position in Postgres; the events themselves stay in the log. Hears events; says to
every account what happened to its orders and balances, in order, nothing left out.
"""
