"""Who may ask, and for what: accounts and their API keys.

Owns accounts and keys in Postgres, and the master key that secrets follow from. Hears operators;
says to every gateway, by a stream, which keys hold.
"""
