"""Requests for mailed reports: one POST each, recorded in `runs` before it is sent.

    campaigns, reports -> earlier requests (runs) -> Client.post -> runs

Each POST causes another mail, and the API does not list them. So `runs` alone prevents a job that runs twice from
requesting twice. A row says `unknown` until the answer arrives, and after a kill.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from passona.errors import Exit, OutcomeUnknown, RequestFailed, TokenRefused
from passona.source.client import Client
from passona.source.ledger import Key
from passona.warehouse.connection import Connection, columns_of
from passona.warehouse.database import Database
from passona.warehouse.run_record import RunRecord

VERB = "generate"


@dataclass(frozen=True)
class Mailing:
    """One report to be mailed. `status`: accepted, refused, unknown, asked before or to be asked.

    `asked_at`: in UTC. `error`: with the next step.
    """

    campaign_id: str
    report: str
    status: str
    asked_at: datetime | None = None
    error: str = ""

    @property
    def exit_code(self) -> Exit:
        return Exit.FAILED if self.error else Exit.OK


def requested_before(connection: Connection, period: timedelta) -> dict[Key, Mailing]:
    """Return the latest request of each report within the last `period`; refused ones do not count."""
    if ("runs", "report") not in columns_of(connection, "passona"):
        return {}
    rows = connection.execute(
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
            _unknown(campaign_id, report, "asked before, and no answer came") if status == "unknown" else "",
        )
        for campaign_id, report, status, asked_at in rows
    }


def reports_to_request(keys: Iterable[Key], before: dict[Key, Mailing]) -> list[Mailing]:
    """Return a request for each report, in order, or the one that was sent before."""
    return [before.get(key) or Mailing(*key, "to be asked") for key in dict.fromkeys(keys)]


def ask(
    database: Database, client: Client, mailings: Iterable[Mailing], notify: Callable[[str], None]
) -> Iterator[Mailing]:
    """Send those that were not sent before, one after the other, and yield each with its status.

    :raises TokenRefused: 401; no request follows.
    """
    for mailing in mailings:
        sent = _send(database, client, mailing) if mailing.status == "to be asked" else mailing
        if sent.error:
            notify(sent.error)
        yield sent


def _send(database: Database, client: Client, mailing: Mailing) -> Mailing:
    campaign_id, report = mailing.campaign_id, mailing.report
    run = RunRecord(
        VERB, client.account, client.label, "unknown", campaign_id=campaign_id, report=report, began=datetime.now(UTC)
    )
    before, error = client.requests, ""
    with database.run(run):
        try:
            client.post(f"reporting/{campaign_id}/{report}")
            run.outcome = "accepted"
        except TokenRefused:
            run.outcome = "refused"
            raise
        except RequestFailed as refusal:
            run.outcome = "refused"
            error = f"campaign {campaign_id}, {report}: {refusal}; no mail comes, ask again later"
        except OutcomeUnknown as failure:
            error = _unknown(campaign_id, report, str(failure))
        finally:  # also if the program is stopped while it waits for the answer
            run.requests = client.requests - before
    return Mailing(campaign_id, report, run.outcome, run.began, error)


def _unknown(campaign_id: str, report: str, reason: str) -> str:
    return (
        f"campaign {campaign_id}, {report}: {reason}; a mail may come or not. If none comes: "
        f"passona generate {campaign_id} --report {report} --again"
    )
