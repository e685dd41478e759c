"""Which zone a clock shows: instants that are known, beside what a clock wrote."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from passona.monitoring.doctor._evidence import Verdict
from passona.monitoring.doctor._zones import Sample, agrees, judge_zone, made_at, offset

SUMMER, WINTER = datetime(2024, 7, 10, 8, 0, 3, tzinfo=UTC), datetime(2024, 1, 10, 8, 0, 3, tzinfo=UTC)


def shown(moment: datetime, zone: str, late: int = 0) -> Sample:
    """What a clock of this zone shows, `late` seconds after the moment."""
    return Sample(f"{(moment + timedelta(seconds=late)).astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M:%S}", moment)


def both(zone: str, count: int = 10) -> list[Sample]:
    days = (timedelta(days=day) for day in range(count // 2))
    return [shown(moment + day, zone) for day in days for moment in (SUMMER, WINTER)]


def test_a_uuid_of_version_1_tells_when_it_was_made() -> None:
    assert f"{made_at('dc8a7564-fb1e-11e9-abb5-0242ac120008'):%Y-%m-%d %H:%M:%S}" == "2019-10-30 14:09:17"
    assert made_at("dc8a7564-fb1e-41e9-abb5-0242ac120008") is None
    assert made_at("no uuid") is made_at(None) is None


@pytest.mark.parametrize(
    ("zone", "hours"), [("UTC", 0), ("Europe/London", 1), ("Asia/Kolkata", 5.5), ("America/New_York", -4)]
)
def test_a_clock_is_ahead_by_quarters_of_an_hour(zone: str, hours: float) -> None:
    assert offset(shown(SUMMER, zone, late=100)) == timedelta(hours=hours)
    assert offset(shown(SUMMER, zone, late=200)) is None
    assert offset(shown(SUMMER, zone, late=86_400)) is None


def test_an_hour_that_occurs_twice_agrees_with_both_of_its_instants() -> None:
    for hour in (0, 1):
        assert agrees(Sample("2024-10-27 01:30:00", datetime(2024, 10, 27, hour, 30, tzinfo=UTC)), "Europe/London")
    assert not agrees(Sample("2024-10-27 01:30:00", datetime(2024, 10, 27, 2, 30, tzinfo=UTC)), "Europe/London")


@pytest.mark.parametrize("zone", ["UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"])
def test_another_zone_is_found_by_its_name(zone: str) -> None:
    found = judge_zone(both(zone), "Europe/London", "x")
    assert found.verdict is Verdict.BROKEN
    named = re.findall(r'timezone = "(.+?)"', found.to_do)
    assert all(agrees(sample, named[0]) for sample in both(zone))
    assert judge_zone(both(zone), zone, "x").verdict is Verdict.HOLDS


def test_a_few_rows_that_were_written_later_are_no_other_zone() -> None:
    late = [shown(SUMMER, "Europe/London", late=3600 * hours) for hours in (1, 3)]
    found = judge_zone(both("Europe/London") + late, "Europe/London", "x")
    assert (found.verdict, found.seen) == (
        Verdict.UNCLEAR,
        "x: 10 of 12 agree with Europe/London, in summer and winter; no other zone fits better",
    )


def test_moments_that_have_nothing_to_do_with_each_other_tell_nothing() -> None:
    apart = [shown(SUMMER, "UTC", late=86_400 * day + 500) for day in range(10)]
    assert judge_zone(apart, "Europe/London", "x").verdict is Verdict.UNCLEAR


def test_times_that_carry_an_offset_need_no_zone() -> None:
    found = judge_zone([Sample("2024-07-10T08:00:03.000000Z", SUMMER)], "Europe/London", "x")
    assert found.verdict is Verdict.HOLDS
