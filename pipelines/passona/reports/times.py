"""Times of the reports: text in, instants in UTC out, and what could not be taken at its face.

Pure. Forms: the guide's samples (`2020-06-08 13:50:06`, `2020-06-27T20:26:30+0100`) and what a
newer framework writes (`2020-06-27T19:26:30.000000Z`). Without an offset: civil time in the
account's zone (contract, rule 5).

`instant` is the meaning, for one text. `instants` is the same for a column, at the speed of Arrow:
it takes only texts of the plain form, within quarters of an hour in which the zone's offset stands
still, and leaves everything else to `instant`.
"""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache
from typing import Any

import pendulum
import pyarrow as pa
import pyarrow.compute as pc

UTC_TIME: pa.DataType = pa.timestamp("us", tz="UTC")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

_PLAIN = r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01]) ([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]$"
_FORM = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[ T]([0-9]{2}):([0-9]{2}):([0-9]{2})"
    r"(?:\.([0-9]{1,6}))?(Z|[+-][0-9]{2}:?[0-9]{2})?"
)
_QUARTER = 900  # seconds; zones change their offset at full quarters of an hour, and each is checked


def instant(text: str, zone: str) -> tuple[dt.datetime | None, str | None]:
    """The instant in UTC that a text means, and the issue with it, if any.

    A time that occurs twice is the earlier one (`ambiguous_time`); one that does not exist is moved
    forward by the gap (`nonexistent_time`); what cannot be read is None (`invalid_time`).
    """
    form = _FORM.fullmatch(text)
    if form is None:
        return None, "invalid_time"
    *parts, fraction, offset = form.groups()
    micros = int((fraction or "0").ljust(6, "0")[:6])
    try:
        year, month, day, hour, minute, second = map(int, parts)
        civil = dt.datetime(year, month, day, hour, minute, second, micros)  # noqa: DTZ001  # civil on purpose
        if offset is not None:
            return (civil - _fixed(offset)).replace(tzinfo=dt.UTC), None
        early, late = _offset(civil, zone, 0), _offset(civil, zone, 1)
        issue = None if early == late else "ambiguous_time" if early > late else "nonexistent_time"
        return (civil - early).replace(tzinfo=dt.UTC), issue
    except (ValueError, OverflowError):
        return None, "invalid_time"


def has_form_of_time(text: str) -> bool:
    """Whether a text looks like a time, though there may be none such."""
    return _FORM.fullmatch(text) is not None


def count_unreadable(texts: pa.Array[Any]) -> int:
    """How many of a column's texts are no time, in whatever zone; empty ones do not count."""
    _, issues = instants(pc.if_else(pc.equal(texts, pa.scalar("")), None, texts), "UTC")
    return sum(issue == "invalid_time" for _, issue in issues)


def python_values(column: pa.ChunkedArray[Any]) -> list[Any]:
    """A column as Python values, its instants in UTC: as `to_pylist`, which takes five times as long for instants."""
    if column.type != UTC_TIME:
        return column.to_pylist()
    micros = column.cast(pa.int64()).to_pylist()
    return [None if value is None else _EPOCH + dt.timedelta(microseconds=value) for value in micros]


def _fixed(offset: str) -> dt.timedelta:
    """The offset written in a time. More than a day of it is an error."""
    if offset == "Z":
        return dt.timedelta(0)
    hours, minutes = int(offset[1:3]), int(offset[-2:])
    if hours > 23 or minutes > 59:
        raise ValueError(offset)
    size = dt.timedelta(hours=hours, minutes=minutes)
    return -size if offset[0] == "-" else size


def _offset(civil: dt.datetime, zone: str, fold: int) -> dt.timedelta:
    found = _zone(zone).utcoffset(civil.replace(fold=fold))
    assert found is not None  # noqa: S101  # for the types: a zone always has an offset for a civil time
    return found


@lru_cache(maxsize=8)
def _zone(name: str) -> pendulum.Timezone:
    # pendulum reads the zone's file each time it is asked for one.
    return pendulum.timezone(name)


@lru_cache(maxsize=65_536)
def _steady_offset(quarter: int, zone: str) -> int | None:
    """Seconds east of UTC during a quarter of an hour of civil time, None if they change in it.

    `quarter` counts quarters since 1970-01-01 00:00 civil time.
    """
    try:
        start = dt.datetime(1970, 1, 1) + dt.timedelta(seconds=quarter * _QUARTER)  # noqa: DTZ001  # civil on purpose
        ends = (start, start + dt.timedelta(seconds=_QUARTER - 1))
        offsets = {_offset(end, zone, fold) for end in ends for fold in (0, 1)}
        if len(offsets) > 1:
            return None
        offset = offsets.pop()
        _ = [end - offset for end in ends]  # an instant before the year 1 or after 9999 is an error
    except OverflowError:
        return None
    return int(offset.total_seconds())


def instants(texts: pa.Array[Any], zone: str) -> tuple[pa.Array[Any], list[tuple[int, str]]]:
    """The instants of a column of texts, null for null, and the issues as (position, issue)."""
    civil = _plain_civil(texts)
    seconds = pc.cast(civil, pa.int64())
    quarters = _floor_divided(seconds, _QUARTER).dictionary_encode()
    steady = pa.array([_steady_offset(quarter, zone) for quarter in quarters.dictionary.to_pylist()], pa.int64())
    utc = pc.subtract(seconds, pc.take(steady, quarters.indices))
    fast = pc.cast(pc.cast(utc, pa.timestamp("s", tz="UTC")), UTC_TIME)
    left = pc.and_(pc.is_valid(texts), pc.is_null(fast))
    if not pc.any(left).as_py():
        return fast, []
    return _with_slow(texts, fast, left, zone)


def _plain_civil(texts: pa.Array[Any]) -> pa.Array[Any]:
    """Civil times of texts in the plain form, in seconds; null where a text is not of it."""
    plain: pa.Array[Any] = pc.if_else(pc.match_substring_regex(texts, _PLAIN), texts, None)
    try:
        return plain.cast(pa.timestamp("s"))
    except pa.ArrowInvalid:
        # One impossible time (30 February) fails the whole cast: let `instant` read this column.
        return pa.nulls(len(texts), pa.timestamp("s"))


def _floor_divided(numbers: pa.Array[Any], by: int) -> pa.Array[Any]:
    floored: pa.Array[Any] = pc.floor(pc.divide(numbers.cast(pa.float64()), float(by)))
    return floored.cast(pa.int64())


def _with_slow(
    texts: pa.Array[Any], fast: pa.Array[Any], left: pa.Array[Any], zone: str
) -> tuple[pa.Array[Any], list[tuple[int, str]]]:
    """Fills what the fast way left, each distinct text read once."""
    encoded = pc.dictionary_encode(pc.if_else(left, texts, None))
    read = [instant(text, zone) for text in encoded.dictionary.to_pylist()]
    values = pa.array([value for value, _ in read], UTC_TIME)
    issues = [
        (position, issue)
        for position, index in enumerate(encoded.indices.to_pylist())
        if index is not None and (issue := read[index][1]) is not None
    ]
    return pc.coalesce(fast, pc.take(values, encoded.indices)), issues
