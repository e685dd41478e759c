"""End the program at Ctrl-C and SIGTERM, in good order and soon.

The first signal raises `Interrupted` in the main thread: the run records the interruption and releases the warehouse.
During an import it is deferred, because C modules may crash or swallow the exception. If this takes too long (a
connecting thread cannot be woken), or at the second signal, the program prints its last line and exits at once. Nothing
in the warehouse is lost.

Imported first, so that a handler is installed early: it imports nothing slow itself.
"""

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

from passona.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Writing verified reports takes a second, recording the end of the run 0.1 s. The program exits no later than this.
END_SECONDS = 5.0
# Between two checks for the end of an import. The slowest import takes a second.
CHECK_SECONDS = 0.05
_IMPORTING = "<frozen importlib._bootstrap>"


class _Signals:
    """`received`: the first signal. `pending`: not raised yet. `deferred`: not to be raised now."""

    def __init__(self) -> None:
        self.received: int | None = None
        self.pending = False
        self.deferred = False


_signals = _Signals()


def listen() -> None:
    """Make SIGINT and SIGTERM raise `Interrupted`. Call this in the main thread."""
    _close_pipe()
    received, wakeup = os.pipe()
    os.set_blocking(wakeup, False)
    signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(received,), name="signals", daemon=True).start()
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup, and & in a script
            signal.signal(number, _interrupt)


def _close_pipe() -> None:
    """End the thread of an earlier `listen`."""
    if (wakeup := signal.set_wakeup_fd(-1)) >= 0:
        os.close(wakeup)


def _watch(received: int) -> None:
    """Exit at the second signal, or END_SECONDS after the first. Return when the pipe is closed."""
    first, timeout, deadline = 0, None, 0.0
    while select.select([received], [], [], timeout)[0]:
        if not (number := os.read(received, 1)):
            os.close(received)
            return
        if number[0] in SIGNALS:  # the pipe also reports timers
            if first:
                break
            first, deadline = number[0], time.monotonic() + END_SECONDS
        timeout = max(0.0, deadline - time.monotonic()) if first else None
    leave(first)


def raise_pending() -> None:
    """Exit at the end of the program if a signal was received but swallowed."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, 0)
    _close_pipe()
    if _signals.received is not None:
        leave(_signals.received)


@contextmanager
def deferred() -> Iterator[None]:
    """Raise a signal in this block only at its end: DuckDB and dlt would retry the query. Re-entrant."""
    outer, _signals.deferred = _signals.deferred, True
    try:
        yield
    finally:
        _signals.deferred = outer
        if _signals.pending and not outer:
            _raise()


def _interrupt(number: int, frame: FrameType | None) -> None:
    _signals.received, _signals.pending = number, True
    for each in SIGNALS:  # leave the second signal to `_watch`
        if signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, lambda _number, _frame: None)
    signal.signal(signal.SIGALRM, _raise_if_possible)
    _raise_if_possible(number, frame)


def _raise_if_possible(_number: int, frame: FrameType | None) -> None:
    """Raise the pending signal unless it is deferred; check again soon during an import."""
    importing = _signals.pending and _is_importing(frame)
    signal.setitimer(signal.ITIMER_REAL, CHECK_SECONDS if importing else 0)
    if _signals.pending and not _signals.deferred and not importing:
        _raise()


def _raise() -> NoReturn:
    _signals.pending = False
    raise Interrupted(_signals.received or 0)


def _is_importing(frame: FrameType | None) -> bool:
    """Return True if the main thread is importing a module."""
    while frame is not None:
        if frame.f_code.co_filename == _IMPORTING:
            return True
        frame = frame.f_back
    return False


def leave(number: int) -> NoReturn:
    """Print that signal `number` ended the program, and exit without waiting for threads."""
    cursor = "\x1b[?25h" if sys.stderr.isatty() else ""  # progress bars hide it
    # Formats the line as JSON if requested; before it is imported, the line is plain.
    line = getattr(sys.modules.get("passona.monitoring.logs"), "line", None)
    line = line or (lambda _event, text, **_: f"passona: {text}")
    text = line("stopped", "stopped; what was verified is kept, run it again for the rest", exit_code=128 + number)
    with suppress(OSError, ValueError):  # stderr may be closed
        sys.stderr.write(f"{cursor}{text}\n")
        sys.stderr.flush()
    os._exit(128 + number)
