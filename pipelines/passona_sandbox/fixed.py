"""Campaigns with explicit rows: those of tests, and the guide's own."""

from collections.abc import Mapping, Sequence

from passona_sandbox.clock import LONDON, Zone, rewritten
from passona_sandbox.reports import REPORTS, Row
from passona_sandbox.words import data

GUIDE_UUID = "dc8a7564-fb1e-11e9-abb5-0242ac120008"
TEAM = "5d0d9a0e-1b5c-11e9-8b1e-0242ac120002"

_DEFAULTS: Row = {
    "uuid": "",
    "team_uuid": TEAM,
    "name": "Given",
    "sender": "Digitonic",
    "scheduled_send_date": "2024-01-10 10:00:00",
    "expiry_date": "2024-01-12 10:00:00",
    "status": 2,
    "included_contact_groups": [],
    "excluded_contact_groups": [],
    "started_sending_at": "2024-01-10 10:00:00",
    "template_uuid": "49deafce-fbbd-11e9-93b1-0242ac120009",
    "finished_sending_at": "2024-01-10 10:05:00",
    "created_at": "2024-01-10 09:00:00",
    "updated_at": "2024-01-10 10:05:00",
}


class FixedCampaign:
    """A campaign with explicit rows."""

    def __init__(
        self,
        entry: Mapping[str, object],
        reports: Mapping[str, Sequence[Row]],
        page_sizes: Mapping[str, int] | None = None,
    ) -> None:
        """Build a campaign from its list entry (only `uuid` is required), rows and fixed page sizes.

        Missing reports are empty; missing keys of the entry are those of a finished campaign.
        """
        unknown = set(reports) - set(REPORTS)
        if unknown or not entry.get("uuid"):
            raise ValueError(f"a campaign needs a uuid and reports among {REPORTS}; got {sorted(unknown)}")
        self.entry: Row = {**_DEFAULTS, **entry}
        self.page_sizes = dict(page_sizes or {})
        self._reports = {report: list(reports.get(report, ())) for report in REPORTS}

    def count(self, report: str) -> int:
        return len(self._reports[report])

    def row(self, report: str, index: int) -> Row:
        return dict(self._reports[report][index])

    def truth(self, report: str, index: int) -> Row:
        """Return nothing: the sandbox knows only the rows."""
        del report, index
        return {}


def guide(zone: Zone = LONDON) -> FixedCampaign:
    """Return the campaign of the reports guide, with the page sizes of its samples.

    Its entry is inferred from its uuid (creation) and its sent and delivery rows (sending, expiry). `zone`: of times
    without an offset.
    """
    pages = {report: data(f"guide/{report}.json") for report in REPORTS}
    entry = {
        "uuid": GUIDE_UUID,
        "name": "LinkTest",
        "scheduled_send_date": "2020-06-25 20:26:00",
        "expiry_date": "2020-06-27 20:26:30",
        "started_sending_at": "2020-06-25 20:26:02",
        "finished_sending_at": "2020-06-25 20:26:06",
        "created_at": "2019-10-30 14:09:17",
        "updated_at": "2020-06-25 20:26:06",
    }
    rows = {report: [_rewritten(row, zone) for row in page["data"]] for report, page in pages.items()}
    return FixedCampaign(
        _rewritten({**_DEFAULTS, **entry}, zone),
        rows,
        {report: page["meta"]["per_page"] for report, page in pages.items()},
    )


def _rewritten(row: Row, zone: Zone) -> Row:
    return row if zone == LONDON else {key: rewritten(value, zone) for key, value in row.items()}
