"""Civil time as Passona writes it, and the version-1 uuids that carry their instant.

Instants are whole seconds of UTC since 1970.
"""

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

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


def change(year: int, month: int) -> int:
    """Return when the clocks change in March or October of this year: on its last Sunday."""
    last = date(year, month, 31)
    sunday = last - timedelta(days=(last.weekday() + 1) % 7)
    return instant(f"{sunday.isoformat()}T01:00:00")


@lru_cache(maxsize=4096)
def _hour(hour: int, zone: Zone) -> datetime:
    return datetime.fromtimestamp(hour * HOUR, ZoneInfo(zone))


@lru_cache(maxsize=4096)
def _hour_text(hour: int, zone: Zone) -> str:
    return f"{_hour(hour, zone):%Y-%m-%d %H}"


def civil(moment: int, zone: Zone = LONDON) -> str:
    """Return the civil time of a zone, by default the UK's, `2020-06-25 20:26:02`."""
    hour, rest = divmod(moment, HOUR)
    return f"{_hour_text(hour, zone)}:{rest // 60:02d}:{rest % 60:02d}"


def winter(moment: int) -> str:
    """Return the time on a clock that was not put forward: in spring an hour that does not exist."""
    return civil(moment, "UTC")


def with_offset(moment: int) -> str:
    """Return the time with its offset, without a colon: `2020-06-27T20:26:30+0100`."""
    return f"{datetime.fromtimestamp(moment, ZoneInfo(LONDON)):%Y-%m-%dT%H:%M:%S%z}"


def rewritten(value: object, zone: Zone) -> object:
    """Convert a UK civil time to another zone; return anything else unchanged.

    An hour that occurs twice counts as the earlier one.
    """
    if not isinstance(value, str) or not _CIVIL.fullmatch(value):
        return value
    return civil(int(datetime.fromisoformat(value).replace(tzinfo=ZoneInfo(LONDON)).timestamp()), zone)


def is_first_of_summer(moment: int) -> bool:
    """Return True if the clocks went forward less than an hour ago."""
    hour = moment // HOUR
    return bool(_hour(hour, LONDON).dst()) and not _hour(hour - 1, LONDON).dst()


def uuid1(moment: int, tick: int, node: str) -> str:
    """Return a version-1 uuid of this instant; `tick` (of 100 ns) and `node` distinguish equal instants.

    `node` is the uuid's end as text, clock sequence and machine: `abb5-0242ac120008`.
    """
    ticks = moment * _TICKS + _UUID_EPOCH + tick
    low, middle, high = ticks & 0xFFFFFFFF, ticks >> 32 & 0xFFFF, ticks >> 48 & 0x0FFF
    return f"{low:08x}-{middle:04x}-1{high:03x}-{node}"
