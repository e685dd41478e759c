"""Signals to a command that runs, and what it says of them."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable

STOPPED = "passona: stopped; what was verified is kept, run it again for the rest\n"


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def end_by(process: subprocess.Popen[str], number: signal.Signals) -> str:
    """Sends a signal; what was said on stderr. A process that waits for the server would not end before 60 s."""
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=30)
    assert stdout == ""
    return stderr
