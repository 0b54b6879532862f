"""Run a module as the main program, and end with the process that started it.

    python -m services.cli.tethered PARENT_PID MODULE [ARGUMENT ...]

A `kill -9` of the supervisor then leaves no room behind. The kernel sees to it, so it holds
whatever the room is doing. (Done here and not between fork and exec: the supervisor has threads.)
"""

import ctypes
import os
import runpy
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def tether(parent: int) -> None:
    """Have the kernel kill this process when its parent ends; at once if it has ended already."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Tether ourselves, then be the module that is named."""
    tether(int(sys.argv[1]))
    module = sys.argv[2]
    sys.argv[:] = [module, *sys.argv[3:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
