"""A Passona account: its campaigns, their rows, and changes to both while a server shows them. Thread-safe."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from threading import RLock

from passona_sandbox.campaign import MadeUp
from passona_sandbox.clock import LONDON, Zone
from passona_sandbox.edits import Edit, View
from passona_sandbox.fixed import FixedCampaign, guide
from passona_sandbox.makeup import made_up, specials
from passona_sandbox.moment import Moment
from passona_sandbox.reports import CAMPAIGNS, Row

Campaign = FixedCampaign | MadeUp | Moment


class Account:
    """The campaigns of one token, in the order of the list."""

    def __init__(
        self,
        *,
        seed: int = 1,
        campaigns: int = 5,
        rows: int = 10_000,
        hostile: bool = False,
        refused: bool = False,
        special: bool = True,
        teams: int = 1,
        zone: Zone = LONDON,
        now: float | None = None,
    ) -> None:
        """Make up `campaigns` finished campaigns with `rows` rows in all six reports together.

        `special` adds the guide's own campaign, one not started, one still sending and one without rows;
        `refused` one that is answered with 403; `hostile` makes odd values frequent and worse. `zone` is that
        of times without an offset. `now` (seconds of UTC, by default the clock's) dates the campaign that is
        still sending, to the hour. `clock`, an attribute, is what the server says the time is, in seconds of UTC.
        """
        self.clock: Callable[[], float] = time.time
        self._lock = RLock()
        self._edits: dict[tuple[str, str], tuple[Edit, ...]] = {}
        self._refused: set[str] = set()
        self._revision = 0
        listed: list[Campaign] = [*made_up(seed, campaigns, rows, hostile=hostile, teams=teams, zone=zone)]
        *others, no_entry = specials(seed, int(time.time() if now is None else now), hostile=hostile, zone=zone)
        if special:
            listed += [*others, guide(zone)]
        if refused:
            listed.append(no_entry)
            self._refused.add(no_entry.plan.uuid)
        self._campaigns: dict[str, Campaign] = {str(campaign.entry["uuid"]): campaign for campaign in listed}

    @classmethod
    def empty(cls) -> Account:
        return cls(campaigns=0, rows=0, special=False)

    def put(self, campaign_row: Mapping[str, object], reports: Mapping[str, Sequence[Row]] | None = None) -> str:
        """Add a campaign with these rows, or replace it where it stands in the list; return its uuid.

        Only `uuid` is needed of the list's entry, the rest is that of a campaign that is over. Missing
        reports are empty.
        """
        campaign = FixedCampaign(campaign_row, reports or {})
        uuid = str(campaign.entry["uuid"])
        with self._lock:
            self._forget_edits(uuid)
            self._campaigns[uuid] = campaign
        return uuid

    def remove(self, uuid: str) -> None:
        """Delete a campaign: it leaves the list, and its reports are answered with 404."""
        with self._lock:
            self._forget_edits(uuid)
            del self._campaigns[uuid]

    def refuse(self, uuid: str) -> None:
        with self._lock:
            self._refused.add(uuid)

    def is_refused(self, uuid: str) -> bool:
        return uuid in self._refused

    def edit(self, uuid: str, report: str, edit: Edit) -> None:
        """Change the rows of a report from now on; of the campaign list with uuid "" and "campaigns"."""
        with self._lock:
            self._revision += 1
            self._edits[uuid, report] = (*self._edits.get((uuid, report), ()), edit)

    def campaigns(self, teams: Sequence[str] = ()) -> list[Row]:
        return list(self.listed(teams).rows())

    def listed(self, teams: Sequence[str] = ()) -> View:
        with self._lock:
            campaigns, revision = self._stand()
            edits = self._edits.get(("", CAMPAIGNS), ())
        entries = [campaign.entry for campaign in campaigns.values()]
        shown = [entry for entry in entries if not teams or entry["team_uuid"] in teams]
        return View(len(shown), lambda index: dict(shown[index]), edits, None, revision)

    def view(self, uuid: str, report: str, teams: Sequence[str] = ()) -> View:
        """Return a report as it is now; KeyError if the campaign is unknown or of another team."""
        with self._lock:
            campaigns, revision = self._stand()
            edits = self._edits.get((uuid, report), ())
        campaign = campaigns[uuid]
        if teams and campaign.entry["team_uuid"] not in teams:
            raise KeyError(uuid)
        size = campaign.page_sizes.get(report) if isinstance(campaign, FixedCampaign) else None
        return View(campaign.count(report), lambda index: campaign.row(report, index), edits, size, revision)

    def rows(self, uuid: str, report: str) -> Iterator[Row]:
        return self.view(uuid, report).rows()

    def count(self, uuid: str, report: str) -> int:
        return self.view(uuid, report).count

    def row_truth(self, uuid: str, report: str, index: int) -> Row:
        """Return what really happened in a made-up row (before edits): `person`, `instant`, `delivered`, `robot`."""
        return self._stand()[0][uuid].truth(report, index)

    def _stand(self) -> tuple[Mapping[str, Campaign], Hashable]:
        """Return the current campaigns, and a revision that changes with them."""
        return self._campaigns, self._revision

    def _forget_edits(self, uuid: str) -> None:
        self._revision += 1
        self._edits = {key: edits for key, edits in self._edits.items() if key[0] != uuid}
