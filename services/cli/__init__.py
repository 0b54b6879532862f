"""The `bourse` command: starts the house, watches it, runs its demo, and does the operator's day.

Owns nothing. Hears a person at a terminal; says what they want to the rooms, over their contracts.
"""
