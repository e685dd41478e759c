"""The SQL by which engines read a lake: the tables of the contract, verified and current rows alone.

    schema, keys that are new -> views/duckdb.sql, views/spark.sql

Whoever runs it has the lake as it is at that moment, and keeps it so: which rows are current is read into tables
of the reader's own, and replaced rows stay in the lake for the grace time. So no query sees half of a load, nor
rows and their fields of two. Rows that go at once (people who are forgotten, data that are too old) leave a mark, by
which DuckDB's views refuse to show what is no longer whole; Spark has no word for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

import pyarrow as pa

from passona.lake_files import FILED, ISSUES
from passona.lake_log import LOAD_ID, LOGS
from passona.quoting import literal, quoted
from passona.reports import CAMPAIGNS, REPORTS
from passona.schema import DATASET, TABLES
from passona.times import UTC_TIME

SNAPSHOT = "_snapshot"
GROUPS = "campaigns__contact_groups"
# The folder of the mark: an object whose name is the later the later something was removed at once.
REMOVED = "removed"
# Columns of the logs that are no columns of their tables: what belongs to a campaign goes with its row.
NESTED_GROUPS, NESTED_ISSUES = "_contact_groups", "_issues"
_SPARK_TYPES = {pa.string(): "STRING", UTC_TIME: "TIMESTAMP", pa.int64(): "BIGINT", pa.bool_(): "BOOLEAN"}
_REPORT_OF = {name: report.name for report in REPORTS.values() for name in report.tables}

# ruff: noqa: S608  # names are quoted, places are literals, the rest is constants


def duckdb_views(root: str, grace: timedelta, new_columns: Mapping[str, Sequence[str]]) -> str:
    """SQL for DuckDB. `root`: the lake as DuckDB is to open it. `new_columns`: of each table, for keys that are new."""
    lines = [
        *_head("DuckDB", grace, "duckdb -init views/duckdb.sql, or connection.execute(the text of this file)"),
        f"CREATE SCHEMA IF NOT EXISTS {DATASET};",
        f"CREATE OR REPLACE TABLE {DATASET}._removed AS SELECT {_newest_mark(root)};",
    ]
    for log, key in LOGS.items():
        place = literal(f"{root}/{log}/*.parquet")
        lines.append(
            f"CREATE OR REPLACE TABLE {DATASET}.{_kept(log)} AS\n"
            f"SELECT * FROM read_parquet({place}, union_by_name = true)\n"
            f"QUALIFY row_number() OVER (PARTITION BY {', '.join(key)} ORDER BY {LOAD_ID} DESC) = 1;"
        )
    for name in FILED:
        columns = _columns(name, new_columns)
        one_schema = "union_by_name = true" if new_columns.get(name) else "union_by_name = false"
        place = literal(f"{root}/{name}/*/*/*.parquet")
        files = (
            f"read_parquet({place}, hive_partitioning = true, {one_schema},\n"
            "    hive_types = {'campaign_id': VARCHAR, 'snapshot': VARCHAR})"
        )
        lines.append(_filed_view(name, columns, files, "unnest", where=_nothing_removed(root)))
    return "\n".join([*lines, *_control_views(new_columns, "unnest")]) + "\n"


def spark_views(root: str, grace: timedelta, new_columns: Mapping[str, Sequence[str]]) -> str:
    """SQL for Spark, statements parted by `;` at a line's end. `root`: the lake as Spark is to open it."""
    lines = [
        *_head("Spark", grace, "spark-sql -f views/spark.sql, in a session whose time zone is UTC"),
        f"CREATE DATABASE IF NOT EXISTS {DATASET};",
    ]
    for log, key in LOGS.items():
        kept = f"{DATASET}.{_kept(log)}"
        place = literal(f"{root}/{log}")
        newest = f"row_number() OVER (PARTITION BY {', '.join(key)} ORDER BY {LOAD_ID} DESC) AS _place"
        lines += [
            f"CREATE OR REPLACE TEMPORARY VIEW {_kept(log)}_log USING parquet",
            f"OPTIONS (path {place}, mergeSchema 'true');",
            f"DROP TABLE IF EXISTS {kept};",
            f"CREATE TABLE {kept} USING parquet AS",
            f"SELECT * FROM (SELECT *, {newest} FROM {_kept(log)}_log) WHERE _place = 1;",
        ]
    for name in FILED:
        columns = _columns(name, new_columns)
        types = {field.name: _SPARK_TYPES[field.type] for field in TABLES[name].schema}
        declared = [f"`{column}` {types.get(column, 'STRING')}" for column in columns]
        files = f"{DATASET}._{name}"
        place = literal(f"{root}/{name}")
        lines += [
            f"DROP TABLE IF EXISTS {files};",
            f"CREATE TABLE {files} ({', '.join([*declared, 'campaign_id STRING', 'snapshot STRING'])})",
            f"USING parquet PARTITIONED BY (campaign_id, snapshot) LOCATION {place};",
            f"MSCK REPAIR TABLE {files};",
            _filed_view(name, columns, files, "explode").replace('"', "`"),
        ]
    views = _control_views(new_columns, "explode")
    return "\n".join([*lines, *(view.replace('"', "`") for view in views)]) + "\n"


def _head(engine: str, grace: timedelta, how: str) -> list[str]:
    hours = grace.total_seconds() / 3600
    return [
        f"-- The tables of a lake for {engine}; made by passona load, and made anew by each load.",
        f"--   {how}",
        "-- They show the lake as it is when this is run, verified rows alone, and go on showing it so; what is",
        f"-- replaced stays for {hours:g} hours. For what was loaded since, run it again.",
    ]


def _kept(log: str) -> str:
    """The reader's own table of a log's rows that count."""
    return f"_current_{log}"


def _columns(name: str, new_columns: Mapping[str, Sequence[str]]) -> list[str]:
    """The columns in the files of a table: those of the contract but for the one that the folder tells."""
    known = [column for column in TABLES[name].schema.names if column != "campaign_id"]
    return known + [column for column in new_columns.get(name, ()) if column not in known]


def _newest_mark(root: str) -> str:
    return f"coalesce(max(file), '') AS mark FROM glob({literal(f'{root}/{REMOVED}/*')})"


def _nothing_removed(root: str) -> str:
    """A condition of DuckDB that holds as long as nothing was removed at once since the reader began; then an error."""
    return (
        f"WHERE (SELECT CASE WHEN mark = (SELECT mark FROM {DATASET}._removed) THEN true\n"
        "    ELSE error('rows were removed from the lake since views/duckdb.sql was read: read it again') END\n"
        f"    FROM (SELECT {_newest_mark(root)}) AS newest)\n"
    )


def _filed_view(name: str, columns: Sequence[str], files: str, unnest: str, where: str = "") -> str:
    report = literal(_REPORT_OF[name]) if name in _REPORT_OF else "files.report"
    select = [f"files.{quoted(column)}" for column in columns]
    view = (
        f"CREATE OR REPLACE VIEW {DATASET}.{name} AS\n"
        f"SELECT files.campaign_id, {', '.join(select)}, files.snapshot AS {LOAD_ID}\n"
        f"FROM {DATASET}.{_kept('report_ledger')} AS kept INNER JOIN {files} AS files\n"
        f"ON files.campaign_id = kept.campaign_id AND files.snapshot = kept.{SNAPSHOT} AND kept.report = {report}\n"
        f"{where}"
    ).rstrip()
    if name != ISSUES:
        return f"{view};"
    nested = ", ".join(f"issue.{column}" for column in ("row_id", "column_name", "raw_value", "issue"))
    return (
        f"{view}\nUNION ALL\nSELECT campaign_id, '{CAMPAIGNS.name}', {nested}, {LOAD_ID}\n"
        f"FROM (SELECT campaign_id, {LOAD_ID}, {unnest}({NESTED_ISSUES}) AS issue\n"
        f"FROM {DATASET}.{_kept(CAMPAIGNS.name)}) AS nested;"
    )


def _control_views(new_columns: Mapping[str, Sequence[str]], unnest: str) -> list[str]:
    """Views of what the logs tell. `unnest`: the engine's word for a row of each element of a list."""
    views = []
    for log in LOGS:
        names = ", ".join(map(quoted, [*TABLES[log].schema.names, *new_columns.get(log, ()), LOAD_ID]))
        views.append(f"CREATE OR REPLACE VIEW {DATASET}.{log} AS\nSELECT {names}\nFROM {DATASET}.{_kept(log)};")
    group = ", ".join(f"contact_group.{column}" for column in TABLES[GROUPS].schema.names[1:])
    views.append(
        f"CREATE OR REPLACE VIEW {DATASET}.{GROUPS} AS\nSELECT campaign_id, {group}, {LOAD_ID}\n"
        f"FROM (SELECT campaign_id, {LOAD_ID}, {unnest}({NESTED_GROUPS}) AS contact_group\n"
        f"FROM {DATASET}.{_kept(CAMPAIGNS.name)}) AS nested;"
    )
    views.append(
        f"CREATE OR REPLACE VIEW {DATASET}._dlt_loads AS\n"
        f"SELECT DISTINCT {LOAD_ID} AS load_id, 0 AS status FROM {DATASET}.{_kept('report_ledger')};"
    )
    return views
