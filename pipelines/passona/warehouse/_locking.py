"""Waiting for the lock on the warehouse, and writes that may fail."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from passona.config.signals import deferred
from passona.errors import Busy, NotWritten
from passona.masking.messages import reason

# Short beside any load, and cheap.
POLL_SECONDS = 0.5

_Opened = TypeVar("_Opened")


class Locked(Exception):  # noqa: N818  # named for what happened, as all errors are
    """Another run has the lock; its text names the holder. Never shown: `wait_for` handles it."""


def wait_for(attempt: Callable[[], _Opened], name: str, wait: float, notify: Callable[[str], None]) -> _Opened:
    """Call `attempt` until it does not raise `Locked`, for up to `wait` seconds. `name`: what is locked."""
    until = time.monotonic() + wait
    notified = False
    while True:
        try:
            return attempt()
        except Locked as holder:
            if time.monotonic() >= until:
                raise Busy(
                    f"{name} is held by {holder}; waited {wait:g} s. Let it end, or give --wait more seconds"
                ) from None
            if not notified:
                notify(f"{name} is held by {holder}; waiting up to {wait:g} s")
                notified = True
        time.sleep(POLL_SECONDS)


@contextlib.contextmanager
def writing(what: str, *kinds: type[Exception]) -> Iterator[None]:
    """Defer signals to the end of this block.

    :raises NotWritten: an error of these kinds: `what` could not be written.
    """
    with deferred():
        try:
            yield
        except kinds as error:
            raise NotWritten(f"{what} could not be written: {reason(error)}") from error
