"""The tables of the dataset: columns, types, merge keys, comments. One place; all else is made from it.

The contract's table, in Arrow's types, dlt's hints and DuckDB's comments. Times are instants in UTC.
What is personal is marked in the hints (`x-personal`) and in the comments; the reports' columns say it
themselves, the other tables' columns say it here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from passona.reports.definitions import CAMPAIGNS, REPORTS, Personal, Report
from passona.reports.times import UTC_TIME

DATASET = "passona"
# One row per (campaign, table) of a load carries it, tells dlt to delete the old rows, and is not stored.
MARKER = "_marker"
# The advisory lock of a dataset on Postgres: two numbers, the first is "pass" in ASCII.
LOCK = (0x70617373, 1)
# The form of a dataset that a command line made: how many steps of `upgrades` it has seen.
FORM = 1
# The load package that a row came by.
LOAD_ID = "_dlt_load_id"

_GROUP_TYPES: dict[str, pa.DataType] = {
    "campaign_id": pa.string(),
    "position": pa.int64(),
    "contact_group_id": pa.string(),
    "included": pa.bool_(),
}
GROUPS = pa.schema(_GROUP_TYPES)
ISSUES = pa.schema(
    [(name, pa.string()) for name in ("campaign_id", "report", "row_id", "column_name", "raw_value", "issue")]
)
LEDGER = pa.schema(
    [
        ("campaign_id", pa.string()),
        ("report", pa.string()),
        ("state", pa.string()),
        ("verified_at", UTC_TIME),
        ("checked_at", UTC_TIME),
        ("changed_at", UTC_TIME),
        ("pages", pa.int64()),
        ("row_count", pa.int64()),
        ("api_total", pa.int64()),
        ("digest", pa.string()),
        ("attempts", pa.int64()),
        ("error", pa.string()),
        ("run_id", pa.string()),
        ("origin", pa.string()),
        ("suppressed", pa.int64()),
        ("expired_at", UTC_TIME),
        # Begins with "_": no part of the contract.
        ("_peak", pa.int64()),
    ]
)
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
        ("erased", pa.int64()),
    ]
)

_DLT_TYPES = {pa.string(): "text", UTC_TIME: "timestamp", pa.int64(): "bigint", pa.bool_(): "bool"}
SQL_TYPES = {
    pa.string(): "VARCHAR",
    UTC_TIME: "TIMESTAMP WITH TIME ZONE",
    pa.int64(): "BIGINT",
    pa.bool_(): "BOOLEAN",
}

_ROW_COMMENTS = {
    "campaign_id": "campaign the row belongs to; from the address asked, no row carries it",
    "row_id": "digest of campaign, report, row and its ordinal among equal rows; unique in its table",
}
_ROW_PERSONAL: dict[str, Personal] = {"campaign_id": "no", "row_id": "digest"}


def _plain(names: str) -> dict[str, Personal]:
    """Columns that tell nothing of a person, by name: a new one has to be added here or told to be personal."""
    return dict.fromkeys(names.split(), "no")


@dataclass(frozen=True)
class Table:
    """One table. `personal`: what each column tells of a person. `marked`: replaced by campaign by marker rows."""

    name: str
    comment: str
    schema: pa.Schema
    comments: dict[str, str]
    personal: dict[str, Personal]
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
                "description": self.comment_on(field.name),
            }
            for field in self.schema
        }
        for name in self.personal_columns:
            hints[name]["x-personal"] = self.personal[name]
        if self.marked:
            hints[MARKER] = {"name": MARKER, "data_type": "bool", "nullable": True, "hard_delete": True}
        return hints

    @property
    def sql_columns(self) -> dict[str, str]:
        """The columns and their SQL types, as dlt would make them in DuckDB."""
        return {field.name: SQL_TYPES[field.type] for field in self.arrow} | {LOAD_ID: "VARCHAR NOT NULL"}

    @cached_property
    def personal_columns(self) -> tuple[str, ...]:
        """The columns that tell something of a person."""
        return tuple(name for name in self.schema.names if self.personal[name] != "no")

    def comment_on(self, column: str) -> str | None:
        """What DuckDB shows of a column, None for one that is not the contract's."""
        comment = self.comments.get(column)
        if comment is None or self.personal[column] == "no":
            return comment
        return f"{comment}; personal data ({self.personal[column]})"

    def markers(self, campaign_ids: Sequence[str], report: str) -> pa.Table:
        """One row for each of these campaigns, which deletes what the table holds of it (of this report, if it has
        rows of several).
        """
        keys = {"campaign_id": "", "report": report}
        rows = [
            {name: keys[name] for name in self.merge_key} | {"campaign_id": uuid, MARKER: True} for uuid in campaign_ids
        ]
        return pa.Table.from_pylist(rows, schema=self.arrow)


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
        {**_ROW_PERSONAL, **{column.name: column.personal for column in report.columns}},
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
            "value": "field's value, nothing trimmed; an empty one is an empty string",
        },
        {**_ROW_PERSONAL, "position": "no", "name": "no", "value": "value"},
    )


def _campaigns_table() -> Table:
    types = {"text": pa.string(), "time": UTC_TIME, "integer": pa.int64()}
    return Table(
        CAMPAIGNS.name,
        "One row per campaign. Source: GET campaigns. A campaign that left the list keeps its row. Times in UTC.",
        pa.schema([(column.name, types[column.kind]) for column in CAMPAIGNS.columns] + [("listed", pa.bool_())]),
        {column.name: column.comment for column in CAMPAIGNS.columns}
        | {"listed": "whether it was in the list at the last look"},
        {column.name: column.personal for column in CAMPAIGNS.columns} | {"listed": "no"},
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
    _plain("campaign_id position contact_group_id included"),
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
        "raw_value": "text as it came; of invalid_text and repeated_key the JSON",
        "issue": "ambiguous_time, nonexistent_time, invalid_time, invalid_phone (digits lost in a spreadsheet), "
        "unaligned_fields, unexpected_type, invalid_text (has characters that no database keeps) or repeated_key (the "
        "last value of a key counts, this is another)",
    },
    _plain("campaign_id report column_name issue") | {"row_id": "digest", "raw_value": "raw"},
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
        "suppressed": "rows of people who are kept out (passona forget): row_count and these are api_total",
        "expired_at": "when its personal data were given up (retain_days)",
        "_peak": "most rows so far, which the shrink guard compares with; belongs to this program, no part of the "
        "contract",
    },
    _plain(
        "campaign_id report state verified_at checked_at changed_at pages row_count api_total digest attempts error "
        "run_id origin suppressed expired_at _peak"
    ),
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
        "erased": "rows that it erased, or whose personal data it erased (retain_days, passona forget)",
    },
    _plain("run_id started_at finished_at verb outcome requests row_count version campaign_id report erased"),
    merge_key=("run_id",),
    marked=False,
)
# Which column a key has that the guide does not know. No table of the contract.
KEYS = Table(
    "_keys",
    "One row per key (as JSON) that the vendor's guide does not know, and its column",
    pa.schema([(name, pa.string()) for name in ("table_name", "column_name", "key")]),
    {},
    _plain("table_name column_name key"),
    merge_key=("table_name", "column_name"),
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
