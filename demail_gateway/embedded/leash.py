"""Program between a supervisor and its child: drops privileges, ties the child's life to the supervisor's, becomes it.

    python -I -S leash.py PARENT_PID SIGNAL UID GID PROGRAM [ARGUMENT …]

`SIGNAL` is what the kernel sends the child when the supervisor ends, however it ends (Linux; elsewhere nothing).
UID and GID of -1 keep the account. It is a program, not a function run between fork and exec, because such a
function may deadlock in a supervisor with threads. It stands alone: it is started without the product on its path.
"""

from __future__ import annotations

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Become PROGRAM; exit code 1 when the supervisor has gone already."""
    parent, signal_number, uid, gid = (int(word) for word in sys.argv[1:5])
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        # after the change of account, which would clear it
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
        # compared with the pid from before the fork, not with 1: in a container the supervisor may be pid 1
        if os.getppid() != parent:
            sys.exit(1)
    os.execv(sys.argv[5], sys.argv[5:])  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
