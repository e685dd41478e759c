"""What goes wrong is survived or refused by name: never wrong rows, never a hang, never a secret told.

Faults that ask for the same settings strike one load together, each its own campaign: a load costs a
second, and what one campaign suffers must not reach another.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fault_cases import FAULTS, REPORT, ROWS_AFTER, ROWS_BEFORE, TOKEN, Fault, campaign, message
from passona.warehouse.run import Outcome
from passona_sandbox import Account, Sandbox, Switches
from support.engines import copy
from support.oracle import Expected, expected
from support.stored import stored
from support.warehouses import Warehouse

pytestmark = pytest.mark.both

QUICK: dict[str, Any] = {"reports": [REPORT], "retry_pause": 0.002}
LEDGER = "SELECT state, verified_at, changed_at, row_count, api_total, digest FROM passona.report_ledger WHERE campaign_id = ?"
LAST_RUN = "SELECT outcome FROM passona.runs ORDER BY started_at DESC LIMIT 1"
BEFORE = expected(ROWS_BEFORE)


@dataclass(frozen=True)
class Struck:
    """A load under faults: the warehouse before, after, and after one more load without them."""

    outcome: Outcome
    reported: str
    account: Account
    before: Warehouse
    after: Warehouse
    healed: Warehouse

    def served(self, fault: Fault) -> Counter[Expected]:
        return expected(self.account.rows(fault.uuid, REPORT))


def account_of(faults: list[Fault], rows: list[dict[str, Any]]) -> Account:
    account = Account.empty()
    for fault in faults:
        account.put(campaign(fault.uuid), {REPORT: rows})
    return account


def strike(faults: list[Fault], folder: Path) -> Struck:
    """Loads in good order, then under these faults (of the same settings), then once more without."""
    before, after, healed = (Warehouse(folder / name / "warehouse.duckdb") for name in ("before", "after", "healed"))
    for warehouse in (before, after, healed):
        warehouse.path.parent.mkdir()
    with Sandbox(account_of(faults, ROWS_BEFORE), Switches(token=TOKEN)) as box:
        assert before.load(box, **QUICK).exit_code == 0
    copy(before.path, after.path)
    account = account_of(faults, ROWS_AFTER)
    with Sandbox(account, Switches(token=TOKEN)) as box, Sandbox(account, Switches(token=TOKEN)) as elsewhere:
        host = elsewhere.base_url.removesuffix("/api/2.0/")
        box.switches = Switches(token=TOKEN, **faults[0].switches_for(host))
        box.faults = [rule for fault in faults for rule in fault.rules_for(fault.uuid, host)]
        with Said("passona") as said:
            outcome = after.load(box, page_size=faults[0].per_page, request_timeout=faults[0].seconds, **QUICK)
        assert all(rule.struck for rule in box.faults)
        assert elsewhere.requests == []
        copy(after.path, healed.path)
        if any(fault.refused or fault.missed for fault in faults):
            box.faults = []
            assert healed.load(box, **QUICK).exit_code == 0
    return Struck(outcome, "\n".join([*outcome.errors, *said.lines]), account, before, after, healed)


class Said(logging.Handler):
    """All that a logger says, of whatever level."""

    def __init__(self, name: str) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        self._logger = logging.getLogger(name)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))

    def __enter__(self) -> Said:
        self._level = self._logger.level
        self._logger.setLevel(logging.DEBUG)
        self._logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)
        self._logger.setLevel(self._level)


@pytest.fixture(scope="session")
def struck(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Fault], Struck]:
    """Gives the load that a fault was part of."""

    def settings(fault: Fault) -> tuple[Any, ...]:
        return fault.per_page, fault.seconds, tuple(fault.switches.items()), fault.exit_code == 3

    @cache
    def together(asked: tuple[Any, ...]) -> Struck:
        return strike([fault for fault in FAULTS if settings(fault) == asked], tmp_path_factory.mktemp("struck"))

    return lambda fault: together(settings(fault))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@pytest.mark.core(6)
def test_a_fault_is_survived_or_refused_by_name(fault: Fault, struck: Callable[[Fault], Struck]) -> None:
    load = struck(fault)
    errors = [error for error in load.outcome.errors if fault.uuid in error or fault.exit_code == 3]
    held = stored(load.after.path, fault.uuid, REPORT)
    if fault.refused is None:
        assert errors == []
        assert sum((load.served(fault) - held).values()) <= fault.missed
        assert held.total() == len(list(load.account.rows(fault.uuid, REPORT)))
        assert fault.missed or held == load.served(fault)
        assert load.after.one(LEDGER, fault.uuid)[0] == "open"
    else:
        assert held == BEFORE
        (error,) = errors
        assert_named(fault, error, load)
    assert stored(load.healed.path, fault.uuid, REPORT) == load.served(fault)
    assert TOKEN not in load.reported
    assert not re.search(r"4471234|Doe|John", load.reported), "a phone number or a name"


def assert_named(fault: Fault, error: str, load: Struck) -> None:
    """The error says where, what was expected, what came and what next; the ledger says it too."""
    assert fault.refused
    assert fault.refused in error
    assert load.outcome.exit_code == fault.exit_code
    before = load.before.one(LEDGER, fault.uuid)
    if fault.exit_code == 3:
        assert load.after.one(LEDGER, fault.uuid) == before
        assert load.after.one(LAST_RUN) == ("token refused",)
        return
    assert error.startswith(f"campaign {fault.uuid}, {REPORT}: ")
    assert fault.page is None or f": page {fault.page}: expected" in error
    assert re.search(r"expected .+, got .+; nothing of it was changed, the next load asks again$", error)
    assert load.after.one(LEDGER, fault.uuid) == ("failed", *before[1:])
    sql = "SELECT error, run_id FROM passona.report_ledger WHERE campaign_id = ?"
    assert load.after.one(sql, fault.uuid) == (error, load.outcome.run_id)
    assert load.after.one(LAST_RUN) == ("failed",)


@pytest.fixture
def account() -> Account:
    """Four campaigns, each with rows on three pages."""
    account = Account.empty()
    for n, uuid in enumerate(UUIDS):
        account.put(campaign(uuid), {REPORT: [message(1_000 * n + i) for i in range(120)]})
    return account


@pytest.fixture
def box(account: Account) -> Iterator[Sandbox]:
    with Sandbox(account, Switches(token=TOKEN)) as box:
        yield box


UUIDS = [f"{n}f0c1a7e-b6d2-11ea-8f31-0242ac120008" for n in range(4)]


def assert_as_served(warehouse: Warehouse, account: Account, *uuids: str) -> None:
    for uuid in uuids:
        assert stored(warehouse.path, uuid, REPORT) == expected(account.rows(uuid, REPORT))


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_401_in_mid_run_ends_it_and_what_was_verified_before_is_kept(
    concurrency: int, warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    box.faults = [{"kind": "status", "code": 401, "report": REPORT, "campaign": UUIDS[2], "page": 3}]
    outcome = warehouse.load(box, page_size=50, concurrency=concurrency, **QUICK)
    assert outcome.exit_code == 3
    statuses = [record.status for record in box.requests]
    assert len(statuses) - statuses.index(401) <= concurrency
    verified = [
        uuid
        for (uuid,) in warehouse.rows("SELECT campaign_id FROM passona.report_ledger WHERE verified_at IS NOT NULL")
    ]
    assert UUIDS[2] not in verified
    assert_as_served(warehouse, account, *verified)
    assert warehouse.count(REPORT) == 120 * len(verified)
    if concurrency == 1:
        assert set(verified) == {*UUIDS[:2]}
    box.faults = []
    assert warehouse.load(box, **QUICK).exit_code == 0
    assert_as_served(warehouse, account, *UUIDS)


@pytest.mark.core
def test_one_report_that_fails_leaves_the_others_loaded(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    box.faults = [{"kind": "status", "code": 403, "report": REPORT, "campaign": UUIDS[1], "page": 2}]
    outcome = warehouse.load(box, page_size=50, **(QUICK | {"reports": [REPORT, "unsent"]}))
    assert outcome.exit_code == 4
    (error,) = outcome.errors
    assert f"campaign {UUIDS[1]}, {REPORT}: page 2: expected a page, got status 403" in error
    assert_as_served(warehouse, account, UUIDS[0], *UUIDS[2:])
    assert warehouse.count(REPORT) == 360
    states = dict(warehouse.rows("SELECT campaign_id || ' ' || report, state FROM passona.report_ledger"))
    assert states.pop(f"{UUIDS[1]} {REPORT}") == "failed"
    assert set(states.values()) == {"open"}


def test_a_missing_campaign_list_stops_only_loads_that_need_it(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    box.faults = [{"kind": "status", "code": 500, "report": "campaigns"}]
    outcome = warehouse.load(box, **QUICK)
    assert outcome.exit_code == 4
    (error,) = outcome.errors
    assert error.startswith("list of campaigns: page 1: expected a page, got status 500")
    assert warehouse.load(box, UUIDS[0], **QUICK).exit_code == 0
    assert_as_served(warehouse, account, UUIDS[0])
    assert warehouse.count(REPORT) == 120
