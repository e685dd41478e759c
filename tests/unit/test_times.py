"""Rule 5 of the contract: which instant a text means, and what is said of it."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from passona.reports.times import UTC_TIME, instant, instants

LONDON = "Europe/London"
ZONES = (LONDON, "Australia/Lord_Howe", "Asia/Kathmandu", "America/New_York", "America/St_Johns", "UTC")
# Days on which one of the zones above changes its offset, and the ends of the calendar.
TURNS = (
    "2020-03-29", "2020-10-25", "2020-04-05", "2020-10-04", "2020-03-08", "2020-11-01", "1986-01-01", "1985-12-31",
    "1919-12-31", "1920-01-01", "1847-12-01", "1883-11-18", "0001-01-01", "9999-12-31", "1970-01-01", "1969-12-31",
)  # fmt: skip


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def plain(civil: dt.datetime) -> str:
    return civil.replace(microsecond=0).isoformat(sep=" ")


plain_texts = st.datetimes().map(plain)
turning_texts = st.builds(
    "{} {:02}:{:02}:{:02}".format, st.sampled_from(TURNS), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59)
)
# Near the valid forms: each part may be a little out of its range, left out, or of another kind.
near_texts = st.builds(
    "{:04}-{:02}-{:02}{}{:02}:{:02}:{:02}{}{}{}".format,
    st.integers(0, 10_000),
    st.integers(0, 13),
    st.integers(0, 32),
    st.sampled_from([" ", "T", "  ", "t", ""]),
    st.integers(0, 25),
    st.integers(0, 61),
    st.integers(0, 61),
    st.sampled_from(["", "", ".5", ".123456", ".1234567", ".", ",5"]),
    st.sampled_from(["", "", "Z", "z", "+0100", "+01:00", "-0330", "+2359", "-2400", "+0060", "+01", "+1"]),
    st.sampled_from(["", "", "", "\n", " ", "x", "\u0660"]),
)
all_texts = st.one_of(plain_texts, turning_texts, near_texts, st.text(max_size=30))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2020-06-08 13:50:06", "2020-06-08T12:50:06"),  # Clicked_At
        ("2020-06-27T20:26:30+0100", "2020-06-27T19:26:30"),  # Expiry_Date
        ("2020-06-25 20:26:04", "2020-06-25T19:26:04"),  # MessageSent
        ("2020-06-25 20:26:02", "2020-06-25T19:26:02"),  # SentOn
        ("2020-06-27T19:26:30.000000Z", "2020-06-27T19:26:30"),  # what a newer framework writes
        ("2020-01-08 13:50:06", "2020-01-08T13:50:06"),  # winter
    ],
)
def test_times_without_an_offset_are_london_time(text: str, expected: str) -> None:
    assert instant(text, LONDON) == (utc(expected), None)


def test_the_guides_campaign_expires_48_hours_after_it_was_sent() -> None:
    sent, _ = instant("2020-06-25 20:26:02", LONDON)
    expiry, _ = instant("2020-06-27T20:26:30+0100", LONDON)
    assert sent is not None
    assert expiry is not None
    assert expiry - sent == dt.timedelta(hours=48, seconds=28)


@pytest.mark.parametrize(
    ("zone", "text", "expected"),
    [
        (LONDON, "2020-10-25 01:00:00", "2020-10-25T00:00:00"),
        (LONDON, "2020-10-25 01:59:59", "2020-10-25T00:59:59"),
        ("America/New_York", "2020-11-01 01:30:00", "2020-11-01T05:30:00"),
        ("Australia/Lord_Howe", "2020-04-05 01:45:00", "2020-04-04T14:45:00"),  # half an hour back
    ],
)
def test_a_time_that_occurs_twice_is_the_earlier_one_and_is_noted(zone: str, text: str, expected: str) -> None:
    assert instant(text, zone) == (utc(expected), "ambiguous_time")


@pytest.mark.parametrize(
    ("zone", "text", "expected"),
    [
        (LONDON, "2020-03-29 01:00:00", "2020-03-29T01:00:00"),  # 02:00 in summer
        (LONDON, "2020-03-29 01:59:59", "2020-03-29T01:59:59"),
        ("America/New_York", "2020-03-08 02:30:00", "2020-03-08T07:30:00"),
        ("Australia/Lord_Howe", "2020-10-04 02:15:00", "2020-10-03T15:45:00"),  # 02:45 in summer: half an hour
    ],
)
def test_a_time_that_does_not_exist_is_moved_forward_by_the_gap_and_is_noted(
    zone: str, text: str, expected: str
) -> None:
    assert instant(text, zone) == (utc(expected), "nonexistent_time")


@pytest.mark.parametrize("text", ["2020-10-25 00:59:59", "2020-10-25 02:00:00", "2020-03-29 00:59:59"])
def test_the_seconds_beside_a_change_of_offset_are_plain(text: str) -> None:
    assert instant(text, LONDON)[1] is None


@pytest.mark.parametrize(
    ("fraction", "micros"), [(".5", 500_000), (".05", 50_000), (".000001", 1), (".123456", 123_456)]
)
def test_parts_of_a_second_are_decimals(fraction: str, micros: int) -> None:
    expected = utc("2020-06-08T13:50:06").replace(microsecond=micros), None
    assert instant(f"2020-06-08T13:50:06{fraction}Z", LONDON) == expected
    assert instant(f"2020-06-08 14:50:06{fraction}", LONDON) == expected


@pytest.mark.parametrize("civil", ["2020-10-25T01:30:00", "2020-03-29T01:30:00"])
def test_a_time_with_an_offset_is_that_instant_whatever_the_zone_does(civil: str) -> None:
    assert instant(f"{civil}+0100", LONDON) == (utc(civil) - dt.timedelta(hours=1), None)
    assert instant(f"{civil}Z", LONDON) == (utc(civil), None)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "never", "0000-00-00 00:00:00", "2020-06-08", "2020-06-08 15:25:0", "2020-02-30 10:00:00",
        "2021-02-29 10:00:00", "2020-13-01 10:00:00", "2020-06-08 24:00:00", "2020-06-08 23:59:60",
        "2020-06-08 13:50", " 2020-06-08 13:50:06", "2020-06-08 13:50:06 ", "2020-06-08 13:50:06\n",
        "2020-06-08 13:50:06 PM", "08/06/2020 13:50:06", "2020-06-08T13:50:06.Z", "2020-06-08T13:50:06.1234567Z",
        "2020-06-08T13:50:06+2400", "2020-06-08T13:50:06+0060", "2020-06-08T13:50:06+1", "0001-01-01T00:00:00+0001",
        "9999-12-31T23:59:59-0001", "\u0662\u0660\u0662\u0660-06-08 13:50:06", "1591624206",
    ],
)  # fmt: skip
def test_a_text_that_is_no_time_is_null_and_noted(text: str) -> None:
    assert instant(text, LONDON) == (None, "invalid_time")
    values, issues = instants(pa.array([text]), LONDON)
    assert values.to_pylist() == [None]
    assert issues == [(0, "invalid_time")]


@given(
    civil=st.datetimes(dt.datetime(2, 1, 1), dt.datetime(9998, 1, 1)),  # noqa: DTZ001  # civil on purpose
    minutes=st.integers(-23 * 60 - 59, 23 * 60 + 59),
    colon=st.sampled_from(["", ":"]),
)
def test_an_offset_is_taken_off_with_its_sign_and_parts_of_a_second_stay(
    civil: dt.datetime, minutes: int, colon: str
) -> None:
    hours, rest = divmod(abs(minutes), 60)
    text = f"{civil.isoformat(timespec='microseconds')}{'-' if minutes < 0 else '+'}{hours:02}{colon}{rest:02}"
    assert instant(text, LONDON) == ((civil - dt.timedelta(minutes=minutes)).replace(tzinfo=dt.UTC), None)


def meant(civil: dt.datetime, zone: str) -> tuple[dt.datetime, str | None]:
    """What a civil time means, found another way: by trying which instants show it on the zone's clock."""
    clock = ZoneInfo(zone)
    day = dt.timedelta(days=1)
    around = [
        (civil + shift).replace(tzinfo=dt.UTC).astimezone(clock).utcoffset() or dt.timedelta(0) for shift in (-day, day)
    ]
    tried = {(civil - offset).replace(tzinfo=dt.UTC) for offset in around}
    showing = sorted(when for when in tried if when.astimezone(clock).replace(tzinfo=None, fold=0) == civil)
    if showing:
        return showing[0], "ambiguous_time" if len(showing) > 1 else None
    gap = around[1] - around[0]
    return (civil + gap - around[1]).replace(tzinfo=dt.UTC), "nonexistent_time"


@settings(deadline=None, max_examples=200)
@given(
    civil=st.one_of(
        st.datetimes(dt.datetime(1971, 1, 1), dt.datetime(2100, 1, 1)).map(lambda when: when.replace(microsecond=0)),  # noqa: DTZ001
        turning_texts.filter(lambda text: text[:2] in ("19", "20")).map(dt.datetime.fromisoformat),
    ),
    zone=st.sampled_from(ZONES),
)
def test_plain_times_mean_what_the_zones_own_clock_shows(civil: dt.datetime, zone: str) -> None:
    assert instant(plain(civil), zone) == meant(civil, zone)
    values, issues = instants(pa.array([plain(civil)]), zone)
    assert (values[0].as_py(), dict(issues).get(0)) == meant(civil, zone)


@settings(deadline=None, max_examples=200)
@given(texts=st.lists(st.none() | all_texts, max_size=12), zone=st.sampled_from(ZONES))
@example(texts=["0001-01-01 00:00:00", "9999-12-31 23:59:59"], zone="Asia/Kathmandu")
@example(texts=["0001-01-01 00:00:00", "9999-12-31 23:59:59"], zone="America/New_York")
@example(texts=["2020-06-08 13:50:06\n", "2020-06-08 13:50:06"], zone=LONDON)
@example(texts=[None], zone=LONDON)
def test_a_column_is_read_as_its_texts_are_one_by_one(texts: list[str | None], zone: str) -> None:
    values, issues = instants(pa.array(texts, pa.string()), zone)
    each = [(None, None) if text is None else instant(text, zone) for text in texts]
    assert values.type == UTC_TIME
    assert values.to_pylist() == [value for value, _ in each]
    assert sorted(issues) == [(place, issue) for place, (_, issue) in enumerate(each) if issue is not None]


def test_one_impossible_time_does_not_spoil_the_others_of_its_column() -> None:
    values, issues = instants(pa.array(["2020-06-08 13:50:06", "2020-02-30 00:00:00", "2020-06-08 13:50:07"]), LONDON)
    assert values.to_pylist() == [utc("2020-06-08T12:50:06"), None, utc("2020-06-08T12:50:07")]
    assert issues == [(1, "invalid_time")]


def test_nothing_is_no_time_and_no_issue() -> None:
    values, issues = instants(pa.array([None, None], pa.string()), LONDON)
    assert (values.to_pylist(), issues) == ([None, None], [])


def test_a_piece_of_a_column_is_read_like_a_column() -> None:
    column = pa.array(["2020-06-08 13:50:06", "2020-10-25 01:30:00", "?", None]).slice(1)
    values, issues = instants(column, LONDON)
    assert values.to_pylist() == [utc("2020-10-25T00:30:00"), None, None]
    assert issues == [(0, "ambiguous_time"), (1, "invalid_time")]
