"""Ctrl-C and SIGTERM end the program in good order, and soon.

The first signal is an `Interrupted` in the main thread: the run notes that it was interrupted and lets
the warehouse go. It waits for the end of an import, for modules written in C may crash or swallow what is
raised in their midst. Where all this takes too long (a thread that connects cannot be woken), and at the second
signal, the program prints its last line and ends as a kill would end it, which costs nothing that is in the warehouse.

Imported before anything else, so that the time without a handler is short: it imports nothing slow itself.
"""

from __future__ import annotations

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
# To write what is verified takes a second, to note the end of the run a tenth of one; whoever pressed
# Ctrl-C waits no longer than this.
END_SECONDS = 5.0
# How often it is looked whether an import has ended; the slowest takes a second.
LOOK_SECONDS = 0.05
_IMPORTING = "<frozen importlib._bootstrap>"


class _Signals:
    """The signal that came, if one did, whether it is to be raised yet, and what holds it back."""

    def __init__(self) -> None:
        self.came: int | None = None
        self.pending = False
        self.deferred = False


_signals = _Signals()


def listen() -> None:
    """From now on SIGINT and SIGTERM raise `Interrupted`. To be called from the main thread."""
    _forget_pipe()
    received, wakeup = os.pipe()
    os.set_blocking(wakeup, False)
    signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(received,), name="signals", daemon=True).start()
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup, and & in a script
            signal.signal(number, _interrupt)


def _forget_pipe() -> None:
    """End the thread of an earlier `listen`."""
    if (wakeup := signal.set_wakeup_fd(-1)) >= 0:
        os.close(wakeup)


def _watch(received: int) -> None:
    """End the program at the second signal, or where the first one was not enough. Give up when the pipe is closed."""
    came, left, until = 0, None, 0.0
    while select.select([received], [], [], left)[0]:
        if not (number := os.read(received, 1)):
            os.close(received)
            return
        if number[0] in SIGNALS:  # timers come here, too
            if came:
                break
            came, until = number[0], time.monotonic() + END_SECONDS
        left = max(0.0, until - time.monotonic()) if came else None
    leave(came)


def raise_pending() -> None:
    """At the end of the program: a signal that came and was swallowed on its way ends it now."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, 0)
    _forget_pipe()
    if _signals.came is not None:
        leave(_signals.came)


@contextmanager
def deferred() -> Iterator[None]:
    """A signal in this block is raised at its end: DuckDB and dlt take it for a query that failed, and try again.

    A block within another is a part of it.
    """
    outer, _signals.deferred = _signals.deferred, True
    try:
        yield
    finally:
        _signals.deferred = outer
        if _signals.pending and not outer:
            _raise()


def _interrupt(number: int, frame: FrameType | None) -> None:
    _signals.came, _signals.pending = number, True
    for each in SIGNALS:  # the next one is for `_watch`: raised here it would break off the good order
        if signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, lambda _number, _frame: None)
    signal.signal(signal.SIGALRM, _look)
    _look(number, frame)


def _look(_number: int, frame: FrameType | None) -> None:
    """Raises the signal that came, if it may be raised here and now; looks again soon in the middle of an import."""
    importing = _signals.pending and _is_importing(frame)
    signal.setitimer(signal.ITIMER_REAL, LOOK_SECONDS if importing else 0)
    if _signals.pending and not _signals.deferred and not importing:
        _raise()


def _raise() -> NoReturn:
    _signals.pending = False
    raise Interrupted(_signals.came or 0)


def _is_importing(frame: FrameType | None) -> bool:
    """Whether the main thread is in the middle of an import."""
    while frame is not None:
        if frame.f_code.co_filename == _IMPORTING:
            return True
        frame = frame.f_back
    return False


def leave(number: int) -> NoReturn:
    """Says that signal `number` ended the program, and ends it without waiting for any thread."""
    cursor = "\x1b[?25h" if sys.stderr.isatty() else ""  # progress bars hide it
    # It knows how lines are to be written; before it is there, they are plain.
    line = getattr(sys.modules.get("passona.monitoring.logs"), "line", None)
    line = line or (lambda _event, text, **_: f"passona: {text}")
    said = line("stopped", "stopped; what was verified is kept, run it again for the rest", exit_code=128 + number)
    with suppress(OSError, ValueError):  # nobody may be there to read it
        sys.stderr.write(f"{cursor}{said}\n")
        sys.stderr.flush()
    os._exit(128 + number)
