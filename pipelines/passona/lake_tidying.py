"""What nobody needs any more goes from a lake: at the end of a run, and nothing before its grace time is over.

many small objects of a log -> one
snapshots that were replaced, and what killed loads left -> gone, looked for once in a grace time
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from passona.lake_contents import Contents
from passona.lake_files import place_of
from passona.lake_log import time_of
from passona.store import PART

SWEPT = "swept"


def tidy(contents: Contents, grace: timedelta) -> None:
    """Puts small objects together, and removes what is useless.

    :raises OSError: the store does not let us; the next run tries again.
    """
    before = datetime.now(UTC) - grace
    for name, log in contents.logs.items():
        log.read()
        current = contents.current(name)
        if current is not None:
            log.put_together(current)
        contents.store.remove(log.useless(before))
    swept = contents.store.put_at(SWEPT)
    # To list all objects takes an object store a second for each ten thousand or so.
    if swept is None or swept <= before:
        contents.store.put(SWEPT, b"")
        contents.store.remove(_useless(contents, before))


def _useless(contents: Contents, before: datetime) -> list[str]:
    """Files of snapshots that do not count: that others replaced before this time, or that no ledger ever named and
    that were put there before it. And what was never written to its end."""
    now = contents.snapshots_now()
    return [
        name
        for name, put_at in contents.store.all().items()
        if put_at < before and (name.endswith(PART) or _is_replaced(name, now, before))
    ]


def _is_replaced(name: str, now: dict[tuple[str, str], str | None], before: datetime) -> bool:
    place = place_of(name)
    if place is None:
        return False
    current = now.get(place.key)
    return current != place.snapshot and (current is None or time_of(current) < before)
