"""Failures that a new start does not mend: settings, data or a log that a person has to look at.

Whatever exception stands for one derives from `NeedsMending`, beside its own kind. A process that
ends with one says its sentence and leaves with `GIVEN_UP`; whoever keeps it running does not start
it again.

    NeedsMending            starting again would not help
      ShardNeedsMending     it is about one shard: a process that follows others goes on with those
"""

from typing import Final

GIVEN_UP: Final = 2
"""The exit code of a process that would fail the same way however often it is started."""


class NeedsMending(Exception):
    """Starting again would not help. The message is a sentence that says what a person can do."""


class ShardNeedsMending(NeedsMending):
    """The log of one shard, or what was made of it, is not what it must be."""
