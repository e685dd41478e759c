"""The snippets of docs/source.md, docs/accounts.md and the README are executed as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from passona_sandbox import Account, Sandbox
from support.plain import small
from support.warehouses import accounts_of, environment_of

ROOT = Path(__file__).parents[2]


def blocks(page: str, kind: str = "python") -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)


def printed(script: str, folder: Path, box: Sandbox | None, **variables: str) -> str:
    environment = environment_of(box) | variables | {"PYTHONPATH": str(ROOT / "pipelines"), "DLT_DATA_DIR": str(folder)}
    ended = subprocess.run(
        [sys.executable, "-"], input=script, cwd=folder, env=environment,
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.duckdb("the page uses a file")
def test_the_page_on_the_source_runs_from_top_to_bottom(tmp_path: Path) -> None:
    account = Account(seed=5, campaigns=4, rows=200)
    with Sandbox(account) as box:
        (count,) = printed("\n".join(blocks("docs/source.md")), tmp_path, box).split()
    assert int(count) == 6 * len(account.campaigns())


@pytest.mark.duckdb("the page uses a file")
def test_the_page_on_accounts_runs_with_its_own_configuration(tmp_path: Path) -> None:
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt" / "secrets.toml").write_text(blocks("docs/accounts.md", "toml")[0])
    with Sandbox(small()) as a, Sandbox(Account(seed=5, campaigns=1, rows=60, special=False)) as b:
        boxes = {"brand_a": a, "brand_b": b}
        for box in boxes.values():
            box.switches = replace(box.switches, token="...")
        addresses = {name: value for name, value in accounts_of(boxes).items() if not name.endswith("TOKEN")}
        printed("\n".join(blocks("docs/accounts.md")), tmp_path, None, **addresses)
        assert all(record.authorized for box in boxes.values() for record in box.requests)
    with duckdb.connect(str(tmp_path / "sms.duckdb")) as connection:
        counts = connection.sql("SELECT account, count(*) FROM passona.campaigns GROUP BY 1 ORDER BY 1").fetchall()
    assert counts == [("brand_a", 3), ("brand_b", 1)]


@pytest.mark.duckdb("the page uses a file")
def test_the_scripts_of_the_readme_print_what_it_shows(tmp_path: Path) -> None:
    scripts, shown = blocks("README.md"), blocks("README.md", "text")
    assert len(scripts) == len(shown)
    assert max(len(script.splitlines()) for script in scripts) <= 8
    with Sandbox(small()) as box:
        assert [printed(script, tmp_path, box) for script in scripts] == shown
