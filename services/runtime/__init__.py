"""The pipes every room is wired with: main, config, rpc, log, events, postgres, clickhouse.

Nothing here knows what an order is. A room's `__main__` imports from here; its `state` never does.
"""
