"""The history of orders and fills, for those who ask later.

Owns a projection in Postgres that could be built again from the event log. Hears events; says
pages of orders and fills.
"""
