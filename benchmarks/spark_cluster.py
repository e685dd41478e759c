"""A Spark cluster of two workers on loopback, and how it finds a lake in a bucket.

settings -> master and workers, each a process -> dbt's environment -> tables in a folder
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

WORKERS = 2
# Of each program a heap that grows to this where it is needed: with DuckDB's share it fits in 24 GB.
_DRIVER, _EXECUTOR, _WORKER = "3g", "4g", "5g"
# Rows of reports for which a shuffle gets one more part: some 100 MB, sorted in an executor's memory.
_ROWS_A_PART = 250_000


def settings(folder: Path, rows: int) -> dict[str, str]:
    """What the cluster is told. `folder`: where its tables are to be. `rows`: of all reports."""
    jars = ":".join(map(str, _jars()))
    return {
        "spark.ui.enabled": "false",  # nobody watches
        "spark.log.level": "ERROR",
        "spark.driver.memory": _DRIVER,
        "spark.executor.memory": _EXECUTOR,
        "spark.local.dir": str(folder / "spill"),
        "spark.driver.extraClassPath": jars,
        "spark.executor.extraClassPath": jars,
        "spark.sql.shuffle.partitions": str(max(2 * WORKERS, rows // _ROWS_A_PART)),
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",  # instants that others read as instants
        "spark.sql.warehouse.dir": str(folder / "tables"),
    }


def s3_settings(address: str, key: str, secret: str) -> dict[str, str]:
    """How Spark finds the buckets of an S3 server, by what `sagemaker-pyspark` brings."""
    return {
        f"spark.hadoop.fs.s3a.{name}": value
        for name, value in {
            "endpoint": address,
            "path.style.access": "true",
            "access.key": key,
            "secret.key": secret,
            # Its hadoop-aws is 3.3.1 beside Spark's Hadoop 3.4, whose defaults it cannot read: times with a unit,
            # and a class of Amazon's later library.
            "aws.credentials.provider": "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider",
            "connection.establish.timeout": "30000",  # ms
            "connection.timeout": "200000",  # ms
            "threads.keepalivetime": "60",  # s
            "multipart.purge.age": "86400",  # s
        }.items()
    }


def _jars() -> list[Path]:
    """hadoop-aws and Amazon's library, which Spark's package from PyPI lacks and another one has."""
    jars = Path(sysconfig.get_path("purelib")) / "sagemaker_pyspark" / "jars"
    return [*jars.glob("hadoop-aws-*.jar"), *jars.glob("aws-java-sdk-bundle-*.jar")]


@contextmanager
def cluster(folder: Path, given: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """A master and two workers of one core each that end with the block; the environment by which dbt finds them."""
    import pyspark

    home, port = Path(pyspark.__file__).parent, _free_port()
    environment = _environment(folder, given)
    master = f"spark://127.0.0.1:{port}"
    places = ["--host", "127.0.0.1", "--webui-port", "0"]
    commands = [["org.apache.spark.deploy.master.Master", *places, "--port", str(port)]]
    commands += [
        ["org.apache.spark.deploy.worker.Worker", *places, "--cores", "1", "--memory", _WORKER,
         "--work-dir", str(folder / f"worker{number}"), master]
        for number in range(WORKERS)
    ]  # fmt: skip
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for command in commands:
            processes.append(
                subprocess.Popen(
                    [home / "bin" / "spark-class", *command], cwd=folder, stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL, env=os.environ | environment | {"SPARK_HOME": str(home)},
                )
            )  # fmt: skip
            _until_it_listens(port)
        # The catalog ends with dbt, and the files alone are read: Hive's would only take its time.
        yield environment | {"PASSONA_SPARK_MASTER": master, "PASSONA_SPARK_CATALOG": "in-memory"}
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait()


def workers_used(folder: Path) -> int:
    """How many workers had an executor."""
    return len({place.parts[-3] for place in folder.glob("worker*/app-*/*")})


def _environment(folder: Path, given: Mapping[str, str]) -> dict[str, str]:
    configuration = folder / "spark"
    configuration.mkdir()
    lines = (f"{name} {value}\n" for name, value in given.items())
    (configuration / "spark-defaults.conf").write_text("".join(lines), "utf-8")
    return {"SPARK_CONF_DIR": str(configuration), "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}


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
