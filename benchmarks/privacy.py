"""`make privacy`: hostile loads in each mode, killed and not, and every byte of what they leave searched for people.

    python benchmarks/privacy.py [--rows 100000] [--kills 10]

Prints what was searched and found, what the modes cost beside clear, whether a pseudonymous warehouse
answers docs/sql.md with the same figures, and what forgetting one person leaves. Ends with 1 where a trace was found.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import duckdb

from demo_data import build_demo
from passona_sandbox import Account, Sandbox
from sql_docs import PAGE, answer, blocks

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.traces import People, people_of, traces  # noqa: E402
from support.warehouses import Warehouse, environment_of  # noqa: E402  # found by the line above

KEY = "0123456789abcdef0123456789abcdef"
MODES = ("clear", "pseudonymous", "minimal")
ROUNDS = 3
PEOPLE = 100_000
GONE = "447700055555"  # clicks, too


def say(line: str) -> None:
    print(line, flush=True)


def settings(mode: str) -> dict[str, str]:
    return {} if mode == "clear" else {"SOURCES__PASSONA__PRIVACY": mode, "SOURCES__PASSONA__PRIVACY_KEY": KEY}


def begin(folder: Path, box: Sandbox, mode: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "passona", *arguments],
        cwd=folder,
        env=environment_of(box) | settings(mode) | {"TMPDIR": str(folder / "tmp")},
        stdout=(folder / "stdout.txt").open("ab"),
        stderr=(folder / "stderr.txt").open("ab"),
    )


def run(folder: Path, box: Sandbox, mode: str, *arguments: str) -> float:
    """Seconds it took; what it said stands in the folder, and is searched, too."""
    begun = time.monotonic()
    code = begin(folder, box, mode, *arguments).wait()
    if code:
        raise SystemExit(f"passona {arguments[0]} in {mode} mode ended with {code}: {folder / 'stderr.txt'}")
    return time.monotonic() - begun


def made(folder: Path, name: str) -> Path:
    target = folder / name
    (target / "tmp").mkdir(parents=True)
    return target


def size(folder: Path) -> str:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return f"{len(files)} files, {sum(path.stat().st_size for path in files):,} bytes"


def search(folder: Path, people: People, what: str) -> int:
    found = traces(folder, people)
    shown = {file: f"{len(seen)} such as {min(seen)!r}" for file, seen in found.items()}
    say(f"  {what}: {size(folder)} searched, {'nothing found' if not found else shown}")
    return len(found)


def whole_loads(folder: Path, box: Sandbox, people: People) -> int:
    """Each mode in turn, several times; the first of each is searched."""
    seconds: dict[str, list[float]] = defaultdict(list)
    bad = 0
    for number in range(ROUNDS):
        for mode in MODES:
            target = made(folder, f"{mode}{number}")
            seconds[mode].append(run(target, box, mode, "load"))
            if number == 0:
                found = search(target, people, f"{mode} load")
                bad += found if mode != "clear" else found == 0
            shutil.rmtree(target)
    say(f"  median of {ROUNDS} rounds in turn:")
    middle = {mode: statistics.median(times) for mode, times in seconds.items()}
    for mode, time_taken in middle.items():
        say(f"  {mode}: {time_taken:.2f} s, {time_taken / middle['clear']:.2f} of clear")
    return bad


def killed_loads(folder: Path, box: Sandbox, people: People, kills: int) -> int:
    """Loads killed at random moments, each leaving what the next one finds; searched after each kill."""
    bad = 0
    for mode in MODES[1:]:
        dice = random.Random(mode)
        usual = run(made(folder, f"{mode}.usual"), box, mode, "load")
        target = made(folder, f"{mode}.killed")
        killed = searched = 0
        while killed < kills:
            load = begin(target, box, mode, "load", "--refresh")
            try:
                load.wait(dice.uniform(1, usual))
            except subprocess.TimeoutExpired:
                killed += 1
                load.kill()
                load.wait()
            searched += sum(path.is_file() for path in target.rglob("*"))
            bad += len(traces(target, people))
        run(target, box, mode, "load", "--refresh")
        say(f"  {mode}: {killed} loads killed; {searched} files searched, {bad} with traces")
        bad += search(target, people, f"{mode}, the load after the kills")
    return bad


def crowd() -> Account:
    """100,000 people in one campaign, all of them sent to, every fifth of them clicking."""
    account = Account.empty()
    uuid = "11111111-1111-4111-8111-111111111111"
    phones = [f"44770{number:07}" for number in range(PEOPLE)]
    names = {"FieldNames": "Name,Town", "FieldValues": None}
    account.put(
        {"uuid": uuid, "started_sending_at": "2020-06-25 20:26:02", "expiry_date": "2020-06-27 20:26:02"},
        {
            "recipient": [
                {"Phone_Number": phone, "Group_Name": "All", "Group_Description": None, "Field_Names": "Name,Town",
                 "Field_Values": f"Person {phone[5:]},Leith"} for phone in phones
            ],
            "delivery": [
                {"SMS_ID": f"m{phone}", "Sender": "S", "Recipient": phone, "Message_Copy": f"Dear Person {phone[5:]}",
                 "Status": "Success", "Expiry_Date": None} for phone in phones
            ],
            "alt_delivery": [
                {"MessageId": f"m{phone}", "Mobile": phone, "MessageSent": "2020-06-25 20:26:04",
                 "MessageUpdate": "2020-06-25 20:26:09", "Status": "Success", **names} for phone in phones
            ],
            "clicks": [
                {"Phone_Number": phone, "Link_Name": "L", "Link_Destination": "https://e.org/", "Device_Type": None,
                 "Clicked_At": "2020-06-25 21:00:00", "User_Agent": "Mozilla/5.0 (iPhone) AppleWebKit/605",
                 "OS_Version": None, "Browser_Version": None} for phone in phones[::5]
            ],
        },
    )  # fmt: skip
    return account


def one_forgotten(folder: Path) -> int:
    """One of 100,000 people: what is left, what else changed, what the next load brings, what the marts count."""
    target = made(folder, "crowd")
    warehouse = Warehouse(target / "warehouse.duckdb")
    with Sandbox(crowd()) as box:
        run(target, box, "clear", "load", "--transform")
        before, sums = warehouse.content(), totals(warehouse)
        seconds = run(target, box, "clear", "forget", GONE)
        run(target, box, "clear", "load", "--refresh", "--transform")
    after = warehouse.content()
    lost = {name: len(before[name]) - len(rows) for name, rows in after.items()}
    strangers = sum(len(set(rows) - set(before[name])) for name, rows in after.items())
    said = ", ".join(f"{name} {rows}" for name, rows in lost.items() if rows)
    say(f"  one of {PEOPLE:,} people forgotten in {seconds:.1f} s; rows gone: {said}")
    say(f"  after a load of everything: {strangers} rows other than before")
    say(f"  targeted, sent, clicks, clickers: {sums}, then {totals(warehouse)}")
    (missing,) = warehouse.one("SELECT sum(api_total - row_count - coalesce(suppressed, 0)) FROM passona.report_ledger")
    say(f"  api_total less row_count and suppressed: {missing}")
    mine = People(frozenset({GONE.encode()}), frozenset({f"Person {GONE[5:]}".encode()}))
    return search(target, mine, "for that number and name") + (strangers > 0) + (missing != 0)


def totals(warehouse: Warehouse) -> tuple[Any, ...]:
    return warehouse.one("SELECT targeted, sent, clicks, clickers FROM analytics.campaigns")


def same_figures(folder: Path) -> int:
    """The questions of docs/sql.md put to the demo's data, loaded pseudonymously."""
    os.environ.update(settings("pseudonymous") | {"SOURCES__PASSONA__PRIVACY_FIELDS": '["Town"]'})
    path = made(folder, "demo") / "warehouse.duckdb"
    build_demo(path)
    with duckdb.connect(str(path), read_only=True) as connection:
        differ = [sql for sql, result in blocks(PAGE.read_text("utf-8")) if answer(connection, sql) != result]
    say(f"  {len(list(blocks(PAGE.read_text('utf-8'))))} questions, {len(differ)} answered with other figures")
    return len(differ)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--only", choices=["loads", "forgetting", "figures"])
    options = parser.parse_args()
    bad = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.only in (None, "loads"):
            bad += hostile_loads(folder, options.rows, options.kills)
        if options.only in (None, "forgetting"):
            say("forgetting")
            bad += one_forgotten(folder)
        if options.only in (None, "figures"):
            say("docs/sql.md, pseudonymous")
            bad += same_figures(folder)
    return min(bad, 1)


def hostile_loads(folder: Path, rows: int, kills: int) -> int:
    account = Account(rows=rows, hostile=True, seed=3)
    people = people_of(account)
    say(f"{rows:,} hostile rows; to be found: {len(people.phones):,} phones, {len(people.marks)} names and the like")
    with Sandbox(account) as box:
        say("whole loads")
        bad = whole_loads(folder, box, people)
        say("killed loads")
        return bad + killed_loads(folder, box, people, kills)


if __name__ == "__main__":
    sys.exit(main())
