"""`passona_source(account=...)`: the arguments of a named account, and several accounts in one dataset."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from passona import passona_source
from passona.config.privacy_settings import PrivacySettings
from passona.erasure.forget import forget
from passona.errors import ConfigurationError
from passona_sandbox import Account, Sandbox, Switches
from support.plain import pipeline
from support.warehouses import Warehouse, accounts_of

pytestmark = pytest.mark.both

ONE, TWO, THREE = (f"c3c3c3c3-0000-4000-8000-{number:012}" for number in range(3))


def account_with(*uuids: str) -> Account:
    account = Account.empty()
    for uuid in uuids:
        account.put({"uuid": uuid, "name": uuid[-1]}, {"unsent": []})
    return account


@pytest.fixture
def a() -> Iterator[Sandbox]:
    with Sandbox(account_with(ONE, TWO), Switches(token="secret-a")) as box:
        yield box


@pytest.fixture
def b() -> Iterator[Sandbox]:
    with Sandbox(account_with(THREE), Switches(token="secret-b")) as box:
        yield box


@pytest.fixture(autouse=True)
def configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, a: Sandbox, b: Sandbox) -> None:
    """Both accounts in the environment, and no file."""
    monkeypatch.chdir(tmp_path)
    for name, value in accounts_of({"a": a, "b": b}).items():
        monkeypatch.setenv(name, value)


def per_pages(box: Sandbox) -> set[str | None]:
    return {record.per_page for record in box.requests}


@pytest.mark.core
def test_two_accounts_go_into_one_dataset_and_neither_unlists_the_other(
    warehouse: Warehouse, tmp_path: Path, a: Sandbox, b: Sandbox
) -> None:
    for name in ("a", "b", "a"):
        pipeline(warehouse.path, tmp_path / "dlt").run(passona_source(account=name))
    assert warehouse.rows("SELECT campaign_id, account, listed FROM passona.campaigns ORDER BY 1") == [
        (ONE, "a", True), (TWO, "a", True), (THREE, "b", True),
    ]  # fmt: skip
    assert all(record.authorized for box in (a, b) for record in box.requests)
    a.account.remove(TWO)
    pipeline(warehouse.path, tmp_path / "dlt").run(passona_source(account="a"))
    assert warehouse.rows("SELECT campaign_id, listed FROM passona.campaigns ORDER BY 1") == [
        (ONE, True), (TWO, False), (THREE, True),
    ]  # fmt: skip


def test_the_section_of_the_account_comes_before_the_plain_one(
    monkeypatch: pytest.MonkeyPatch, a: Sandbox, b: Sandbox
) -> None:
    monkeypatch.setenv("SOURCES__PASSONA__API_TOKEN", "of another account")
    monkeypatch.setenv("SOURCES__PASSONA__PAGE_SIZE", "11")
    monkeypatch.setenv("SOURCES__PASSONA__ACCOUNTS__B__PAGE_SIZE", "7")
    list(passona_source(account="a"))
    list(passona_source(account="b"))
    assert (per_pages(a), per_pages(b)) == ({"11"}, {"7"})
    assert all(record.authorized for box in (a, b) for record in box.requests)


def test_what_the_caller_passes_comes_first(monkeypatch: pytest.MonkeyPatch, a: Sandbox, b: Sandbox) -> None:
    monkeypatch.setenv("SOURCES__PASSONA__ACCOUNTS__B__PAGE_SIZE", "7")
    list(passona_source(account="b", page_size=9))
    assert per_pages(b) == {"9"}
    list(passona_source(account="c", api_token="secret-a", base_url=a.base_url))
    assert all(record.authorized for record in a.requests)


@pytest.mark.core
def test_an_account_without_a_token_never_takes_the_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCES__PASSONA__API_TOKEN", "of another account")
    with pytest.raises(ConfigurationError, match="no API token: set SOURCES__PASSONA__ACCOUNTS__C__API_TOKEN"):
        passona_source(account="c")


@pytest.mark.parametrize("name", ["Brand", "a__b", "", "a.b"])
def test_a_name_that_no_account_can_have(name: str) -> None:
    with pytest.raises(ConfigurationError, match="expected a name of a-z, 0-9 and single _"):
        passona_source(account=name)


def test_a_campaign_that_moves_is_taken_over_with_its_rows(
    warehouse: Warehouse, tmp_path: Path, a: Sandbox, b: Sandbox
) -> None:
    for name in ("a", "b"):
        pipeline(warehouse.path, tmp_path / "dlt").run(passona_source(account=name))
    a.account.remove(TWO)
    b.account.put({"uuid": TWO, "name": "2"}, {"unsent": []})
    b.forget_requests()
    pipeline(warehouse.path, tmp_path / "dlt").run(passona_source(account="b"))
    assert {record.kind for record in b.requests} == {"campaigns"}  # its reports are settled
    pipeline(warehouse.path, tmp_path / "dlt").run(passona_source(account="a"))
    assert warehouse.rows("SELECT campaign_id, account, listed FROM passona.campaigns ORDER BY 1") == [
        (ONE, "a", True), (TWO, "b", True), (THREE, "b", True),
    ]  # fmt: skip


def test_a_campaign_of_another_account_is_left_alone_where_people_are_forgotten_by_account(
    warehouse: Warehouse, tmp_path: Path, a: Sandbox, b: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    assert warehouse.load(b, account="b").exit_code == 0
    forget(warehouse.address, [("it", "+44 7700 900001")], PrivacySettings(), 0, lambda line: None, account="b")
    a.account.put({"uuid": THREE, "name": "3"}, {"unsent": []})
    pipeline(warehouse.path, tmp_path / "dlt").run(passona_source(account="a", refresh=True))
    assert {record.campaign for record in a.requests if record.kind == "report"} == {ONE, TWO}
    assert "1 campaign of other accounts left out" in caplog.text
    assert warehouse.rows("SELECT account, listed FROM passona.campaigns WHERE campaign_id = ?", THREE) == [("b", True)]


def test_the_command_line_goes_on_with_a_dataset_of_the_source(
    warehouse: Warehouse, tmp_path: Path, a: Sandbox, b: Sandbox
) -> None:
    pipeline(warehouse.path, tmp_path / "dlt").run(passona_source(account="a"))
    assert warehouse.load(b, account="b").exit_code == 0
    assert warehouse.rows("SELECT campaign_id, account, listed FROM passona.campaigns ORDER BY 1") == [
        (ONE, "a", True), (TWO, "a", True), (THREE, "b", True),
    ]  # fmt: skip
