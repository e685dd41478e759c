"""docs/scheduling: what its units, its crontab and its workflow call exists, and means what they take it for."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from croniter import croniter

from passona.cli.main import main
from passona.errors import Exit
from passona_sandbox import Account, Sandbox
from support.warehouses import environment_of

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs/scheduling"
PAGE = ROOT / "docs/scheduling.md"
CRONTAB = (FOLDER / "crontab").read_text("utf-8")
WORKFLOW = yaml.safe_load((FOLDER / "github-actions.yml").read_text("utf-8"))
STEPS = {step.get("name") or step["uses"].partition("@")[0]: step for step in WORKFLOW["jobs"]["load"]["steps"]}


class Unit(configparser.RawConfigParser):
    """A unit file: one key may stand several times."""

    def __init__(self, name: str) -> None:
        super().__init__(strict=False, delimiters="=", comment_prefixes="#", interpolation=None)
        self.optionxform = str  # type: ignore[assignment, method-assign]
        self.text = (FOLDER / name).read_text("utf-8")
        self.read_string(self.text)

    def all(self, key: str) -> list[str]:
        return re.findall(rf"^{key}=(.*)$", self.text, re.MULTILINE)


SERVICE = Unit("passona.service")


def commands() -> Iterator[str]:
    """Everything that begins with passona, wherever it is called: words of it, but the first."""
    text = "\n".join([
        *SERVICE.all("ExecStart"),
        *(line for line in CRONTAB.splitlines() if not line.startswith("#")),
        *(re.sub(r"\$\{\{.*?\}\}", "--refresh", step.get("run", "")) for step in STEPS.values()),
        *re.findall(r"^\$ (.*passona .*)$", PAGE.read_text("utf-8"), re.MULTILINE),
        *re.findall(r"`(passona [^`]+)`", PAGE.read_text("utf-8")),
    ])  # fmt: skip
    for found in re.finditer(r"(?<![\w.-])(?:/opt/passona/bin/)?passona (?P<words>[a-z-][^\n|>&]*)", text):
        yield found["words"].strip()


COMMANDS = sorted(set(commands()))


def parse(words: list[str]) -> None:
    with main.make_context("passona", words) as context:
        name, verb, rest = main.resolve_command(context, [*context._protected_args, *context.args])
        assert verb is not None
        verb.make_context(name, rest, parent=context).close()


def test_commands_are_found_in_each_place() -> None:
    assert "load --transform --wait 600" in COMMANDS
    assert any("--refresh" in command for command in COMMANDS)
    assert any(command.startswith("campaigns") for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_verbs_and_options_that_exist(command: str) -> None:
    parse(shlex.split(command))


@pytest.mark.parametrize("command", ["lode", "load --transfrom", "load --wait soon"])
def test_a_command_that_does_not_exist_would_be_noticed(command: str) -> None:
    with pytest.raises(click.UsageError):
        parse(shlex.split(command))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed here")
def test_systemd_finds_nothing_to_say_of_the_units(tmp_path: Path) -> None:
    for unit in FOLDER.glob("passona*"):
        text = unit.read_text("utf-8").replace("/opt/passona/bin/passona", sys.executable)
        (tmp_path / unit.name).write_text(text, "utf-8")
    verified = subprocess.run(
        ["systemd-analyze", "verify", *sorted(map(str, tmp_path.iterdir()))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")


def test_systemd_retries_only_what_time_can_fix() -> None:
    assert SERVICE["Service"]["SuccessExitStatus"].split() == ["143", "SIGTERM"]
    never = set(map(int, SERVICE["Service"]["RestartPreventExitStatus"].split()))
    assert set(Exit) - never == {Exit.OK, Exit.BUSY}
    assert SERVICE["Unit"]["OnFailure"] == "passona-failed.service"


def test_the_last_retry_is_within_the_start_limit_interval() -> None:
    """Else the count begins anew, it is tried for ever, and nobody is told."""
    wait = re.search(r"--wait (\d+)", SERVICE.text)
    assert wait is not None
    (limit,), (burst,), (pause,) = map(SERVICE.all, ("StartLimitIntervalSec", "StartLimitBurst", "RestartSec"))
    counted, rounds = int(limit.removesuffix("h")) * 3600, int(burst)
    # A process may work for hours before it is killed for want of memory.
    killed_after = 4 * 3600
    assert rounds * (int(wait[1]) + int(pause.removesuffix("min")) * 60 + killed_after) < counted < 24 * 3600 - 1800


def test_the_unit_hands_the_token_over_as_it_says(tmp_path: Path) -> None:
    credentials, state = tmp_path / "credentials", tmp_path / "state" / "passona"
    credentials.mkdir()
    state.mkdir(parents=True)
    names = {"%S": str(state.parent), "%d": str(credentials)}
    given = [re.sub("%[Sd]", lambda found: names[found[0]], line) for line in SERVICE.all("Environment")]
    (command,) = SERVICE.all("ExecStart")
    (credential,) = SERVICE.all("LoadCredential")
    words = [word for word in shlex.split(command)[1:] if word != "--transform"]  # which needs no token, and seconds
    with Sandbox(Account(campaigns=1, rows=20)) as box:
        secrets = f'[sources.passona]\napi_token = "{box.token}"\nbase_url = "{box.base_url}"\n'
        (credentials / credential.partition(":")[0]).write_text(secrets, "utf-8")
        ended = subprocess.run(
            [sys.executable, "-m", "passona", *words],
            env=environment_of(None) | dict(line.split("=", 1) for line in given),
            cwd=state, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
    assert [file.name for file in state.iterdir()] == ["warehouse.duckdb"]


def test_the_crontab_is_one_that_cron_reads() -> None:
    entries = [line for line in CRONTAB.splitlines() if line and not line.startswith("#")]
    assert entries
    for entry in entries:
        if not re.fullmatch(r"[A-Z_]+=\S+", entry):
            assert croniter.is_valid(" ".join(entry.split()[:5])), entry
            assert "%" not in entry, "cron takes a % for the end of the command"


# What GitHub's syntax reference knows, as far as it is used here.
KEYS = {
    "workflow": {"name", "on", "concurrency", "permissions", "jobs"},
    "job": {"runs-on", "timeout-minutes", "env", "steps"},
    "step": {"name", "uses", "with", "run", "env", "if"},
}


def test_the_workflow_has_keys_that_github_knows() -> None:
    top = {"on" if key is True else key for key in WORKFLOW}  # YAML 1.1 reads `on` as true
    (job,) = WORKFLOW["jobs"].values()
    assert top == KEYS["workflow"]
    assert job.keys() <= KEYS["job"]
    assert all(step.keys() <= KEYS["step"] and len(step.keys() & {"uses", "run"}) == 1 for step in job["steps"])
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"]) for step in job["steps"] if "uses" in step)


def test_the_workflow_runs_alone_and_by_a_clock_that_github_reads() -> None:
    triggers: Any = WORKFLOW[True]
    assert triggers.keys() == {"schedule", "workflow_dispatch"}
    assert all(croniter.is_valid(entry["cron"]) for entry in triggers["schedule"])
    assert WORKFLOW["concurrency"] == {"group": "passona-warehouse", "cancel-in-progress": False}
    assert WORKFLOW["permissions"] == {"contents": "read", "actions": "read"}


def test_the_workflow_gives_the_token_to_the_load_alone() -> None:
    holders = [name for name, step in STEPS.items() if "secrets." in str(step)]
    assert holders == ["Load"]
    assert list(STEPS).index("Refuse a public repository") < list(STEPS).index("Fetch the last warehouse")
    keep = STEPS["Keep the warehouse"]
    assert "!cancelled()" in keep["if"]
    assert keep["with"]["name"] == "warehouse"
    assert "--name warehouse --dir data" in STEPS["Fetch the last warehouse"]["run"]
    assert WORKFLOW["jobs"]["load"]["env"]["DESTINATION__WAREHOUSE__CREDENTIALS"].endswith("/data/warehouse.duckdb")


def test_the_page_says_of_every_exit_code_what_to_do() -> None:
    found = re.findall(r"^\| (\d+)[ ,|]", PAGE.read_text("utf-8"), re.MULTILINE)
    assert [int(code) for code in found] == [*sorted(Exit), 130]


def test_the_other_way_to_keep_the_warehouse_is_steps_of_the_same_workflow() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    steps = [step for block in blocks for step in yaml.safe_load(block)]
    assert {step.get("name") for step in steps} >= {"Fetch the last warehouse", "Keep the warehouse"}
    assert all(step.keys() <= KEYS["step"] for step in steps)
