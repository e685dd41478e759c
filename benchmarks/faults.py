"""Make docs/faults.md: apply every fault of fault_cases.py to `passona load` and to dlt's `rest_api` source.

    PYTHONPATH=pipelines/tools python benchmarks/faults.py [--only TEXT]

For each fault, separately: a report is loaded without a fault, the account changes, the fault strikes, the report
is loaded again, and every stored row is compared with the account's rows at that moment.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
from rich.console import Console
from rich.table import Table

from fault_cases import FAULTS, NONE, PER_PAGE, REPORT, ROWS_AFTER, ROWS_BEFORE, TOKEN, Fault, campaign
from passona_sandbox import Account, Sandbox, Switches

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "faults.md"
UUID = NONE.uuid
# Seconds after which rest_api is stopped. It needs a tenth of them without a fault.
LIMIT = 30
# No load that ends sends as many requests, whatever it retries.
ENDLESS_REQUESTS = 200
KEYS = ("merge", "primary")
WORKERS = 2
LONDON = ZoneInfo("Europe/London")
_COLUMNS = "message_id, mobile, {names}, {values}, status, message_sent, message_update"
REST_API_SQL = f"SELECT {_COLUMNS.format(names='field_names', values='field_values')} FROM reports.{REPORT}"
_JOINED = (
    f"(SELECT string_agg({{}}, ',' ORDER BY position) FROM passona.{REPORT}__fields AS f WHERE f.row_id = r.row_id)"
)
OUR_SQL = (
    f"SELECT {_COLUMNS.format(names=_JOINED.format('name'), values=_JOINED.format('value'))} FROM passona.{REPORT} AS r"
)


@dataclass(frozen=True)
class Row:
    """One row: its id, its texts, its instants."""

    key: str
    texts: tuple[str | None, ...]
    times: tuple[datetime, ...]


@dataclass(frozen=True)
class Result:
    """The outcome of one fault for one loader. `kind`: survived, refused, wrong or endless."""

    kind: str
    text: str


@dataclass(frozen=True)
class Line:
    """One line of the table."""

    fault: str
    ours: Result
    rest_api: tuple[Result, ...]

    @property
    def cells(self) -> tuple[str, ...]:
        return self.fault, self.ours.text, *(result.text for result in self.rest_api)


def main() -> int:
    """Apply the faults, print the table, and write the page if none was left out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="only faults whose name contains this text; writes no page")
    only = parser.parse_args().only
    progress = Console(stderr=True, highlight=False)
    faults = [fault for fault in (NONE, *FAULTS) if only in fault.name]
    lines: list[Line] = []
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(WORKERS) as workers:
        progress.print("loading without a fault")
        prepare(Path(folder))
        for line in workers.map(partial(apply, folder=Path(folder)), faults):
            lines.append(line)
            progress.print(f"{len(lines):2} of {len(faults)}  {line.fault}")
    Console(width=None if sys.stdout.isatty() else 180).print(table(lines))
    if not only:
        PAGE.write_text(page(lines))
        progress.print(f"wrote {PAGE.relative_to(ROOT)}")
    return 0


def prepare(folder: Path) -> None:
    """Load the old rows into a database for each loader."""
    with serving(NONE, ROWS_BEFORE) as (box, _):
        assert load(folder / "ours.duckdb", NONE, box) == (0, "")
        for key in KEYS:
            assert load_with_rest_api(folder / f"{key}.duckdb", NONE, box, key, limit=None) is None


def apply(fault: Fault, folder: Path) -> Line:
    """Apply one fault to both loaders."""
    return Line(fault.name, our_result(folder, fault), tuple(rest_api_result(folder, fault, key) for key in KEYS))


@contextmanager
def serving(fault: Fault, rows: list[dict[str, Any]]) -> Iterator[tuple[Sandbox, Sandbox]]:
    """Serve these rows with this fault, and another server that redirects and links may point to."""
    account = Account.empty()
    account.put(campaign(UUID), {REPORT: rows})
    with Sandbox(account, Switches(token=TOKEN)) as elsewhere, Sandbox(account) as box:
        host = elsewhere.base_url.removesuffix("/api/2.0/")
        box.switches = Switches(token=TOKEN, **fault.switches_for(host))
        box.faults = fault.rules_for(UUID, host)
        yield box, elsewhere


def load(path: Path, fault: Fault, box: Sandbox) -> tuple[int, str]:
    """Run `passona load`, one page after another like rest_api. Return its exit code and its errors."""
    options = {
        "API_TOKEN": TOKEN,
        "BASE_URL": box.base_url,
        "PAGE_SIZE": fault.per_page,
        "REQUEST_TIMEOUT": fault.seconds,
        "RETRY_PAUSE": 0.002,
        "CONCURRENCY": 1,
    }
    environment = {f"SOURCES__PASSONA__{name}": str(value) for name, value in options.items()}
    ended = subprocess.run(
        [sys.executable, "-m", "passona", "load", UUID, "--report", REPORT, "--json"],
        cwd=path.parent,
        env=os.environ | environment | {"DESTINATION__WAREHOUSE__CREDENTIALS": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout, ended.stderr
    return ended.returncode, " ".join(json.loads(ended.stdout)["errors"])


def our_result(folder: Path, fault: Fault) -> Result:
    """Apply a fault to `passona load`, and check that a load without the fault then makes every row right."""
    with copied(folder / "ours.duckdb") as path, serving(fault, ROWS_AFTER) as (box, elsewhere):
        exit_code, error = load(path, fault, box)
        truth, stored = served(box.account.rows(UUID, REPORT)), stored_rows(path, OUR_SQL)
        tries = max(Counter(record.page for record in box.requests if record.report == REPORT).values())
        assert elsewhere.requests == []
        with duckdb.connect(str(path), read_only=True) as connection:
            ((walks,),) = connection.execute("SELECT attempts FROM passona.report_ledger").fetchall()
        box.faults = []
        assert load(path, fault, box)[0] == 0
        repaired = stored_rows(path, OUR_SQL)
        assert differences(truth, repaired) + shifted(truth, repaired) == [], fault.name
    if exit_code:
        assert differences(served(ROWS_BEFORE), stored) == [], fault.name
        return Result("refused", f"refused: {shortened(error)}; old rows intact (exit {exit_code})")
    if wrong := differences(truth, stored) + shifted(truth, stored):
        return Result("wrong", f"{', '.join(wrong)}, no error; the next load corrects it")
    detail = f", {walks} walks" if walks > 1 else f", {tries} tries of a page" if tries > 1 else ""
    return Result("survived", f"survived{detail}")


def shortened(error: str) -> str:
    """Drop what every error says: campaign, report, tries, and that old rows stay."""
    core = re.sub(rf"^campaign {UUID}, {REPORT}: |; old rows stay.*$", "", error)
    return re.sub(r" \((walked|tried) [^)]*\)", "", core)


def load_with_rest_api(path: Path, fault: Fault, box: Sandbox, key: str, limit: float | None = LIMIT) -> str | None:
    """Load with `rest_api` in a process of its own, and return its error, if any.

    :raises subprocess.TimeoutExpired: it did not end within the limit, and was killed.
    """
    command = [sys.executable, str(ROOT / "benchmarks" / "rest_api_load.py"), box.base_url, TOKEN, UUID, str(path)]
    command += ["--report", REPORT, "--key", key, "--seconds", str(fault.seconds)]
    if fault.per_page != PER_PAGE:
        command += ["--per-page", str(fault.per_page)]
    with subprocess.Popen(
        command, cwd=path.parent, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            stdout, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    error: str | None = json.loads(stdout.splitlines()[-1])["error"]
    return error


def rest_api_result(folder: Path, fault: Fault, key: str) -> Result:
    """Apply a fault to `rest_api`."""
    with copied(folder / f"{key}.duckdb") as path, serving(fault, ROWS_AFTER) as (box, elsewhere):
        kind, text = "", ""
        try:
            error = load_with_rest_api(path, fault, box, key)
            if error:
                kind, text = "refused", f"stopped: {error}"
        except subprocess.TimeoutExpired:
            what = "loops for ever" if len(box.requests) > ENDLESS_REQUESTS else "hangs"
            kind, text = "endless", f"{what} (killed after {LIMIT} s)"
        truth, stored = served(box.account.rows(UUID, REPORT)), stored_rows(path, REST_API_SQL)
        token_leaked = any(record.authorized for record in elsewhere.requests)
    if kind:
        text += f"; {', '.join(differences(served(ROWS_BEFORE), stored)) or 'old rows intact'}"
    else:
        wrong = differences(truth, stored) + (shifted(truth, stored) if fault == NONE else [])
        kind, text = ("wrong", f"{', '.join(wrong)}, no error") if wrong else ("survived", "survived")
    return Result("wrong", f"{text}; token sent to the other host") if token_leaked else Result(kind, text)


@contextmanager
def copied(database: Path) -> Iterator[Path]:
    """Yield the path of a copy, alone in a folder that is deleted afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(shutil.copy(database, folder))


def served(rows: Iterable[dict[str, Any]]) -> list[Row]:
    """Convert the account's rows; their times are the United Kingdom's."""
    return [
        Row(
            row["MessageId"],
            (row["Mobile"], row["FieldNames"], row["FieldValues"], row["Status"]),
            tuple(
                datetime.fromisoformat(row[name]).replace(tzinfo=LONDON) for name in ("MessageSent", "MessageUpdate")
            ),
        )
        for row in rows
    ]


def stored_rows(path: Path, sql: str) -> list[Row]:
    """Read what a loader stored."""
    with duckdb.connect(str(path), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return [Row(row[0], row[1:5], row[5:]) for row in connection.execute(sql).fetchall()]


def differences(truth: list[Row], stored: list[Row]) -> list[str]:
    """Describe wrong rows and texts; times are not compared."""
    expected, actual = Counter(row.key for row in truth), Counter(row.key for row in stored)
    texts = {(row.key, row.texts) for row in truth}
    surplus = actual - expected
    duplicated = sum(count for key, count in surplus.items() if key in expected)
    counts = {
        "lost": (expected - actual).total(),
        "duplicated": duplicated,
        "with old or wrong values": sum(row.key in expected and (row.key, row.texts) not in texts for row in stored),
        "kept although deleted": surplus.total() - duplicated,
    }
    return [f"{rows(count)} {what}" for what, count in counts.items() if count]


def shifted(truth: list[Row], stored: list[Row]) -> list[str]:
    """Describe rows whose times are not the account's instants."""
    times = {row.key: tuple(time.timestamp() for time in row.times) for row in truth}
    count = sum(tuple(t.timestamp() for t in row.times) != times[row.key] for row in stored if row.key in times)
    return [f"{rows(count)} with times an hour off"] if count else []


def rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"


HEADINGS = ("fault", "passona-warehouse", "dlt rest_api, merge_key campaign", "dlt rest_api, primary_key message")


def table(lines: list[Line]) -> Table:
    """Lay the lines out for a terminal."""
    shown = Table(*HEADINGS, box=None, pad_edge=False, row_styles=["", "dim"])
    for line in lines:
        shown.add_row(*line.cells)
    return shown


def page(lines: list[Line]) -> str:
    """Return the text of docs/faults.md."""
    return PAGE_TEXT.format(
        versions=", ".join(f"{name} {version(name)}" for name in ("passona-warehouse", "dlt", "duckdb")),
        before=len(ROWS_BEFORE),
        after=len(ROWS_AFTER),
        changed=sum(a != b for a, b in zip(ROWS_BEFORE, ROWS_AFTER, strict=False)),
        per_page=PER_PAGE,
        summary=summary(lines[1:]),
        limit=LIMIT,
        table=markdown(HEADINGS, (line.cells for line in lines)),
    )


def markdown(headings: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> str:
    cells = [headings, ("---",) * len(headings), *lines]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in cells)


def summary(lines: list[Line]) -> str:
    """Count the outcomes of each loader."""
    columns = [[line.ours for line in lines], *([line.rest_api[n] for line in lines] for n in range(len(KEYS)))]
    kinds = {
        "survived": "survived: every row as served (rest_api: except for the times)",
        "refused": "refused with an error, old rows intact",
        "wrong": "wrong without an error: rows, or the token sent to another host",
        "endless": "never ended",
    }
    counts = (
        (text, *(str(sum(result.kind == kind for result in column)) for column in columns))
        for kind, text in kinds.items()
    )
    return markdown((f"of {len(lines)} faults", *HEADINGS[1:]), counts)


PAGE_TEXT = """\
# How loads handle faults

<!-- Generated by `make faults` (benchmarks/faults.py); do not edit. -->

Each line is one fault, applied separately. A report (`alt_delivery`) of {before} rows is loaded without a fault. Then
the account changes ({after} rows, {changed} of the old ones with another status), and the fault strikes while the
report is loaded again. Afterwards every stored value is compared with the account's.

- The server is this repository's sandbox, over HTTP on loopback, {per_page} rows a page unless a line says otherwise.
- **passona-warehouse** is `passona load` with one request at a time, so that both loaders send the same requests in
  the same order, and with short pauses between retries. "refused" is followed by the error message. After each fault,
  a load without it makes every row right; this is checked for every line.
- **dlt rest_api** is dlt's own source for such APIs, carefully configured
  ([rest_api_load.py](../benchmarks/rest_api_load.py)): bearer token, `data_selector`, `parallelized`, dlt's default of
  five tries per request, the same pauses and timeout as this program, and a paginator fixed for this API, whose links
  lack their leading slash (without the fix, page 2 is a 404). It requests no page size, because the links drop it,
  except in the line about that. It appears twice: with loads that replace the rows of the campaign (`merge_key`), and
  with loads that merge by message id (`primary_key`). `clicks`, `sent` and `unsent` have no such id, so for them only
  the first is possible.
- rest_api reads times without an offset as UTC, although they are the United Kingdom's. This is counted in the first
  line only.
- rest_api is killed if it has not ended after {limit} s.
- Versions: {versions}.

{summary}

Every build tests the same list ([test_faults.py](../tests/loading/test_faults.py)); there all faults strike at once,
each its own campaign, with eight requests in flight.

{table}
"""


if __name__ == "__main__":
    sys.exit(main())
