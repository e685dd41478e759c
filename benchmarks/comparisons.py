"""The same campaign loaded by this program and by others, as whole processes, in alternation.

A load counts only if its database then holds every row of every report.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

import duckdb
from processes import BenchmarkError, Measured, load, page_server, run, script
from results import Bar, Line, compared
from rounds import Rounds, log, megabytes, new_warehouse, seconds

from passona.reports.definitions import REPORTS

ROWS = 300_000


@dataclass(frozen=True)
class Campaign:
    """One campaign on a server, and how many rows each of its reports has."""

    address: str
    uuid: str
    rows: dict[str, int]


@dataclass(frozen=True)
class Contender:
    """A loader, the largest page size that its server grants, and the schema that it writes to."""

    load: Callable[[Campaign, Path], Measured]
    per_page_limit: int = 50
    schema: str = "reports"


@dataclass(frozen=True)
class Comparison:
    """Two contenders, and the bars for time and memory, if any."""

    name: str
    scenario: str
    other: str
    bar: Bar | None = None
    memory: Bar | None = None
    ours: str = "ours"


def _ours(campaign: Campaign, database: Path) -> Measured:
    return load(campaign.address, database, campaign.uuid)


def _other(name: str, *options: str) -> Callable[[Campaign, Path], Measured]:
    return lambda campaign, database: run(
        [*script(name), campaign.address, "sandbox", campaign.uuid, database, *options]
    )


def _rest_api(*options: str) -> Callable[[Campaign, Path], Measured]:
    reports = [text for report in REPORTS for text in ("--report", report)]
    return _other("rest_api_load.py", *reports, *options)


CONTENDERS = {
    "ours": Contender(_ours, schema="passona"),
    "ours, 500 a page": Contender(_ours, 500, schema="passona"),
    "floor": Contender(_other("floor_load.py"), schema="main"),
    "rest_api": Contender(_rest_api()),
    "rest_api, lists": Contender(_rest_api("--lists")),
    "rest_api, tuned": Contender(_rest_api("--tuned")),
}
COMPARISONS = (
    Comparison("rest_api", "rest_api with lists, 50 a page", "rest_api, lists", Bar(6), Bar(10)),
    Comparison("rest_api", "rest_api without lists, 50 a page", "rest_api"),
    Comparison(
        "per_page", "rest_api with lists, 500 a page granted", "rest_api, lists", Bar(12), ours="ours, 500 a page"
    ),
    Comparison("per_page", "rest_api without lists, 500 a page granted", "rest_api", ours="ours, 500 a page"),
    Comparison("tuned", "rest_api tuned, with lists", "rest_api, tuned", Bar(3)),
    Comparison("floor", "the floor (ours / floor)", "floor", Bar(1.5, at_least=False)),
)
NAMES = tuple(dict.fromkeys(comparison.name for comparison in COMPARISONS))


def compare(rounds: Rounds, names: Collection[str]) -> Iterator[Line]:
    """Run the comparisons of these names; all their contenders alternate."""
    comparisons = [comparison for comparison in COMPARISONS if comparison.name in names]
    wanted = {name for comparison in comparisons for name in (comparison.ours, comparison.other)}
    contenders = {name: contender for name, contender in CONTENDERS.items() if name in wanted}
    with ExitStack() as stack:
        campaigns = {
            limit: stack.enter_context(_served(limit, rounds))
            for limit in sorted({contender.per_page_limit for contender in contenders.values()})
        }
        loads = rounds.alternate(
            {
                name: partial(_load, contender, campaigns[contender.per_page_limit])
                for name, contender in contenders.items()
            }
        )
    count = sum(next(iter(campaigns.values())).rows.values())
    for comparison in comparisons:
        scenario = f"{comparison.scenario}, {count:,} rows"
        yield from _lines(comparison, scenario, loads[comparison.ours], loads[comparison.other])


@contextmanager
def _served(per_page_limit: int, rounds: Rounds) -> Iterator[Campaign]:
    """Serve a campaign until the block ends."""
    with page_server(rows=rounds.scaled(ROWS), per_page_limit=per_page_limit) as address:
        uuid = first_campaign(address)
        totals = {report: get(address, f"reporting/{uuid}/{report}")["meta"]["total"] for report in REPORTS}
        yield Campaign(address, uuid, totals)


def get(address: str, target: str) -> dict[str, Any]:
    """Request a page, outside any measurement."""
    with build_opener(ProxyHandler({})).open(f"{address}{target}") as response:  # loopback needs no proxy
        document: dict[str, Any] = json.load(response)
    return document


def first_campaign(address: str) -> str:
    """Return the uuid of the first campaign in the list."""
    return str(get(address, "campaigns")["data"][0]["uuid"])


def _load(contender: Contender, campaign: Campaign) -> Measured | None:
    """Load once and check the rows. Return None if that failed, so that the other contenders go on."""
    try:
        with new_warehouse() as database:
            measured = contender.load(campaign, database)
            _check(database, contender.schema, campaign)
    except BenchmarkError as error:
        log(str(error))
        return None
    return measured


def _check(database: Path, schema: str, campaign: Campaign) -> None:
    """Compare the row counts.

    :raises BenchmarkError: a report has more or fewer rows.
    """
    with duckdb.connect(str(database), read_only=True) as connection:
        for report, rows in campaign.rows.items():
            ((count,),) = connection.execute(f"SELECT count(*) FROM {schema}.{report}").fetchall()
            if count != rows:
                raise BenchmarkError(f"{schema}.{report} has {count} rows, expected {rows}")


def _lines(
    comparison: Comparison, scenario: str, ours: Sequence[Measured | None], others: Sequence[Measured | None]
) -> Iterator[Line]:
    if None in (*ours, *others):
        yield Line(f"{scenario}: failed", bar=str(comparison.bar or ""), met=False)
        return
    left, right = ([measured for measured in loads if measured] for loads in (ours, others))
    yield compared(f"{scenario}: time", seconds(left), seconds(right), "s", comparison.bar)
    yield compared(f"{scenario}: memory", megabytes(left), megabytes(right), "MB", comparison.memory)
