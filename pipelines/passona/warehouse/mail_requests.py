"""Reports by mail: one POST for each report asked for, noted in `runs` before it is sent.

    campaigns, reports -> what was asked before (runs) -> Client.post -> runs

Each POST is another mail, and the API tells nothing of it afterwards: what is noted here is all that
keeps a job that runs twice from sending two. A row of `runs` says `unknown` until the answer is there,
so that a kill in between leaves it said.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from passona.errors import Exit, FateUnknown, RequestFailed, TokenRefused
from passona.source.client import Client
from passona.source.ledger import Key
from passona.warehouse.connection import Connection, columns_of
from passona.warehouse.database import Database

VERB = "generate"
Fate = Literal["accepted", "refused", "unknown", "asked before", "to be asked"]


@dataclass(frozen=True)
class Mailing:
    """One report asked for by mail, or not. `asked_at` in UTC; `said`: what went wrong, and how to go on."""

    campaign_id: str
    report: str
    fate: Fate
    asked_at: datetime | None = None
    said: str = ""

    @property
    def exit_code(self) -> Exit:
        return Exit.FAILED if self.said else Exit.OK


def requested_before(connection: Connection, period: timedelta) -> dict[Key, Mailing]:
    """What was asked within the last `period`, of each report the last time; what was refused does not count."""
    if ("runs", "report") not in columns_of(connection, "passona"):
        return {}
    found = connection.execute(
        "SELECT DISTINCT ON (campaign_id, report) campaign_id, report, outcome, started_at FROM passona.runs "
        "WHERE verb = ? AND outcome IN ('accepted', 'unknown') AND started_at > ? "
        "ORDER BY campaign_id, report, started_at DESC",
        [VERB, datetime.now(UTC) - period],
    ).fetchall()
    return {
        (campaign_id, report): Mailing(
            campaign_id,
            report,
            "asked before",
            asked_at.astimezone(UTC),
            _unknown(campaign_id, report, "asked before, and no answer came") if fate == "unknown" else "",
        )
        for campaign_id, report, fate, asked_at in found
    }


def reports_to_request(keys: Iterable[Key], before: dict[Key, Mailing]) -> list[Mailing]:
    """What would be asked, in order, and what would not because it was asked before."""
    return [before.get(key) or Mailing(*key, "to be asked") for key in dict.fromkeys(keys)]


def ask(
    database: Database, client: Client, mailings: Iterable[Mailing], notify: Callable[[str], None]
) -> Iterator[Mailing]:
    """Asks for what is to be asked, one after the other, and tells what became of each.

    :raises TokenRefused: 401; nothing is asked after it.
    """
    for mailing in mailings:
        sent = _asked(database, client, mailing) if mailing.fate == "to be asked" else mailing
        if sent.said:
            notify(sent.said)
        yield sent


def _asked(database: Database, client: Client, mailing: Mailing) -> Mailing:
    campaign_id, report = mailing.campaign_id, mailing.report
    run_id, at = str(uuid.uuid4()), datetime.now(UTC)
    before = client.requests
    database.begin_run(run_id, VERB, at, outcome="unknown", campaign_id=campaign_id, report=report)

    def ended(fate: Fate, said: str = "") -> Mailing:
        database.end_run(run_id, fate, client.requests - before, 0)
        return Mailing(campaign_id, report, fate, at, said)

    try:
        client.post(f"reporting/{campaign_id}/{report}")
    except TokenRefused:
        ended("refused")
        raise
    except RequestFailed as error:
        return ended("refused", f"campaign {campaign_id}, {report}: {error}; no mail comes, ask again later")
    except FateUnknown as error:
        return ended("unknown", _unknown(campaign_id, report, str(error)))
    return ended("accepted")


def _unknown(campaign_id: str, report: str, reason: str) -> str:
    return (
        f"campaign {campaign_id}, {report}: {reason}; a mail may come or not. If none comes: "
        f"passona generate {campaign_id} --report {report} --again"
    )
