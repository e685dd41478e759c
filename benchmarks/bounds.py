"""The program measured against absolute bars: latency, memory, large warehouses, idle loads, start-up."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from big_warehouses import multiply, settle_all
from comparisons import first_campaign, get
from csv_import import import_csv
from processes import BenchmarkError, Measured, load, page_server, passona, run
from results import Bar, Line, amount, below, compared
from rounds import Rounds, log, megabytes, new_warehouse, seconds

from passona.config.settings import Settings

# Rows of alt_delivery that fill 4,000 pages of 50.
LATENCY_ROWS = 200_000
# Rows that the page server makes up and then repeats: enough that no two pages of 500 are equal.
REPEATED_ROWS = 10_000
# A campaign with almost nothing to load: what a load takes before and after its pages.
FEW_ROWS = 4
REPORT = "alt_delivery"


def latency(rounds: Rounds) -> Iterator[Line]:
    """Load 4,000 pages of one report, each sent after 50 ms."""
    delay, scenario = 0.05, "pages of 50 ms"
    far = {"rows": REPEATED_ROWS, "stretch": rounds.scaled(LATENCY_ROWS), "latency": delay}
    with page_server(**far) as address, page_server(rows=FEW_ROWS) as near:
        loads = rounds.alternate({"start": partial(_load_report, near), scenario: partial(_load_report, address)})
    start, ours = seconds(loads["start"]), seconds(loads[scenario])
    pages = loads[scenario][0].document["reports"][REPORT]["pages"]
    least = pages * delay / Settings.concurrency
    limit = f"1.2 x {amount(least, 's')} and the start, {amount(start, 's')}"
    yield below(f"{pages:,} {scenario}, {Settings.concurrency} at once: {limit}", ours, 1.2 * least + start, "s")


def memory(rounds: Rounds) -> Iterator[Line]:
    """Compare the peak memory of a large and a small report: it must not grow with the size."""
    few, many = rounds.scaled(100_000), rounds.scaled(3_000_000)
    pages = {"rows": REPEATED_ROWS, "per_page_limit": 500}
    with page_server(**pages, stretch=few) as small, page_server(**pages, stretch=many) as large:
        loads = rounds.alternate({f"{few:,}": partial(_load_report, small), f"{many:,}": partial(_load_report, large)})
    peaks = [megabytes(runs) for runs in loads.values()]
    for (size, runs), peak in zip(loads.items(), peaks, strict=True):
        yield below(f"memory, one report of {size} rows with its lists", peak, 350, "MB", amount(seconds(runs), "s"))
    bar = Bar(1.2, at_least=False)
    yield compared("memory, the larger report compared with the smaller", max(peaks), min(peaks), "MB", bar)


def accounts(rounds: Rounds) -> Iterator[Line]:
    """Load three accounts of equal size, whose servers take 50 ms a page, and one of them alone."""
    count, rows = 3, rounds.scaled(60_000)
    with ExitStack() as stack:
        far = {"rows": rows, "campaigns": 4, "latency": 0.05}
        addresses = [stack.enter_context(page_server(**far, seed=seed)) for seed in range(1, count + 1)]
        loads = rounds.alternate({"one": partial(_load_all, addresses[:1]), "three": partial(_load_all, addresses)})
    one, three, pages = loads["one"], loads["three"], f"{rows:,} rows each in pages of 50 ms"
    bar = Bar(1.2, at_least=False)
    yield compared(f"{count} accounts, {pages}, compared with one", seconds(three), seconds(one), "s", bar)
    yield compared(f"{count} accounts, memory, compared with one", megabytes(three), megabytes(one), "MB", bar)


def reload(rounds: Rounds) -> Iterator[Line]:
    """Reload a campaign in a warehouse that holds nothing else, and in a large one."""
    campaign_rows, copies = 20_000, rounds.scaled(30_000_000 // 20_000)
    with page_server(rows=campaign_rows) as address, new_warehouse() as small, new_warehouse() as large:
        load(address, small)
        shutil.copy(small, large)
        log("  building the large warehouse")
        total = multiply(large, first_campaign(address), copies)
        again = partial(load, address)
        loads = rounds.alternate(
            {"alone": partial(again, small, "--refresh"), "among many": partial(again, large, "--refresh")}
        )
    scenario = f"{campaign_rows:,} rows reloaded among {total:,} rows, compared with the same rows alone"
    yield compared(scenario, seconds(loads["among many"]), seconds(loads["alone"]), "s", Bar(2, at_least=False))


def nothing_due(rounds: Rounds) -> Iterator[Line]:
    """Load an account of which nothing is due."""
    count = rounds.scaled(10_000)
    with page_server(rows=0, campaigns=count, per_page_limit=100) as address, new_warehouse() as warehouse:
        load(address, warehouse, first_campaign(address), "--report", "sent")
        entries = settle_all(warehouse)
        runs = rounds.alternate(
            {"load": partial(_load_nothing, address, warehouse), "status": partial(passona, warehouse, "status")}
        )
    yield below(f"{count:,} campaigns, {entries:,} ledger entries, nothing due", seconds(runs["load"]), 2, "s")
    yield below("passona status on that warehouse", seconds(runs["status"]), 1, "s")


def start(rounds: Rounds) -> Iterator[Line]:
    """Print the help."""
    (runs,) = rounds.alternate({"--help": partial(run, [sys.executable, "-m", "passona", "--help"])}).values()
    yield below("passona --help", seconds(runs), 0.35, "s")


SCENARIOS: dict[str, Callable[[Rounds], Iterator[Line]]] = {
    "latency": latency,
    "memory": memory,
    "accounts": accounts,
    "reload": reload,
    "nothing_due": nothing_due,
    "help": start,
    "csv": import_csv,
}


def _load_report(address: str) -> Measured:
    """Load one report of the server's only campaign into a new warehouse."""
    with new_warehouse() as warehouse:
        return load(address, warehouse, "--report", REPORT)


def _load_all(addresses: Sequence[str]) -> Measured:
    """Load an account from each of these servers into a new warehouse."""
    variables = {}
    for number, address in enumerate(addresses):
        section = f"SOURCES__PASSONA__ACCOUNTS__A{number}"
        variables |= {f"{section}__API_TOKEN": "sandbox", f"{section}__BASE_URL": address}
    with new_warehouse() as warehouse:
        return passona(warehouse, "load", "--json", **variables)


def _load_nothing(address: str, warehouse: Path) -> Measured:
    """Load when nothing is due.

    :raises BenchmarkError: the load requested more than the campaign list.
    """
    measured = load(address, warehouse)
    requests, pages = measured.document["requests"], get(address, "campaigns?per_page=100")["meta"]["last_page"]
    if requests != pages:
        raise BenchmarkError(f"nothing is due, but {requests} requests were sent for {pages} pages of the list")
    return measured
