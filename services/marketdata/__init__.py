"""What the public sees of a market: depth, trades, tickers, candles.

Owns the tape in ClickHouse and the books in memory. Hears events; says snapshots, and streams
without gaps.
"""
