"""UK civil time as Passona writes it, and the version-1 uuids that carry their instant.

Instants are whole seconds of UTC since 1970. The rule since 1996: summer time from the last Sunday of March to the last
Sunday of October, both at 01:00 UTC. It is computed here, so the sandbox needs no zone files and can check them.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Literal

Zone = Literal["Europe/London", "UTC", "Europe/Paris"]
LONDON: Zone = "Europe/London"
HOUR = 3600
DAY = 24 * HOUR
_UUID_EPOCH = 0x01B21DD213814000  # 1582-10-15 to 1970-01-01 in ticks of 100 ns, RFC 9562
_TICKS = 10_000_000
_CIVIL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")


def instant(text: str) -> int:
    """Read an ISO time of UTC, `2020-06-25T19:26:02`."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@lru_cache(maxsize=64)
def change(year: int, month: int) -> int:
    """Return when the clocks change in March or October of this year."""
    last = date(year, month, 31)
    sunday = last - timedelta(days=(last.weekday() + 1) % 7)
    return instant(f"{sunday.isoformat()}T01:00:00")


@lru_cache(maxsize=4096)
def _is_summer_hour(hour: int) -> bool:
    year = datetime.fromtimestamp(hour * HOUR, UTC).year
    return change(year, 3) <= hour * HOUR < change(year, 10)


@lru_cache(maxsize=4096)
def _civil_hour(hour: int) -> str:
    return _utc_hour(hour + _is_summer_hour(hour))


def _utc_hour(hour: int) -> str:
    return f"{datetime.fromtimestamp(hour * HOUR, UTC):%Y-%m-%d %H}"


def civil(moment: int, zone: Zone = LONDON) -> str:
    """Return the civil time of a zone, by default the UK's, `2020-06-25 20:26:02`."""
    if zone == "UTC":
        return winter(moment)
    hour, rest = divmod(moment, HOUR)
    if zone == "Europe/Paris":  # an hour ahead all the year: both change their clocks at 01:00 UTC
        return f"{_utc_hour(hour + _is_summer_hour(hour) + 1)}:{rest // 60:02d}:{rest % 60:02d}"
    return f"{_civil_hour(hour)}:{rest // 60:02d}:{rest % 60:02d}"


def winter(moment: int) -> str:
    """Return the time on a clock that was not put forward: in spring an hour that does not exist."""
    hour, rest = divmod(moment, HOUR)
    return f"{_utc_hour(hour)}:{rest // 60:02d}:{rest % 60:02d}"


def with_offset(moment: int) -> str:
    """Return the time with its offset, without a colon: `2020-06-27T20:26:30+0100`."""
    return civil(moment).replace(" ", "T") + ("+0100" if _is_summer_hour(moment // HOUR) else "+0000")


def rewritten(value: object, zone: Zone) -> object:
    """Convert a UK civil time to another zone; return anything else unchanged.

    An hour that occurs twice counts as the earlier one.
    """
    if not isinstance(value, str) or not _CIVIL.fullmatch(value):
        return value
    shown = instant(value.replace(" ", "T"))
    return civil(shown - HOUR * _is_summer_hour(shown // HOUR - 1), zone)


def is_first_of_summer(moment: int) -> bool:
    """Return True if the clocks went forward less than an hour ago."""
    hour = moment // HOUR
    return _is_summer_hour(hour) and not _is_summer_hour(hour - 1)


def uuid1(moment: int, tick: int, node: str) -> str:
    """Return a version-1 uuid of this instant; `tick` (of 100 ns) and `node` distinguish equal instants.

    `node` is the uuid's end as text, clock sequence and machine: `abb5-0242ac120008`.
    """
    ticks = moment * _TICKS + _UUID_EPOCH + tick
    low, middle, high = ticks & 0xFFFFFFFF, ticks >> 32 & 0xFFFF, ticks >> 48 & 0x0FFF
    return f"{low:08x}-{middle:04x}-1{high:03x}-{node}"
