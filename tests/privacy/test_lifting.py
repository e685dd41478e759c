"""`passona forget --lift`: the next load brings back exactly what `forget` took, and asks for nothing else."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from passona.config.privacy_settings import PrivacySettings
from passona.erasure.lift import Lifted, lift
from passona.erasure.person import person
from passona.errors import ConfigurationError
from passona.warehouse.verification import verify
from passona_sandbox import Account, Sandbox
from support.ann_and_zeb import ANN, ZEB, batch, delivery, fill, recipient
from support.campaigns import ONE, THREE, TWO, click, ended_campaign, open_campaign
from support.csv_imports import exported_csv, import_csv
from support.ledgers import ledger_states
from support.marts import build_marts, mart_rows
from support.people import KEY, MODES, NEW_KEY, TOKENS, forget_people, silent
from support.sandbox_requests import requested_reports
from support.warehouses import Warehouse

pytestmark = pytest.mark.both

Run = Callable[..., "subprocess.CompletedProcess[str]"]
OLD = "44444444-4444-4444-8444-444444444444"


def lifted(
    warehouse: Warehouse, *phones: str, published: Sequence[Path] = (), dry_run: bool = False, **privacy_settings: Any
) -> Lifted:
    texts = [(f"argument {number}", phone) for number, phone in enumerate(phones, 1)]
    known = PrivacySettings(published=tuple(map(str, published)), **privacy_settings)
    return lift(warehouse.address, texts, known, 0, silent, dry_run=dry_run)


def settled(account: Account, ann: str = ANN) -> None:
    """Three campaigns whose reports settle at once: Ann is in one, named in another, and not in the third."""
    fill(account, ann)
    account.put(ended_campaign(ONE, 100), {name: list(account.rows(ONE, name)) for name in ("clicks", "delivery", "alt_delivery", "recipient", "unsent", "sent")})  # fmt: skip
    account.put(
        ended_campaign(TWO, 100), {"clicks": [click(Phone_Number=ZEB)], "sent": [batch("call +44 7700 900123")]}
    )
    account.put(ended_campaign(THREE, 100), {"delivery": [delivery(ZEB, "Hi Zeb")], "sent": [batch("Hi")]})


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("loads", [0, 2])
def test_the_next_load_brings_everything_back(
    warehouse: Warehouse, account: Account, box: Sandbox, mode: str, loads: int
) -> None:
    settled(account)
    warehouse.load(box, **MODES[mode])
    before = warehouse.content()
    assert {*ledger_states(warehouse).values()} == {"settled"}
    forget_people(warehouse, ANN, **MODES[mode])
    for _ in range(loads):
        warehouse.load(box, **MODES[mode])
    assert warehouse.content() != before
    box.forget_requests()
    found = lifted(warehouse, "+44 (0)7700 900123", **MODES[mode])
    due = [(ONE, name) for name in ("alt_delivery", "clicks", "delivery", "recipient", "sent", "unsent")]
    assert (found.people, found.due) == (1, [*due, (TWO, "sent")])
    assert (found.unknown, found.unlisted, found.expired, found.left) == ([], [], [], [])
    assert warehouse.rows("SELECT entry FROM passona._forgotten") == []
    assert warehouse.load(box, **MODES[mode]).exit_code == 0
    assert requested_reports(box) == found.due
    assert warehouse.content() == before
    assert {*ledger_states(warehouse).values()} == {"settled"}
    warehouse.load(box, **MODES[mode])
    assert requested_reports(box) == []
    assert warehouse.one("SELECT sum(suppressed) FROM passona.report_ledger") == (0,)


def test_the_warehouse_is_whole_until_then(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    settled(account)
    warehouse.load(box)
    forget_people(warehouse, ANN)
    without = warehouse.content()
    lifted(warehouse, ANN)
    assert warehouse.content() == without
    assert verify(warehouse.address, 0, silent).lines == []
    assert warehouse.one("SELECT count(*) FROM passona.report_ledger WHERE verified_at IS NULL") == (0,)
    assert warehouse.rows("SELECT verb, outcome FROM passona.runs ORDER BY started_at") == [
        ("load", "ok"), ("forget", "ok"), ("forget", "ok"),
    ]  # fmt: skip


def test_a_dry_run_counts_and_changes_nothing(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    settled(account)
    warehouse.load(box)
    forget_people(warehouse, ANN)
    before = warehouse.content(), warehouse.table("report_ledger"), warehouse.table("runs")
    counted = lifted(warehouse, ANN, dry_run=True)
    assert (warehouse.content(), warehouse.table("report_ledger"), warehouse.table("runs")) == before
    assert person(warehouse.address, ("PHONE", ANN), PrivacySettings(), 0, silent).blocked_since is not None
    assert counted == lifted(warehouse, ANN)


def test_others_stay_out_and_who_was_never_forgotten_changes_nothing(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    settled(account)
    warehouse.load(box)
    forget_people(warehouse, ANN, ZEB)
    ledger = warehouse.table("report_ledger")
    found = lifted(warehouse, "447700900999", "33700900123")
    assert (found.people, found.unknown, found.due) == (0, ["argument 1", "argument 2"], [])
    assert warehouse.table("report_ledger") == ledger
    assert lifted(warehouse, ANN, "447700900999", "+44 7700 900123").people == 1
    warehouse.load(box)
    phones = {phone for (phone,) in warehouse.rows("SELECT phone_number FROM passona.recipient")}
    assert phones == {ANN}
    assert warehouse.rows("SELECT phone_number FROM passona.clicks") == [(ANN,)]


def test_the_same_digits_in_another_country_are_another_person(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(open_campaign(ONE), {"recipient": [recipient("33612345678"), recipient("0612345678")]})
    warehouse.load(box)
    forget_people(warehouse, "33612345678")
    assert lifted(warehouse, "39612345678").unknown == ["argument 1"]
    warehouse.load(box)
    assert warehouse.count("recipient") == 0
    assert lifted(warehouse, "33612345678").people == 1
    warehouse.load(box)
    assert warehouse.count("recipient") == 2


@pytest.mark.duckdb("publishes copies of the file")
def test_a_mistyped_country_lets_nobody_into_a_copy(
    warehouse: Warehouse, account: Account, box: Sandbox, tmp_path: Path
) -> None:
    account.put(open_campaign(ONE), {"recipient": [recipient("33612345678")]})
    warehouse.load(box)
    kept = tmp_path / "copy.duckdb"
    shutil.copy(warehouse.path, kept)
    forget_people(warehouse, "33612345678", published=[kept])
    lifted(warehouse, "39612345678", published=[kept])
    assert Warehouse(kept).count("_forgotten") == 2
    lifted(warehouse, "33612345678", published=[kept])
    assert Warehouse(kept).count("_forgotten") == 0


def test_a_token_lets_in_who_was_forgotten_by_number(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    settled(account)
    warehouse.load(box, **TOKENS)
    before = warehouse.content()
    ((token,),) = warehouse.rows("SELECT mobile FROM passona.unsent")
    forget_people(warehouse, ANN, **TOKENS)
    assert lifted(warehouse, token, **TOKENS).people == 1
    warehouse.load(box, **TOKENS)
    assert warehouse.content() == before


@pytest.mark.duckdb("publishes copies of the file")
def test_copies_let_the_person_in_too_and_those_that_could_not_are_named(
    warehouse: Warehouse, account: Account, box: Sandbox, passona: Run, tmp_path: Path
) -> None:
    settled(account)
    warehouse.load(box, **TOKENS)
    same, other, missing = (tmp_path / name for name in ("same.duckdb", "other.duckdb", "missing.duckdb"))
    shutil.copy(warehouse.path, same)
    forget_people(warehouse, ANN, published=[same], **TOKENS)
    Warehouse(other).load(box, ONE, **MODES["minimal"] | {"privacy_key": NEW_KEY})
    settings = {
        "SOURCES__PASSONA__PRIVACY": "pseudonymous", "SOURCES__PASSONA__PRIVACY_KEY": KEY,
        "SOURCES__PASSONA__PUBLISHED": json.dumps([str(missing), str(other), str(same)]),
    }  # fmt: skip
    reported = passona("forget", "--lift", "--dry-run", ANN, **settings)
    assert (reported.returncode, reported.stdout) == (2, "1 person would be let in again; 7 reports would be due; nothing was changed\n")  # fmt: skip
    assert f"{missing}: nobody was let in there, because there is no such file" in reported.stderr
    assert Warehouse(same).count("_forgotten") == 1
    ended = passona("forget", "--lift", ANN, **settings)
    assert (ended.returncode, ended.stdout) == (2, "1 person let in again; 7 reports due: run passona load\n")
    assert f"{missing}: nobody was let in there, because there is no such file" in ended.stderr
    assert f"{other}: nobody was let in there, because it is of another mode or key" in ended.stderr
    assert Warehouse(same).count("_forgotten") == 0
    assert "900123" not in reported.stderr + ended.stderr


@pytest.mark.duckdb("publishes copies of the file")
def test_a_copy_that_was_missed_is_done_by_the_next_run(
    warehouse: Warehouse, account: Account, box: Sandbox, tmp_path: Path
) -> None:
    settled(account)
    warehouse.load(box)
    kept, away = tmp_path / "copy.duckdb", tmp_path / "away.duckdb"
    shutil.copy(warehouse.path, kept)
    forget_people(warehouse, ANN, published=[kept])
    kept.rename(away)
    assert [type(error) for error in lifted(warehouse, ANN, published=[kept]).left] == [ConfigurationError]
    away.rename(kept)
    found = lifted(warehouse, ANN, published=[kept])
    assert (found.unknown, found.left) == (["argument 1"], [])
    assert Warehouse(kept).count("_forgotten") == 0


def test_what_is_past_retention_cannot_come_back(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    settled(account)
    account.put(ended_campaign(OLD, 300), {"recipient": [recipient(ANN), recipient(ZEB)]})
    warehouse.load(box)
    forget_people(warehouse, ANN)
    warehouse.load(box, retain_days=200)
    box.forget_requests()
    found = lifted(warehouse, ANN, retain_days=200)
    assert (found.expired, len(found.due)) == ([(OLD, "recipient")], 7)
    warehouse.load(box, retain_days=200)
    assert requested_reports(box) == found.due


def test_what_is_past_retention_and_not_given_up_yet_is_not_due_either(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    settled(account)
    account.put(ended_campaign(OLD, 300), {"recipient": [recipient(ANN), recipient(ZEB)]})
    warehouse.load(box)
    forget_people(warehouse, ANN)
    assert lifted(warehouse, ANN, retain_days=200).expired == [(OLD, "recipient")]


def test_campaigns_that_left_the_list_come_back_by_import(
    warehouse: Warehouse, account: Account, box: Sandbox, tmp_path: Path
) -> None:
    settled(account)
    warehouse.load(box)
    before = warehouse.table("recipient")
    file = tmp_path / "recipient.csv"
    file.write_bytes(exported_csv(account, "recipient"))
    forget_people(warehouse, ANN)
    account.remove(ONE)
    warehouse.load(box)
    found = lifted(warehouse, ANN)
    assert (len(found.due), {uuid for uuid, _ in found.unlisted}) == (7, {ONE})
    box.forget_requests()
    warehouse.load(box)
    assert requested_reports(box) == [(TWO, "sent")]
    import_csv(warehouse, file, report="recipient")
    assert warehouse.table("recipient") == before


def test_an_imported_report_comes_back_through_the_api(
    warehouse: Warehouse, account: Account, box: Sandbox, tmp_path: Path
) -> None:
    settled(account)
    warehouse.load(box, reports=["clicks", "sent"])
    file = tmp_path / "recipient.csv"
    file.write_bytes(exported_csv(account, "recipient"))
    import_csv(warehouse, file, report="recipient")
    before = warehouse.table("recipient")
    assert len(before) == 2
    forget_people(warehouse, ANN)
    import_csv(warehouse, file, report="recipient")
    assert len(warehouse.table("recipient")) == 1
    assert (ONE, "recipient") in lifted(warehouse, ANN).due
    warehouse.load(box)
    assert warehouse.table("recipient") == before
    assert warehouse.rows("SELECT origin FROM passona.report_ledger WHERE campaign_id = ? AND report = 'recipient'", ONE) == [("api",)]  # fmt: skip


def test_marts_are_as_they_were_after_the_next_build(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    settled(account)
    warehouse.load(box)
    build_marts(warehouse)
    before = figures(warehouse)
    found = person(warehouse.address, ("PHONE", ANN), PrivacySettings(), 0, silent)
    assert {"analytics.clicks", "analytics.messages", "analytics.recipient_fields"} <= found.tables.keys()
    assert "Zebsecret" not in repr(found)
    forget_people(warehouse, ANN)
    build_marts(warehouse)
    assert figures(warehouse) != before
    assert person(warehouse.address, ("PHONE", ANN), PrivacySettings(), 0, silent).tables == {}
    assert lifted(warehouse, ANN).built
    warehouse.load(box)
    build_marts(warehouse)
    assert figures(warehouse) == before


def figures(warehouse: Warehouse) -> dict[str, list[tuple[Any, ...]]]:
    campaigns = "SELECT * EXCLUDE (verified_at) FROM analytics.campaigns ORDER BY ALL"
    return mart_rows(warehouse) | {"campaigns": warehouse.rows(campaigns)}
