"""Ctrl-C and SIGTERM end the program in good order, and soon.

The first signal is an `Interrupted` in the main thread: the run notes that it was interrupted and lets
the warehouse go. Where that takes too long (a thread that connects cannot be woken), and at the second
signal, the program ends as a kill would end it, which costs nothing that is in the warehouse.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn

import click

from passona import logs
from passona.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)
# To write what is verified takes a second, to note the end of the run a tenth of one; whoever pressed
# Ctrl-C waits no longer than this.
END_SECONDS = 5.0


@dataclass
class _Signals:
    """The signal that came, if one did, and whether it is held back."""

    came: int | None = None
    held: bool = False


_signals = _Signals()


def listen() -> None:
    """From now on SIGINT and SIGTERM raise `Interrupted`. To be called from the main thread."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup, and & in a script
            signal.signal(number, _interrupt)


@contextmanager
def held() -> Iterator[None]:
    """A signal in this block is raised at its end: DuckDB and dlt take it for a query that failed, and try again."""
    before, _signals.held = _signals.came, True
    try:
        yield
    finally:
        _signals.held = False
        if _signals.came is not None and before is None:
            raise Interrupted(_signals.came)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    for each in SIGNALS:
        signal.signal(each, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, lambda *_: leave(number))
    signal.setitimer(signal.ITIMER_REAL, END_SECONDS)
    _signals.came = number
    if not _signals.held:
        raise Interrupted(number)


def leave(number: int) -> NoReturn:
    """Says that signal `number` ended the program, and ends it without waiting for any thread."""
    cursor = "\x1b[?25h" if sys.stderr.isatty() else ""  # progress bars hide it
    said = logs.line("stopped", "stopped; what was verified is kept, the rest is due again", exit_code=128 + number)
    click.echo(f"{cursor}{said}", err=True)
    os._exit(128 + number)
