"""One page: the body of an answer in, rows and the number of the next page out, or why the page is refused. Pure.

Envelope: the guide's samples (`data`, `links`, `meta`). Their links are bare (`api/2.0/reporting/...`), rooted or
absolute, may name another host, and drop the query that was sent; numbers in `meta` are integers or digits in a string.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from passona.errors import PageRefused
from passona.reports.decoding import BYTE_ORDER_MARK, DEEPEST, NotJSON, Number, RepeatedKeys, Row, TooDeep, decode


@dataclass(frozen=True, slots=True)
class Page:
    """One page as served. `next_number`: None on the last page. `per_page`: what the server grants."""

    number: int
    rows: list[Row]
    total: int
    last_page: int
    per_page: int
    next_number: int | None


def read_page(body: bytes, path: str, number: int) -> Page:
    """Read page `number` of `path` from an answer's body.

    :raises PageRefused: the body is not JSON, its envelope is not the guide's, it is not the page asked for, or its
        next link does not lead to the next page.
    """
    document = _decoded(body)
    meta = document.get("meta")
    if not isinstance(meta, dict):
        raise PageRefused("an object under meta", f"meta {_kind(meta)}")
    page = Page(
        number=_number(meta, "current_page"),
        rows=_rows(document),
        total=_number(meta, "total"),
        last_page=_number(meta, "last_page"),
        per_page=_number(meta, "per_page"),
        next_number=_next_number(document.get("links"), path),
    )
    _check(page, number)
    return page


def _check(page: Page, number: int) -> None:
    """Check that a page is consistent in itself; a walk checks the pages against each other."""
    if page.number != number:
        raise PageRefused(f"page {number}", f"meta.current_page {page.number}")
    if page.per_page < 1:
        raise PageRefused("meta.per_page of 1 or more", str(page.per_page))
    pages = max(1, -(-page.total // page.per_page))
    if page.last_page != pages:
        raise PageRefused(
            f"meta.last_page {pages} for total {page.total} at {page.per_page} a page",
            str(page.last_page),
            page_size=True,
        )
    if number > page.last_page:
        raise PageRefused(f"no page after the last ({page.last_page})", f"page {number}")
    full = page.per_page if number < page.last_page else page.total - page.per_page * (page.last_page - 1)
    if len(page.rows) != full:
        raise PageRefused(f"{full} rows on page {number} of {page.last_page}", f"{len(page.rows)} rows", page_size=True)
    _check_next(page)


def _check_next(page: Page) -> None:
    if page.number == page.last_page:
        if page.next_number is not None:
            raise PageRefused(f"no next link on the last page ({page.last_page})", f"a link to page {page.next_number}")
    elif page.next_number is None:
        raise PageRefused(f"a next link on page {page.number} of {page.last_page}", "links.next null")
    elif page.next_number != page.number + 1:
        raise PageRefused(f"a next link to page {page.number + 1}", f"a link to page {page.next_number}")


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        document = decode(body)
    except NotJSON as error:
        raise PageRefused("JSON", _describe(body)) from error
    except TooDeep as error:
        raise PageRefused("values of a few levels", f"values nested more than {DEEPEST} levels deep") from error
    if not isinstance(document, dict):
        raise PageRefused("a JSON object with data, links and meta", f"JSON {_kind(document)}")
    _check_envelope(document)
    return document


def _check_envelope(document: Mapping[str, Any]) -> None:
    """Refuse a repeated key in the envelope: only one of its values could be right."""
    for part in (document, document.get("meta"), document.get("links")):
        if isinstance(part, RepeatedKeys):
            raise PageRefused("each key of data, links and meta once", "one twice")


def _describe(body: bytes) -> str:
    """Describe a body that is not JSON, without quoting it: it may hold anything."""
    text = body.lstrip(BYTE_ORDER_MARK).lstrip()
    if not text:
        return "an empty body"
    if text[:1] == b"<":
        return f"an HTML page of {len(body)} bytes (a login page or a proxy?)"
    return f"{len(body)} bytes that are not whole JSON"


def _rows(document: Mapping[str, Any]) -> list[Row]:
    data = document.get("data")
    if not isinstance(data, list):
        raise PageRefused("a list under data", f"data {_kind(data)}")
    for row in data:
        if not isinstance(row, dict):
            raise PageRefused("objects in data", f"a row that is {_kind(row)}")
    return data


def _number(meta: Mapping[str, Any], key: str) -> int:
    value = meta.get(key)
    if type(value) is int and 0 <= value < 10**18:
        return value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value):
        return int(value)
    raise PageRefused(f"a whole number under meta.{key}", _kind(value))


def _next_number(links: object, path: str) -> int | None:
    """Return the page number in `links.next`.

    The path is checked. The host is ignored because servers behind a proxy get it wrong; so is the rest of the query.
    """
    if not isinstance(links, dict) or "next" not in links:
        raise PageRefused("an object under links with a next", f"links {_kind(links)}")
    link = links["next"]
    if link is None:
        return None
    if not isinstance(link, str):
        raise PageRefused("text or null under links.next", _kind(link))
    try:
        parts = urlsplit(link)
    except ValueError as error:
        raise PageRefused("an address under links.next", "text that is none") from error
    if not f"/{parts.path.lstrip('/')}".lower().endswith(f"/{path.lower()}"):
        raise PageRefused(f"a next link to {path}", "a link to another path")
    pages = parse_qs(parts.query).get("page", [])
    if len(pages) != 1 or not re.fullmatch(r"[0-9]{1,18}", pages[0]):
        raise PageRefused("one page number in links.next", "a link without one")
    return int(pages[0])


def _kind(value: object) -> str:
    """Describe the kind of a value for errors, never its content."""
    kinds = {bool: "boolean", int: "number", Number: "number", str: "text", list: "list", dict: "object"}
    if isinstance(value, int) and not isinstance(value, bool):
        return f"number {value}"
    return "null or missing" if value is None else f"of kind {next(kinds[k] for k in kinds if isinstance(value, k))}"
