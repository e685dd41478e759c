"""`make dagster-check`: the definitions load, and everything is materialised in this process from a sandbox."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from sandbox import Account, Sandbox

HERE = Path(__file__).parent


def main() -> int:
    """Ends with 1 where the run, a check of an asset, or the sensor is not as it should be."""
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
        return _checked()


def _checked() -> int:
    import dagster as dg
    from definitions import ALL_REPORTS, defs

    with dg.DagsterInstance.get() as instance:
        ended = defs.resolve_job_def("nightly").execute_in_process(instance=instance, tags=ALL_REPORTS)
        checks = ended.get_asset_check_evaluations()
        built = {
            event.asset_key.to_user_string() for event in ended.get_asset_materialization_events() if event.asset_key
        }
        wanted = [_asked_for(instance)]
        _grow_old("clicks")
        wanted.append(_asked_for(instance))
    failed = [f"{check.asset_key.to_user_string()} {check.check_name}" for check in checks if not check.passed]
    print(f"{len(built)} assets built, {len(checks)} checks, failed: {failed or 'none'}, the sensor asked for {wanted}")
    return int(not ended.success or bool(failed) or wanted != [[], ["clicks"]] or "passona/reports" not in built)


def _asked_for(instance: Any) -> list[str]:
    import dagster as dg
    from definitions import defs, freshness

    requests = freshness.evaluate_tick(dg.build_sensor_context(instance, definitions=defs)).run_requests or []
    return [request.partition_key or "" for request in requests]


def _grow_old(report: str) -> None:
    import duckdb

    with duckdb.connect(os.environ["DESTINATION__WAREHOUSE__CREDENTIALS"]) as connection:
        connection.execute(
            "UPDATE passona.report_ledger SET verified_at = verified_at - INTERVAL 2 DAY WHERE report = ?", [report]
        )


if __name__ == "__main__":
    sys.exit(main())
