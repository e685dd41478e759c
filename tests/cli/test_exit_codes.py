"""Every exit code of the contract: a run that ends with it, the line on the screen, and what others are told of it.

Each run is told to write its metrics and to call a command if it fails; both must agree with the code.
130 and 143: test_bad_day.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest

from passona_sandbox import Account, Sandbox
from support.campaigns import ONE, click, open_campaign
from support.warehouses import Warehouse

Run = Callable[..., "subprocess.CompletedProcess[str]"]

REPORT = f"campaign {ONE}, clicks"


@dataclass(frozen=True)
class Case:
    """A run, the word for what it comes to, and the line that it says."""

    code: int
    word: str
    said: str
    arguments: tuple[str, ...] = ()
    faults: list[dict[str, Any]] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    held: bool = False


# 1 is a fault here or a full disk: test_bad_day.
CASES = [
    Case(0, "ok", ""),
    Case(2, "usage", "sources.passona.timezone: no zone is called 'Mars/Olympus'; use an IANA name such as Europe/London",
         environment={"SOURCES__PASSONA__TIMEZONE": "Mars/Olympus"}),
    Case(3, "token refused", "the server refuses the token (401, 'Unauthenticated.'): check sources.passona.api_token",
         environment={"SOURCES__PASSONA__API_TOKEN": "secretsecretsecret"}),
    Case(4, "failed", f"{REPORT}: page 1: expected a page, got status 404, 'Nicht da'; nothing of it was changed, the next load asks again",
         faults=[{"kind": "status", "code": 404, "message": "Nicht da", "report": "clicks"}]),
    Case(5, "held", f"{REPORT}: expected about 9 rows as before, got 1; the old rows stay, --accept-shrink takes the new ones"),
    Case(6, "busy", "warehouse.duckdb is held by", ("--wait", "0"), held=True),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[str(case.code) for case in CASES])
@pytest.mark.core
def test_every_exit_code_has_its_run_its_line_and_is_told(
    passona: Run, warehouse: Warehouse, account: Account, box: Sandbox, tmp_path: Path, case: Case
) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(n) for n in range(9)]})
    if case.code == 5:
        warehouse.load(box, reports=["clicks"])
        account.put(open_campaign(ONE), {"clicks": [click(0)]})
    box.faults = case.faults
    with ExitStack() as held:
        if case.held:
            held.enter_context(duckdb.connect(str(warehouse.path)))
        ended = passona(
            "load", "--report", "clicks", "--metrics", "m.prom", "--on-failure", "sh -c 'cat > told; echo $PASSONA_EXIT_CODE > code'",
            *case.arguments, box=box, **case.environment,
        )  # fmt: skip
    assert ended.returncode == case.code
    said = f"passona: {case.said}" if case.said else ""
    assert ended.stderr[: len(said)] == said
    assert ended.stderr.count("\n") == (case.code != 0)
    assert "secret" not in ended.stdout + ended.stderr
    metrics = (tmp_path / "m.prom").read_text().splitlines()
    assert f"passona_load_exit_code {case.code}" in metrics
    assert f'passona_load_outcome{{outcome="{case.word}"}} 1' in metrics
    assert (tmp_path / "told").exists() == (case.code != 0)
    if case.code:
        reported = json.loads((tmp_path / "told").read_text())
        assert (reported["outcome"], reported["exit_code"], (tmp_path / "code").read_text()) == (
            case.word, case.code, f"{case.code}\n",
        )  # fmt: skip
        assert reported["errors"] == [ended.stderr.removeprefix("passona: ").rstrip("\n")]
