"""Verbs by account: campaigns, status, doctor, generate, import-csv and the metrics of a load."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from passona_sandbox import Account, Sandbox, Switches
from support.warehouses import Warehouse, accounts_of

Run = Callable[..., "subprocess.CompletedProcess[str]"]

pytestmark = pytest.mark.both

ONE, TWO, THREE = (f"c2c2c2c2-0000-4000-8000-{number:012}" for number in range(3))
CSV = "Phone_Number,Link_Name,Link_Destination,Clicked_At,User_Agent,Device_Type,OS_Version,Browser_Version\n"
CSV += "447700900001,L,https://example.org/,2024-07-01 12:00:00,UA,,,\n"


def account_with(*uuids: str) -> Account:
    account = Account.empty()
    for uuid in uuids:
        account.put({"uuid": uuid, "name": f"Campaign {uuid[-1]}"}, {"clicks": []})
    return account


@pytest.fixture
def a() -> Iterator[Sandbox]:
    with Sandbox(account_with(ONE), Switches(token="secret-a")) as box:
        yield box


@pytest.fixture
def b() -> Iterator[Sandbox]:
    with Sandbox(account_with(TWO), Switches(token="secret-b")) as box:
        yield box


@pytest.fixture
def both(passona: Run, a: Sandbox, b: Sandbox) -> Run:
    """The command with both accounts, which no argument and no request mixes."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        ended = passona(*arguments, **(accounts_of({"a": a, "b": b}) | variables))
        assert "secret-" not in ended.stdout + ended.stderr
        return ended

    return run


STALE = {"SOURCES__PASSONA__ACCOUNTS__A__API_TOKEN": "stale"}
REFUSED = (
    "account a: the server refuses the token (401, 'Unauthenticated.'): check sources.passona.accounts.a.api_token"
)


def test_campaigns_lists_those_of_all_accounts(both: Run) -> None:
    found = json.loads(both("campaigns", "--json").stdout)
    assert {(row["campaign_id"], row["account"]) for row in found} == {(ONE, "a"), (TWO, "b")}
    assert [row["account"] for row in json.loads(both("campaigns", "--json", "--account", "b").stdout)] == ["b"]
    assert [line.split()[0] for line in both("campaigns").stdout.splitlines()[:3]] == ["account", "a", "b"]


@pytest.mark.core
def test_campaigns_of_an_account_whose_token_is_refused(both: Run) -> None:
    ended = both("campaigns", "--json", **STALE)
    assert [row["account"] for row in json.loads(ended.stdout)] == ["b"]
    assert (ended.returncode, ended.stderr.count("account a: the server refuses the token (401")) == (3, 1)


def test_status_tells_which_account_is_late(both: Run, warehouse: Warehouse) -> None:
    assert both("load", "--account", "a").returncode == 0
    assert both("load", **STALE).returncode == 3
    warehouse_status = json.loads(both("status", "--json").stdout)
    assert warehouse_status["accounts"] == ["a", "b"]
    assert {(run["account"], run["outcome"]) for run in warehouse_status["runs"]} == {
        ("a", "ok"), ("a", "token refused"), ("b", "ok"),
    }  # fmt: skip
    only = json.loads(both("status", "--json", "--account", "a").stdout)
    assert {run["account"] for run in only["runs"]} == {"a"}
    assert only["reports"]["clicks"]["settled"] == 1
    wrong = both("status", "--account", "c")
    assert wrong.stderr == "passona: --account c: the warehouse has no such account; its accounts: a, b\n"
    assert wrong.returncode == 2


def test_status_of_an_account_that_was_never_loaded_to_the_end(both: Run) -> None:
    assert both("load", **STALE).returncode == 3
    overdue = json.loads(both("status", "--json", "--max-age", "26h").stdout)["overdue"]
    assert overdue == ["account a: no load has finished yet"]


def test_doctor_looks_at_each_account(both: Run) -> None:
    ended = both("doctor", "--json", **STALE)
    document = json.loads(ended.stdout)
    assert (ended.returncode, document["exit_code"]) == (3, 3)
    assert document["accounts"]["a"]["outcome"] == "token_refused"
    assert document["accounts"]["b"]["campaigns"] == []
    printed = both("doctor", "--account", "b").stdout
    assert printed.splitlines()[0] == "account b"
    assert "account a" not in printed


def test_generate_asks_the_account_that_has_the_campaign(both: Run, a: Sandbox, b: Sandbox) -> None:
    assert both("load").returncode == 0
    for box in (a, b):
        box.forget_requests()
    ended = both("generate", ONE, TWO, "--report", "clicks")
    assert (ended.returncode, ended.stderr) == (0, "")
    posts = [[record.campaign for record in box.requests if record.method == "POST"] for box in (a, b)]
    assert posts == [[ONE], [TWO]]
    assert all(record.authorized for box in (a, b) for record in box.requests)


def test_generate_of_a_campaign_that_the_warehouse_does_not_know(both: Run, a: Sandbox, b: Sandbox) -> None:
    ended = both("generate", THREE)
    assert ended.stderr == (
        f"passona: campaign {THREE}: the warehouse does not say which account has it (a, b): add --account NAME\n"
    )
    assert (ended.returncode, a.requests, b.requests) == (2, [], [])
    assert both("generate", ONE, "--report", "clicks", "--account", "a").returncode == 0
    assert both("load", "--report", "sent").returncode == 0
    wrong = both("generate", ONE, "--account", "b")
    assert (wrong.returncode, wrong.stderr) == (2, f"passona: campaign {ONE}: it belongs to account a, not to b\n")
    assert [record.method for record in b.requests if record.method == "POST"] == []


@pytest.mark.duckdb("a server is read, not published")
def test_a_copy_of_one_account_is_not_replaced_by_another(both: Run, tmp_path: Path) -> None:
    assert both("load").returncode == 0
    assert both("publish", "--account", "a", "copy.duckdb").returncode == 0
    before = (tmp_path / "copy.duckdb").read_bytes()
    for arguments in (["--account", "b"], []):
        ended = both("publish", *arguments, "copy.duckdb")
        assert (ended.returncode, "it is a copy of account a" in ended.stderr) == (2, True), ended.stderr
    assert both("load", "--account", "a", "--publish", "copy.duckdb").returncode == 2
    assert (tmp_path / "copy.duckdb").read_bytes() == before
    assert both("publish", "--account", "a", "copy.duckdb").returncode == 0


@pytest.mark.core
def test_generate_goes_on_after_a_refused_token(both: Run, b: Sandbox, warehouse: Warehouse) -> None:
    assert both("load").returncode == 0
    ended = both("generate", ONE, TWO, "--report", "clicks", **STALE)
    assert ended.returncode == 3
    assert [record.campaign for record in b.requests if record.method == "POST"] == [TWO]
    assert warehouse.rows(
        "SELECT account, campaign_id, outcome FROM passona.runs WHERE verb = 'generate' ORDER BY account"
    ) == [("a", ONE, "refused"), ("b", TWO, "accepted")]


def test_a_csv_is_read_in_the_zone_of_its_account(both: Run, warehouse: Warehouse, tmp_path: Path) -> None:
    (tmp_path / "clicks.csv").write_text(CSV)
    zones = {"SOURCES__PASSONA__ACCOUNTS__B__TIMEZONE": "America/New_York"}
    assert both("load", "--report", "sent", **zones).returncode == 0
    assert both("import-csv", "clicks.csv", "--campaign", TWO, **zones).returncode == 0
    hour = "SELECT strftime(clicked_at AT TIME ZONE 'UTC', '%H') FROM passona.clicks WHERE campaign_id = ?"
    assert warehouse.rows(hour, TWO) == [("16",)]
    unknown = both("import-csv", "clicks.csv", "--campaign", THREE, **zones)
    assert (unknown.returncode, "add --account NAME" in unknown.stderr) == (2, True)
    assert both("import-csv", "clicks.csv", "--campaign", THREE, "--account", "b", **zones).returncode == 0
    assert warehouse.rows("SELECT account, listed FROM passona.campaigns WHERE campaign_id = ?", THREE) == [
        ("b", False)
    ]
    assert warehouse.rows("SELECT DISTINCT account FROM passona.runs WHERE verb = 'import-csv'") == [("b",)]


def labelled(text: str, name: str) -> dict[str, float]:
    """The values of a metric by its account."""
    lines = [line for line in text.splitlines() if line.startswith(f"passona_{name}{{account=")]
    return {line.split('"')[1]: float(line.rpartition(" ")[2]) for line in lines}


@pytest.mark.core
def test_metrics_have_a_label_for_the_account(both: Run, tmp_path: Path, passona: Run, a: Sandbox) -> None:
    assert both("load", "--metrics", "out.prom", **STALE).returncode == 3
    text = (tmp_path / "out.prom").read_text()
    assert labelled(text, "load_exit_code") == {"a": 3, "b": 0}
    assert labelled(text, "load_campaigns") == {"a": 0, "b": 1}
    assert labelled(text, "last_success_timestamp_seconds").keys() == {"b"}
    assert 'passona_reports{account="b",report="clicks",state="settled"} 1' in text
    series = [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
    assert len(series) == len({*series})


def test_metrics_of_one_account_have_no_such_label(passona: Run, tmp_path: Path, a: Sandbox) -> None:
    assert passona("load", "--metrics", "out.prom", box=a).returncode == 0
    assert "account" not in (tmp_path / "out.prom").read_text()


def test_a_job_of_one_of_several_accounts_names_it(both: Run, tmp_path: Path) -> None:
    ended = both("load", "--account", "b", "--json", "--metrics", "out.prom")
    assert list(json.loads(ended.stdout)["accounts"]) == ["b"]
    assert labelled((tmp_path / "out.prom").read_text(), "load_exit_code") == {"b": 0}
