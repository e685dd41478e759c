"""Judges of the pages: sizes, links, totals, ends, order. Pure."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from urllib.parse import urlsplit

import orjson

from passona.monitoring.doctor._answers import Answer
from passona.monitoring.doctor._findings import Finding, broken, holds, unclear
from passona.monitoring.doctor._sightings import Sightings
from passona.monitoring.doctor._words import several
from passona.reports.definitions import CAMPAIGNS, CLICKS, REPORTS

# Rows that are told apart by a key keep their place when a status changes.
_KEYS = {CAMPAIGNS.name: "uuid", "delivery": "SMS_ID", "alt_delivery": "MessageId"}
# Fewer rows than this come in the same order by chance.
TELLING = 3


def per_page_list(seen: Sightings) -> Finding:
    return _per_page(seen, [CAMPAIGNS.name])


def per_page_reports(seen: Sightings) -> Finding:
    return _per_page(seen, list(REPORTS))


def _per_page(seen: Sightings, reports: list[str]) -> Finding:
    """What the server grants. A report may have sizes of its own, so the largest of each is looked at."""
    answers = [answer for answer in seen.of(*reports) if answer.page]
    if not answers:
        return unclear("no page was seen")
    asked = seen.settings.page_size
    granted: dict[str, int] = {}
    for answer in answers:
        granted[answer.ask.report] = max(granted.get(answer.ask.report, 0), answer.page.per_page if answer.page else 0)
    detail = f"asked for {asked}, granted {_sizes(granted)}"
    plain = [answer for answer in answers if answer.plain]
    if plain:
        detail = f"a page of {asked} is an error ({plain[0].trouble[:80]}); granted unasked: {_sizes(granted)}"
        return broken(detail, f"set page_size = {max(granted.values())}: it saves a request each time", granted=granted)
    if any(size < asked for size in granted.values()):
        return broken(detail, "nothing to set: loads take what is granted, with more requests", granted=granted)
    return holds(detail, granted=granted)


def _sizes(granted: dict[str, int]) -> str:
    sizes = sorted(set(granted.values()), reverse=True)
    if len(sizes) == 1:
        return str(sizes[0])
    named = {size: ", ".join(name for name in REPORTS if granted.get(name) == size) for size in sizes}
    return ", ".join(f"{size} ({names})" for size, names in named.items())


def links(seen: Sightings) -> Finding:
    """Whether `links.next` can be followed. Its host and its query are ignored, so they are told alone."""
    for answer in seen.pages:
        if answer.is_link_refused:
            return broken(f"{answer.place}: {answer.trouble}", _REFUSED)
    followed = [answer for answer in seen.pages if answer.page and answer.page.next_number]
    if not followed:
        return unclear("no report has more than one page", next=0)
    shapes = Counter(_shape(str(answer.links["next"]), seen.settings.base_url) for answer in followed)
    return holds(f"{len(followed)} followed: {', '.join(sorted(shapes))}", next=len(followed), shapes=dict(shapes))


_REFUSED = "nothing to set: loads refuse such pages and say which; tell the vendor"


def _shape(link: str, base_url: str) -> str:
    host, own = urlsplit(link).netloc, urlsplit(base_url).netloc
    kind = "rooted" if link.startswith("/") else "bare"
    if host:
        kind = "absolute" if host == own else "absolute, of another host"
    return f"{kind}{', with per_page' if 'per_page=' in link else ''}"


def pages(seen: Sightings) -> Finding:
    """Whether the pages are whole, and agree with each other on the total."""
    came = [answer for answer in seen.pages if answer.is_page]
    if not came:
        return unclear("no page was seen")
    for answer in came:
        if answer.page is None and not answer.is_link_refused and answer.total != 0:
            return broken(f"{answer.place}: {answer.trouble}", _REFUSED)
    for walk in _walks(came).values():
        detail = _disagreement(walk)
        if detail:
            return broken(detail, "run again; loads walk such a report again, and refuse it if it does not calm down")
    whole = [walk for walk in _walks(seen.of(CAMPAIGNS.name, *REPORTS)).values() if _is_whole(walk)]
    return holds(f"all {len(came)} do; {several(len(whole), 'report')} read whole")


def _walks(answers: Sequence[Answer]) -> dict[str, list[Answer]]:
    walks = defaultdict(list)
    for answer in answers:
        if answer.page:
            walks[answer.ask.path].append(answer)
    return walks


def _is_whole(walk: list[Answer]) -> bool:
    return walk[0].page is not None and len(walk) == walk[0].page.last_page


def _disagreement(walk: list[Answer]) -> str:
    """How the pages of a report disagree; nothing if they do not."""
    rows: dict[bytes, int] = {}
    for answer in walk:
        if answer.total != walk[0].total and not _moves(answer):
            return f"{answer.place}: meta.total {answer.total}, on page 1 {walk[0].total}"
        if answer.ask.purpose == "page" and len(answer.rows) >= TELLING:
            other = rows.setdefault(orjson.dumps(answer.rows, default=str), answer.ask.page)
            if other != answer.ask.page:
                return f"{answer.place}: the rows of page {other} once more"
    return ""


def _moves(answer: Answer) -> bool:
    """Whether rows may come between two requests: clicks at any time, and the list where somebody works."""
    return answer.ask.report in (CLICKS.name, CAMPAIGNS.name) or answer.ask.purpose == "again"


def empty_report(seen: Sightings) -> Finding:
    empty = [answer for answer in seen.of(CAMPAIGNS.name, *REPORTS) if answer.ask.page == 1 and answer.total == 0]
    if not empty:
        return unclear("no report without rows among those seen")
    for answer in empty:
        if answer.page is None and not answer.is_link_refused:
            return broken(f"{answer.place}: {answer.trouble}", _REFUSED)
    return holds(f"{len(empty)} seen, with total 0 and one page")


def past_end(seen: Sightings) -> Finding:
    asked = seen.of(CAMPAIGNS.name, *REPORTS, purpose="past_end")
    if not asked:
        return unclear("none was asked for")
    for answer in asked:
        if answer.status != 200:
            return broken(
                f"{answer.place}: {answer.trouble}",
                "nothing to set: a report that loses its last page while it is walked may fail once",
                status=answer.status,
            )
        if answer.rows or not answer.is_page:
            detail = f"{len(answer.rows)} rows" if answer.rows else "no page"
            return broken(f"{answer.place}: {detail}", "nothing to set: loads ask for no such page")
    return holds(f"{len(asked)} asked for, so answered")


def order(seen: Sightings) -> Finding:
    """Whether rows come in the same order again. Where they do not, pages shift and rows go missing."""
    reports = (CAMPAIGNS.name, *REPORTS)
    before = {(a.ask.path, a.ask.page): a for a in seen.of(*reports) if a.page}
    pairs = [(before.get((a.ask.path, a.ask.page)), a) for a in seen.of(*reports, purpose="again") if a.page]
    compared = 0
    for first, again in pairs:
        if first is None or first.total != again.total or first.asked != again.asked:
            continue
        old, new = _places(first), _places(again)
        if len(set(old)) < TELLING:
            continue
        if old != new:
            kind = "the same rows in another order" if Counter(old) == Counter(new) else "other rows the second time"
            return broken(
                f"{again.place}: {kind}",
                "nothing to set: loads refuse such walks where they can tell; ask the vendor for an order",
            )
        compared += 1
    if not compared:
        return unclear("no page of three different rows to read twice")
    return holds(f"{several(compared, 'page')} read twice, the same again")


def _places(answer: Answer) -> list[str]:
    """The rows of a page in their order, each by what tells it apart."""
    key = _KEYS.get(answer.ask.report, "")
    return [str(row.get(key) or orjson.dumps(row, default=str)) for row in answer.rows]


def campaign_ids(seen: Sightings) -> Finding:
    """Whether each campaign has a uuid of its own, which names its reports."""
    uuids = [row.get("uuid") for row in seen.listed_rows]
    if not uuids:
        return unclear("no campaigns")
    good = [uuid for uuid in uuids if isinstance(uuid, str) and re.fullmatch(r"[0-9A-Za-z-]{1,64}", uuid)]
    if len(good) < len(uuids):
        return broken(f"{len(uuids) - len(good)} of {len(uuids)} campaigns without a uuid", _REFUSED)
    if len(set(good)) < len(good):
        return broken(f"{len(good) - len(set(good))} of {len(good)} campaigns listed twice", "run again; " + _REFUSED)
    return holds(f"{several(len(good), 'campaign')} seen, each with one")
