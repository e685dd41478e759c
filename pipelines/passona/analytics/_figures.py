"""The figures of the report, read from the marts that `passona transform` builds.

Only sums, never rows of people: no phone number and no message leaves the warehouse here. The vendor's texts (names
of campaigns, accounts and links, statuses, reasons) lose numbers that could be phones, and control characters.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from passona.config.settings import DEFAULT_ACCOUNT
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

# ruff: noqa: S608  # the queries are constants; campaign and account are parameters

_SELECTED = "($campaign IS NULL OR campaign_id = $campaign) AND ($account IS NULL OR account = $account)"
_QUERIES = {
    "campaigns": f"""
        SELECT campaign_id, campaign_name AS name, account, coalesce(started_sending_at, first_sent_at) AS sent_at,
               targeted, sent, unsent, residual, delivered, failed, pending, unmapped,
               delivered_per_final, human_clickers_per_delivered,
               clicks, human_clicks, preview_clicks, bot_clicks, unknown_clicks, human_clickers,
               seconds_to_human_click_median, is_final, verified_at,
               clicks_state, delivery_state, alt_delivery_state, recipient_state, sent_state, unsent_state
        FROM analytics.campaigns WHERE {_SELECTED}
        ORDER BY sent_at DESC NULLS FIRST, name, campaign_id""",
    "statuses": f"""
        SELECT status AS name, outcome, sum(messages)::BIGINT AS messages
        FROM analytics.campaign_statuses WHERE {_SELECTED}
        GROUP BY status, outcome ORDER BY messages DESC, name""",
    "hours": f"""
        SELECT CASE WHEN hours_since_sending < 0 OR hours_since_sending IS NULL THEN -1
                    WHEN hours_since_sending < {HOURS} THEN hours_since_sending ELSE {HOURS} END AS hour,
               sum(human_clicks)::BIGINT AS people, sum(preview_clicks + bot_clicks)::BIGINT AS robots,
               sum(unknown_clicks)::BIGINT AS unsure
        FROM analytics.campaign_hours WHERE {_SELECTED}
        GROUP BY hour HAVING sum(clicks) > 0 ORDER BY hour""",
    "links": f"""
        SELECT link_name AS name, sum(human_clicks)::BIGINT AS people,
               sum(preview_clicks + bot_clicks)::BIGINT AS robots, sum(unknown_clicks)::BIGINT AS unsure,
               sum(human_clickers)::BIGINT AS clickers
        FROM analytics.links WHERE {_SELECTED}
        GROUP BY link_name ORDER BY people DESC, robots DESC, name""",
    "devices": f"""
        SELECT device_class AS device, os_family AS os, browser_family AS browser, sum(clicks)::BIGINT AS clicks
        FROM analytics.devices WHERE click_class = 'human' AND {_SELECTED}
        GROUP BY device_class, os_family, browser_family ORDER BY clicks DESC, device, os, browser""",
    "reasons": f"""
        SELECT reason AS name, sum(messages)::BIGINT AS messages
        FROM analytics.unsent_reasons WHERE {_SELECTED}
        GROUP BY reason ORDER BY messages DESC, name""",
}  # fmt: skip

_STALE = """
    SELECT DISTINCT campaign_id FROM passona.report_ledger
    WHERE changed_at > (
              SELECT max(started_at) FROM passona.runs WHERE verb = 'transform' AND outcome IN ('ok', 'failed')
          )"""


@dataclass(frozen=True)
class Figures:
    """What the page shows, in the order of the page. Times in UTC.

    `stale`: campaigns that changed after the marts were built. `interrupted`: campaigns that may be half written, and
    whose figures are from an earlier load. `account`: whose figures these are, empty if not of one alone. `accounts`:
    the same figures by account, if the campaigns are of several.
    """

    campaigns: tuple[Row, ...]
    statuses: tuple[Row, ...]
    hours: tuple[Row, ...]
    links: tuple[Row, ...]
    devices: tuple[Row, ...]
    reasons: tuple[Row, ...]
    stale: int = 0
    interrupted: int = 0
    account: str = ""
    accounts: tuple["Figures", ...] = ()

    def total(self, column: str) -> int:
        return sum(campaign[column] for campaign in self.campaigns)

    @property
    def loaded_at(self) -> datetime | None:
        """Return when the campaign that was verified the longest time ago was verified, None if none was."""
        return min((row["verified_at"] for row in self.campaigns if row["verified_at"]), default=None)


def read_figures(connection: Connection, campaign: str | None, account: str | None = None) -> Figures:
    """Read the figures of one campaign, of one account, or of all.

    :raises ConfigurationError: the marts are missing, or have no such campaign or account.
    """
    if not set(MARTS) <= tables_of(connection, SCHEMA):
        raise ConfigurationError(UNMADE)
    try:
        _check_account(connection, account)
        figures = _figures(connection, campaign, account)
        names = _accounts(connection, campaign) if account is None else []
        accounts = tuple(_figures(connection, campaign, name) for name in names if len(names) > 1)
        stale = _selected(connection, connection.execute(_STALE).fetchall(), campaign, account)
        interrupted = _selected(connection, unverified(connection), campaign, account)
    except error_kinds("ProgrammingError") as error:
        raise ConfigurationError(UNMADE) from error
    if campaign and not any(map(_is_loaded, figures.campaigns)):
        raise ConfigurationError(
            f"the marts know no campaign {campaign}{f' of account {figures.account}' if account else ''}: "
            f"run passona load {campaign}, then passona transform"
        )
    return replace(figures, accounts=accounts, stale=stale, interrupted=interrupted)


def _check_account(connection: Connection, account: str | None) -> None:
    accounts = _accounts(connection, None)
    if account is not None and account not in accounts:
        name, known = _cleaned(account), ", ".join(map(_cleaned, accounts)) or "none"
        raise ConfigurationError(
            f"the marts know no account {name}, only these: {known}; for another run passona load, then passona "
            "transform"
        )


def _accounts(connection: Connection, campaign: str | None) -> list[str]:
    """Return the names of the accounts that the marts have, of one campaign or of all."""
    sql = "SELECT DISTINCT account FROM analytics.campaigns WHERE $campaign IS NULL OR campaign_id = $campaign"
    return sorted(name for (name,) in connection.execute(sql, {"campaign": campaign}).fetchall())


def _figures(connection: Connection, campaign: str | None, account: str | None) -> Figures:
    rows: dict[str, Any] = {name: _rows(connection, sql, campaign, account) for name, sql in _QUERIES.items()}
    return Figures(**rows, account=_cleaned(account or ""))


def _selected(
    connection: Connection, keys: Iterable[tuple[str, ...]], campaign: str | None, account: str | None
) -> int:
    """Count the campaigns among these, each the first of its tuple, of one campaign, of one account, or of all."""
    owners = dict(connection.execute("SELECT campaign_id, account FROM passona.campaigns").fetchall())
    return sum(
        campaign in (None, uuid) and account in (None, owners.get(uuid) or DEFAULT_ACCOUNT)
        for uuid in {uuid for uuid, *_ in keys}
    )


def _is_loaded(row: Row) -> bool:
    """Return True if anything of a campaign was ever loaded; the marts may list a wrong uuid as failed."""
    states = {row[f"{name}_state"] for name in REPORTS}
    counts = ("targeted", "sent", "unsent", "clicks")
    return not states <= {"failed", "never loaded"} or any(row[name] for name in counts) or bool(row["verified_at"])


def _rows(connection: Connection, sql: str, campaign: str | None, account: str | None) -> tuple[Row, ...]:
    result = connection.execute(sql, {"campaign": campaign, "account": account})
    columns = [column[0] for column in result.description or ()]
    return tuple(_cleaned_row(dict(zip(columns, row, strict=True))) for row in result.fetchall())


def _cleaned_row(row: Row) -> Row:
    for name in ("name", "account"):
        if row.get(name) is not None:
            row[name] = without_phones(row[name])
    return {key: printable(value, _JOINERS) if isinstance(value, str) else value for key, value in row.items()}


def _cleaned(name: str) -> str:
    return printable(without_phones(name), _JOINERS)


def without_phones(text: str) -> str:
    """Return the vendor's text with possible phone numbers replaced."""
    return replaced(text, lambda _: "[number]", long_from=_LONG, in_groups=True)
