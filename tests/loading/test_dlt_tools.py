"""dlt's own tools on a warehouse made by `load`, and its schema as it is kept under schemas/export/."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import dlt
from dlt.pipeline.helpers import pipeline_drop

import dlt_docs
from passona.reports.tables import TABLES
from passona_sandbox import Account, Sandbox
from schema_export import EXPORT, exported
from support.warehouses import Warehouse

WAYS = (("clicks",), ("unsent", "sent"), ("recipient",), ("delivery", "alt_delivery", "clicks"))


def schema_versions(warehouse: Warehouse) -> list[str]:
    return [version for (version,) in warehouse.rows("SELECT version_hash FROM passona._dlt_version ORDER BY version")]


def test_the_page_on_dlt_shows_what_its_commands_and_scripts_print(demo_warehouse: Path, tmp_path: Path) -> None:
    own = tmp_path / "warehouse.duckdb"  # dlt opens it for writing
    shutil.copy(demo_warehouse, own)
    page = dlt_docs.PAGE.read_text("utf-8")
    assert dlt_docs.with_results(page, own).splitlines() == page.splitlines(), "make docs writes it anew"


def test_the_exported_schema_is_the_one_of_a_load(demo_warehouse: Path) -> None:
    assert exported(demo_warehouse).splitlines() == EXPORT.read_text("utf-8").splitlines(), "make schema writes it anew"


def test_loads_that_bring_no_new_column_leave_dlts_schema_as_it_was(warehouse: Warehouse) -> None:
    # Each of several resources that write row_issues used to put its own name into the schema, and
    # tables that dlt had known for long were sent to it anew, so that most loads left another version.
    with Sandbox(Account(campaigns=2, rows=60)) as box:
        warehouse.load(box)
        warehouse.load(box, refresh=True)
        before = schema_versions(warehouse)
        for reports in WAYS:
            warehouse.load(box, reports=reports, refresh=True)
    assert schema_versions(warehouse) == before
    ((stored,), *_) = warehouse.rows("SELECT schema FROM passona._dlt_version ORDER BY version DESC")
    tables = json.loads(stored)["tables"]
    assert {name: tables[name]["resource"] for name in TABLES} == {
        name: {"campaigns__contact_groups": "campaigns"}.get(name, name.removesuffix("__fields")) for name in TABLES
    }


def test_a_table_that_dlt_dropped_is_loaded_again(warehouse: Warehouse, tmp_path: Path) -> None:
    # The next load used to make it anew, empty, under a ledger that went on telling of its rows.
    with Sandbox(Account(campaigns=2, rows=60)) as box:
        warehouse.load(box)
        before = warehouse.content()
        assert warehouse.count("clicks")
        pipeline = dlt.attach(
            "passona",
            pipelines_dir=str(tmp_path / "dlt"),
            destination=dlt.destinations.duckdb(str(warehouse.path), destination_name="warehouse"),
            dataset_name="passona",
        )
        pipeline_drop(pipeline, resources=["clicks"])()
        assert "clicks" not in warehouse.content()
        warehouse.load(box)
    assert warehouse.content() == before
