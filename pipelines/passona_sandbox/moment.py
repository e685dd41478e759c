"""A campaign at one instant: what has been sent, delivered and clicked by then.

The finished campaign is a pure function of its facts. The rows at an instant are those of its rows that exist by then,
in their state at that time. Statuses change until the expiry, clicks arrive for four weeks.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from passona_sandbox import clock
from passona_sandbox.blueprint import Blueprint, Stage
from passona_sandbox.campaign import MadeUp
from passona_sandbox.dice import Order
from passona_sandbox.people import People
from passona_sandbox.reports import REPORTS, Row
from passona_sandbox.story import Story

CLICKING = 28 * clock.DAY  # from the start of sending to the last click
_PENDING: dict[str, Row] = {
    "delivery": {"Status": "Pending"},
    "alt_delivery": {"Status": "Pending", "MessageUpdate": None},
}


class SlowStory(Story):
    """A story with delays: phones are switched off for hours, people click after days."""

    def updated_at(self, message: int) -> int:
        """Return when a message arrived: half of them within minutes, the last after 18 hours."""
        if not self.is_delivered(message):
            return self.plan.expiry
        die = self.die(message)
        return self.sent_at(message) + 1 + die % (1 << 3 + (die >> 8) % 14)

    def clicked_at(self, message: int, roll: tuple[int, ...], *, is_robot: bool) -> int:
        """Return when a click happened: robots at once, half of the people within hours, the last after weeks."""
        delay = roll[3] % 25 if is_robot else 20 + roll[3] % (1 << 7 + roll[4] % 15)
        return min(self.updated_at(message) + 1 + delay, self.plan.horizon)


@dataclass(frozen=True)
class Course:
    """A campaign from its creation to its last click."""

    plan: Blueprint
    people: People
    hostile: bool

    @cached_property
    def whole(self) -> MadeUp:
        return MadeUp(self.plan, self.people, hostile=self.hostile, story=SlowStory)

    @cached_property
    def clicks(self) -> list[tuple[int, int]]:
        """Instants and numbers of all clicks, the earliest first."""
        return sorted((self.whole.story.click(number).instant, number) for number in range(self.plan.counts.clicks))

    def stage(self, instant: int) -> Stage:
        if instant < self.plan.started:
            return "planned"
        return "sending" if instant < self.plan.started + self.plan.span else "finished"


class Moment:
    """A campaign as an account shows it at one instant."""

    def __init__(self, course: Course, instant: int) -> None:
        self._course, self._instant, self._story = course, instant, course.whole.story
        self.entry: Row = replace(course.plan, stage=course.stage(instant)).entry()

    def count(self, report: str) -> int:
        return len(self._there[report])

    def row(self, report: str, index: int) -> Row:
        number = self._number(report, index)
        row = self._course.whole.make_row(report, number)
        if report in _PENDING and self._story.updated_at(number) > self._instant:
            return row | _PENDING[report]
        if report == "unsent" and self._instant < self._course.plan.expiry:
            return row | {"Reason": "pending"}
        return row

    def truth(self, report: str, index: int) -> Row:
        number = self._number(report, index)
        truth = self._course.whole.truth_of(report, number)
        if report in _PENDING and self._story.updated_at(number) > self._instant:
            return truth | {"delivered": False}
        return truth

    def _number(self, report: str, index: int) -> int:
        return self._there[report][self._orders[report].at(index)]

    @cached_property
    def _orders(self) -> dict[str, Order]:
        roll = self._course.plan.dice.roll(2)
        return {report: Order(self.count(report), roll[place]) for place, report in enumerate(REPORTS)}

    @cached_property
    def _there(self) -> dict[str, Sequence[int]]:
        """Numbers of the rows in each report so far; unsent people are counted backwards from the last message."""
        story, counts, instant = self._story, self._course.plan.counts, self._instant
        sent = bisect_right(range(counts.messages), instant, key=story.sent_at)
        batches = bisect_right(range(counts.batches), instant, key=lambda number: story.sent_at(story.batch(number)))
        clicked = bisect_right(self._course.clicks, (instant, counts.clicks))
        return {
            "clicks": [number for _, number in self._course.clicks[:clicked]],
            "delivery": range(sent),
            "alt_delivery": range(sent),
            "recipient": range(counts.of("recipient")),
            "sent": range(batches),
            "unsent": range(sent - counts.messages, counts.unsent) if sent else range(0),
        }
