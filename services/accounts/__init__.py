"""Who may do what: accounts and their API keys.

Owns both in Postgres. Hears operators; says every change of a key to the gateways at once, so
that a revoked key stops within a second.
"""
