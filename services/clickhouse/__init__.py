"""The owner of the embedded ClickHouse: one process, for the library lets no second one in.

Owns the data of ClickHouse in the data folder. Hears the HTTP that any client of ClickHouse speaks,
from this machine and with the folder's key only; says what ClickHouse would say. So the rooms speak
to it and to a real server in one and the same way.
"""
