"""Bourse's own code: words (domain), pipes (runtime), the rooms and the `bourse` command."""

import os

# gRPC's newer poller passes each message through a pool of threads of its own before the thread on
# which Python waits for gRPC sees it. The one before it, the only one this package had until 1.80,
# reads the socket on that thread: a round trip takes half the time, and each side a quarter less
# CPU. gRPC reads this when it is loaded; one that no longer knows the names says so on stderr.
os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_client,-event_engine_listener")
