"""The facts of one made-up campaign: who, when, how many, and its entry in the campaign list."""

from dataclasses import dataclass
from typing import Literal

from passona_sandbox import clock
from passona_sandbox.counts import Counts
from passona_sandbox.dice import Dice
from passona_sandbox.reports import Row

Stage = Literal["finished", "sending", "planned"]
STATUS: dict[Stage, int] = {"planned": 0, "sending": 1, "finished": 2}  # 0 and 2 have been seen, 1 is a guess
LIFE = 2 * clock.DAY  # from send to expiry, as in the guide


@dataclass(frozen=True)
class Blueprint:
    """The facts that all rows of a campaign share; instants are seconds of UTC since 1970.

    `started` is when sending begins, `span` how long it takes, `horizon` the latest instant of any row; `zone`
    that of times without an offset.
    """

    name: str
    dice: Dice
    node: str
    counts: Counts
    stage: Stage
    team: str
    sender: str
    created: int
    started: int
    span: int
    horizon: int
    first_person: int
    zone: clock.Zone = clock.LONDON

    @property
    def uuid(self) -> str:
        """Version 1, of the instant of creation."""
        return clock.uuid1(self.created, 0, self.node)

    @property
    def expiry(self) -> int:
        return self.started + LIFE

    def entry(self) -> Row:
        """Return the campaign as the list shows it: missing dates are empty strings."""
        has_started = self.stage != "planned"
        ended = self.started + self.span
        return {
            "uuid": self.uuid,
            "team_uuid": self.team,
            "name": self.name,
            "sender": self.sender,
            "scheduled_send_date": self.civil(self.started),
            "expiry_date": self.civil(self.expiry),
            "status": STATUS[self.stage],
            "included_contact_groups": self._groups(1, 1 + self.started % 3),
            "excluded_contact_groups": self._groups(9, self.started % 2),
            "started_sending_at": self.civil(self.started) if has_started else "",
            "template_uuid": self.template_uuid,
            "finished_sending_at": self.civil(ended) if self.stage == "finished" else "",
            "created_at": self.civil(self.created),
            "updated_at": self.civil(ended if self.stage == "finished" else self.created),
        }

    def civil(self, moment: int) -> str:
        return clock.civil(moment, self.zone)

    @property
    def template_uuid(self) -> str:
        return clock.uuid1(self.created - clock.HOUR, 1, self.node)

    def _groups(self, first: int, count: int) -> list[str]:
        return [clock.uuid1(self.created - clock.DAY, first + place, self.node) for place in range(count)]
