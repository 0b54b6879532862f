"""Double-entry accounting of everything anybody owns.

Owns the journal, the postings and the balances in Postgres. Hears the event log of every shard;
says credits and debits to matching through its outbox, and statements to whoever asks.
"""
