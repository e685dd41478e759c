"""Waiting for whoever holds the warehouse, and writes that may fail."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from passona.config.signals import deferred
from passona.errors import Busy, NotWritten
from passona.masking.messages import reason

# Twice a second: short beside any load, and no load on the machine.
POLL_SECONDS = 0.5

_Opened = TypeVar("_Opened")


class Locked(Exception):  # noqa: N818  # named for what happened, as all errors are
    """Somebody else holds it; `str` says who. Never shown: it is waited for, or `Busy` tells of it."""


def wait_for(attempt: Callable[[], _Opened], name: str, wait: float, notify: Callable[[str], None]) -> _Opened:
    """What `attempt` gives, tried until it is not `Taken`, for `wait` seconds. `name`: of what is waited for.

    :raises Busy: it is still taken after that; names the holder.
    """
    until = time.monotonic() + wait
    said = False
    while True:
        try:
            return attempt()
        except Locked as holder:
            if time.monotonic() >= until:
                raise Busy(
                    f"{name} is held by {holder}; waited {wait:g} s. Let it end, or give --wait more seconds"
                ) from None
            if not said:
                notify(f"{name} is held by {holder}; waiting up to {wait:g} s")
                said = True
        time.sleep(POLL_SECONDS)


@contextlib.contextmanager
def writing(what: str, *kinds: type[Exception], interruptible: bool = False) -> Iterator[None]:
    """Errors of these kinds in this block mean that `what` could not be written. Signals wait for its end, unless it
    is `interruptible`: long, and right wherever it ends.

    :raises NotWritten: it could not.
    """
    with contextlib.nullcontext() if interruptible else deferred():
        try:
            yield
        except kinds as error:
            raise NotWritten(f"{what} could not be written: {reason(error)}") from error
