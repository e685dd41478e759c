"""`make dagster-check`: run the definitions in this process, against a sandbox."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import dagster as dg
import duckdb
import yaml
from dagster_dbt import get_asset_key_for_model

from passona.reports.definitions import REPORTS
from passona_sandbox import Account, Sandbox

HERE = Path(__file__).parent
SCHEMA = HERE.parents[1] / "schemas/export/passona.schema.yaml"  # in which dlt notes the resource of each table


def main() -> None:
    """Raise AssertionError where Dagster does not show or do what it should."""
    with tempfile.TemporaryDirectory() as folder, Sandbox(Account(rows=2000)) as box:
        shutil.copy(HERE / "dagster.yaml", folder)
        os.environ |= {
            "DAGSTER_HOME": folder,
            "DAGSTER_IS_DEV_CLI": "1",  # let dagster-dbt write the manifest
            "DLT_DATA_DIR": folder,
            "PASSONA_WAREHOUSE": f"{folder}/warehouse.duckdb",
            "SOURCES__PASSONA__API_TOKEN": box.token,
            "SOURCES__PASSONA__BASE_URL": box.base_url,
        }
        with dg.DagsterInstance.get() as instance:
            check_lineage()
            check_refused_token(instance)
            check_night(instance)
            check_subset(instance, box)


def check_lineage() -> None:
    """Each model depends on the resources whose tables it reads, by dbt's manifest."""
    from definitions import dbt_project, defs, load, models

    manifest = json.loads(dbt_project.manifest_path.read_text("utf-8"))
    tables, graph = yaml.safe_load(SCHEMA.read_text("utf-8"))["tables"], defs.resolve_asset_graph()
    for node in manifest["nodes"].values():
        if node["resource_type"] == "model":
            sources = [manifest["sources"][name]["name"] for name in node["depends_on"]["nodes"] if "source." in name]
            expected = {dg.AssetKey(["passona", tables[table]["resource"]]) for table in sources}
            parents = graph.get(get_asset_key_for_model([models], node["name"])).parent_keys
            assert parents & load.keys == expected & load.keys, f"{node['name']}: {parents}, expected {expected}"


def check_refused_token(instance: dg.DagsterInstance) -> None:
    with mock.patch.dict(os.environ, {"SOURCES__PASSONA__API_TOKEN": "refused"}):
        result = run_nightly(instance, raise_on_error=False)
    failed = [event.step_key for event in result.all_events if event.is_step_failure]
    assert (failed, result.get_step_success_events()) == (["load"], []), f"a refused token: {failed}"


def check_night(instance: dg.DagsterInstance) -> None:
    """All is loaded and built, and all checks pass."""
    result = run_nightly(instance)
    failed = [check.check_name for check in result.get_asset_check_evaluations() if not check.passed]
    assert not failed, f"failed checks: {failed}"
    with duckdb.connect(os.environ["PASSONA_WAREHOUSE"], read_only=True) as connection:
        connection.execute("USE passona")
        sums = dict(connection.execute("SELECT report, sum(row_count) FROM report_ledger GROUP BY report").fetchall())
        assert sums == {name: len(connection.table(name)) for name in REPORTS}, f"the ledger counts {sums}"
        messages = len(connection.table("analytics.messages"))
    print(f"a night: {len(built(result))} assets, {sum(sums.values()):,} rows, {messages:,} messages")


def check_subset(instance: dg.DagsterInstance, box: Sandbox) -> None:
    """One asset alone loads that report, and nothing else."""
    box.forget_requests()
    result = run_nightly(instance, asset_selection=[dg.AssetKey(["passona", "clicks"])])
    reports = {request.report for request in box.requests if request.kind == "report"}
    assert (built(result), reports) == ({"passona/clicks"}, {"clicks"}), f"built {built(result)}, asked for {reports}"


def run_nightly(instance: dg.DagsterInstance, **options: Any) -> dg.ExecuteInProcessResult:
    from definitions import defs

    return defs.resolve_job_def("nightly").execute_in_process(instance=instance, **options)


def built(result: dg.ExecuteInProcessResult) -> set[str]:
    return {event.asset_key.to_user_string() for event in result.get_asset_materialization_events()}


if __name__ == "__main__":
    main()
