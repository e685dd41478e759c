"""The ledger: what was loaded, and so what is due; one row per campaign and report, stored with the rows themselves.

    report_ledger + campaigns' dates -> plan -> tasks, most needed first
    walk (or its failure) + old entry -> new entry: settled or not, or held

Pure. States: `open` (may still change), `settled` (verified after the campaign's end and the report's window: no
further request), `failed` (no complete walk), `held` (by the shrink guard).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pyarrow as pa

from passona.config.settings import Settings
from passona.errors import Held, PassonaError
from passona.reports.definitions import Report
from passona.reports.tables import LEDGER
from passona.source.campaigns import Campaign
from passona.source.walk import Walk

State = Literal["open", "settled", "failed", "held"]
Key = tuple[str, str]

# The error of an entry whose rows may differ from it, because a load was killed while it wrote them.
INTERRUPTED = "interrupted"

_COLUMNS = tuple(LEDGER.names)
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Entry:
    """One row of the ledger. Instants in UTC; `pages`, `row_count`, `digest` describe the rows in the tables.

    `peak`: the highest verified number of rows, suppressed ones included, since the report was first loaded or
    its shrinking was accepted; None for `unsent` until it settles, because it may shrink freely.
    """

    campaign_id: str
    report: str
    state: State
    verified_at: datetime | None = None
    checked_at: datetime | None = None
    changed_at: datetime | None = None
    pages: int | None = None
    row_count: int | None = None
    api_total: int | None = None
    digest: str | None = None
    attempts: int | None = None
    error: str | None = None
    run_id: str | None = None
    origin: str | None = None
    suppressed: int | None = None
    expired_at: datetime | None = None
    peak: int | None = None

    @property
    def key(self) -> Key:
        return self.campaign_id, self.report

    @property
    def total(self) -> int:
        """Rows in the tables, and suppressed ones."""
        return (self.row_count or 0) + (self.suppressed or 0)

    @property
    def is_half_written(self) -> bool:
        """Return True if a killed load may have written a part of its rows, and nothing has replaced or erased them."""
        return self.verified_at is None and self.row_count is not None and self.expired_at is None


@dataclass(frozen=True)
class Task:
    """One report that is due, its campaign, and its entry in the ledger."""

    report: Report
    campaign: Campaign
    known: Entry | None = None

    @property
    def key(self) -> Key:
        return self.campaign.campaign_id, self.report.name

    @property
    def verified_digest(self) -> str | None:
        """The digest of the rows in the tables, if it can be trusted."""
        return self.known.digest if self.known and self.known.verified_at else None


def entry_table(entries: Iterable[Entry]) -> pa.Table:
    rows = [{name: getattr(entry, name.removeprefix("_")) for name in _COLUMNS} for entry in entries]
    return pa.Table.from_pylist(rows, schema=LEDGER)


def plan(
    campaigns: Sequence[Campaign],
    entries: Mapping[Key, Entry],
    reports: Sequence[Report],
    settings: Settings,
    now: datetime,
    *,
    refresh: bool = False,
) -> list[Task]:
    """Return the tasks that are due, most needed first, so that an interrupted load has done the most useful work.

    Reports never loaded come first, those of the newest campaign before others; then those longest unchecked.
    """
    tasks = (
        Task(report, campaign, entries.get((campaign.campaign_id, report.name)))
        for campaign in campaigns
        for report in reports
    )
    due = (task for task in tasks if refresh or is_due(task, settings, now))
    return sorted(due, key=lambda task: _need(task, now))


def is_due(task: Task, settings: Settings, now: datetime) -> bool:
    """Return True if a report may have changed since it was verified, or if its rows are no longer verified.

    A settled one is due again if its last check was too early for the dates in the list now. A check in the future
    does not count: it was dated by a wrong clock.
    """
    known = task.known
    if known is not None and known.is_half_written:
        return True  # even before the campaign starts: until the report is whole, nothing is published
    if not may_have_rows(task.campaign, task.report, now):
        return False
    if known is None or known.state != "settled" or known.checked_at is None:
        return True
    return not _settles_from(task.campaign, _window(task.report, settings)) <= known.checked_at <= now


def may_have_rows(campaign: Campaign, report: Report, now: datetime) -> bool:
    """Return True if it is time to ask for a report at all."""
    return report.before_start or not campaign.not_started(now)


def _settles_from(campaign: Campaign, window: timedelta) -> datetime:
    """Return the earliest time at which a walk may settle a report, by the dates in the list (contract, rule 9).

    That is the window after expiry and sending, and not before any date in the list. A listed campaign that was not
    sent has no end, so its reports never settle.
    """
    if campaign.listed and not campaign.was_sent:
        return _LAST
    ends = (campaign.expiry_date, campaign.started_sending_at, campaign.finished_sending_at)
    end = max((date for date in ends if date is not None), default=_FIRST)
    over = min(end, _LAST - window) + window
    return max(over, campaign.latest_date or _FIRST)


def _need(task: Task, now: datetime) -> tuple[Any, ...]:
    known = task.known
    campaign = task.campaign
    begun = campaign.started_sending_at or campaign.scheduled_send_date or campaign.created_at or _FIRST
    checked = known.checked_at if known and known.verified_at else None
    if checked is not None and checked > now:
        checked = None
    return (checked is not None, checked or _FIRST, -begun.timestamp() if begun > _FIRST else 0.0, campaign.campaign_id)


def _window(report: Report, settings: Settings) -> timedelta:
    return timedelta(days=settings.clicks_settle_days if report.clicks_window else settings.settle_days)


def entry_of_walk(task: Task, walk: Walk, settings: Settings, run_id: str) -> Entry:
    same = task.known is not None and task.known.digest == walk.digest
    changed_at = min((task.known.changed_at if task.known and same else None) or walk.at, walk.at)
    settled = _is_settled(task, walk, settings, changed_at)
    return Entry(
        *task.key,
        state="settled" if settled else "open",
        verified_at=walk.at,
        checked_at=walk.at,
        changed_at=changed_at,
        pages=walk.pages,
        row_count=walk.row_count,
        api_total=walk.spool.total,
        digest=walk.digest,
        attempts=walk.attempts,
        run_id=run_id,
        origin="api",
        suppressed=walk.spool.suppressed,
        peak=None if _may_shrink(task, settled=settled) else max(walk.total, _guarded(task)),
    )


def entry_or_held(
    task: Task, walk: Walk, settings: Settings, run_id: str, *, accept_shrink: bool, at: datetime
) -> tuple[Entry, Held | None]:
    """Return the entry of a walk, and the error if the shrink guard holds it. `at`: of the check (UTC)."""
    entry = entry_of_walk(task, walk, settings, run_id)
    if accept_shrink:
        return accept(entry), None
    shrink = shrink_error(task, walk.total, settled=entry.state == "settled")
    if shrink is None:
        return entry, None
    return failure_entry(task, "held", shrink, walk.attempts, run_id, at=at), shrink


def is_unchanged(task: Task, walk: Walk, odd: Collection[Key]) -> bool:
    """Return True if the tables already hold these rows.

    `odd`: reports with values of another type than the guide's; the digest does not distinguish 83 from "83".
    """
    return walk.digest == task.verified_digest and not walk.spool.odd and task.key not in odd


def accept(entry: Entry) -> Entry:
    """Return the entry with its shrinking accepted: from now on the guard compares with these rows."""
    return entry if entry.peak is None else replace(entry, peak=entry.total)


def import_entry(task: Task, walk: Walk, settings: Settings, run_id: str) -> Entry:
    """Return the entry of a report that was imported from a .csv, dated when the file was made.

    The next file is compared with the API's total, too, unless this one has fewer rows.
    """
    entry = entry_of_walk(task, walk, settings, run_id)
    total = task.known.api_total if task.known else None
    if total is not None and walk.total < total:
        total = None
    return replace(entry, pages=None, api_total=total, attempts=None, origin="csv")


def reopened(task: Task, entry: Entry) -> Entry:
    """Return the entry of a .csv of unknown age: settled only if the same content was settled before."""
    if task.known is not None and task.known.state == "settled" and task.verified_digest == entry.digest:
        return entry
    return replace(entry, state="open", peak=None if task.report.may_shrink else entry.peak)


def is_outdated(task: Task, made_at: datetime) -> bool:
    """Return True if the tables hold a later state than a .csv made at `made_at` (servers send whole seconds)."""
    known = task.known.verified_at if task.known else None
    return known is not None and made_at < known.replace(microsecond=0)


def check_csv_shrink(task: Task, row_count: int, *, settled: bool) -> Held | None:
    """Return the error if the shrink guard holds a .csv.

    A file that was cut off between two lines looks whole, so a single row less than the API once had is too few.
    """
    known = task.known.api_total if task.known else None
    if known is None or row_count >= known:
        return shrink_error(task, row_count, settled=settled)
    if task.report.may_shrink and not (settled and _guarded(task)):
        return None
    return _held_error(task, f"{known} rows or more, as the API had", row_count)


def _is_settled(task: Task, walk: Walk, settings: Settings, changed_at: datetime) -> bool:
    """Return True if a walk began after the campaign's end and the report's window (contract, rule 9)."""
    window = _window(task.report, settings)
    if walk.at < _settles_from(task.campaign, window):
        return False
    last_time = walk.last_time()
    end = max((time for time in (task.campaign.expiry_date, last_time) if time is not None), default=changed_at)
    # Not end + window: a time in the rows may be the last one that datetime can represent.
    return walk.at - window >= end


def failure_entry(task: Task, state: State, error: PassonaError, attempts: int, run_id: str, *, at: datetime) -> Entry:
    """Return the entry of a report whose walk failed or is held; it still describes the rows in the tables.

    `at`: of the check (UTC).
    """
    known = task.known or Entry(*task.key, state=state)
    return replace(known, state=state, error=str(error), checked_at=at, attempts=attempts, run_id=run_id)


def shrink_error(task: Task, total: int, *, settled: bool) -> Held | None:
    """Return the error if the shrink guard holds a walk (contract, rule 3). `total`: rows, suppressed ones included."""
    before = 0 if _may_shrink(task, settled=settled) else _guarded(task)
    if before == 0 or (total > 0 and total * 2 >= before):
        return None
    return _held_error(task, f"about {before} rows as before", total)


def _may_shrink(task: Task, *, settled: bool) -> bool:
    """Return True if a report may lose any number of rows. `settled`: the new entry would be settled."""
    return task.report.may_shrink and not settled


def _guarded(task: Task) -> int:
    """Return the number of rows that the shrink guard compares with, 0 if there is nothing to lose.

    Rows of an interrupted load count, too. Of a report that may shrink, only settled rows count.
    """
    known = task.known
    if known is None:
        return 0
    if task.report.may_shrink and known.peak is None and known.state != "settled":
        return 0
    return max(known.peak or 0, known.total)


def _held_error(task: Task, expected: str, row_count: int) -> Held:
    return Held(
        f"campaign {task.campaign.campaign_id}, {task.report.name}: expected {expected}, "
        f"got {row_count}; the old rows stay, --accept-shrink takes the new ones"
    )


def since(campaigns: Iterable[Campaign], date: datetime) -> list[Campaign]:
    """Return the campaigns that ended at `date` or later, or whose end is unknown."""
    return [
        campaign
        for campaign in campaigns
        if (end := campaign.expiry_date or campaign.finished_sending_at) is None or end >= date
    ]
