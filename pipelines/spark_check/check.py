"""`make spark-check`: a lake read by a Spark cluster of two workers, and the models on it equal to those on DuckDB.

An account of the sandbox is loaded into a lake and into a DuckDB file, the same dbt project is built on both, and
every figure of every mart is compared. The cluster is Spark's own (standalone), on loopback, and ends with the check.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sandbox import Account, Sandbox

PROJECT = Path(__file__).parents[1] / "warehouse"
# Rows of the account's largest campaigns: all kinds of them, and a minute for all of Spark's starting.
ROWS = int(os.environ.get("PASSONA_SPARK_ROWS", "4000"))
NOW = datetime(2026, 1, 12, 12, tzinfo=UTC)
WORKERS = 2
MARTS = ("campaigns", "messages", "clicks", "links", "devices", "campaign_hours", "campaign_statuses",
         "recipient_fields", "unsent_reasons")  # fmt: skip
# Small: half a core of work, and nobody watches it.
_CONFIGURATION = {
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "4",
    "spark.driver.memory": "1g",
    "spark.executor.memory": "1g",
    "spark.log.level": "ERROR",
}


def main() -> int:
    """Ends with 1 where a figure differs, or not all workers took part."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        _load(folder)
        on_duckdb = _seconds(lambda: _passona(folder, "transform"))
        master = stack.enter_context(_cluster(folder))
        built = _seconds(lambda: _dbt(folder, master))
        print(f"models and their tests: DuckDB {on_duckdb:.0f} s, Spark {built:.0f} s", flush=True)
        workers = _written(folder, master)
        counts, differing = _differing(folder)
    for line in differing:
        print(line)
    told = ", ".join(f"{mart} {count:,}" for mart, count in counts.items())
    print(f"{workers} workers; rows compared: {told}; {len(differing)} differences")
    return int(bool(differing) or workers < WORKERS)


def _load(folder: Path) -> None:
    with Sandbox(Account(rows=ROWS, now=NOW.timestamp())) as box:
        source = {"SOURCES__PASSONA__API_TOKEN": box.token, "SOURCES__PASSONA__BASE_URL": box.base_url}
        lake = {
            "DESTINATION__WAREHOUSE__DESTINATION_TYPE": "filesystem",
            "DESTINATION__WAREHOUSE__BUCKET_URL": str(folder / "lake"),
        }
        for destination in ({}, lake):
            _passona(folder, "load", **source, **destination)


def _passona(folder: Path, verb: str, **environment: str) -> None:
    _run([sys.executable, "-m", "passona", verb], folder, environment)


def _dbt(folder: Path, master: str) -> None:
    """The project on the cluster, its tests too; its unit tests say times in a dialect that is not Spark's."""
    _run(
        [
            sys.executable, "-m", "dbt.cli.main", "build", "--exclude-resource-type", "unit_test", "--target", "spark",
            "--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT),
            "--target-path", str(folder / "dbt"), "--log-path", str(folder / "dbt"),
        ],
        folder,
        {"PASSONA_LAKE": f"file://{folder / 'lake'}", "PASSONA_SPARK_MASTER": master} | _spark_environment(folder),
    )  # fmt: skip


def _run(command: Sequence[str], folder: Path, environment: dict[str, str]) -> str:
    ended = subprocess.run(  # noqa: S603  # our own interpreter and our own words
        command, cwd=folder, env=os.environ | {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false"} | environment,
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    if ended.returncode:
        raise RuntimeError(f"{' '.join(command[1:4])} ended with {ended.returncode}: {ended.stdout}{ended.stderr}")
    return ended.stdout


def _spark_environment(folder: Path) -> dict[str, str]:
    configuration = folder / "spark"
    configuration.mkdir(exist_ok=True)
    lines = (f"{name} {value}\n" for name, value in _CONFIGURATION.items())
    (configuration / "spark-defaults.conf").write_text("".join(lines), "utf-8")
    return {
        "SPARK_CONF_DIR": str(configuration),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
    }


@contextmanager
def _cluster(folder: Path) -> Iterator[str]:
    """A master and two workers, each a process; the master's address."""
    import pyspark

    home = Path(pyspark.__file__).parent
    port = _free_port()
    master = f"spark://127.0.0.1:{port}"
    places = ["--host", "127.0.0.1", "--webui-port", "0"]
    commands = [["org.apache.spark.deploy.master.Master", *places, "--port", str(port)]]
    commands += [
        ["org.apache.spark.deploy.worker.Worker", *places, "--cores", "1", "--memory", "1500m",
         "--work-dir", str(folder / f"worker{number}"), master]
        for number in range(WORKERS)
    ]  # fmt: skip
    environment = os.environ | _spark_environment(folder) | {"SPARK_HOME": str(home)}
    processes = []
    try:
        for command in commands:
            processes.append(
                subprocess.Popen(  # noqa: S603  # Spark's own launcher
                    [str(home / "bin" / "spark-class"), *command], cwd=folder, env=environment,
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                )
            )  # fmt: skip
            _until_it_listens(port)
        yield master
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _until_it_listens(port: int) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError("Spark's master does not listen after a minute")


def _written(folder: Path, master: str) -> int:
    """Has Spark write the marts to files of their own; how many workers gave it executors."""
    script = f"""
from pyspark.sql import SparkSession
session = (SparkSession.builder.master({master!r}).config("spark.sql.session.timeZone", "UTC")
           .config("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS").enableHiveSupport().getOrCreate())
for mart in {MARTS!r}:
    session.table("analytics." + mart).write.parquet("marts/" + mart)
print("workers", session.sparkContext._jsc.sc().getExecutorMemoryStatus().size() - 1)
session.stop()
"""
    said = _run([sys.executable, "-c", script], folder, _spark_environment(folder))
    return int(said.rpartition("workers ")[2].split()[0])


def _differing(folder: Path) -> tuple[dict[str, int], list[str]]:
    """Rows of each mart, and what only one of the two has. Of every column but the time of the load: that were two."""
    import duckdb

    counts, lines = {}, []
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for mart in MARTS:
            here, there = f"analytics.{mart}", f"read_parquet('{folder}/marts/{mart}/*.parquet')"
            columns = connection.execute(f"DESCRIBE {here}").fetchall()
            names = ", ".join(f'"{column[0]}"' for column in columns if column[0] != "verified_at")
            ((counts[mart],),) = connection.execute(f"SELECT count(*) FROM {there}").fetchall()  # noqa: S608  # names of ours
            for which, one, other in (("DuckDB", here, there), ("Spark", there, here)):
                only = connection.execute(
                    f"SELECT {names} FROM {one} EXCEPT ALL SELECT {names} FROM {other} ORDER BY ALL LIMIT 3"  # noqa: S608  # names of ours
                ).fetchall()
                lines += [f"{mart}: {which} alone: {row}" for row in only]
    return counts, lines


def _seconds(work: Any) -> float:
    begun = time.monotonic()
    work()
    return time.monotonic() - begun


if __name__ == "__main__":
    sys.exit(main())
