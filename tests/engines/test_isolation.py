"""Variables made for other programs change nothing of what is loaded and built.

In processes of their own from the first import on, because some variables are read by imports.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from passona.config._lookup import PLACES
from passona_sandbox import Account, Sandbox
from support.engines import change, url_of
from support.foreign import FOREIGN, OF_DBT
from support.warehouses import Warehouse, environment_of

pytestmark = pytest.mark.both

NOW = datetime(2026, 1, 12, 12, tzinfo=UTC)
# Those that used to lose rows, write them elsewhere or change them. `make soak` takes each.
TWELVE = (
    "DEV_MODE", "DBT_EMPTY", "TIMEZONE", "API_TOKEN", "RETAIN_DAYS", "NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_ID",
    "DLT_DEFAULT_NAMING_NAMESPACE", "PYTHONWARNINGS", "PYTHONOPTIMIZE", "PGOPTIONS",
    "DBT_PROFILE", "DBT_RESOURCE_TYPES",
)  # fmt: skip
ALONE = tuple(FOREIGN) if os.environ.get("PASSONA_FOREIGN") else TWELVE
SECONDS = 300


@dataclass
class Clean:
    """What a load and a build make of an account where nothing foreign is set."""

    box: Sandbox
    warehouse: Warehouse
    raw: Mapping[str, list[tuple[Any, ...]]]
    marts: Mapping[str, list[tuple[Any, ...]]]


def passona(folder: Path, box: Sandbox, *arguments: str, foreign: Mapping[str, str] | None = None) -> str:
    """Runs the command with these foreign variables, and gives what it printed on both streams."""
    ended = subprocess.run(
        [sys.executable, "-m", "passona", *arguments], cwd=folder, check=False, capture_output=True,
        env=environment_of(None, folder) | (foreign or {}) | settings(box), timeout=SECONDS,
    )  # fmt: skip
    printed = (ended.stdout + ended.stderr).decode("utf-8", "replace")
    assert ended.returncode == 0, printed
    return printed


def settings(box: Sandbox) -> dict[str, str]:
    return {
        "SOURCES__PASSONA__API_TOKEN": box.token,
        "SOURCES__PASSONA__BASE_URL": box.base_url,
        "SOURCES__PASSONA__RETRY_PAUSE": "0.01",
    }


def marts(warehouse: Warehouse) -> dict[str, list[tuple[Any, ...]]]:
    """All marts, without the times of the load."""
    names = [name for (name,) in warehouse.rows(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'analytics'"
    )]  # fmt: skip
    found = {name: warehouse.rows(f"SELECT * FROM analytics.{name}") for name in names}
    loaded = warehouse.rows("SELECT DISTINCT verified_at FROM analytics.campaigns")
    times = {time for (time,) in loaded}
    return {
        name: sorted((tuple(None if value in times else value for value in row) for row in rows), key=repr)
        for name, rows in found.items()
    }


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("clean")
    with Sandbox(Account(campaigns=2, rows=200, now=NOW.timestamp())) as box:
        passona(folder, box, "load", "--transform")
        warehouse = Warehouse(folder / "warehouse.duckdb")
        yield Clean(box, warehouse, warehouse.content(), marts(warehouse))


def test_the_variables_are_many_and_of_every_kind() -> None:
    assert len(FOREIGN) >= 60
    assert set(TWELVE) <= FOREIGN.keys()


def test_all_foreign_variables_and_files_at_once_change_nothing(clean: Clean, tmp_path: Path) -> None:
    write_files_of_others(tmp_path)
    # With files here, dlt's own variables for where they are would be refused.
    foreign = {name: value for name, value in FOREIGN.items() if name not in PLACES}
    printed = passona(tmp_path, clean.box, "load", "--transform", foreign=foreign | {"HOME": str(tmp_path)})
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    assert warehouse.content() == clean.raw
    assert marts(warehouse) == clean.marts
    assert printed.count("\n") < 20, printed  # no library's log


def write_files_of_others(folder: Path) -> None:
    """Settings of dlt and projects of dbt, as they may be where a command runs and at home."""
    (folder / ".dlt").mkdir()
    (folder / ".dlt/config.toml").write_text(
        "dev_mode = true\nretain_days = 31\ntimezone = 'Asia/Tokyo'\n[pipelines.passona]\ndev_mode = true\n"
        "dataset_name = 'sms'\n[load]\nworkers = 7\n[normalize.parquet_normalizer]\nadd_dlt_id = true\n"
        "[runtime]\nlog_level = 'DEBUG'\nsentry_dsn = 'http://k@127.0.0.1:9/1'\n[sources]\ntimezone = 'Asia/Tokyo'\n"
    )
    (folder / ".dbt").mkdir()
    for file in (folder / "profiles.yml", folder / ".dbt/profiles.yml"):
        file.write_text("config: {empty: true}\npassona_warehouse: {target: other, outputs: {}}\n")
    (folder / "dbt_project.yml").write_text("name: other\nversion: 1.0.0\nprofile: other\nflags: {empty: true}\n")


def test_dlts_variables_for_places_of_files_change_nothing(clean: Clean, tmp_path: Path) -> None:
    passona(tmp_path, clean.box, "load", foreign={name: FOREIGN[name] for name in PLACES})
    assert Warehouse(tmp_path / "warehouse.duckdb").content() == clean.raw


@pytest.mark.parametrize("name", ALONE)
def test_a_foreign_variable_changes_nothing(clean: Clean, tmp_path: Path, name: str) -> None:
    warehouse, foreign = Warehouse(tmp_path / "warehouse.duckdb"), {name: FOREIGN[name]}
    if name not in OF_DBT:
        passona(tmp_path, clean.box, "load", foreign=foreign)
        assert warehouse.content() == clean.raw
        return
    passona(tmp_path, clean.box, "load", "--transform", foreign=foreign)
    assert marts(warehouse) == clean.marts


def test_a_load_over_a_loaded_warehouse_goes_into_it(clean: Clean, tmp_path: Path) -> None:
    # DEV_MODE used to end with "ok", and with all rows of the ledger failed.
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    passona(tmp_path, clean.box, "load")
    passona(tmp_path, clean.box, "load", "--refresh", foreign={"DEV_MODE": "true", "FULL_REFRESH": "true"})
    assert warehouse.content() == clean.raw
    assert warehouse.rows("SELECT count(*) FROM passona.report_ledger WHERE verified_at IS NULL") == [(0,)]


@pytest.mark.postgres("about a server's settings")
def test_what_a_database_has_set_for_other_programs_changes_nothing(clean: Clean, tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    _ = warehouse.address  # makes the database
    name = url_of(warehouse.path).rpartition("/")[2]
    for setting in (
        "standard_conforming_strings = off", "client_encoding = 'LATIN1'", "transform_null_equals = on",
        "datestyle = 'German'",
    ):  # fmt: skip
        change(warehouse.path, f"ALTER DATABASE {name} SET {setting}")
    passona(tmp_path, clean.box, "load", "--transform")
    change(warehouse.path, f"ALTER DATABASE {name} RESET ALL")  # for who reads here
    assert warehouse.content() == clean.raw
    assert marts(warehouse) == clean.marts


@pytest.mark.core
def test_an_exit_code_is_kept_where_python_would_open_its_prompt(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "passona", "load"], cwd=tmp_path, check=False, capture_output=True, text=True,
        env=environment_of(None, tmp_path) | {"PYTHONINSPECT": "1"}, stdin=subprocess.DEVNULL, timeout=SECONDS,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
