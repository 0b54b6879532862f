"""The words all rooms share: money, instruments, ids, outcomes, the clock. Pure; no I/O."""
