"""The same campaign loaded by us and by others, each a whole process, in turn.

    page servers -> contenders, round by round -> contests -> lines

A load counts only if every row of every report is in its database.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import duckdb
import orjson
from bare_client import bodies, first_campaign
from peer import AIRBYTE, SINGER, NotInstalled, Peer
from processes import Ended, Failed, load, run, script, serving
from results import Bar, Line, compared
from rounds import Rounds, megabytes, new_warehouse, say, seconds

from passona.reports.definitions import REPORTS


@dataclass(frozen=True)
class Campaign:
    """One campaign on a server: where it is, and how many rows each of its reports has."""

    address: str
    uuid: str
    rows: dict[str, int]

    @property
    def arguments(self) -> tuple[str, str, str]:
        """What the other programs are told: address, token, campaign."""
        return self.address, "sandbox", self.uuid


@dataclass(frozen=True)
class Shop:
    """A page server of one campaign: rows in all its reports, largest page, seconds before each answer."""

    rows: int
    per_page_limit: int = 50
    latency: float = 0.0


@dataclass(frozen=True)
class Contender:
    """One program as it is set up: the server it asks, what runs it, the schema it writes to, what it needs."""

    shop: str
    run: Callable[[Campaign, Path], Ended]
    schema: str = "reports"
    peer: Peer | None = None


@dataclass(frozen=True)
class Contest:
    """Two contenders, and the bars for time and memory, if there are any."""

    name: str
    what: str
    other: str
    bar: Bar | None = None
    memory: Bar | None = None
    ours: str = "ours"


def _ours(campaign: Campaign, database: Path) -> Ended:
    return load(campaign.address, database, campaign.uuid)


def _other(name: str, *options: str) -> Callable[[Campaign, Path], Ended]:
    return lambda campaign, database: run([*script(name), *campaign.arguments, database, *options])


def _rest_api(*options: str) -> Callable[[Campaign, Path], Ended]:
    reports = [text for report in REPORTS for text in ("--report", report)]
    return _other("rest_api_load.py", *reports, *options)


def _peer(peer: Peer, shop: str) -> Contender:
    """One that must be installed first."""
    return Contender(
        shop, lambda campaign, database: run([peer.python, peer.script, *campaign.arguments, database]), peer=peer
    )


# The Singer tap asks one page after another: 600 pages of 50 ms are half a minute.
SHOPS = {
    "narrow": Shop(300_000),
    "wide": Shop(300_000, per_page_limit=500),
    "far": Shop(30_000, latency=0.05),
}
CONTENDERS = {
    "ours": Contender("narrow", _ours, "passona"),
    "floor": Contender("narrow", _other("floor_load.py"), "main"),
    "ours, 500 a page": Contender("wide", _ours, "passona"),
    "rest_api": Contender("narrow", _rest_api()),
    "rest_api, lists": Contender("narrow", _rest_api("--lists")),
    "rest_api, tuned": Contender("narrow", _rest_api("--tuned")),
    "singer": _peer(SINGER, "narrow"),
    "airbyte": _peer(AIRBYTE, "narrow"),
    "ours, 50 ms": Contender("far", _ours, "passona"),
    "singer, 50 ms": _peer(SINGER, "far"),
    "airbyte, 50 ms": _peer(AIRBYTE, "far"),
}
CONTESTS = (
    Contest("rest_api", "rest_api with lists, 50 a page", "rest_api, lists", Bar(6), Bar(10)),
    Contest("rest_api", "rest_api without lists, 50 a page", "rest_api"),
    Contest("per_page", "rest_api with lists, 500 a page granted", "rest_api, lists", Bar(12), ours="ours, 500 a page"),
    Contest("per_page", "rest_api without lists, 500 a page granted", "rest_api", ours="ours, 500 a page"),
    Contest("tuned", "rest_api tuned, with lists", "rest_api, tuned", Bar(3)),
    Contest("floor", "the floor (ours / floor)", "floor", Bar(1.5, at_least=False)),
    Contest("singer", "Singer tap and target", "singer", Bar(6)),
    Contest("singer_far", "Singer tap and target, 50 ms", "singer, 50 ms", Bar(6), ours="ours, 50 ms"),
    Contest("airbyte", "PyAirbyte, low-code manifest", "airbyte", Bar(6)),
    Contest("airbyte_far", "PyAirbyte, low-code manifest, 50 ms", "airbyte, 50 ms", Bar(6), ours="ours, 50 ms"),
)
NAMES = tuple(dict.fromkeys(contest.name for contest in CONTESTS))


def compare(rounds: Rounds, names: Collection[str]) -> Iterator[Line]:
    """The contests of these names, all contenders taken in turn."""
    contests, missing = _possible([contest for contest in CONTESTS if contest.name in names])
    yield from missing
    wanted = {name for contest in contests for name in (contest.ours, contest.other)}
    with ExitStack() as stack:
        contenders = {name: contender for name, contender in CONTENDERS.items() if name in wanted}
        shops = {contender.shop for contender in contenders.values()}
        campaigns = {shop: stack.enter_context(_opened(SHOPS[shop], rounds)) for shop in sorted(shops)}
        ended = rounds.in_turn(
            {name: partial(_contend, contender, campaigns[contender.shop]) for name, contender in contenders.items()}
        )
    for contest in contests:
        rows = sum(campaigns[CONTENDERS[contest.other].shop].rows.values())
        yield from _lines(contest, f"{contest.what}, {rows:,} rows", ended[contest.ours], ended[contest.other])


def _possible(contests: Sequence[Contest]) -> tuple[list[Contest], list[Line]]:
    """The contests without those of a peer that cannot be had, and a line for each of these."""
    missing = _missing({peer for contest in contests if (peer := CONTENDERS[contest.other].peer)})
    possible, lines = [], []
    for contest in contests:
        reason = missing.get(CONTENDERS[contest.other].peer)
        if reason:
            lines.append(Line(f"{contest.what}: skipped, {reason}", bar=str(contest.bar)))
        else:
            possible.append(contest)
    return possible, lines


def _missing(peers: Collection[Peer]) -> dict[Peer | None, str]:
    """Installs these; those that cannot be had, with the reason."""
    missing: dict[Peer | None, str] = {}
    for peer in sorted(peers, key=lambda peer: peer.name):
        try:
            peer.install()
        except NotInstalled as reason:
            say(str(reason))
            missing[peer] = str(reason)
    return missing


@contextmanager
def _opened(shop: Shop, rounds: Rounds) -> Iterator[Campaign]:
    """The campaign of a server that ends with the block."""
    rows = rounds.scaled(shop.rows)
    with serving(rows=rows, per_page_limit=shop.per_page_limit, latency=shop.latency) as address:
        uuid = first_campaign(address)
        firsts = bodies(address, [f"reporting/{uuid}/{report}?page=1" for report in REPORTS])
        totals = (orjson.loads(body)["meta"]["total"] for body in firsts)
        yield Campaign(address, uuid, dict(zip(REPORTS, totals, strict=True)))


def _contend(contender: Contender, campaign: Campaign) -> Ended | None:
    """One load, looked at afterwards; None if it failed, so that the others go on."""
    try:
        with new_warehouse() as database:
            ended = contender.run(campaign, database)
            _check(database, contender.schema, campaign)
    except Failed as error:
        say(str(error))
        return None
    return ended


def _check(database: Path, schema: str, campaign: Campaign) -> None:
    """Is every row there.

    :raises Failed: there are more, or less.
    """
    with duckdb.connect(str(database), read_only=True) as connection:
        for report, rows in campaign.rows.items():
            ((found,),) = connection.execute(f"SELECT count(*) FROM {schema}.{report}").fetchall()
            if found != rows:
                raise Failed(f"{schema}.{report} has {found} rows and not {rows}")


def _lines(contest: Contest, what: str, ours: Sequence[Ended | None], others: Sequence[Ended | None]) -> Iterator[Line]:
    left, right = ([end for end in ended if end is not None] for ended in (ours, others))
    if len(left) + len(right) < len(ours) + len(others):
        yield Line(f"{what}: failed", bar=str(contest.bar or ""), met=False)
        return
    yield compared(f"{what}: time", seconds(left), seconds(right), "s", contest.bar)
    yield compared(f"{what}: memory", megabytes(left), megabytes(right), "MB", contest.memory)
