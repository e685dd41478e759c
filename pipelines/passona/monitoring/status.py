"""`passona status`: how fresh the warehouse is and what is wrong with it, from the warehouse alone.

    ledger, runs, campaigns -> Status -> a table, JSON, or a probe's exit code

Nothing is asked of the API, nothing is written. A report is *stale* if it is not settled and was not
verified, or its walk began longer ago than is allowed; what is settled never is, nor what no load would ask
for: what has left the API's list, may have no rows yet, or is past `retain_days`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from passona.config.address import Address, exists
from passona.errors import ConfigurationError
from passona.reports.definitions import REPORTS
from passona.reports.tables import DATASET
from passona.source.campaigns import campaign_values
from passona.source.ledger import Key, may_have_rows
from passona.warehouse.connection import Connection, tables_of, temp_table
from passona.warehouse.database import has_writer, open_reader
from passona.warehouse.ledger_table import trusted_entries
from passona.warehouse.retention import expired_campaigns

# Runs that are shown: a week of nights.
LAST_RUNS = 7
# A job that runs daily, and two hours for it to run.
USUAL_AGE = timedelta(hours=26)
# Loads that came to their end have seen the list of campaigns and asked for all that was due.
_ENDED = ("ok", "failed", "held")
# What is noted of the future counts as none: a wrong clock dated it. Clocks that agree may be a minute apart.
_AHEAD = "now() + INTERVAL '2 minutes'"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Run:
    """One row of `runs`; instants in UTC. One that did not tell its end was killed, if it is not at work now."""

    run_id: str
    started_at: datetime
    finished_at: datetime | None
    verb: str
    outcome: str
    requests: int | None
    row_count: int | None
    version: str


@dataclass(frozen=True)
class ReportStatus:
    """One report over all campaigns. `never_loaded`: campaigns of the list that may have rows, and no entry.

    `oldest`, `newest`: when the walks began whose rows are in the tables, of those that are not settled.
    """

    settled: int = 0
    open: int = 0
    failed: int = 0
    held: int = 0
    never_loaded: int = 0
    stale: int = 0
    rows: int = 0
    oldest: datetime | None = None
    newest: datetime | None = None


@dataclass(frozen=True)
class Trouble:
    """A report that failed or is held, and what was said of it. Its old rows, if any, are as old as `verified_at`."""

    campaign_id: str
    name: str | None
    report: str
    state: str
    error: str | None
    verified_at: datetime | None
    checked_at: datetime | None


@dataclass(frozen=True)
class Status:
    """The warehouse at one moment. `overdue`: why it is not as fresh as `max_age` asks, a line each; empty if it is."""

    path: str
    at: datetime
    max_age: timedelta
    runs: list[Run]
    reports: dict[str, ReportStatus]
    troubles: list[Trouble]
    overdue: list[str]


def age(text: str) -> timedelta:
    """An age as people write it: 90m, 26h, 2d.

    :raises ConfigurationError: it is none.
    """
    form = re.fullmatch(r"([0-9]{1,5})([smhd])", text.strip())
    if form is None or not int(form[1]):
        raise ConfigurationError(f"--max-age: {text[:20]!r} is no age; write it like 26h, 90m or 2d")
    return timedelta(seconds=int(form[1]) * _UNITS[form[2]])


def status(
    address: Address, max_age: timedelta, wait: float, notify: Callable[[str], None], retain_days: int | None = None
) -> Status:
    """The state of the warehouse at `address`. `retain_days`: as loads have it.

    :raises ConfigurationError: there is no warehouse.
    :raises Busy: it is being written for longer than `wait` seconds.
    """
    if not exists(address):
        raise ConfigurationError(f"there is no warehouse at {address}: run passona load first")
    now = datetime.now(UTC)
    with closing(open_reader(address, wait, notify)) as connection:
        if not _made(connection):
            raise ConfigurationError(f"{address} holds no tables of passona: run passona load first")
        asked = _asked(connection, retain_days, now)
        reports = _reports(connection, now - max_age, asked)
        return Status(
            path=str(address),
            at=now,
            max_age=max_age,
            runs=_runs(connection),
            reports=reports,
            troubles=_troubles(connection),
            overdue=list(_overdue(connection, reports, now, max_age)),
        )


def _made(connection: Connection) -> bool:
    return {"runs", "report_ledger"} <= tables_of(connection, DATASET)


def _runs(connection: Connection) -> list[Run]:
    """The last runs, the newest first."""
    found = connection.execute(
        "SELECT run_id, started_at, finished_at, verb, outcome, requests, row_count, version "
        "FROM passona.runs ORDER BY started_at DESC LIMIT ?",
        [LAST_RUNS],
    ).fetchall()
    runs = [Run(*row) for row in found]
    if has_writer(connection):
        return runs
    return [replace(run, outcome="interrupted") if run.outcome == "running" else run for run in runs]


def _asked(connection: Connection, retain_days: int | None, now: datetime) -> list[Key]:
    """Campaign and report of all that loads ask for until it is settled."""
    listed = campaign_values(connection.sql("SELECT * FROM passona.campaigns WHERE listed").to_arrow_table())
    old = expired_campaigns(connection, listed, retain_days, now)
    return [
        (campaign.campaign_id, report.name)
        for campaign in listed
        if campaign.campaign_id not in old
        for report in REPORTS.values()
        if may_have_rows(campaign, report, now)
    ]


def _reports(connection: Connection, oldest: datetime, asked: Sequence[Key]) -> dict[str, ReportStatus]:
    counts = ", ".join(f"count(*) FILTER (WHERE state = '{state}')" for state in ("settled", "open", "failed", "held"))
    ahead = f"(verified_at > {_AHEAD})"
    with temp_table(
        connection, campaign_id=[campaign_id for campaign_id, _ in asked], report=[report for _, report in asked]
    ):
        found = connection.execute(
            f"""
            SELECT report, {counts},
                   count(*) FILTER (WHERE asked_for AND coalesce(verified_at < ? OR {ahead}, true)),
                   sum(row_count)::BIGINT,
                   min(verified_at) FILTER (WHERE asked_for AND NOT {ahead}),
                   max(verified_at) FILTER (WHERE asked_for AND NOT {ahead})
            FROM (
                SELECT *, (NOT settled OR {ahead}) AND (campaign_id, report) IN (
                    SELECT campaign_id, report FROM given
                ) AS asked_for
                FROM ({trusted_entries(connection)}) AS ledger
            ) AS ledger GROUP BY report
            """,  # noqa: S608  # constants
            [oldest],
        ).fetchall()
        never_loaded: dict[str, int] = dict(
            connection.execute(
                "SELECT report, count(*) FROM given WHERE (campaign_id, report) NOT IN "
                "(SELECT campaign_id, report FROM passona.report_ledger) GROUP BY report"
            ).fetchall()
        )
    loaded = {report: values for report, *values in found}
    return {name: _report_status(loaded.get(name), never_loaded.get(name, 0)) for name in REPORTS}


def _report_status(values: list[Any] | None, never_loaded: int) -> ReportStatus:
    if values is None:
        return ReportStatus(never_loaded=never_loaded)
    settled, being_open, failed, held, stale, rows, oldest, newest = values
    return ReportStatus(settled, being_open, failed, held, never_loaded, stale, rows or 0, oldest, newest)


def _troubles(connection: Connection) -> list[Trouble]:
    """What failed or is held and is still wanted, the newest look first."""
    found = connection.execute(
        f"""
        SELECT campaign_id, name, report, state, error, verified_at, checked_at
        FROM ({trusted_entries(connection)}) AS ledger LEFT JOIN passona.campaigns AS campaigns USING (campaign_id)
        WHERE state IN ('failed', 'held') AND expired_at IS NULL ORDER BY checked_at DESC, campaign_id, report
        """  # noqa: S608  # constants
    ).fetchall()
    return [Trouble(*row) for row in found]


def _overdue(
    connection: Connection, reports: dict[str, ReportStatus], now: datetime, max_age: timedelta
) -> Iterable[str]:
    ((last,),) = connection.execute(
        "SELECT max(finished_at) FROM passona.runs WHERE verb = 'load' "  # noqa: S608  # a constant
        f"AND outcome IN (SELECT unnest(?::VARCHAR[])) AND finished_at <= {_AHEAD}",
        [list(_ENDED)],
    ).fetchall()
    allowed = format_age(max_age)
    if last is None:
        yield "no load has come to its end yet"
    elif last < now - max_age:
        yield f"the last load that came to its end was {format_age(now - last)} ago, allowed are {allowed}"
    for name, report in reports.items():
        if report.stale:
            since = f"; the oldest is {format_age(now - report.oldest)} old" if report.oldest else ""
            yield f"{name}: {_campaigns(report.stale)} not verified within {allowed}{since}"
        if report.never_loaded:
            yield f"{name}: {_campaigns(report.never_loaded)} never loaded"


def format_age(span: timedelta) -> str:
    """A span of time in its two largest units: 26 h, 3 d 4 h, 12 min."""
    minutes = max(0, round(span.total_seconds() / 60))
    days, hours = divmod(minutes // 60, 24)
    if days > 1:
        return f"{days} d {hours} h" if hours else f"{days} d"
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min"


def _campaigns(count: int) -> str:
    return f"{count:,} campaign{'' if count == 1 else 's'}"
