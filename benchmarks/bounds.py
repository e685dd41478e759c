"""The program alone, beside the bars that it has to keep: what the network allows, flat memory, old warehouses."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median

import orjson
from bare_client import bodies, first_campaign
from big_warehouses import multiply, settle_all
from pacing import LIMIT, MINUTES, paced
from processes import Ended, Failed, load, passona, run, script, serving
from results import Bar, Line, amount, compared, under
from rounds import Rounds, megabytes, new_warehouse, say, seconds

from passona.config.settings import Settings
from passona.reports.definitions import REPORTS

# Rows of alt_delivery that make 4,000 pages of 50.
PAGES_ROWS = 200_000
# Rows that the page server makes up and then repeats: enough that no two pages of 500 are alike.
REPEATED_ROWS = 10_000
# A campaign that is there, and nothing to load: what a load takes before and after its pages.
FEW_ROWS = 4
REPORT = "alt_delivery"


def latency(rounds: Rounds) -> Iterator[Line]:
    """4,000 pages of one report, each answered after 50 ms."""
    delay, what = 0.05, "pages of 50 ms"
    far = {"rows": REPEATED_ROWS, "stretch": rounds.scaled(PAGES_ROWS), "latency": delay}
    with serving(**far) as address, serving(rows=FEW_ROWS) as near:
        ended = rounds.in_turn({"start": partial(_load_report, near), what: partial(_load_report, address)})
    start, ours = seconds(ended["start"]), seconds(ended[what])
    pages = ended[what][0].document["reports"][REPORT]["pages"]
    least = pages * delay / Settings.concurrency
    reported = f"1.2 x {amount(least, 's')} and the start, {amount(start, 's')}"
    yield under(f"{pages:,} {what}, {Settings.concurrency} at once: {reported}", ours, 1.2 * least + start, "s")


def pace(rounds: Rounds) -> Iterator[Line]:
    """60 requests a minute for ten minutes."""
    for announce, whose in ((True, "announced"), (False, "set by the user")):
        (limiters,) = rounds.in_turn({whose: partial(paced, announce=announce)}).values()
        used = min(limiter.admitted for limiter in limiters) / (LIMIT * MINUTES)
        refused = max(limiter.refused for limiter in limiters)
        yield Line(
            f"{LIMIT} requests a minute {whose}, {MINUTES} simulated minutes: part used of those allowed",
            f"{used:.1%}, {refused} x 429",
            bar=">= 98%, 0 x 429",
            met=used >= 0.98 and refused == 0,
        )


def requests(rounds: Rounds) -> Iterator[Line]:
    """Requests for one report from a server that grants 500 a page. Once: they do not vary."""
    counts = {}
    for limit in (500, 50):
        options = {"rows": REPEATED_ROWS, "per_page_limit": limit, "stretch": rounds.scaled(PAGES_ROWS)}
        with serving(**options) as address:
            # The list of campaigns is one page whatever is granted, and left out.
            counts[limit] = _load_report(address).document["requests"] - 1
    yield compared(
        "one report, 500 a page granted, beside 50", counts[500], counts[50], "requests", Bar(0.1, at_least=False)
    )


def memory(rounds: Rounds) -> Iterator[Line]:
    """Peak memory of a load by the size of one report: it must not grow with it."""
    few, many = rounds.scaled(100_000), rounds.scaled(3_000_000)
    pages = {"rows": REPEATED_ROWS, "per_page_limit": 500}
    with serving(**pages, stretch=few) as small, serving(**pages, stretch=many) as large:
        ended = rounds.in_turn({f"{few:,}": partial(_load_report, small), f"{many:,}": partial(_load_report, large)})
    peaks = [megabytes(loads) for loads in ended.values()]
    for size, peak, loads in zip(ended, peaks, ended.values(), strict=True):
        yield under(f"memory, one report of {size} rows with its lists", peak, 350, "MB", amount(seconds(loads), "s"))
    bar = Bar(1.2, at_least=False)
    yield compared("memory, the larger of the two beside the smaller", max(peaks), min(peaks), "MB", bar)


def rows(rounds: Rounds) -> Iterator[Line]:
    """JSON bytes to Arrow, one thread."""
    size = rounds.scaled(100_000)
    measured = run([*script("decoding.py"), "--rows", str(size), "--runs", str(rounds.runs)]).document
    ours, floor = size / measured["ours"], size / measured["floor"]
    what = "JSON to Arrow, six reports, one thread; other: the floor's own decoding, untyped"
    yield Line(what, amount(ours, "rows/s"), amount(floor, "rows/s"), f"{ours / floor:.2f}")


def reload(rounds: Rounds) -> Iterator[Line]:
    """A campaign loaded again, in a warehouse that holds nothing else, and in a large one."""
    campaign_rows, copies = 20_000, rounds.scaled(30_000_000 // 20_000)
    with serving(rows=campaign_rows) as address, new_warehouse() as small, new_warehouse() as large:
        load(address, small)
        shutil.copy(small, large)
        say("  making the large warehouse")
        held = multiply(large, first_campaign(address), copies)
        again = partial(load, address)
        ended = rounds.in_turn(
            {"alone": partial(again, small, "--refresh"), "among many": partial(again, large, "--refresh")}
        )
        what = f"{campaign_rows:,} rows reloaded among {held:,} rows, beside the same alone"
    yield compared(what, seconds(ended["among many"]), seconds(ended["alone"]), "s", Bar(2, at_least=False))


def ledger(rounds: Rounds) -> Iterator[Line]:
    """A load of an account of which nothing is due."""
    count = rounds.scaled(10_000)
    with serving(rows=0, campaigns=count, per_page_limit=100) as address, new_warehouse() as warehouse:
        load(address, warehouse, first_campaign(address), "--report", "sent")
        entries = settle_all(warehouse)
        ended = rounds.in_turn({"load": partial(_idle, address, warehouse), "requests": partial(_listed, address)})
        (reported,) = rounds.in_turn({"status": partial(passona, warehouse, "status")}).values()
    whole, asked = median(ended["load"]), median(ended["requests"])
    what = f"{count:,} campaigns, {entries:,} ledger entries, nothing due; other: the requests, left out of ours"
    yield under(what, whole - asked, 2, "s", amount(asked, "s"))
    yield under("passona status on that warehouse", seconds(reported), 1, "s")


def starting(rounds: Rounds) -> Iterator[Line]:
    """How soon help is there."""
    (ended,) = rounds.in_turn({"--help": partial(run, [sys.executable, "-m", "passona", "--help"])}).values()
    yield under("passona --help", seconds(ended), 0.35, "s")


def server(rounds: Rounds) -> Iterator[Line]:
    """The page server by bare sockets, beside what a load asks of it."""
    size = rounds.scaled(300_000)
    for limit in (50, 500):
        with serving(rows=size, per_page_limit=limit) as address:
            targets = _targets(address, limit)
            taken = rounds.in_turn(
                {"load": partial(_load_all, address), "bare sockets": partial(_timed, address, targets)}
            )
        ours, bare = (len(targets) / median(seconds) for seconds in taken.values())
        yield compared(f"the page server to bare sockets, {limit} rows a page", ours, bare, "pages/s")


SCENARIOS: dict[str, Callable[[Rounds], Iterator[Line]]] = {
    "latency": latency,
    "pace": pace,
    "requests": requests,
    "memory": memory,
    "rows": rows,
    "reload": reload,
    "ledger": ledger,
    "help": starting,
    "server": server,
}


def _load_report(address: str) -> Ended:
    """One report of the server's only campaign, into a new warehouse."""
    with new_warehouse() as warehouse:
        return load(address, warehouse, "--report", REPORT)


def _load_all(address: str) -> float:
    """Seconds for all reports, into a new warehouse."""
    with new_warehouse() as warehouse:
        return load(address, warehouse).seconds


def _idle(address: str, warehouse: Path) -> float:
    """Seconds for a load that asks for the list and for nothing else.

    :raises Failed: it did more.
    """
    ended = load(address, warehouse)
    asked, pages = ended.document["requests"], len(_pages(address, "campaigns", 100))
    if asked != pages:
        raise Failed(f"nothing is due, and {asked} requests were sent for {pages} pages of the list")
    return ended.seconds


def _listed(address: str) -> float:
    """Seconds for the pages of the list by bare sockets."""
    return _timed(address, _pages(address, "campaigns", 100))


def _timed(address: str, targets: Sequence[str]) -> float:
    begun = time.monotonic()
    for _ in bodies(address, targets):
        pass
    return time.monotonic() - begun


def _targets(address: str, per_page: int) -> list[str]:
    """All pages of all reports of the server's only campaign."""
    campaign = first_campaign(address)
    return [page for report in REPORTS for page in _pages(address, f"reporting/{campaign}/{report}", per_page)]


def _pages(address: str, path: str, per_page: int) -> list[str]:
    (first,) = bodies(address, [f"{path}?page=1&per_page={per_page}"])
    last = orjson.loads(first)["meta"]["last_page"]
    return [f"{path}?page={number}&per_page={per_page}" for number in range(1, last + 1)]
