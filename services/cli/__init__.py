"""The `bourse` command: starts the house, watches it, runs its demo, and does the operator's day.

Owns nothing. Hears a person at a terminal; says what they want to the rooms, over their contracts.
"""

import os

# Programs of Postgres are forked while gRPC's threads run; they exec at once, so gRPC need neither
# prepare for it nor say that it could not. It reads this when it is loaded.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
