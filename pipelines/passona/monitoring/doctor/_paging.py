"""Judges of the pages: sizes, links, totals, ends, order. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from urllib.parse import urlsplit

import orjson

from passona.masking.messages import counted
from passona.monitoring.doctor._evidence import Evidence
from passona.monitoring.doctor._findings import Finding, assumption, broken, holds, unclear
from passona.monitoring.doctor._requests import Response
from passona.reports.definitions import CAMPAIGNS, CLICKS, REPORTS

_ALL = (CAMPAIGNS.name, *REPORTS)
_REFUSED = "nothing to set: loads refuse such pages and say which; tell the vendor"
# A row with a key keeps its place when its status changes.
_KEYS = {CAMPAIGNS.name: "uuid", "delivery": "SMS_ID", "alt_delivery": "MessageId"}
# Fewer rows than this may be in the same order by chance.
TELLING = 3


@assumption("the list grants page_size")
def per_page_list(evidence: Evidence) -> Finding:
    return _per_page(evidence, [CAMPAIGNS.name])


@assumption("reports grant page_size")
def per_page_reports(evidence: Evidence) -> Finding:
    return _per_page(evidence, list(REPORTS))


def _per_page(evidence: Evidence, reports: list[str]) -> Finding:
    """Compare the largest page that each report grants: a report may have a limit of its own."""
    granted: dict[str, int] = {}
    plain = []
    for response in evidence.of(*reports):
        if response.page:
            name = response.request.report
            granted[name] = max(granted.get(name, 0), response.page.per_page)
            plain += [response] if response.plain else []
    if not granted:
        return unclear("no page was seen")
    size, sizes = evidence.settings.page_size, _sizes(granted)
    if plain:
        seen = f"a page of {size} is an error ({plain[0].problem[:80]}); the default is {sizes}"
        return broken(seen, f"set page_size = {max(granted.values())}: it saves a failing request", granted=granted)
    seen = f"requested {size}, granted {sizes}"
    if min(granted.values()) < size:
        return broken(seen, "nothing to set: loads take what is granted, with more requests", granted=granted)
    return holds(seen, granted=granted)


def _sizes(granted: dict[str, int]) -> str:
    sizes = sorted(set(granted.values()), reverse=True)
    if len(sizes) == 1:
        return str(sizes[0])
    reports = {size: ", ".join(name for name in REPORTS if granted.get(name) == size) for size in sizes}
    return ", ".join(f"{size} ({names})" for size, names in reports.items())


@assumption("links.next leads to the next page", matters=True)
def links(evidence: Evidence) -> Finding:
    """Judge `links.next`. Loads ignore its host and its query, so those are only shown."""
    for response in evidence.pages:
        if response.is_link_refused:
            return broken(f"{response.place}: {response.problem}", _REFUSED)
    followed = [response for response in evidence.pages if response.page and response.page.next_number]
    if not followed:
        return unclear("no report has more than one page", next=0)
    shapes = Counter(_link_shape(str(response.links["next"]), evidence.settings.base_url) for response in followed)
    return holds(f"{len(followed)} followed: {', '.join(sorted(shapes))}", next=len(followed), shapes=dict(shapes))


def _link_shape(link: str, base_url: str) -> str:
    host = urlsplit(link).netloc
    kind = "rooted" if link.startswith("/") else "bare"
    if host:
        kind = "absolute" if host == urlsplit(base_url).netloc else "absolute, of another host"
    return f"{kind}{', with per_page' if 'per_page=' in link else ''}"


@assumption("pages are whole and agree on the total", matters=True)
def pages(evidence: Evidence) -> Finding:
    responses = [response for response in evidence.pages if response.is_page]
    if not responses:
        return unclear("no page was seen")
    for response in responses:
        if response.page is None and not response.is_link_refused and response.total != 0:
            return broken(f"{response.place}: {response.problem}", _REFUSED)
    for walk in _walks(responses):
        if disagreement := _disagreement(walk):
            return broken(disagreement, "run again; a load retries such a walk, and refuses the report if it stays so")
    whole = [walk for walk in _walks(evidence.of(*_ALL)) if walk[0].page and len(walk) == walk[0].page.last_page]
    return holds(f"all of {counted(len(responses), 'page')}; {counted(len(whole), 'report')} read whole")


def _walks(responses: Sequence[Response]) -> list[list[Response]]:
    walks = defaultdict(list)
    for response in responses:
        if response.page:
            walks[response.request.path].append(response)
    return list(walks.values())


def _disagreement(walk: list[Response]) -> str:
    """Return how the pages of a report disagree, or ""."""
    rows: dict[bytes, int] = {}
    for response in walk:
        request = response.request
        # Clicks, and campaigns in the list, may be added between two requests.
        may_grow = request.report in (CLICKS.name, CAMPAIGNS.name) or request.purpose == "again"
        if response.total != walk[0].total and not may_grow:
            return f"{response.place}: meta.total {response.total}, on page 1 {walk[0].total}"
        if request.purpose == "page" and len(response.rows) >= TELLING:
            first = rows.setdefault(orjson.dumps(response.rows, default=str), request.page)
            if first != request.page:
                return f"{response.place}: the rows of page {first} again"
    return ""


@assumption("an empty report is one page without rows", matters=True)
def empty_report(evidence: Evidence) -> Finding:
    empty = [response for response in evidence.of(*_ALL) if response.request.page == 1 and response.total == 0]
    if not empty:
        return unclear("no empty report was seen")
    for response in empty:
        if response.page is None and not response.is_link_refused:
            return broken(f"{response.place}: {response.problem}", _REFUSED)
    return holds(f"{len(empty)} seen, with total 0 and one page")


@assumption("a page past the end is 200 without rows")
def past_end(evidence: Evidence) -> Finding:
    responses = evidence.of(*_ALL, purpose="past_end")
    if not responses:
        return unclear("none was requested")
    for response in responses:
        if response.status != 200:
            advice = "nothing to set: a report that loses its last page during a walk may fail once"
            return broken(f"{response.place}: {response.problem}", advice, status=response.status)
        if response.rows or not response.is_page:
            seen = f"{len(response.rows)} rows" if response.rows else "no page"
            return broken(f"{response.place}: {seen}", "nothing to set: loads request no such page")
    return holds(f"{len(responses)} requested")


@assumption("rows come in the same order again", matters=True)
def order(evidence: Evidence) -> Finding:
    """Judge the order: without one, rows move between pages, and a walk misses some."""
    first = {(r.request.path, r.request.page): r for r in evidence.of(*_ALL) if r.page}
    compared = 0
    for again in evidence.of(*_ALL, purpose="again"):
        before = first.get((again.request.path, again.request.page))
        if not again.page or not before or (before.total, before.page_size) != (again.total, again.page_size):
            continue
        old, new = _row_keys(before), _row_keys(again)
        if len(set(old)) < TELLING:
            continue
        if old != new:
            kind = "the same rows in another order" if Counter(old) == Counter(new) else "other rows the second time"
            advice = "nothing to set: loads refuse such walks if they notice; ask the vendor for an order"
            return broken(f"{again.place}: {kind}", advice)
        compared += 1
    if not compared:
        return unclear("no page of three different rows to read twice")
    return holds(f"{counted(compared, 'page')} read twice, both times the same")


def _row_keys(response: Response) -> list[str]:
    """Return what identifies each row of a page, in their order."""
    key = _KEYS.get(response.request.report, "")
    return [str(row.get(key) or orjson.dumps(row, default=str)) for row in response.rows]
