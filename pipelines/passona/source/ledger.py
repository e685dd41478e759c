"""What was done, and so what is due: one row per campaign and report, kept with the rows themselves.

    report_ledger + campaigns' dates -> plan -> pulls, those most in need first
    walk (or its failure) + old entry -> entry_after -> new entry

Pure; `ledger_table` reads it. States: `open` (may still change), `settled` (verified after its end and
window: no further request), `failed` (could not be had whole), `held` (by the shrink guard).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
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

# The error of an entry whose rows are not known to be what it says: a load was killed while it wrote them.
INTERRUPTED = "interrupted"

_COLUMNS = tuple(LEDGER.names)
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Entry:
    """One row of the ledger. Instants in UTC; `pages`, `row_count`, `digest` are of the rows in the tables.

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
        """Rows in the tables, and those of people who are kept out of them."""
        return (self.row_count or 0) + (self.suppressed or 0)


@dataclass(frozen=True)
class Task:
    """One report that is due, what is known of its campaign, and what the ledger holds of it."""

    report: Report
    campaign: Campaign
    known: Entry | None = None

    @property
    def key(self) -> Key:
        return self.campaign.campaign_id, self.report.name

    @property
    def verified_digest(self) -> str | None:
        """The digest of what the tables hold, if that can be trusted."""
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
    settled: Mapping[Key, datetime] = MappingProxyType({}),
) -> list[Task]:
    """The pulls that are due, in order of need: never loaded before stale, then the newest campaign
    first; within the stale, the longest unchecked first. A job that is cut short did the best it could.

    `settled`: when these of `entries` were last checked, so that they need not be looked at one by one.
    """
    windows = [(report, _window(report, settings)) for report in reports]
    tasks = (
        Task(report, campaign, entries.get((campaign.campaign_id, report.name)))
        for campaign in campaigns
        for earliest in [{window: _settles_from(campaign, window) for window in {each for _, each in windows}}]
        for report, window in windows
        if refresh
        or (checked := settled.get((campaign.campaign_id, report.name))) is None
        or not earliest[window] <= checked <= now
    )
    due = (task for task in tasks if refresh or is_due(task, settings, now))
    return sorted(due, key=lambda task: _need(task, now))


def is_due(task: Task, settings: Settings, now: datetime) -> bool:
    """Whether a report may have changed since it was verified.

    A settled one is due again where the last look was too early for what the list tells now. A look in the future
    counts as none: it was dated by a wrong clock.
    """
    if not may_have_rows(task.campaign, task.report, now):
        return False
    known = task.known
    if known is None or known.state != "settled" or known.checked_at is None:
        return True
    return not _settles_from(task.campaign, _window(task.report, settings)) <= known.checked_at <= now


def may_have_rows(campaign: Campaign, report: Report, now: datetime) -> bool:
    """Whether it is time to ask for a report at all."""
    return report.before_start or not campaign.not_started(now)


def _settles_from(campaign: Campaign, window: timedelta) -> datetime:
    """The first time at which a look may settle a report, as far as the list tells (contract, rule 9).

    Not before the window after the expiry, and after the sending, which may come later than an expiry that nobody
    changed; nor before any date in the list. Never as long as a listed campaign was not sent: nobody knows its end.
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


def verified(task: Task, walk: Walk, settings: Settings, run_id: str) -> Entry:
    """The entry of a verified walk, open or settled."""
    same = task.known is not None and task.known.digest == walk.digest
    changed_at = min((task.known.changed_at if task.known and same else None) or walk.at, walk.at)
    settled = _is_settled(task, walk, settings, changed_at)
    total = walk.row_count + walk.spool.suppressed
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
        peak=None if _may_shrink(task, settled=settled) else max(total, _guarded(task)),
    )


def judge(
    task: Task, walk: Walk, settings: Settings, run_id: str, *, accept_shrink: bool, at: datetime
) -> tuple[Entry, Held | None]:
    """The entry of a walk, and why the shrink guard holds it, None if it does not. `at`: when that was seen (UTC)."""
    entry = verified(task, walk, settings, run_id)
    if accept_shrink:
        return accept(entry), None
    shrink = shrunk(task, walk.total, settled=entry.state == "settled")
    if shrink is None:
        return entry, None
    return entry_of_failure(task, "held", shrink, walk.attempts, run_id, at=at), shrink


def is_unchanged(task: Task, walk: Walk, odd: Collection[Key]) -> bool:
    """Return True if the tables already hold these rows. `odd`: reports with values of another type than the guide's,
    because the digest does not distinguish 83 from "83".
    """
    return walk.digest == task.verified_digest and not walk.spool.odd and task.key not in odd


def accept(entry: Entry) -> Entry:
    """The entry of a report whose shrinking is accepted: from now on the guard compares with these rows."""
    return entry if entry.peak is None else replace(entry, peak=entry.total)


def entry_of_import(task: Task, walk: Walk, settings: Settings, run_id: str) -> Entry:
    """The entry of a report that came as a .csv, as of when that was made.

    What the API told once holds on, so that the next file is measured by it too; but where fewer rows were taken,
    it is no longer what the tables should have.
    """
    entry = verified(task, walk, settings, run_id)
    total = task.known.api_total if task.known else None
    if total is not None and walk.row_count + walk.spool.suppressed < total:
        total = None
    return replace(entry, pages=None, api_total=total, attempts=None, origin="csv")


def reopened(task: Task, entry: Entry) -> Entry:
    """The entry where nobody vouches for the time of its .csv: settled only if the same content was so before."""
    same = task.known is not None and task.known.state == "settled" and task.verified_digest == entry.digest
    if same:
        return entry
    return replace(entry, state="open", peak=None if task.report.may_shrink else entry.peak)


def is_outdated(task: Task, made_at: datetime) -> bool:
    """Whether the tables hold a later state of a report than a .csv that was made then. Servers tell whole seconds."""
    known = task.known.verified_at if task.known else None
    return known is not None and made_at < known.replace(microsecond=0)


def check_csv_shrink(task: Task, row_count: int, *, settled: bool) -> Held | None:
    """Why the shrink guard holds a .csv, None if it does not.

    A file tells no total, so one that was cut off between two lines looks whole: where the API once told one,
    a single row less is too few.
    """
    known = task.known.api_total if task.known else None
    if known is None or row_count >= known:
        return shrunk(task, row_count, settled=settled)
    if task.report.may_shrink and not (settled and _guarded(task)):
        return None
    return _held(task, f"{known} rows or more, as the API had", row_count)


def _is_settled(task: Task, walk: Walk, settings: Settings, changed_at: datetime) -> bool:
    """Whether a walk began after the campaign's end and the report's window.

    The end is the later of the campaign's expiry and the last time in the report's rows; where
    neither is known, the last change of its content.
    """
    window = _window(task.report, settings)
    if walk.at < _settles_from(task.campaign, window):
        return False
    last_time = walk.last_time(settings.timezone)
    end = max((time for time in (task.campaign.expiry_date, last_time) if time is not None), default=changed_at)
    # Compared this way round, because a time in the rows may be the last that a calendar has.
    return walk.at - window >= end


def entry_of_failure(
    task: Task, state: State, error: PassonaError, attempts: int, run_id: str, *, at: datetime
) -> Entry:
    """The entry of a report whose walk failed or is held: what is said of the rows in the tables stays.

    `at`: when that was seen (UTC).
    """
    known = task.known or Entry(*task.key, state=state)
    return replace(known, state=state, error=str(error), checked_at=at, attempts=attempts, run_id=run_id)


def shrunk(task: Task, total: int, *, settled: bool) -> Held | None:
    """Why the shrink guard holds a walk, None if it does not (contract, rule 3).

    `total`: its rows, those of people who are kept out included.
    """
    before = 0 if _may_shrink(task, settled=settled) else _guarded(task)
    if before == 0 or (total > 0 and total * 2 >= before):
        return None
    return _held(task, f"about {before} rows as before", total)


def _may_shrink(task: Task, *, settled: bool) -> bool:
    """Whether a report may lose any number of rows. `settled`: whether what it would be now is final."""
    return task.report.may_shrink and not settled


def _guarded(task: Task) -> int:
    """The number of rows that the shrink guard compares with, 0 if there is nothing to lose.

    What an interrupted load left counts, too. Of a report that may shrink only rows that had settled count: those
    that were loaded before may be gone since.
    """
    known = task.known
    if known is None:
        return 0
    if task.report.may_shrink and known.peak is None and known.state != "settled":
        return 0
    return max(known.peak or 0, known.total)


def _held(task: Task, expected: str, row_count: int) -> Held:
    return Held(
        f"campaign {task.campaign.campaign_id}, {task.report.name}: expected {expected}, "
        f"got {row_count}; the old rows stay, --accept-shrink takes the new ones"
    )


def since(campaigns: Iterable[Campaign], date: datetime) -> list[Campaign]:
    """The campaigns that ended at `date` or later, or whose end is not known."""
    return [
        campaign
        for campaign in campaigns
        if (end := campaign.expiry_date or campaign.finished_sending_at) is None or end >= date
    ]
