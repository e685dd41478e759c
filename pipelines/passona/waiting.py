"""Waiting for whoever holds the warehouse, and what is said of a database that could not be written."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from passona.errors import Busy, NotWritten, causes, masked
from passona.interruption import held

# Errors of DuckDB and psycopg2 whose messages name files, sizes, tables and columns, and quote no value.
_ABOUT_THE_DATABASE = (
    "IOException",
    "OutOfMemoryException",
    "FatalException",
    "SerializationException",
    "TransactionException",
    "CatalogException",
    "BinderException",
    "PermissionException",
    "HTTPException",
    "OperationalError",
    "InterfaceError",
)
# Twice a second: short beside any load, and no load on the machine.
POLL_SECONDS = 0.5

_Opened = TypeVar("_Opened")


class Taken(Exception):  # noqa: N818  # named for what happened, as all errors are
    """Somebody else holds it; `str` says who. Never shown: it is waited for, or `Busy` tells of it."""


def wait_for(attempt: Callable[[], _Opened], name: str, wait: float, say: Callable[[str], None]) -> _Opened:
    """What `attempt` gives, tried until it is not `Taken`, for `wait` seconds. `name`: of what is waited for.

    :raises Busy: it is still taken after that; names the holder.
    """
    until = time.monotonic() + wait
    said = False
    while True:
        try:
            return attempt()
        except Taken as holder:
            if time.monotonic() >= until:
                raise Busy(
                    f"{name} is held by {holder}; waited {wait:g} s. Let it end, or give --wait more seconds"
                ) from None
            if not said:
                say(f"{name} is held by {holder}; waiting up to {wait:g} s")
                said = True
        time.sleep(POLL_SECONDS)


@contextlib.contextmanager
def writing(what: str, *kinds: type[Exception], interruptible: bool = False) -> Iterator[None]:
    """Errors of these kinds in this block mean that `what` could not be written. Signals wait for its end, unless it
    is `interruptible`: long, and right wherever it ends.

    :raises NotWritten: it could not.
    """
    with contextlib.nullcontext() if interruptible else held():
        try:
            yield
        except kinds as error:
            raise NotWritten(f"{what} could not be written: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """Return the database's own reason, without personal data."""
    last = list(causes(error))[-1]
    words = masked(_first_line(last))
    if "No space left" in str(last) or "File too large" in str(last):
        return "no space left on the device; make room and run again"
    if "orrupt" in words or "checksum" in words:
        return f"the database file is damaged ({words}); restore a backup, then run passona verify"
    if isinstance(last, OSError) and last.strerror:
        return f"{last.strerror}: {last.filename or 'the work folder'}"
    return f"{type(last).__name__}; --debug shows more" if _may_quote_a_row(last) else words


def _first_line(error: BaseException) -> str:
    return " ".join(str(error).strip().partition("\n")[0].split())[:300] or type(error).__name__


def _may_quote_a_row(error: BaseException) -> bool:
    """Return True unless the message is known to be about files, memory, locks, rights, tables and columns."""
    code = getattr(error, "pgcode", None)
    if code is not None:  # SQLSTATE: classes 22 (data) and 23 (constraints) quote values
        return code[:2] in ("22", "23")
    return type(error).__name__ not in _ABOUT_THE_DATABASE
