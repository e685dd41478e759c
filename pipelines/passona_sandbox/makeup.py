"""Which campaigns a made-up account has, and when they were sent.

Every fifth campaign goes out while the clocks go back, every fifth while they go forward.
"""

from dataclasses import replace

from passona_sandbox import clock, counts
from passona_sandbox.blueprint import Blueprint, Stage
from passona_sandbox.campaign import MadeUp
from passona_sandbox.dice import Dice
from passona_sandbox.fixed import TEAM
from passona_sandbox.people import People
from passona_sandbox.words import words

SENDING_PEOPLE = 900
PLANNED_PEOPLE = 120
_FIRST_DAY = clock.instant("2024-01-08T00:00:00")
_DAYS = 600
_AUTUMN, _SPRING = 1, 3
_CHANGING = 3 * clock.HOUR  # long enough to see both sides of a change of clocks
_LAST_YEAR = 2025


def made_up(seed: int, number: int, rows: int, *, hostile: bool, teams: int, zone: clock.Zone) -> list[MadeUp]:
    people = People(seed, hostile=hostile)
    made = []
    for ordinal, share in enumerate(counts.shares(rows, number)):
        dice = Dice("campaign", seed, ordinal)
        plan = blueprint(dice, counts.finished(share, dice.roll(0)[5]), _start(ordinal, dice), "finished")
        span = _CHANGING if ordinal % 5 in {_AUTUMN, _SPRING} else plan.span
        name = f"{plan.name} {ordinal + 1}{words().hostile[ordinal % 40] if hostile else ''}"
        plan = replace(plan, name=name, team=team(ordinal % teams), span=span, zone=zone)
        made.append(MadeUp(plan, people, hostile=hostile))
    return made


def specials(seed: int, now: int, *, hostile: bool, zone: clock.Zone) -> list[MadeUp]:
    people, hour = People(seed, hostile=hostile), now // clock.HOUR * clock.HOUR
    kinds: list[tuple[str, counts.Counts, int, Stage]] = [
        ("Not started", counts.Counts(people=PLANNED_PEOPLE), hour + clock.DAY, "planned"),
        ("Still sending", counts.sending(SENDING_PEOPLE), hour - 2 * clock.HOUR, "sending"),
        ("No rows", counts.Counts(), _FIRST_DAY + 9 * clock.HOUR, "finished"),
        ("Refused", counts.finished(400, 0), _FIRST_DAY + 15 * clock.HOUR, "finished"),
    ]
    made = []
    for ordinal, (name, count, started, stage) in enumerate(kinds):
        plan = blueprint(Dice("special", seed, ordinal), count, started, stage)
        horizon = hour if stage == "sending" else plan.horizon
        made.append(MadeUp(replace(plan, name=name, horizon=horizon, zone=zone), people, hostile=hostile))
    return made


def team(ordinal: int) -> str:
    return TEAM if ordinal == 0 else clock.uuid1(_FIRST_DAY, ordinal, "8b1e-0242ac120002")


def _start(ordinal: int, dice: Dice) -> int:
    """Choose when a campaign starts: in office hours, or shortly before the clocks change."""
    year = _LAST_YEAR - ordinal // 5 % 10
    if ordinal % 5 == _AUTUMN:
        return clock.change(year, 10) - clock.HOUR * 3 // 2
    if ordinal % 5 == _SPRING:
        return clock.change(year, 3) - clock.HOUR // 2
    roll = dice.roll(0)
    return _FIRST_DAY + roll[0] % _DAYS * clock.DAY + (9 + roll[1] % 9) * clock.HOUR + roll[2] % clock.HOUR


def blueprint(dice: Dice, count: counts.Counts, started: int, stage: Stage) -> Blueprint:
    roll, lists = dice.roll(0), words()
    return Blueprint(
        name=lists.templates[roll[8] % len(lists.templates)][0],
        dice=dice,
        node=f"{0x8000 | roll[9] % 0x4000:04x}-0242{roll[10]:08x}",
        counts=count,
        stage=stage,
        team=TEAM,
        sender=lists.brands[roll[11] % len(lists.brands)],
        created=started - clock.HOUR * (3 + roll[6] % 40) - roll[7] % clock.HOUR,
        started=started,
        span=min(2 * clock.HOUR, 1 + count.messages // 20),
        horizon=started + 30 * clock.DAY,
        first_person=roll[12] % (1 + count.people),
    )
