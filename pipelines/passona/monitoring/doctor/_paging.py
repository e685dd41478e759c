"""Judges of the pages: sizes, links, totals, order, and messages that two reports have in common. Pure."""

from collections import Counter, defaultdict

import orjson

from passona.masking.messages import counted
from passona.monitoring.doctor._evidence import Evidence, Finding, assumption, broken, holds, unclear
from passona.monitoring.doctor._requests import Response
from passona.reports.definitions import ALT_DELIVERY, CAMPAIGNS, CLICKS, DELIVERY, REPORTS

_ALL = (CAMPAIGNS.name, *REPORTS)
_REFUSED = "nothing to set: loads refuse such pages and say which; tell the vendor"
# A row with a key keeps its place when its status changes.
_KEYS = {CAMPAIGNS.name: "uuid", "delivery": "SMS_ID", "alt_delivery": "MessageId"}
# Fewer rows than this may be in the same order by chance.
TELLING = 3
# Pages of two reports in different orders share at least this many messages by chance; only then
# does sharing none prove anything.
EXPECTED = 20
# Of an ended campaign, fewer than the rest changes between two requests.
JOINED = 0.99
_UNJOINED = "nothing to set: each message would be in one report of analytics only; ask the vendor"


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
        return broken(seen, f"set page_size = {max(granted.values())}: it saves a failing request")
    seen = f"requested {size}, granted {sizes}"
    if min(granted.values()) < size:
        return broken(seen, "nothing to set: loads take what is granted, with more requests")
    return holds(seen)


def _sizes(granted: dict[str, int]) -> str:
    sizes = sorted(set(granted.values()), reverse=True)
    if len(sizes) == 1:
        return str(sizes[0])
    reports = {size: ", ".join(name for name in REPORTS if granted.get(name) == size) for size in sizes}
    return ", ".join(f"{size} ({names})" for size, names in reports.items())


@assumption("links.next leads to the next page", matters=True)
def links(evidence: Evidence) -> Finding:
    """Check `links.next`. Loads ignore its host and its query."""
    for response in evidence.responses:
        if response.is_link_refused:
            return broken(f"{response.place}: {response.problem}", _REFUSED)
    followed = [response for response in evidence.responses if response.page and response.page.next_number]
    return holds(f"{len(followed)} followed") if followed else unclear("no report has more than one page")


@assumption("pages are whole and agree on the total", matters=True)
def pages(evidence: Evidence) -> Finding:
    responses = [response for response in evidence.responses if response.status == 200]
    for response in responses:
        if response.page is None and not response.is_link_refused:
            return broken(f"{response.place}: {response.problem}", _REFUSED)
    walks = defaultdict(list)
    for response in responses:
        if response.page:
            walks[response.request.path].append(response)
    for walk in walks.values():
        if disagreement := _disagreement(walk):
            return broken(disagreement, "run again; a load retries such a walk, and refuses the report if it stays so")
    whole = sum(
        len({r.request.page for r in walk}) == walk[0].page.last_page for walk in walks.values() if walk[0].page
    )
    return holds(f"all of {counted(len(responses), 'page')}; {counted(whole, 'report')} read whole")


def _disagreement(walk: list[Response]) -> str:
    """Return how the pages of a report disagree, or ""."""
    rows: dict[bytes, int] = {}
    for response in walk:
        request = response.request
        # Clicks, and campaigns in the list, may be added between two requests.
        may_grow = request.report in (CLICKS.name, CAMPAIGNS.name) or request.again
        if response.total != walk[0].total and not may_grow:
            return f"{response.place}: meta.total {response.total}, on page 1 {walk[0].total}"
        if not request.again and len(response.rows) >= TELLING:
            first = rows.setdefault(orjson.dumps(response.rows, default=str), request.page)
            if first != request.page:
                return f"{response.place}: the rows of page {first} again"
    return ""


@assumption("rows come in the same order again", matters=True)
def order(evidence: Evidence) -> Finding:
    """Check the order: without one, rows move between pages, and a walk misses some."""
    first = {(r.request.path, r.request.page): r for r in evidence.of(*_ALL) if r.page}
    compared = 0
    for again in evidence.of(*_ALL, again=True):
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


@assumption("SMS_ID and MessageId are the same", matters=True)
def message_ids(evidence: Evidence) -> Finding:
    delivery, alt_delivery = evidence.texts(DELIVERY.name, "SMS_ID"), evidence.texts(ALT_DELIVERY.name, "MessageId")
    totals, alt_totals = evidence.totals(DELIVERY.name), evidence.totals(ALT_DELIVERY.name)
    expected = joined = by_chance = 0
    for uuid in delivery.keys() & alt_delivery.keys():
        ids, alt_ids = set(delivery[uuid]), set(alt_delivery[uuid])
        total, alt_total = totals.get(uuid, 0), alt_totals.get(uuid, 0)
        if not ids or not alt_ids or not total or not alt_total:
            continue
        if abs(total - alt_total) > (1 - JOINED) * max(total, alt_total):
            return broken(f"{total:,} rows in delivery, {alt_total:,} in alt_delivery of {uuid}", _UNJOINED)
        whole = len(ids) == total and len(alt_ids) == alt_total
        joined += len(ids & alt_ids)
        expected += len(ids | alt_ids) if whole else len(ids & alt_ids)
        by_chance += len(ids) if whole else len(ids) * len(alt_ids) // total
    if joined and joined >= JOINED * expected:
        return holds(f"{counted(joined, 'message')} seen in both reports")
    if by_chance < EXPECTED and not joined:
        return unclear("too few messages of one campaign were seen in both reports" if by_chance else "no messages")
    return broken(f"{joined:,} of {max(expected, by_chance):,} messages are in both reports", _UNJOINED)
