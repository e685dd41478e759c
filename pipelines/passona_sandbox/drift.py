"""Faults of the data: rows that appear, vanish or change just before a page is made, so that paging shifts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from passona_sandbox.account import Account
from passona_sandbox.edits import Edit, delete, insert, set_value, shuffle
from passona_sandbox.faults import Fault, Visit
from passona_sandbox.reports import CAMPAIGNS, Row


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
        account.edit(visit.campaign, visit.report, EDITS[fault.kind](fault, first))


def _status_change(fault: Fault, row: Row) -> Edit:
    key = next((key for key in ("Status", "Reason", "status") if key in row), "Status")
    return set_value(fault.options["index"], key, fault.options["to"])


def _insert(fault: Fault, row: Row) -> Edit:
    new = fault.options["row"]
    return insert(fault.options["index"], row if new is None else new)


EDITS: dict[str, Callable[[Fault, Row], Edit]] = {
    "insert": _insert,
    "delete": lambda fault, _: delete(fault.options["index"]),
    "shuffle": lambda fault, _: shuffle(fault.options["seed"]),
    "status_change": _status_change,
}
