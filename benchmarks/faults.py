"""The table of docs/faults.md: each fault of tests/support/faults.py put to `passona load` and to dlt's `rest_api`.

    python benchmarks/faults.py

For each fault, alone: a report is loaded in good order, the account changes, the fault strikes, the report
is loaded again, and every row that is stored is compared with what the account then has.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

import duckdb
from rich.console import Console
from rich.table import Table

from passona_sandbox import Account, Sandbox, Switches

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.faults import FAULTS, NONE, PER_PAGE, REPORT, ROWS_AFTER, ROWS_BEFORE, TOKEN, Fault, Row, campaign  # noqa: E402
from support.oracle import expected  # noqa: E402
from support.stored import stored  # noqa: E402
from support.warehouses import Warehouse  # noqa: E402  # found by the line above

PAGE = ROOT / "docs" / "faults.md"
UUID = NONE.uuid
# What a load without a fault takes is a quarter of it.
LIMIT = 10
# More requests than any load needs that ends, whatever it tries again.
ENDLESS = 200
KEYS = ("merge", "primary")
WORKERS = 2
HELD = (
    "SELECT message_id, mobile, field_names, field_values, status, message_sent, message_update "
    "FROM reports.alt_delivery"
)


@dataclass(frozen=True)
class Stored:
    """One stored row: its id, its texts, its instants."""

    key: str
    texts: tuple[str | None, ...]
    times: tuple[datetime | None, ...]


@dataclass(frozen=True)
class Result:
    """What came of one fault in one loader. `kind`: survived, refused, wrong or endless, as in `summary`."""

    kind: str
    words: str


@dataclass(frozen=True)
class Line:
    """One line of the table."""

    fault: str
    ours: Result
    theirs: tuple[Result, ...]


def main() -> int:
    """Makes the table, prints it and writes the page."""
    progress = Console(stderr=True)
    faults = (NONE, *FAULTS)
    lines = []
    with (
        tempfile.TemporaryDirectory() as folder,
        chdir(folder),  # where no settings of anyone's are found
        ProcessPoolExecutor(WORKERS, get_context("spawn")) as workers,
    ):
        progress.print("a first load in good order")
        prepare(Path(folder))
        for line in workers.map(line_of, faults, [folder] * len(faults)):
            lines.append(line)
            progress.print(f"{len(lines):2} of {len(faults)}  {line.fault}", highlight=False)
    Console(width=None if sys.stdout.isatty() else 180).print(table(lines))
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(lines))
    progress.print(f"written to {PAGE.relative_to(ROOT)}", highlight=False)
    return 0


def prepare(folder: Path) -> None:
    """The databases of both loaders, with the rows as they were before."""
    with serving(NONE, ROWS_BEFORE) as (box, _):
        assert ours(folder / "good.duckdb", NONE, box)[0] == 0
        for key in KEYS:
            assert theirs(folder / f"{key}.duckdb", NONE, box, key) is None


def line_of(fault: Fault, folder: str) -> Line:
    """Strikes both loaders with one fault."""
    with tempfile.TemporaryDirectory() as own:
        path = Path(own) / "warehouse.duckdb"
        shutil.copy(Path(folder) / "good.duckdb", path)
        return Line(fault.name, our_result(path, fault), tuple(their_result(Path(folder), fault, key) for key in KEYS))


@contextmanager
def serving(fault: Fault, rows: list[Row]) -> Iterator[tuple[Sandbox, Sandbox]]:
    """A server with these rows and this fault, and the other one that it may send people to."""
    account = Account.empty()
    account.put(campaign(UUID), {REPORT: rows})
    with Sandbox(account, Switches(token=TOKEN)) as elsewhere, Sandbox(account) as box:
        host = elsewhere.base_url.removesuffix("/api/2.0/")
        box.switches = Switches(token=TOKEN, **fault.switches_for(host))
        box.faults = fault.rules_for(UUID, host)
        yield box, elsewhere


def ours(path: Path, fault: Fault, box: Sandbox) -> tuple[int, str]:
    """One `passona load`, page by page as the other: its exit code and its errors."""
    outcome = Warehouse(path).load(
        box,
        UUID,
        reports=[REPORT],
        page_size=fault.per_page,
        request_timeout=fault.seconds,
        retry_pause=0.002,
        concurrency=1,
    )
    return outcome.exit_code, " ".join(outcome.errors)


def our_result(path: Path, fault: Fault) -> Result:
    """What came of it; a load without the fault must then make all right."""
    with serving(fault, ROWS_AFTER) as (box, elsewhere):
        exit_code, error = ours(path, fault, box)
        truth, held = expected(box.account.rows(UUID, REPORT)), stored(path, UUID, REPORT)
        tries = max(Counter(record.page for record in box.requests if record.report == REPORT).values())
        (walks,) = Warehouse(path).one("SELECT attempts FROM passona.report_ledger WHERE report = ?", REPORT)
        assert elsewhere.requests == []
        box.faults = []
        assert ours(path, fault, box)[0] == 0
        assert stored(path, UUID, REPORT) == truth, fault.name
    if exit_code:
        assert held == expected(ROWS_BEFORE), fault.name
        return Result("refused", f"refused: {short(error)}; old rows intact (exit {exit_code})")
    if lost := (truth - held).total():
        return Result("wrong", f"{rows(lost)} missed, no error; the next load has all")
    assert held == truth, fault.name
    tried = f", {walks} walks" if walks > 1 else f", {tries} tries of a page" if tries > 1 else ""
    return Result("survived", f"survived{tried}")


def short(error: str) -> str:
    """An error without what stands in every one of them: campaign, report, tries, and that old rows stay."""
    core = re.sub(rf"^campaign {UUID}, {REPORT}: |; old rows stay.*$", "", error)
    return re.sub(r" \((walked|tried) [^)]*\)", "", core)


def theirs(path: Path, fault: Fault, box: Sandbox, key: str) -> str | None:
    """One load by `rest_api` in a process of its own: its error, if any.

    :raises TimeoutExpired: it did not end, and was ended.
    """
    command = [sys.executable, str(ROOT / "benchmarks" / "rest_api_load.py"), box.base_url, TOKEN, UUID, str(path)]
    command += ["--report", REPORT, "--key", key, "--seconds", str(fault.seconds)]
    if fault.per_page != PER_PAGE:
        command += ["--per-page", str(fault.per_page)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            said, _ = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    error: str | None = json.loads(said.splitlines()[-1])["error"]
    return error


def their_result(folder: Path, fault: Fault, key: str) -> Result:
    with tempfile.TemporaryDirectory() as own, serving(fault, ROWS_AFTER) as (box, elsewhere):
        path = Path(shutil.copy(folder / f"{key}.duckdb", own))
        kind, words = "", ""
        try:
            error = theirs(path, fault, box, key)
            if error:
                kind, words = "refused", f"stopped: {error}"
        except subprocess.TimeoutExpired:
            endless = len(box.requests) > ENDLESS
            kind, words = "endless", f"{'for ever in a loop' if endless else 'hangs'} (stopped after {LIMIT} s)"
        old, truth, held = served(ROWS_BEFORE), served(box.account.rows(UUID, REPORT)), held_by(path)
        leak = any(record.authorized for record in elsewhere.requests)
    if kind:
        intact = differences(old, held)
        words += f"; {', '.join(intact)}" if intact else "; old rows intact"
    else:
        found = differences(truth, held) + (shifted(truth, held) if fault == NONE else [])
        kind, words = ("wrong", f"{', '.join(found)}, no error") if found else ("survived", "survived")
    if leak:
        kind, words = "wrong", f"{words}; token sent to the other host"
    return Result(kind, words)


def served(rows: Iterable[Row]) -> list[Stored]:
    """Rows as the account has them, in the form of `held_by`."""
    found = []
    for row in rows:
        ((values, _, _),) = expected([row])
        times = tuple(value for name, value in values if name in {"message_sent", "message_update"})
        found.append(
            Stored(row["MessageId"], (row["Mobile"], row["FieldNames"], row["FieldValues"], row["Status"]), times)
        )
    return found


def held_by(path: Path) -> list[Stored]:
    """What `rest_api` has stored."""
    with duckdb.connect(str(path), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.execute(HELD)
        return [Stored(row[0], row[1:5], row[5:]) for row in found.fetchall()]


def differences(truth: list[Stored], held: list[Stored]) -> list[str]:
    """What is wrong with what is held, in words; nothing where all is right but the times."""
    due, have = Counter(row.key for row in truth), Counter(row.key for row in held)
    texts = {(row.key, row.texts) for row in truth}
    lost, surplus = (due - have).total(), have - due
    doubled = sum(count for key, count in surplus.items() if key in due)
    gone = surplus.total() - doubled
    stale = sum(row.key in due and (row.key, row.texts) not in texts for row in held)
    reported = {"lost": lost, "doubled": doubled, "with old or wrong values": stale, "kept though gone": gone}
    return [f"{rows(count)} {what}" for what, count in reported.items() if count]


def shifted(truth: list[Stored], held: list[Stored]) -> list[str]:
    """Rows whose times are not the instants that were meant."""
    times = {row.key: row.times for row in truth}
    count = sum(row.times != times.get(row.key) for row in held)
    return [f"{rows(count)} with times an hour off"] if count else []


def rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"


HEADS = ("fault", "passona-warehouse", "dlt rest_api, merge_key campaign", "dlt rest_api, primary_key message")


def table(lines: list[Line]) -> Table:
    """The lines for a terminal."""
    shown = Table(*HEADS, box=None, pad_edge=False, row_styles=["", "dim"])
    for line in lines:
        shown.add_row(line.fault, line.ours.words, *(result.words for result in line.theirs))
    return shown


def page(lines: list[Line]) -> str:
    """docs/faults.md."""
    body = [(line.fault, line.ours.words, *(result.words for result in line.theirs)) for line in lines]
    cells = [HEADS, ("---",) * len(HEADS), *body]
    return INTRO.format(
        versions=", ".join(f"{name} {version(name)}" for name in ("passona-warehouse", "dlt", "duckdb")),
        before=len(ROWS_BEFORE),
        after=len(ROWS_AFTER),
        changed=sum(a != b for a, b in zip(ROWS_BEFORE, ROWS_AFTER, strict=False)),
        per_page=PER_PAGE,
        summary=summary(lines[1:]),
        limit=LIMIT,
        table="\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in cells),
    )


def summary(lines: list[Line]) -> str:
    """How often what happened, in each loader."""
    columns = [[line.ours for line in lines], *([line.theirs[n] for line in lines] for n in range(len(KEYS)))]
    heads = ("of " + str(len(lines)) + " faults", *HEADS[1:])
    what = {
        "survived": "survived: every row as served (rest_api: but for the times)",
        "refused": "refused with an error, old rows intact",
        "wrong": "wrong without an error: rows, or the token sent to another host",
        "endless": "never ended",
    }
    reported = [heads, ("---",) * len(heads)]
    for kind, name in what.items():
        reported.append((name, *(str(sum(result.kind == kind for result in column)) for column in columns)))
    return "\n".join(f"| {' | '.join(row)} |" for row in reported)


INTRO = """\
# Faults, and what becomes of them

<!-- Made by `make faults` (benchmarks/faults.py); not written by hand. -->

Each line is one fault, struck alone. A report (`alt_delivery`) of {before} rows is loaded in good order; then the
account changes ({after} rows now, {changed} of the old ones with another status); then the fault strikes while the
report is loaded again; then every stored value is compared with what the account has at that moment.

- The server is this repository's sandbox, over HTTP on loopback, {per_page} rows a page unless a line says otherwise.
- **passona-warehouse** is `passona load` with one request at a time, so that both loaders are asked the same in the
  same order, and with short pauses between tries. After "refused" stand the words of the error. After each fault a
  load without it makes every row right; that is checked for every line.
- **dlt rest_api** is dlt's own source for such APIs, set up with care
  ([rest_api_load.py](../benchmarks/rest_api_load.py)): bearer token, `data_selector`, `parallelized`, five tries of a
  request as it comes, its pauses cut as ours are, its timeout the same as ours, and the paginator for next links
  mended for this API (its links lack their first slash: as it comes, page 2 is a 404). It asks for no page size,
  because the links drop it, but in the line that is about that. It stands here twice: once a load replaces the rows
  of the campaign (`merge_key`), once it merges by the message's id (`primary_key`). `clicks` has no such id, nor have
  `sent` and `unsent`: for them the first is all there is.
- rest_api takes times without an offset as UTC; they are the United Kingdom's. That is counted in the first line,
  and not again in the others.
- What has not ended after {limit} s is stopped.
- Versions: {versions}.

{summary}

The same list is tested at each build ([test_faults.py](../tests/loading/test_faults.py)): there the faults strike
side by side, each its own campaign, with eight requests in flight.

{table}
"""


if __name__ == "__main__":
    sys.exit(main())
