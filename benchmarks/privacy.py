"""`make privacy`: load hostile rows in each privacy mode, also with kills, and search every byte left for people.

    PYTHONPATH=pipelines/tools python benchmarks/privacy.py [--rows 100000] [--kills 10] [--only loads|figures]

Prints what was searched and found, what each mode costs compared with clear, and whether a pseudonymous
warehouse answers docs/sql.md with the same figures. The exit code is 1 if a trace was found or a figure differs.
(tests/privacy/test_forget_everywhere.py forgets one of many people.)
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

import duckdb

from demo_data import build_demo
from passona_sandbox import Account, Sandbox
from sql_docs import PAGE, answer, blocks
from traces import People, people_of, traces

KEY = "0123456789abcdef0123456789abcdef"
MODES = ("clear", "pseudonymous", "minimal")
ROUNDS = 3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--only", choices=["loads", "figures"])
    options = parser.parse_args()
    failures = 0
    with tempfile.TemporaryDirectory() as name:
        if options.only != "figures":
            failures += hostile_loads(Path(name), options.rows, options.kills)
        if options.only != "loads":
            failures += different_figures(Path(name))
    return min(failures, 1)


def hostile_loads(folder: Path, rows: int, kills: int) -> int:
    """Load a hostile account in every way, and return the number of failures."""
    account = Account(rows=rows, hostile=True, seed=3)
    people = people_of(account)
    log(f"{rows:,} hostile rows; searching for {len(people.phones):,} phones and {len(people.marks)} other marks")
    with Sandbox(account) as box:
        return whole_loads(folder, box, people) + killed_loads(folder, box, people, kills)


def whole_loads(folder: Path, box: Sandbox, people: People) -> int:
    """Load in alternating modes and search the files of each mode's first load. Clear must leave traces."""
    log("whole loads")
    seconds: dict[str, list[float]] = defaultdict(list)
    failures = 0
    for number in range(ROUNDS):
        for mode in MODES:
            target = new_folder(folder, f"{mode}{number}")
            seconds[mode].append(load(target, box, mode))
            if number == 0:
                found = search(target, people, f"{mode} load")
                failures += (found == 0) if mode == "clear" else found
            shutil.rmtree(target)
    for mode, times in seconds.items():
        ratio = median(times) / median(seconds["clear"])
        log(f"  {mode}: median of {ROUNDS} loads {median(times):.2f} s, {ratio:.2f} of clear")
    return failures


def killed_loads(folder: Path, box: Sandbox, people: People, kills: int) -> int:
    """Kill loads at random moments in the same folder, search it after each kill, and load once more."""
    log("killed loads")
    failures = 0
    for mode in MODES[1:]:
        chance = random.Random(mode)
        usual = load(new_folder(folder, f"{mode}.usual"), box, mode)
        target = new_folder(folder, f"{mode}.killed")
        killed = with_traces = 0
        while killed < kills:
            process = start(target, box, mode, "--refresh")
            try:
                process.wait(chance.uniform(1, usual))
            except subprocess.TimeoutExpired:
                killed += 1
                process.kill()
                process.wait()
            with_traces += len(traces(target, people))
        load(target, box, mode, "--refresh")
        log(f"  {mode}: {killed} loads killed, {with_traces} files with traces")
        failures += with_traces + search(target, people, f"{mode}, the load after the kills")
    return failures


def different_figures(folder: Path) -> int:
    """Ask the questions of docs/sql.md of a pseudonymous warehouse, and return how many answers differ."""
    os.environ.update(settings("pseudonymous") | {"SOURCES__PASSONA__PRIVACY_FIELDS": '["Town"]'})
    path = new_folder(folder, "demo") / "warehouse.duckdb"
    build_demo(path)
    questions = list(blocks(PAGE.read_text("utf-8")))
    with duckdb.connect(str(path), read_only=True) as connection:
        different = sum(answer(connection, sql) != result for sql, result in questions)
    log(f"docs/sql.md, pseudonymous: {len(questions)} questions, {different} different answers")
    return different


def load(folder: Path, box: Sandbox, mode: str, *arguments: str) -> float:
    """Load, and return the seconds it took. Its output stays in the folder, to be searched too."""
    started = time.monotonic()
    code = start(folder, box, mode, *arguments).wait()
    if code:
        raise SystemExit(f"passona load in {mode} mode ended with {code}: {(folder / 'stderr.txt').read_text()}")
    return time.monotonic() - started


def start(folder: Path, box: Sandbox, mode: str, *arguments: str) -> subprocess.Popen[bytes]:
    account = {"SOURCES__PASSONA__API_TOKEN": box.token, "SOURCES__PASSONA__BASE_URL": box.base_url}
    with (folder / "stdout.txt").open("ab") as stdout, (folder / "stderr.txt").open("ab") as stderr:
        return subprocess.Popen(
            [sys.executable, "-m", "passona", "load", *arguments],
            cwd=folder,
            env=os.environ | account | settings(mode) | {"TMPDIR": str(folder / "tmp")},
            stdout=stdout,
            stderr=stderr,
        )


def settings(mode: str) -> dict[str, str]:
    return {} if mode == "clear" else {"SOURCES__PASSONA__PRIVACY": mode, "SOURCES__PASSONA__PRIVACY_KEY": KEY}


def search(folder: Path, people: People, what: str) -> int:
    """Search the files of a folder and return how many contain traces."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    found = {file: f"{len(marks)} such as {min(marks)!r}" for file, marks in traces(folder, people).items()}
    log(f"  {what}: {len(files)} files, {sum(path.stat().st_size for path in files):,} bytes: {found or 'no traces'}")
    return len(found)


def new_folder(folder: Path, name: str) -> Path:
    target = folder / name
    (target / "tmp").mkdir(parents=True)
    return target


def log(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
