"""`make spark-check`: build every dbt model on Spark on empty tables, then run every unit test.

    python benchmarks/spark_units.py

The exit code is 1 if a model cannot be built or a unit test fails.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from passona.config.dbt_project import project_folder
from passona.reports.tables import TABLES

_TYPES = {"VARCHAR": "STRING", "BIGINT": "BIGINT", "BOOLEAN": "BOOLEAN", "TIMESTAMP WITH TIME ZONE": "TIMESTAMP"}
_STEPS = (
    ("build", "--empty", "--exclude-resource-type", "test", "--exclude-resource-type", "unit_test"),
    ("test", "--select", "test_type:unit"),
)


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="passona-spark-") as name:
        os.environ |= {"PASSONA_SPARK_CATALOG": "in-memory", "SPARK_LOCAL_IP": "127.0.0.1"}
        _make_tables(Path(name))
        return int(not all(_run(step, Path(name)) for step in _STEPS))


def _run(step: tuple[str, ...], folder: Path) -> bool:
    """Run dbt once, and return True if every node succeeded."""
    from dbt.cli.main import dbtRunner

    project = str(project_folder())
    where = ["--project-dir", project, "--profiles-dir", project, "--target", "spark", "--no-use-colors"]
    output = ["--target-path", str(folder / "target"), "--log-path", str(folder / "logs"), "--quiet"]
    outcome = dbtRunner().invoke([*step, *where, *output])
    results = getattr(outcome.result, "results", ())
    succeeded = sum(str(result.status) in ("success", "pass") for result in results)
    print(f"dbt {' '.join(step)}: {succeeded} of {len(results)} succeeded", flush=True)
    return bool(outcome.success and succeeded == len(results) and succeeded)


def _make_tables(folder: Path) -> None:
    """Create the tables of `passona`, and the dlt table that the models read, in the session that dbt will use."""
    from pyspark.sql import SparkSession

    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.log.level", "ERROR")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.catalogImplementation", "in-memory")
        .config("spark.sql.warehouse.dir", str(folder / "tables"))
        .getOrCreate()
    )
    spark.sql("CREATE DATABASE passona")
    for table in TABLES.values():
        columns = [f"`{name}` {_TYPES[kind.removesuffix(' NOT NULL')]}" for name, kind in table.sql_columns.items()]
        spark.sql(f"CREATE TABLE passona.`{table.name}` ({', '.join(columns)}) USING parquet")
    spark.sql("CREATE TABLE passona._dlt_loads (load_id STRING, status BIGINT) USING parquet")


if __name__ == "__main__":
    sys.exit(main())
