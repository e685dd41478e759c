"""Faults of a page, and the answer is 200 all the same: its envelope or its rows are wrong, or the rows move.

Rows move (`EDITS`) just before a page is made, permanently, so that paging shifts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from passona_sandbox.account import Account
from passona_sandbox.edits import Edit, delete, insert, shuffle
from passona_sandbox.faults import Fault, Visit
from passona_sandbox.pages import Book
from passona_sandbox.reports import CAMPAIGNS, REPORTS, Row

_SOMEBODY = "00000000-0000-11e9-8000-0242ac120002"


def spoil_page(page: Row, book: Book, visit: Visit, faults: Sequence[Fault]) -> Row:
    """Spoil a page; a fault in a part that an earlier fault removed has no effect."""
    for fault in faults:
        if fault.kind in SPOILERS:
            SPOILERS[fault.kind](page, fault, book, visit)
    return page


def _rows(page: Row) -> list[Any]:
    rows = page.get("data")
    return rows if isinstance(rows, list) else []


def _not_object(page: Row, fault: Fault, _book: Book, _visit: Visit) -> None:
    rows, index = _rows(page), fault.options["index"]
    rows[index : index + 1] = [7]


def _meta(page: Row, fault: Fault, _book: Book, _visit: Visit) -> None:
    page.get("meta", {}).update(fault.options["fields"])


def _next(page: Row, fault: Fault, book: Book, visit: Visit) -> None:
    to, here, following = fault.options["to"], book.link(visit.page), book.link(visit.page + 1)
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


def _repeat(page: Row, fault: Fault, book: Book, visit: Visit) -> None:
    page["data"] = book.data(fault.options["of"] or max(visit.page - 1, 1))


def _swallow(page: Row, fault: Fault, _book: Book, _visit: Visit) -> None:
    index = fault.options["index"]
    del _rows(page)[index : index + 1]


def _duplicate(page: Row, fault: Fault, _book: Book, _visit: Visit) -> None:
    rows, index = _rows(page), fault.options["index"]
    rows[index:index] = rows[index : index + 1]


def _extra_key(page: Row, fault: Fault, _book: Book, _visit: Visit) -> None:
    for row in _rows(page):
        row[fault.options["name"]] = fault.options["value"]


def _missing_key(page: Row, fault: Fault, _book: Book, _visit: Visit) -> None:
    for row in _rows(page):
        row.pop(fault.options["name"] or list(row)[-1], None)


def _prefix(page: Row, fault: Fault, _book: Book, _visit: Visit) -> None:
    for row in _rows(page):
        name = fault.options["name"] or next(iter(row))
        row[name] = fault.options["text"] + row[name] if isinstance(row[name], str) else row[name]


def _wrong_type(page: Row, fault: Fault, _book: Book, _visit: Visit) -> None:
    for row in _rows(page):
        row[fault.options["name"] or next(iter(row))] = fault.options["value"]


SPOILERS: dict[str, Callable[[Row, Fault, Book, Visit], object]] = {
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


def drift(account: Account, visit: Visit, faults: Sequence[Fault]) -> None:
    """Change the rows that this visit asks for, permanently; an unknown campaign stays unknown."""
    for fault in faults:
        if fault.kind not in EDITS:
            continue
        try:
            view = account.listed() if visit.report == CAMPAIGNS else account.view(visit.campaign, visit.report)
        except KeyError:
            return
        first = view.row(0) if view.count else {}
        account.edit(visit.campaign, visit.report, EDITS[fault.kind](fault.options, first))


def _insert(options: Row, first: Row) -> Edit:
    return insert(options["index"], first if options["row"] is None else options["row"])


EDITS: dict[str, Callable[[Row, Row], Edit]] = {
    "insert": _insert,
    "delete": lambda options, _: delete(options["index"]),
    "shuffle": lambda options, _: shuffle(options["seed"]),
}
