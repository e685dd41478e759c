"""The command line in a process of its own: what it prints, and what it ends with."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from click import Context

from passona.cli.main import main
from passona_sandbox import Account, Sandbox
from support.campaigns import ONE, click, open_campaign
from support.warehouses import GUIDE

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.core
def test_load_prints_a_table_on_stdout_and_nothing_on_stderr(passona: Run, tmp_path: Path) -> None:
    with Sandbox(Account(campaigns=0)) as box:
        ended = passona("load", GUIDE, box=box)
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines()
    assert lines[0].split() == [
        "report",
        "loaded",
        "unchanged",
        "failed",
        "held",
        "pages",
        "rows",
        "field",
        "rows",
        "issues",
    ]
    assert lines[-2].split() == ["all", "6", "0", "0", "0", "6", "6", "6", "0"]
    assert lines[-1].endswith(str(tmp_path / "warehouse.duckdb"))


def test_no_variable_makes_a_terminal_of_a_log(passona: Run) -> None:
    with Sandbox(Account(campaigns=0)) as box:
        ended = passona("load", GUIDE, box=box, FORCE_COLOR="1")
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_reader_of_the_output_that_leaves_is_no_fault_of_the_program(
    begun: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    for arguments in (["config"], ["config", "--json"]):
        process = begun(*arguments)
        process.stdout.close()  # as `| head` does
        assert (process.stderr.read(), process.wait()) == ("", 1)


@pytest.mark.core
def test_load_prints_one_json_document(passona: Run) -> None:
    with Sandbox(Account(campaigns=0)) as box:
        document = json.loads(passona("load", GUIDE, "--report", "sent", "--json", box=box).stdout)
    assert document["outcome"] == "ok"
    assert document["reports"] == {
        "sent": {
            "loaded": 1,
            "unchanged": 0,
            "failed": 0,
            "held": 0,
            "pages": 1,
            "rows": 1,
            "field_rows": 0,
            "issues": 0,
        }
    }


def test_campaigns_come_from_a_file_with_comments(passona: Run, tmp_path: Path) -> None:
    account = Account.empty()
    account.put(open_campaign(ONE), {"clicks": [click(1)]})
    (tmp_path / "due.txt").write_text(f"# due\n\n{ONE.upper()}  # one\n{ONE}\n")
    with Sandbox(account) as box:
        document = json.loads(passona("load", "--campaigns-file", "due.txt", "--json", box=box).stdout)
    assert (document["campaigns"], document["reports"]["clicks"]["rows"]) == (1, 1)


@pytest.mark.core
def test_campaigns_tells_the_state_of_each_report(passona: Run) -> None:
    account = Account.empty()
    account.put(open_campaign(ONE, name="One"), {"clicks": [click(1)]})
    with Sandbox(account) as box:
        assert json.loads(passona("campaigns", "--json", box=box).stdout)[0]["reports"]["clicks"] == "never loaded"
        passona("load", "--report", "clicks", box=box)
        ended = passona("campaigns", box=box)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ONE in ended.stdout
    assert "open" in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (["load", "nonsense"], {}, "not a uuid"),
        (["load", "--report", "nonsense"], {}, "nonsense"),
        (["load", "--nonsense"], {}, "nonsense"),
        (["load"], {"SOURCES__PASSONA__API_TOKEN": ""}, "token"),
        (["load"], {"SOURCES__PASSONA__BASE_URL": "http://example.org/api/2.0/"}, "https"),
        (["load"], {"SOURCES__PASSONA__TIMEZONE": "Mars/Olympus"}, "timezone"),
        (["load"], {"SOURCES__PASSONA__PAGE_SIZE": "many"}, "PAGE_SIZE"),
        (["load"], {"SOURCES__PASSONA__PAGE_SIZE": "0"}, "page_size"),
        (["load"], {"DESTINATION__WAREHOUSE__CREDENTIALS": "passona.duckdb"}, "schema passona"),
        (["load"], {"DESTINATION__WAREHOUSE__CREDENTIALS": "no/such/folder/w.duckdb"}, "folder"),
    ],
)  # fmt: skip
def test_wrong_usage_and_configuration_end_with_2_and_one_line(
    passona: Run, arguments: list[str], environment: dict[str, str], said: str
) -> None:
    with Sandbox(Account.empty()) as box:
        ended = passona(*arguments, box=box, **environment)
        assert not box.requests
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_without_any_token_the_error_says_where_to_put_it(passona: Run) -> None:
    ended = passona("load")
    assert ended.returncode == 2
    assert "SOURCES__PASSONA__API_TOKEN" in ended.stderr


@pytest.mark.core
def test_a_refused_token_ends_with_3_and_is_not_shown(passona: Run) -> None:
    with Sandbox(Account(campaigns=1, rows=100)) as box:
        ended = passona("load", box=box, SOURCES__PASSONA__API_TOKEN="secretsecretsecret")
        assert len(box.requests) == 1
    assert ended.returncode == 3
    assert "401" in ended.stderr
    assert "secretsecret" not in ended.stderr + ended.stdout


def test_a_file_that_is_no_database_is_refused_and_left_alone(passona: Run, tmp_path: Path) -> None:
    (tmp_path / "warehouse.duckdb").write_text("this is somebody's letter, and no database at all")
    with Sandbox(Account.empty()) as box:
        ended = passona("load", box=box)
    assert ended.returncode == 2
    assert (tmp_path / "warehouse.duckdb").read_text().startswith("this is somebody's letter")


def test_every_verb_has_help_with_an_example() -> None:
    context = Context(main)
    listed = " ".join(main.get_help(context).split())
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command
        assert f"passona {name}" in (command.epilog or ""), name
        first_sentence = " ".join((command.help or "").partition("\n\n")[0].split())
        assert f"{name} {first_sentence}" in listed


def test_the_sandbox_runs_as_a_verb_until_it_is_told_to_end(passona: Run, tmp_path: Path) -> None:
    sandbox = subprocess.Popen(
        [sys.executable, "-m", "passona", "sandbox", "--rows", "100"], stdout=subprocess.PIPE, text=True, cwd=tmp_path
    )
    try:
        assert sandbox.stdout is not None
        address = sandbox.stdout.readline().strip()
        environment = {"SOURCES__PASSONA__API_TOKEN": "sandbox", "SOURCES__PASSONA__BASE_URL": address}
        assert passona("load", **environment).returncode == 0
        sandbox.send_signal(signal.SIGINT)
        assert sandbox.wait(10) in (0, 130)
    finally:
        sandbox.kill()
        sandbox.wait()
    with duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT count(*) > 50 FROM passona.delivery").fetchall() == [(True,)]


@pytest.mark.core
def test_json_holds_nothing_that_a_terminal_obeys_and_every_name_as_it_is(
    account: Account, box: Sandbox, passona: Run
) -> None:
    name = "\x1b[31m \x9b31m \u202eabc \x7f \u2028 \U000e0041 Café 🎉"
    account.put(open_campaign(ONE, name=name), {})
    ended = passona("campaigns", "--json", box=box)
    assert {c for c in ended.stdout if not c.isprintable()} == {"\n"}
    assert "Café 🎉" in ended.stdout
    assert json.loads(ended.stdout)[0]["name"] == name
    assert {c for c in passona("campaigns", box=box).stdout if not c.isprintable()} == {"\n"}
