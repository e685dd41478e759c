"""Faults of a page, and the answer is 200 all the same: its envelope or its rows are wrong (`PAGES`), or rows come, go
and move just before it is made, permanently, so that paging shifts (`EDITS`).

Each takes what it spoils and the options of its rule (`faults`). A part that an earlier fault removed stays away.
"""

from collections.abc import Callable
from typing import Any

from passona_sandbox.edits import Edit, delete, insert, shuffle
from passona_sandbox.pages import Book
from passona_sandbox.reports import CAMPAIGNS, REPORTS, Row, Visit

_SOMEBODY = "00000000-0000-11e9-8000-0242ac120002"
NEXT = ("same", "skip", "first", "past_end", "other_campaign", "other_report", "foreign", "garbage")


def _rows(page: Row) -> list[Any]:
    rows = page.get("data")
    return rows if isinstance(rows, list) else []


def _not_object(page: Row, _book: Book, _visit: Visit, *, index: int = 0) -> None:
    _rows(page)[index : index + 1] = [7]


def _meta(page: Row, _book: Book, _visit: Visit, *, fields: Row) -> None:
    page.get("meta", {}).update(fields)


def _next(page: Row, book: Book, visit: Visit, *, to: object) -> None:
    here, following = book.link(visit.page), book.link(visit.page + 1)
    other = next(report for report in REPORTS if report != visit.report)
    words = {
        "same": here,
        "skip": book.link(visit.page + 2),
        "first": book.link(1),
        "past_end": book.link(book.last + 1),
        "other_campaign": following.replace(visit.campaign or CAMPAIGNS, _SOMEBODY),
        "other_report": following.replace(f"/{visit.report}?", f"/{other}?"),
        "foreign": f"https://elsewhere.example/api/2.0/{visit.path}?page={visit.page + 1}",
        "garbage": "ht!tp://[::1/%%?page=two",
    }
    page.get("links", {})["next"] = words.get(to, to) if isinstance(to, str) else to


def _repeat(page: Row, book: Book, visit: Visit, *, of: int | None = None) -> None:
    page["data"] = book.data(of or max(visit.page - 1, 1))


def _swallow(page: Row, _book: Book, _visit: Visit, *, index: int = 0) -> None:
    del _rows(page)[index : index + 1]


def _duplicate(page: Row, _book: Book, _visit: Visit, *, index: int = 0) -> None:
    rows = _rows(page)
    rows[index:index] = rows[index : index + 1]


def _extra_key(page: Row, _book: Book, _visit: Visit, *, name: str = "New_Key", value: object = "new") -> None:
    for row in _rows(page):
        row[name] = value


def _missing_key(page: Row, _book: Book, _visit: Visit, *, name: str | None = None) -> None:
    for row in _rows(page):
        row.pop(name or list(row)[-1], None)


def _prefix(page: Row, _book: Book, _visit: Visit, *, text: str, name: str | None = None) -> None:
    for row in _rows(page):
        key = name or next(iter(row))
        row[key] = text + row[key] if isinstance(row[key], str) else row[key]


def _wrong_type(page: Row, _book: Book, _visit: Visit, *, name: str | None = None, value: object = 7) -> None:
    for row in _rows(page):
        row[name or next(iter(row))] = value


def _insert(first: Row, *, index: int = 0, row: Row | None = None) -> Edit:
    return insert(index, first if row is None else row)


def _delete(_first: Row, *, index: int = 0) -> Edit:
    return delete(index)


def _shuffle(_first: Row, *, seed: int = 1) -> Edit:
    return shuffle(seed)


PAGES: dict[str, Callable[..., object]] = {
    "data_null": lambda page, *_: page.update(data=None),
    "data_missing": lambda page, *_: page.pop("data", None),
    "data_item_not_object": _not_object,
    "meta_missing": lambda page, *_: page.pop("meta", None),
    "meta": _meta,
    "next": _next,
    "repeat_page": _repeat,
    "swallow_row": _swallow,
    "duplicate_row": _duplicate,
    "extra_key": _extra_key,
    "missing_key": _missing_key,
    "prefix": _prefix,
    "wrong_type": _wrong_type,
}
EDITS: dict[str, Callable[..., Edit]] = {"insert": _insert, "delete": _delete, "shuffle": _shuffle}
