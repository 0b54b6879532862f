"""One shard's market: the order of its commands, its books, its balances available and held.

Owns its command log and the snapshots beside it. Hears batches of commands from gateways and
numbered credits and debits from the ledger; says one outcome to each command once it is durable,
and one run of event records to everybody.
"""
