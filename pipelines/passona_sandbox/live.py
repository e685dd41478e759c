"""An account that changes with time: a pure function of its seed and the instant.

    seed, instant -> the campaigns in the list -> each in its state at that instant (`moment`)

Campaigns are created a day or two before they start, send for hours, expire two days after their start, and are clicked
for four weeks. A fifth is deleted at some time, the others leave the list after ten weeks.
"""

import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace

from passona_sandbox import clock, counts
from passona_sandbox.account import Account, Campaign
from passona_sandbox.clock import LONDON, Zone
from passona_sandbox.dice import Dice
from passona_sandbox.makeup import blueprint
from passona_sandbox.moment import CLICKING, Course, Moment
from passona_sandbox.people import People

# Seconds between two states: a load that takes less sees one state.
STEP = 900
MONTH = 30 * clock.DAY
LISTED = 70 * clock.DAY  # from the start to the day on which a campaign leaves the list
DELETED_ONE_IN = 5
SENDING_HOURS = 16  # at most: some are still sending at night
_CREATED_BEFORE = 3 * clock.DAY  # the start, and the start before the hour of its day, at most
_FEWEST_ROWS = 40
_BEGIN = clock.instant("2020-01-06T00:00:00")


class LiveAccount(Account):
    """Campaigns that are created, progress and leave the list as time passes."""

    def __init__(
        self,
        *,
        seed: int = 1,
        campaigns: int = 5,
        rows: int = 10_000,
        hostile: bool = False,
        zone: Zone = LONDON,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Start `campaigns` in thirty days, with about `rows` rows in all six reports when they are finished.

        `zone`: of times without an offset. `clock` returns the instant, in seconds of UTC.
        """
        super().__init__(campaigns=0, rows=0, special=False)
        self._seed, self._hostile, self._zone, self.clock = seed, hostile, zone, clock
        self._people = People(seed, hostile=hostile)
        self._every, self._share = MONTH // max(campaigns, 1), rows // max(campaigns, 1)
        self._courses: dict[int, Course] = {}
        self._step, self._live = -1, dict[str, Campaign]()

    def _stand(self) -> tuple[Mapping[str, Campaign], Hashable]:
        """Return the campaigns of this quarter of an hour, and those that were added."""
        step = int(self.clock()) // STEP
        with self._lock:
            if step != self._step:
                self._step, self._live = step, self._listed(step * STEP)
            return {**self._live, **self._campaigns}, (step, self._revision)

    def _listed(self, instant: int) -> dict[str, Campaign]:
        """Return the campaigns that exist at this instant, the earliest first."""
        first = max(0, (instant - LISTED - clock.DAY - _BEGIN) // self._every)
        last = (instant + _CREATED_BEFORE - _BEGIN) // self._every
        self._courses = {number: self._course(number) for number in range(first, last + 1)}
        listed = [
            Moment(course, instant)
            for number, course in self._courses.items()
            if course.plan.created <= instant < self._leaves(number, course.plan.started)
        ]
        return {str(campaign.entry["uuid"]): campaign for campaign in listed}

    def _course(self, number: int) -> Course:
        if number in self._courses:
            return self._courses[number]
        dice = Dice("live", self._seed, number)
        roll = dice.roll(3)
        office = 9 * clock.HOUR + roll[0] % (9 * clock.HOUR)
        started = (_BEGIN + number * self._every) // clock.DAY * clock.DAY + office
        rows = max(_FEWEST_ROWS, self._share * (30 + roll[1] % 141) // 100)
        plan = blueprint(dice, counts.finished(rows, roll[2]), started, "finished")
        plan = replace(
            plan,
            name=f"{plan.name} {number + 1}",
            span=clock.HOUR * (1 + roll[3] % SENDING_HOURS),
            horizon=started + CLICKING,
            zone=self._zone,
        )
        return Course(plan, self._people, self._hostile)

    def _leaves(self, number: int, started: int) -> int:
        roll = Dice("live", self._seed, number).roll(4)
        if roll[0] % DELETED_ONE_IN:
            return started + LISTED
        return started + 3 * clock.DAY + roll[1] % (LISTED - 3 * clock.DAY)
