"""The figures of the report, read from the marts that `passona transform` builds.

Only sums, never rows of people: no phone number and no message leaves the warehouse here. The vendor's texts (names
of campaigns and links, statuses, reasons) lose numbers that could be phones, and control characters.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from passona.errors import ConfigurationError
from passona.masking.likely_phones import replaced
from passona.masking.messages import printable
from passona.reports.definitions import REPORTS
from passona.warehouse.connection import Connection, error_kinds, tables_of
from passona.warehouse.verification import unverified

SCHEMA = "analytics"
MARTS = ("campaigns", "campaign_statuses", "campaign_hours", "links", "devices", "unsent_reasons")
UNMADE = "this warehouse has no marts, or those of another version: run passona transform"
# Hours since sending shown one by one; later ones are summed.
HOURS = 48
# Ten or more digits are a phone number in most countries; a date has eight.
_LONG = 10
# Needed by emoji, Persian and Hindi.
_JOINERS = "\u200c\u200d"

Row = dict[str, Any]

# ruff: noqa: S608  # the queries are constants; the campaign is a parameter

_OF_THE_CAMPAIGN = "WHERE $campaign IS NULL OR campaign_id = $campaign"
_QUERIES = {
    "campaigns": f"""
        SELECT campaign_id, campaign_name AS name, coalesce(started_sending_at, first_sent_at) AS sent_at,
               targeted, sent, unsent, residual, delivered, failed, pending, unmapped,
               delivered_per_final, human_clickers_per_delivered,
               clicks, human_clicks, preview_clicks, bot_clicks, unknown_clicks, human_clickers,
               seconds_to_human_click_median, is_final, verified_at,
               clicks_state, delivery_state, alt_delivery_state, recipient_state, sent_state, unsent_state
        FROM analytics.campaigns {_OF_THE_CAMPAIGN}
        ORDER BY sent_at DESC NULLS FIRST, name, campaign_id""",
    "statuses": f"""
        SELECT status AS name, outcome, sum(messages)::BIGINT AS messages
        FROM analytics.campaign_statuses {_OF_THE_CAMPAIGN}
        GROUP BY status, outcome ORDER BY messages DESC, name""",
    "hours": f"""
        SELECT CASE WHEN hours_since_sending < 0 OR hours_since_sending IS NULL THEN -1
                    WHEN hours_since_sending < {HOURS} THEN hours_since_sending ELSE {HOURS} END AS hour,
               sum(human_clicks)::BIGINT AS people, sum(preview_clicks + bot_clicks)::BIGINT AS robots,
               sum(unknown_clicks)::BIGINT AS unsure
        FROM analytics.campaign_hours {_OF_THE_CAMPAIGN}
        GROUP BY hour HAVING sum(clicks) > 0 ORDER BY hour""",
    "links": f"""
        SELECT link_name AS name, sum(human_clicks)::BIGINT AS people,
               sum(preview_clicks + bot_clicks)::BIGINT AS robots, sum(unknown_clicks)::BIGINT AS unsure,
               sum(human_clickers)::BIGINT AS clickers
        FROM analytics.links {_OF_THE_CAMPAIGN}
        GROUP BY link_name ORDER BY people DESC, robots DESC, name""",
    "devices": """
        SELECT device_class AS device, os_family AS os, browser_family AS browser, sum(clicks)::BIGINT AS clicks
        FROM analytics.devices WHERE click_class = 'human' AND ($campaign IS NULL OR campaign_id = $campaign)
        GROUP BY device_class, os_family, browser_family ORDER BY clicks DESC, device, os, browser""",
    "reasons": f"""
        SELECT reason AS name, sum(messages)::BIGINT AS messages
        FROM analytics.unsent_reasons {_OF_THE_CAMPAIGN}
        GROUP BY reason ORDER BY messages DESC, name""",
}  # fmt: skip

_STALE = """
    SELECT count(DISTINCT campaign_id) FROM passona.report_ledger
    WHERE changed_at > (
              SELECT max(started_at) FROM passona.runs WHERE verb = 'transform' AND outcome IN ('ok', 'failed')
          )
      AND ($campaign IS NULL OR campaign_id = $campaign)"""


@dataclass(frozen=True)
class Figures:
    """What the page shows, in the order of the page. Times in UTC.

    `stale`: campaigns that changed after the marts were built. `interrupted`: campaigns that may be half written, and
    whose figures are from an earlier load.
    """

    campaigns: tuple[Row, ...]
    statuses: tuple[Row, ...]
    hours: tuple[Row, ...]
    links: tuple[Row, ...]
    devices: tuple[Row, ...]
    reasons: tuple[Row, ...]
    stale: int = 0
    interrupted: int = 0

    def total(self, column: str) -> int:
        return sum(campaign[column] for campaign in self.campaigns)

    @property
    def loaded_at(self) -> datetime | None:
        """Return when the campaign that was verified the longest time ago was verified, None if none was."""
        return min((row["verified_at"] for row in self.campaigns if row["verified_at"]), default=None)


def read_figures(connection: Connection, campaign: str | None) -> Figures:
    """Read the figures of one campaign, or of all.

    :raises ConfigurationError: the marts are missing, or have no such campaign.
    """
    if not set(MARTS) <= tables_of(connection, SCHEMA):
        raise ConfigurationError(UNMADE)
    try:
        rows = {name: _rows(connection, sql, campaign) for name, sql in _QUERIES.items()}
        ((stale,),) = connection.execute(_STALE, {"campaign": campaign}).fetchall()
    except error_kinds("ProgrammingError") as error:
        raise ConfigurationError(UNMADE) from error
    if campaign and not any(map(_is_loaded, rows["campaigns"])):
        raise ConfigurationError(
            f"the marts know no campaign {campaign}: run passona load {campaign}, then passona transform"
        )
    interrupted = {uuid for uuid, _ in unverified(connection) if campaign in (None, uuid)}
    return Figures(**rows, stale=stale, interrupted=len(interrupted))


def _is_loaded(row: Row) -> bool:
    """Return True if anything of a campaign was ever loaded; the marts may list a wrong uuid as failed."""
    states = {row[f"{name}_state"] for name in REPORTS}
    counts = ("targeted", "sent", "unsent", "clicks")
    return not states <= {"failed", "never loaded"} or any(row[name] for name in counts) or bool(row["verified_at"])


def _rows(connection: Connection, sql: str, campaign: str | None) -> tuple[Row, ...]:
    result = connection.execute(sql, {"campaign": campaign})
    columns = [column[0] for column in result.description or ()]
    return tuple(_cleaned(dict(zip(columns, row, strict=True))) for row in result.fetchall())


def _cleaned(row: Row) -> Row:
    if row.get("name") is not None:
        row["name"] = without_phones(row["name"])
    return {key: printable(value, _JOINERS) if isinstance(value, str) else value for key, value in row.items()}


def without_phones(text: str) -> str:
    """Return the vendor's text with possible phone numbers replaced."""
    return replaced(text, lambda _: "[number]", long_from=_LONG, in_groups=True)
