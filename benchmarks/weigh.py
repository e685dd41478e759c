"""Runs a command from a process that is small, and notes what it took.

    python -S weigh.py NOTES COMMAND ...

Linux counts as a process's peak what its parent held at its birth. The benchmark is large at times, this
is not. NOTES is a file: wall seconds and peak kilobytes, as JSON. Ends with the command's exit code.
"""

from __future__ import annotations

import json
import os
import sys
import time


def main() -> int:
    notes, *command = sys.argv[1:]
    begun = time.monotonic()
    pid = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(pid, 0)
    taken = {"seconds": time.monotonic() - begun, "kilobytes": usage.ru_maxrss}
    with open(notes, "w") as file:  # noqa: PTH123  # pathlib alone would double the size of this process
        json.dump(taken, file)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
