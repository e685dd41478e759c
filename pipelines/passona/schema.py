"""The tables of the dataset: columns, types, merge keys, comments. One place; all else is made from it.

The contract's table, in Arrow's types, dlt's hints and DuckDB's comments. Times are instants in UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from passona.campaigns import GROUPS
from passona.ledger import LEDGER
from passona.reports import CAMPAIGNS, REPORTS, Report
from passona.rows import ISSUES
from passona.times import UTC_TIME

DATASET = "passona"
# One row per (campaign, table) of a load carries it, tells dlt to delete the old rows, and is not stored.
MARKER = "_marker"

RUNS = pa.schema(
    [
        ("run_id", pa.string()),
        ("started_at", UTC_TIME),
        ("finished_at", UTC_TIME),
        ("verb", pa.string()),
        ("outcome", pa.string()),
        ("requests", pa.int64()),
        ("row_count", pa.int64()),
        ("version", pa.string()),
        ("campaign_id", pa.string()),
        ("report", pa.string()),
    ]
)

_DLT_TYPES = {pa.string(): "text", UTC_TIME: "timestamp", pa.int64(): "bigint", pa.bool_(): "bool"}
_SQL_TYPES = {
    pa.string(): "VARCHAR",
    UTC_TIME: "TIMESTAMP WITH TIME ZONE",
    pa.int64(): "BIGINT",
    pa.bool_(): "BOOLEAN",
}

_ROW_COMMENTS = {
    "campaign_id": "campaign the row belongs to; from the address asked, no row carries it",
    "row_id": "digest of campaign, report, row and its ordinal among equal rows; unique in its table",
}


@dataclass(frozen=True)
class Table:
    """One table. `marked`: replaced by campaign by means of marker rows."""

    name: str
    comment: str
    schema: pa.Schema
    comments: dict[str, str]
    merge_key: tuple[str, ...] = ("campaign_id",)
    marked: bool = True

    @cached_property
    def arrow(self) -> pa.Schema:
        """The schema as loaded, marker included."""
        return self.schema.append(pa.field(MARKER, pa.bool_())) if self.marked else self.schema

    @property
    def hints(self) -> dict[str, dict[str, Any]]:
        """dlt's column hints: every type pinned, everything nullable (marker rows hold nothing else)."""
        hints: dict[str, dict[str, Any]] = {
            field.name: {
                "name": field.name,
                "data_type": _DLT_TYPES[field.type],
                "nullable": True,
                "description": self.comments[field.name],
            }
            for field in self.schema
        }
        if self.marked:
            hints[MARKER] = {"name": MARKER, "data_type": "bool", "nullable": True, "hard_delete": True}
        return hints

    @property
    def sql_columns(self) -> dict[str, str]:
        """The columns and their SQL types, as dlt would make them in DuckDB."""
        return {field.name: _SQL_TYPES[field.type] for field in self.arrow} | {"_dlt_load_id": "VARCHAR NOT NULL"}

    def markers(self, keys: Sequence[dict[str, str]]) -> pa.Table:
        """One row for each of these keys, which deletes what the table holds under it."""
        return pa.Table.from_pylist([{**key, MARKER: True} for key in keys], schema=self.arrow)


def _report_table(report: Report) -> Table:
    columns: list[tuple[str, pa.DataType]] = [("campaign_id", pa.string()), ("row_id", pa.string())]
    types = {"text": pa.string(), "time": UTC_TIME, "integer": pa.int64()}
    columns += [(column.name, types[column.kind]) for column in report.columns]
    comments = {column.name: column.comment for column in report.columns}
    return Table(
        report.name,
        f"One row per {report.grain}. Source: GET reporting/<campaign_id>/{report.name}. Times in UTC.",
        pa.schema(columns),
        {**_ROW_COMMENTS, **comments},
    )


def _fields_table(report: Report) -> Table:
    return Table(
        report.fields_table,
        f"One row per name and value of one row of {report.name} (join by row_id). Source: its comma-joined lists.",
        pa.schema(
            [(name, pa.string()) for name in ("campaign_id", "row_id")]
            + [("position", pa.int64()), ("name", pa.string()), ("value", pa.string())]
        ),
        {
            "campaign_id": _ROW_COMMENTS["campaign_id"],
            "row_id": f"row of {report.name} it belongs to",
            "position": "place in the list, from 1; names belong to values by position only",
            "name": "field's name as the account wrote it; an empty one is an empty string",
            "value": "field's value, nothing trimmed; an empty one is an empty string; personal data",
        },
    )


def _campaigns_table() -> Table:
    types = {"text": pa.string(), "time": UTC_TIME, "integer": pa.int64()}
    return Table(
        CAMPAIGNS.name,
        "One row per campaign. Source: GET campaigns. A campaign that left the list keeps its row. Times in UTC.",
        pa.schema([(column.name, types[column.kind]) for column in CAMPAIGNS.columns] + [("listed", pa.bool_())]),
        {column.name: column.comment for column in CAMPAIGNS.columns}
        | {"listed": "whether it was in the list at the last look"},
    )


_GROUPS_TABLE = Table(
    "campaigns__contact_groups",
    "One row per contact group of a campaign, included or excluded. Source: GET campaigns.",
    GROUPS,
    {
        "campaign_id": "campaign",
        "position": "place in its list, from 1; included and excluded ones are counted apart",
        "contact_group_id": "contact group's uuid",
        "included": "true: addressed; false: left out",
    },
)
_ISSUES_TABLE = Table(
    "row_issues",
    "One row per value that was not taken at its face.",
    ISSUES,
    {
        "campaign_id": "campaign",
        "report": "report, or campaigns for the list",
        "row_id": "row it stood in; null for the list of campaigns",
        "column_name": "column it belongs to",
        "raw_value": "text as it came; may be personal data",
        "issue": "ambiguous_time, nonexistent_time, invalid_time, unaligned_fields or unexpected_type",
    },
    merge_key=("campaign_id", "report"),
)
_LEDGER_TABLE = Table(
    "report_ledger",
    "One row per campaign and report: what the tables hold of it and how far it can be trusted. A row counts "
    "only while its _dlt_load_id is in _dlt_loads.",
    LEDGER,
    {
        "campaign_id": "campaign",
        "report": "report",
        "state": "open (may change), settled (final), failed (old rows stay), held (by the shrink guard)",
        "verified_at": "when the walk began (or the .csv was made) whose rows are in the tables; null: do not trust",
        "checked_at": "when the API was last asked, whatever came of it",
        "changed_at": "when the content was last seen to differ from before",
        "pages": "pages of the walk in the tables",
        "row_count": "rows in the tables",
        "api_total": "meta.total on every page of that walk",
        "digest": "stands for the multiset of rows: equal digest, equal content",
        "attempts": "walks the last check took",
        "error": "why it failed or is held",
        "run_id": "run that wrote this row",
        "origin": "api or csv",
    },
    merge_key=("campaign_id", "report"),
    marked=False,
)
_RUNS_TABLE = Table(
    "runs",
    "One row per run of a verb that writes; of generate, one per report asked for.",
    RUNS,
    {
        "run_id": "run",
        "started_at": "when it began",
        "finished_at": "when it ended; null while it runs or if it was killed",
        "verb": "verb of the command line",
        "outcome": "ok, failed, held, token refused, error, running or interrupted; of generate accepted, refused "
        "or unknown (sent, and no answer known)",
        "requests": "requests sent to the API",
        "row_count": "rows written to the report tables",
        "version": "version of passona-warehouse",
        "campaign_id": "campaign that generate asked for; null for other verbs",
        "report": "report that generate asked for; null for other verbs",
    },
    merge_key=("run_id",),
    marked=False,
)


def _all_tables() -> dict[str, Table]:
    found = [_campaigns_table(), _GROUPS_TABLE]
    for report in REPORTS.values():
        found.append(_report_table(report))
        if report.lists:
            found.append(_fields_table(report))
    found += [_ISSUES_TABLE, _LEDGER_TABLE, _RUNS_TABLE]
    return {table.name: table for table in found}


TABLES: dict[str, Table] = _all_tables()
