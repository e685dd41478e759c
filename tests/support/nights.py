"""Nights of a live account: one load a night on a clock that leaps, some of them bad, and then the truth.

    DraftedAccount (sandbox) and Load (passona), both by one `NightClock` -> a `Night` each -> `night_truth`

What is bad is done to a real load: the server is down, the token is another, the disk is full (a limit of
the process on the size of its files), the process is killed with -9 while it writes, half of the reports are
answered with 500, the list is empty because the token's team is another, this machine's clock is 400 days ahead of
the server's. `test_nights` passes ten of them, `make nights` thirty.

What has to be settled by a night, and so which requests it may take, is computed here once more, from the
contract alone.
"""

from __future__ import annotations

import math
import multiprocessing
import resource
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from passona.config.settings import Settings
from passona.errors import Exit, PassonaError
from passona.source.pace import Clock
from passona.warehouse.database import open_database
from passona.warehouse.load import Load, LoadRequest
from passona_sandbox import LiveAccount, Sandbox, Switches
from passona_sandbox.fixed import FixedCampaign
from support.oracle import TIMES, time_of
from support.warehouses import Lines, Warehouse

REPORTS = ("clicks", "delivery", "alt_delivery", "recipient", "sent", "unsent")
DAY = timedelta(days=1)
# How long after its end a report may change, by the contract's defaults.
WINDOWS = dict.fromkeys(REPORTS, 3 * DAY) | {"clicks": 30 * DAY}
LONDON = ZoneInfo("Europe/London")
PAGE = 500
DOWN, REVOKED, FULL, KILLED, HALF, EMPTY, AHEAD = BAD = (
    "the server is down", "the token is revoked", "the disk is full", "killed while it writes", "half of the reports fail",
    "the list is empty", "the clock is 400 days ahead",
)  # fmt: skip
FAILING = ("clicks", "delivery", "recipient")
# The reports that such a night reads all the same.
READ = {"": REPORTS, AHEAD: REPORTS, HALF: tuple(report for report in REPORTS if report not in FAILING)}
OFF = timedelta(days=400)
# A team without any campaign.
NOBODYS = "99999999-9999-4999-8999-999999999999"
DRAFT = "dddddddd-dddd-4ddd-8ddd-dddddddddddd"
# Seconds that a load in a process of its own may take; never waited for unless it hangs.
PATIENCE = 120
# Room for the plan and nothing else: any file of a package is larger, or would be.
FULL_BYTES = 64 * 1024
# A row of the ledger counts only while its load is complete.
LEDGER = """
    SELECT count(*) FILTER (counts AND verified_at >= $at AND changed_at = verified_at),
           count(*) FILTER (counts AND verified_at >= $at AND changed_at < verified_at),
           count(*) FILTER (NOT counts OR state = 'failed'),
           count(*) FILTER (counts AND verified_at >= $at AND state = 'settled')
    FROM (SELECT *, _dlt_load_id IN (SELECT load_id FROM passona._dlt_loads WHERE status = 0) AS counts
          FROM passona.report_ledger)"""
Key = tuple[str, str]


class NightClock(Clock):
    """An instant that is set, from which on time goes by as it does."""

    def __init__(self, at: datetime) -> None:
        self.set(at)

    def set(self, at: datetime) -> None:
        self._at, self._since = at, time.monotonic()

    def utc(self) -> datetime:
        return self._at + timedelta(seconds=time.monotonic() - self._since)


class DraftedAccount(LiveAccount):
    """A live account, and beside its campaigns one that is a draft without any date until it is sent.

    The list never tells when it ends: its rows alone do, and where they have no times the last change of them.
    """

    def __init__(self, *, sent_at: datetime, campaigns: int, rows: int, clock: Callable[[], float]) -> None:
        super().__init__(campaigns=campaigns, rows=rows, clock=clock)
        self._sent_at = sent_at

    def _stand(self) -> tuple[Mapping[str, Any], Hashable]:
        campaigns, state = super()._stand()
        now = datetime.fromtimestamp(self.clock(), UTC)
        return {**campaigns, DRAFT: drafted(self._sent_at, now)}, (state, now >= self._sent_at)


def drafted(sent_at: datetime, now: datetime) -> FixedCampaign:
    """The draft at an instant: forty recipients, and once it is sent their messages, and a click every seven hours."""
    dates = dict.fromkeys(("scheduled_send_date", "expiry_date", "started_sending_at", "finished_sending_at"), "")
    entry = {"uuid": DRAFT, "name": "Drafted", "status": 0, **dates}
    entry |= {"created_at": "2026-03-01 10:00:00", "updated_at": "2026-03-01 10:00:00"}
    people = [f"4477009001{number:02}" for number in range(40)]
    rows: dict[str, list[dict[str, Any]]] = {
        "recipient": [
            {"Phone_Number": phone, "Group_Name": "G", "Group_Description": "", "Field_Names": "", "Field_Values": ""}
            for phone in people
        ]
    }
    if now >= sent_at:
        at = civil(sent_at)
        entry |= {"status": 2, "started_sending_at": at, "finished_sending_at": at, "updated_at": at}
        ends = civil(sent_at + 2 * DAY)
        rows["delivery"] = [
            {"SMS_ID": f"m{phone}", "Sender": "S", "Recipient": phone, "Message_Copy": "Hello", "Status": "Success",
             "Expiry_Date": ends}
            for phone in people
        ]  # fmt: skip
        rows["alt_delivery"] = [
            {"MessageId": f"m{phone}", "Mobile": phone, "FieldNames": "", "FieldValues": "", "MessageSent": at,
             "MessageUpdate": at, "Status": "Success"}
            for phone in people
        ]  # fmt: skip
        rows["sent"] = [
            {"MessageId": DRAFT, "Brand": "S", "SentOn": at, "RecipientCount": 40, "TemplateApiId": "t",
             "TemplateName": "T", "Message": "Hello"}
        ]  # fmt: skip
        clicked = [(phone, sent_at + number * timedelta(hours=7)) for number, phone in enumerate(people)]
        rows["clicks"] = [
            {"Phone_Number": phone, "Link_Name": "L", "Link_Destination": "https://example.org/",
             "Clicked_At": civil(time), "User_Agent": "UA", "Device_Type": "", "OS_Version": "", "Browser_Version": ""}
            for phone, time in clicked if time <= now
        ]  # fmt: skip
    return FixedCampaign(entry, rows)


def _times(texts: Iterable[str]) -> list[datetime]:
    """The instants of those texts of the account that are times."""
    return [time for text in texts if text and (time := time_of(text, LONDON)[0])]


def civil(time: datetime) -> str:
    """An instant as the account writes it."""
    return f"{time.astimezone(LONDON):%Y-%m-%d %H:%M:%S}"


@dataclass(frozen=True)
class Night:
    """What one night's load did.

    `due`, `loaded`, `unchanged`, `failed`, `settled` (that night) count reports; `due` is None where the load ended
    before it had a plan. `requests`: those that came to the server. `explained`: those that it takes to read the
    list and what is due, page by page, if nothing goes wrong. `code`: exit code, or less than 0 for a signal.
    """

    at: datetime
    bad: str
    campaigns: int
    due: int | None
    requests: int
    explained: int
    loaded: int
    rows: int
    unchanged: int
    failed: int
    settled: int
    code: int


@dataclass
class Watcher(Lines):
    """Hears how much is due, and passes it on at once: its process may be killed."""

    due: int | None = None
    tell: Connection | None = None

    def planned(self, tasks: Sequence[Any]) -> None:
        self.due = len(tasks)
        if self.tell:
            self.tell.send(self.due)


def load(path: Path, base_url: str, clock: Clock, watcher: Watcher) -> int:
    """One load as `passona load` does it; its exit code."""
    database = open_database(path, 0, watcher.notify)
    try:
        settings = Settings("sandbox", base_url=base_url, retry_pause=0.01, page_size=PAGE)
        return Load([settings], database, LoadRequest(), watcher, clock).run().exit_code
    except PassonaError as error:
        return error.exit_code
    except OSError:
        return Exit.FAULT
    finally:
        database.close()


def load_apart(path: Path, base_url: str, at: datetime, tell: Connection) -> None:
    """The same in a process of its own, by a clock of its own that is set to the same instant."""
    load(path, base_url, NightClock(at), Watcher(tell=tell))


@contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process may be written beyond its first bytes: the system says that it is too large."""
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (FULL_BYTES, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)


@dataclass
class Nights:
    """An account and a warehouse by one clock; `pass_night` for each night. `sent_at`: when the draft is sent.

    `seen`: campaigns as a good night found them last, and which night that was. `settled`: what has to be.
    `changed`: of the draft's reports, how many rows a load found last, and the first night on which it found these.
    """

    path: Path
    first: datetime
    campaigns: int
    rows: int
    sent_at: datetime
    clock: NightClock = field(init=False)
    account: DraftedAccount = field(init=False)
    seen: dict[str, tuple[datetime, dict[str, Any]]] = field(default_factory=dict)
    settled: set[Key] = field(default_factory=set)
    changed: dict[Key, tuple[int, datetime]] = field(default_factory=dict)
    nights: list[Night] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = NightClock(self.first)
        self.account = self._account(lambda: self.clock.utc().timestamp())

    def then(self, at: datetime) -> DraftedAccount:
        """The account as it was at an instant."""
        return self._account(at.timestamp)

    def _account(self, clock: Callable[[], float]) -> DraftedAccount:
        return DraftedAccount(sent_at=self.sent_at, campaigns=self.campaigns, rows=self.rows, clock=clock)

    def pass_night(self, at: datetime, bad: str = "") -> Night:
        """One load, and what it has to have done."""
        self.clock.set(at)
        listed = {str(row["uuid"]): row for row in self.account.campaigns()}
        due = list(self._due(listed, at))
        before = self._load_ids()
        token, teams = "another" if bad == REVOKED else "sandbox", (NOBODYS,) if bad == EMPTY else ()
        switches = Switches(token=token, teams=teams, per_page_limit=PAGE)
        with Sandbox(self.account, switches, faults=_faults(bad)) as box:
            code, planned = self._load(box, at, bad)
            asked = box.requests
        assert self.settled.isdisjoint((record.campaign, record.report) for record in asked), (
            "a settled report was asked for"
        )
        new = self._load_ids() - before
        # A kill that came late found all written.
        names = REPORTS if bad == KILLED and new else READ.get(bad, ())
        read = [key for key in due if key[1] in names]
        self._note_changes(read, at)
        self.settled |= {key for key in read if self._is_over(listed[key[0]], key, at)}
        if not bad:
            self.seen |= {uuid: (at, row) for uuid, row in listed.items()}
        night = Night(
            at,
            bad,
            0 if bad == EMPTY else len(listed),
            planned,
            len(asked),
            self._explained(len(listed), due),
            *self._done(at, new),
            code,
        )
        self.nights.append(night)
        return night

    def _due(self, listed: dict[str, dict[str, Any]], at: datetime) -> Iterator[Key]:
        """What has to be asked for: of campaigns that have not started the recipients, of others all that is not settled."""
        for uuid, row in listed.items():
            # Of a draft without any date nobody knows, so all is asked for.
            started = not row["scheduled_send_date"] or instant(row["scheduled_send_date"]) <= at
            yield from (
                (uuid, report)
                for report in REPORTS
                if (started or report == "recipient") and (uuid, report) not in self.settled
            )

    def _note_changes(self, read: Sequence[Key], at: datetime) -> None:
        """Rows of the draft only ever come, so their number tells whether there are others."""
        for key in read:
            if key[0] == DRAFT and self.changed.get(key, (None,))[0] != self.account.count(*key):
                self.changed[key] = self.account.count(*key), at

    def _is_over(self, row: Mapping[str, Any], key: Key, at: datetime) -> bool:
        """Whether a report has to settle on this night.

        Its end is the later of the campaign's expiry and the last time in the report's rows; without both the last
        change of the rows; and never before the sending, which may come later than all of them. What was never sent
        has none.
        """
        if not row["started_sending_at"]:
            return False
        sending = _times([row["started_sending_at"], row["finished_sending_at"]])
        times = _times([row["expiry_date"]])
        times += _times(row[name] for row in self.account.rows(*key) for name in TIMES & row.keys())
        return max(*sending, *(times or [self.changed[key][1]])) + WINDOWS[key[1]] <= at

    def _explained(self, listed: int, due: Sequence[Key]) -> int:
        return sum(max(1, math.ceil(rows / PAGE)) for rows in (listed, *(self.account.count(*key) for key in due)))

    def _load(self, box: Sandbox, at: datetime, bad: str) -> tuple[int, int | None]:
        """Exit code, and the number of reports due if it came to that."""
        if bad == KILLED:
            return self._load_killed(box.base_url, at)
        watcher = Watcher()
        clock = NightClock(self.clock.utc() + OFF) if bad == AHEAD else self.clock
        if bad == DOWN:
            box.stop()
        try:
            with full_disk() if bad == FULL else nullcontext():
                return load(self.path, box.base_url, clock, watcher), watcher.due
        finally:
            if bad == DOWN:
                box.start()

    def _load_killed(self, base_url: str, at: datetime) -> tuple[int, int | None]:
        """A load that is killed when its first package is ready to be written."""
        hear, tell = multiprocessing.Pipe(duplex=False)
        spawned = multiprocessing.get_context("spawn")
        process = spawned.Process(target=load_apart, args=(self.path, base_url, at, tell))
        process.start()
        tell.close()
        packages, until = self.path.with_name(f"{self.path.name}.work"), time.monotonic() + PATIENCE
        while not _ready(packages):
            assert process.is_alive(), "it ended before it could be killed"
            assert time.monotonic() < until, "it hangs"
            time.sleep(0.005)
        process.kill()
        process.join(PATIENCE)
        return process.exitcode or 0, next(_received(hear), None)

    def _load_ids(self) -> set[str]:
        if not self.path.exists():
            return set()
        return {load_id for (load_id,) in Warehouse(self.path).rows("SELECT load_id FROM passona._dlt_loads")}

    def _done(self, at: datetime, new: set[str]) -> tuple[int, int, int, int, int]:
        """Reports loaded, rows in them, reports unchanged, failed, and settled this night, as the warehouse has it."""
        warehouse = Warehouse(self.path)
        loaded, unchanged, failed, settled = warehouse.one(LEDGER.replace("$at", f"'{at.isoformat()}'"))
        own = "SELECT count(*) FROM passona.{} WHERE list_contains(?, _dlt_load_id)"
        rows = sum(warehouse.one(own.format(report), sorted(new))[0] for report in REPORTS)
        return loaded, rows, unchanged, failed, settled


def _faults(bad: str) -> list[dict[str, object]]:
    return [{"kind": "status", "code": 500, "report": report} for report in FAILING if bad == HALF]


def _ready(packages: Path) -> bool:
    """Whether a load package waits to be written. Folders come and go while they are looked through."""
    with suppress(FileNotFoundError):
        return any(packages.rglob("load/normalized/*/new_jobs/*"))
    return False


def _received(hear: Connection) -> Iterator[Any]:
    while True:
        try:
            yield hear.recv()
        except EOFError:
            return


def instant(civil: str) -> datetime:
    """A date of the list, which is always one that can be read."""
    found = time_of(civil, LONDON)[0]
    assert found is not None
    return found
