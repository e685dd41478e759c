"""`passona status`: how fresh the warehouse is and what is wrong with it, from the warehouse alone.

    ledger, runs, campaigns -> Status -> a table, JSON, or a probe's exit code

Sends no request and writes nothing. A report is *stale* if it is not settled and was never verified, or its walk
began longer ago than `max_age`. Settled reports never are, nor reports that no load requests: those of campaigns that
are not listed, have not started, or are past `retain_days`.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from passona.config.address import Address, check_exists
from passona.config.settings import DEFAULT_ACCOUNT
from passona.errors import ConfigurationError
from passona.masking.messages import counted
from passona.reports.definitions import REPORTS
from passona.reports.tables import DATASET
from passona.source.campaigns import campaign_values
from passona.source.ledger import Key, may_have_rows
from passona.warehouse.accounts import accounts_in, check_account
from passona.warehouse.connection import Connection, tables_of, temp_table
from passona.warehouse.database import has_writer, open_reader
from passona.warehouse.ledger_table import trusted_entries
from passona.warehouse.retention import expired_campaigns

# Runs shown: a week of nights.
LAST_RUNS = 7
# A daily job, plus two hours for it to run.
USUAL_AGE = timedelta(hours=26)
# Outcomes of loads that read the campaign list and requested everything due.
_ENDED = ("ok", "failed", "held")
# A time in the future comes from a wrong clock and counts as none; synchronized clocks differ by less than this.
_AHEAD = "now() + INTERVAL '2 minutes'"
# Takes the account as a parameter, NULL for all.
_OF_ACCOUNT = "(?::VARCHAR IS NULL OR campaign_id IN (SELECT campaign_id FROM passona.campaigns WHERE account = ?))"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Run:
    """One row of `runs`; times in UTC. A run without an end is active or was killed."""

    run_id: str
    started_at: datetime
    finished_at: datetime | None
    verb: str
    outcome: str
    requests: int | None
    row_count: int | None
    version: str
    account: str | None


@dataclass(frozen=True)
class ReportStatus:
    """One report over all campaigns. `never_loaded`: listed campaigns that may have rows, but no ledger entry.

    `oldest`: when the first walk of those that are not settled began.
    """

    settled: int = 0
    open: int = 0
    failed: int = 0
    held: int = 0
    never_loaded: int = 0
    stale: int = 0
    rows: int = 0
    oldest: datetime | None = None


@dataclass(frozen=True)
class Trouble:
    """A failed or held report and its error. Its old rows, if any, are of `verified_at`."""

    campaign_id: str
    name: str | None
    report: str
    state: str
    error: str | None
    verified_at: datetime | None
    checked_at: datetime | None
    account: str | None


@dataclass(frozen=True)
class Status:
    """The warehouse at one moment. `overdue`: lines that say what is older than `max_age`.

    `accounts`: those that the warehouse names; none if all is of the account `default`.
    """

    path: str
    at: datetime
    max_age: timedelta
    runs: list[Run]
    reports: dict[str, ReportStatus]
    troubles: list[Trouble]
    overdue: list[str]
    accounts: list[str]


def age(text: str) -> timedelta:
    """Parse an age such as 90m, 26h or 2d.

    :raises ConfigurationError: it has another form.
    """
    form = re.fullmatch(r"([0-9]{1,5})([smhd])", text.strip())
    if form is None or not int(form[1]):
        raise ConfigurationError(f"--max-age: {text[:20]!r} is no age; write it like 26h, 90m or 2d")
    return timedelta(seconds=int(form[1]) * _UNITS[form[2]])


def status(
    address: Address,
    max_age: timedelta,
    wait: float,
    notify: Callable[[str], None],
    retain_days: int | None = None,
    *,
    account: str | None = None,
) -> Status:
    """Return the status of the warehouse at `address`, or only of one account in it.

    `retain_days`: the setting that loads use.

    :raises ConfigurationError: there is no warehouse, or it has no such account.
    """
    check_exists(address)
    now = datetime.now(UTC)
    with closing(open_reader(address, wait, notify)) as connection:
        if not {"runs", "report_ledger"} <= tables_of(connection, DATASET):
            raise ConfigurationError(f"{address} holds no tables of passona: run passona load first")
        accounts = accounts_in(connection)
        if account is not None:
            check_account(connection, account)
        wanted = _wanted(connection, account, retain_days, now)
        reports = _reports(connection, account, now - max_age, wanted)
        return Status(
            path=str(address),
            at=now,
            max_age=max_age,
            runs=_runs(connection, account),
            reports=reports,
            troubles=_troubles(connection, account),
            overdue=[
                *_late_loads(connection, [account] if account else accounts, now, max_age),
                *_overdue(reports, now, max_age),
            ],
            accounts=accounts,
        )


def _runs(connection: Connection, account: str | None) -> list[Run]:
    """Return the last runs, newest first: of all accounts, or of one and of the warehouse."""
    rows = connection.execute(
        "SELECT run_id, started_at, finished_at, verb, outcome, requests, row_count, version, account "
        "FROM passona.runs WHERE coalesce(account = ?, true) ORDER BY started_at DESC LIMIT ?",
        [account, LAST_RUNS],
    ).fetchall()
    runs = [Run(*row) for row in rows]
    if has_writer(connection):
        return runs
    return [replace(run, outcome="interrupted") if run.outcome == "running" else run for run in runs]


def _wanted(connection: Connection, account: str | None, retain_days: int | None, now: datetime) -> list[Key]:
    """Return the reports that loads request until they are settled."""
    rows = connection.sql("SELECT * FROM passona.campaigns WHERE listed").to_arrow_table()
    listed = [campaign for campaign in campaign_values(rows) if account in (None, campaign.account)]
    expired = expired_campaigns(connection, listed, retain_days, now)
    return [
        (campaign.campaign_id, report.name)
        for campaign in listed
        if campaign.campaign_id not in expired
        for report in REPORTS.values()
        if may_have_rows(campaign, report, now)
    ]


def _reports(
    connection: Connection, account: str | None, oldest: datetime, wanted: Sequence[Key]
) -> dict[str, ReportStatus]:
    counts = ", ".join(f"count(*) FILTER (WHERE state = '{state}')" for state in ("settled", "open", "failed", "held"))
    ahead = f"(verified_at > {_AHEAD})"
    with temp_table(
        connection, campaign_id=[campaign_id for campaign_id, _ in wanted], report=[report for _, report in wanted]
    ):
        rows = connection.execute(
            f"""
            SELECT report, {counts},
                   count(*) FILTER (WHERE is_wanted AND coalesce(verified_at < ? OR {ahead}, true)),
                   coalesce(sum(row_count), 0)::BIGINT,
                   min(verified_at) FILTER (WHERE is_wanted AND NOT {ahead})
            FROM (
                SELECT *, (NOT settled OR {ahead}) AND (campaign_id, report) IN (
                    SELECT campaign_id, report FROM given
                ) AS is_wanted
                FROM ({trusted_entries(connection)}) AS ledger WHERE {_OF_ACCOUNT}
            ) AS ledger GROUP BY report
            """,  # noqa: S608  # constants
            [oldest, account, account],
        ).fetchall()
        never_loaded: dict[str, int] = dict(
            connection.execute(
                "SELECT report, count(*) FROM given WHERE (campaign_id, report) NOT IN "
                "(SELECT campaign_id, report FROM passona.report_ledger) GROUP BY report"
            ).fetchall()
        )
    columns = ("settled", "open", "failed", "held", "stale", "rows", "oldest")
    loaded = {report: dict(zip(columns, values, strict=True)) for report, *values in rows}
    return {name: ReportStatus(never_loaded=never_loaded.get(name, 0), **loaded.get(name, {})) for name in REPORTS}


def _troubles(connection: Connection, account: str | None) -> list[Trouble]:
    """Return failed and held reports that have not expired, last checked first."""
    rows = connection.execute(
        f"""
        SELECT campaign_id, name, report, state, error, verified_at, checked_at, account
        FROM ({trusted_entries(connection)}) AS ledger LEFT JOIN passona.campaigns AS campaigns USING (campaign_id)
        WHERE state IN ('failed', 'held') AND expired_at IS NULL AND {_OF_ACCOUNT}
        ORDER BY checked_at DESC, campaign_id, report
        """,  # noqa: S608  # constants
        [account, account],
    ).fetchall()
    return [Trouble(*row) for row in rows]


def _late_loads(connection: Connection, accounts: Sequence[str], now: datetime, max_age: timedelta) -> Iterator[str]:
    """Yield a line for each account whose last finished load is too old. `accounts`: none if it has no name."""
    last: dict[str, datetime] = dict(
        connection.execute(
            "SELECT account, max(finished_at) FROM passona.runs WHERE verb = 'load' "  # noqa: S608  # a constant
            f"AND outcome IN (SELECT unnest(?::VARCHAR[])) AND finished_at <= {_AHEAD} GROUP BY account",
            [list(_ENDED)],
        ).fetchall()
    )
    listed = {row[0] for row in connection.execute("SELECT account FROM passona.campaigns WHERE listed").fetchall()}
    for account in accounts or [DEFAULT_ACCOUNT]:
        prefix, ended = f"account {account}: " if accounts else "", last.get(account)
        if accounts and ended is not None and account not in listed:
            continue  # its campaigns have moved to an account of another name
        if ended is None:
            yield f"{prefix}no load has finished yet"
        elif ended < now - max_age:
            ago, limit = format_age(now - ended), format_age(max_age)
            yield f"{prefix}the last finished load ended {ago} ago; the limit is {limit}"


def _overdue(reports: dict[str, ReportStatus], now: datetime, max_age: timedelta) -> Iterator[str]:
    allowed = format_age(max_age)
    for name, report in reports.items():
        if report.stale:
            since = f"; the oldest is {format_age(now - report.oldest)} old" if report.oldest else ""
            yield f"{name}: {counted(report.stale, 'campaign')} not verified within {allowed}{since}"
        if report.never_loaded:
            yield f"{name}: {counted(report.never_loaded, 'campaign')} never loaded"


def format_age(span: timedelta) -> str:
    """Return a duration in its two largest units: 26 h, 3 d 4 h, 12 min."""
    minutes = max(0, round(span.total_seconds() / 60))
    days, hours = divmod(minutes // 60, 24)
    if days > 1:
        return f"{days} d {hours} h" if hours else f"{days} d"
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min"
