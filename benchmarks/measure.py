"""Run a command from a small process and record its time and memory.

    python -S measure.py FILE COMMAND ...

Linux reports as the peak of a process at least what its parent occupied when it forked. The benchmark can be
large; this process is not. FILE receives wall-clock seconds and peak kilobytes as JSON. The exit code is the
command's.
"""

from __future__ import annotations

import json
import os
import sys
import time


def main() -> int:
    path, *command = sys.argv[1:]
    started = time.monotonic()
    pid = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(pid, 0)
    measured = {"seconds": time.monotonic() - started, "kilobytes": usage.ru_maxrss}
    with open(path, "w") as file:  # noqa: PTH123  # pathlib alone would double the size of this process
        json.dump(measured, file)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
