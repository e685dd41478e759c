"""`make dagster-check`: everything is materialised in this process from a sandbox.

It is seen that
    lineage    each model hangs on the resources whose tables it reads by dbt's manifest, and those on `reports`
    refused    with a token that the server refuses, nothing runs after `reports`
    nightly    runs reports, tables and models; all checks pass; rows are those of the ledger
    freshness  asks for nothing; for what is too old; and, when that has run, for nothing again
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from sandbox import Account, Sandbox

HERE = Path(__file__).parent
SCHEMA = HERE.parents[1] / "schemas/export/passona.schema.yaml"  # dlt notes in it which resource writes which table


def main() -> int:
    """Ends with 1 where something is not as it should be, a line each."""
    with tempfile.TemporaryDirectory() as name, Sandbox(Account(rows=2000)) as box:
        folder = Path(name)
        (folder / "dagster.yaml").write_text((HERE / "dagster.yaml").read_text("utf-8"), "utf-8")
        os.environ |= {
            "DAGSTER_HOME": name,
            "DAGSTER_IS_DEV_CLI": "1",  # or dbt's manifest would have to be there
            "SOURCES__PASSONA__API_TOKEN": box.token,
            "SOURCES__PASSONA__BASE_URL": box.base_url,
            "DESTINATION__WAREHOUSE__CREDENTIALS": str(folder / "warehouse.duckdb"),
        }
        wrong = list(_wrong())
    print("\n".join(wrong) or "all as it should be")
    return int(bool(wrong))


def _wrong() -> Iterator[str]:
    import dagster as dg

    yield from _wrong_lineage()
    with dg.DagsterInstance.get() as instance:
        with mock.patch.dict(os.environ, {"SOURCES__PASSONA__API_TOKEN": "refused"}):
            yield from _wrong_refusal(instance)
        yield from _wrong_night(instance)
        yield from _wrong_freshness(instance)


def _wrong_lineage() -> Iterator[str]:
    import yaml
    from dagster_dbt import get_asset_key_for_model
    from definitions import DBT, defs, models

    graph = defs.resolve_asset_graph()
    manifest = json.loads(DBT.manifest_path.read_text("utf-8"))
    schema = yaml.safe_load(SCHEMA.read_text("utf-8"))["tables"]
    loaded = {key for key in graph.get_all_asset_keys() if key.path[0] == "passona"}
    edges = 0
    for node in manifest["nodes"].values():
        if node["resource_type"] != "model":
            continue
        read = [manifest["sources"][name]["name"] for name in node["depends_on"]["nodes"] if name.startswith("source.")]
        wanted = {f"passona/{schema[table]['resource']}" for table in read}
        found = _names(graph.get(get_asset_key_for_model([models], node["name"])).parent_keys & loaded)
        edges += len(found)
        if found != wanted:
            yield f"{node['name']} hangs on {sorted(found)}, but reads {sorted(wanted)}"
    for key in loaded:
        parents = _names(graph.get(key).parent_keys)
        if parents != (set() if key.path[1] == "reports" else {"passona/reports"}):
            yield f"{key.to_user_string()} hangs on {sorted(parents)}"
    print(f"lineage: {len(loaded) - 1} of dlt's resources, read by models {edges} times")


def _wrong_refusal(instance: Any) -> Iterator[str]:
    ended = _night(instance)
    failed = [event.step_key for event in ended.all_events if event.is_step_failure]
    print(f"refused: failed {failed}, ran {_steps(ended)}")
    if failed != ["passona__reports"] or _steps(ended):
        yield f"after a refused token failed {failed} and ran {_steps(ended)}"


def _wrong_night(instance: Any) -> Iterator[str]:
    ended = _night(instance)
    checks = ended.get_asset_check_evaluations()
    print(f"nightly: {', '.join(_steps(ended))}; {len(_built(ended))} assets, {len(checks)} checks")
    if [step for step in _steps(ended) if step != "passona__reports_fresh"] != ["passona__reports", "tables", "models"]:
        yield f"nightly ran {_steps(ended)}"
    for check in checks:
        if not check.passed:
            yield f"check failed: {check.asset_key.to_user_string()} {check.check_name}"
    counted = dict(_sql("SELECT report, sum(row_count)::BIGINT FROM passona.report_ledger GROUP BY report"))
    for name, wanted in counted.items():
        found = _built(ended)[f"passona/{name}"].metadata["dagster/row_count"].value
        if found != wanted:
            yield f"{name} has {found} rows in Dagster, and {wanted} in the ledger"


def _wrong_freshness(instance: Any) -> Iterator[str]:
    from definitions import defs

    first = _asked_for(instance)
    _sql(
        "UPDATE passona.report_ledger SET verified_at = verified_at - INTERVAL 2 DAY "
        "WHERE report = 'clicks' RETURNING report"
    )
    asked = _asked_for(instance)
    if first or [request.partition_key for request in asked] != ["clicks"]:
        yield f"the sensor asked for {first}, then for {asked}"
        return
    ended = defs.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance, partition_key=asked[0].partition_key, asset_selection=asked[0].asset_selection
    )
    built, left = set(_built(ended)), _asked_for(instance)
    print(f"freshness: asked for clicks, which built {', '.join(sorted(built))}")
    if built != {"passona/reports", "passona/clicks"} or left:
        yield f"the sensor's run built {sorted(built)}, after which the sensor asked for {left}"


def _night(instance: Any) -> Any:
    from definitions import ALL_REPORTS, defs

    nightly = defs.resolve_job_def("nightly")
    return nightly.execute_in_process(instance=instance, tags=ALL_REPORTS, raise_on_error=False)


def _steps(ended: Any) -> list[str]:
    """What a run brought to its end, in that order."""
    return [event.step_key for event in ended.get_step_success_events()]


def _built(ended: Any) -> dict[str, Any]:
    """The materialisations of a run, by asset."""
    events = ended.get_asset_materialization_events()
    return {event.asset_key.to_user_string(): event.materialization for event in events}


def _asked_for(instance: Any) -> list[Any]:
    import dagster as dg
    from definitions import defs, freshness

    return list(freshness.evaluate_tick(dg.build_sensor_context(instance, definitions=defs)).run_requests or [])


def _names(keys: Any) -> set[str]:
    return {key.to_user_string() for key in keys}


def _sql(query: str) -> list[Any]:
    import duckdb

    with duckdb.connect(os.environ["DESTINATION__WAREHOUSE__CREDENTIALS"]) as connection:
        return connection.execute(query).fetchall()


if __name__ == "__main__":
    sys.exit(main())
