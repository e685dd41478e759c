"""The tables of the dataset: columns, types, merge keys, comments. Everything else is derived from them.

Times are instants in UTC. Personal data is marked in dlt's hints (`x-personal`) and in the comments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from passona.reports.definitions import CAMPAIGNS, REPORTS, Personal, Report
from passona.reports.times import UTC_TIME

DATASET = "passona"
# The column of marker rows, one per (campaign, table) of a load: dlt deletes the old rows and does not store it.
MARKER = "_marker"
# The advisory lock of a dataset on Postgres: two numbers, the first is "pass" in ASCII.
LOCK = (0x70617373, 1)
# The format version of a dataset of the command line: the number of its migrations.
FORM = 1
# The load package of a row.
LOAD_ID = "_dlt_load_id"

_TEXT, _TIME, _INTEGER, _BOOLEAN = pa.string(), UTC_TIME, pa.int64(), pa.bool_()
_TYPES: dict[str, pa.DataType] = {"text": _TEXT, "time": _TIME, "integer": _INTEGER}
_DLT_TYPES = {_TEXT: "text", _TIME: "timestamp", _INTEGER: "bigint", _BOOLEAN: "bool"}
SQL_TYPES = {_TEXT: "VARCHAR", _TIME: "TIMESTAMP WITH TIME ZONE", _INTEGER: "BIGINT", _BOOLEAN: "BOOLEAN"}

# A column: its type, its comment, and its kind of personal data.
_Columns = Mapping[str, tuple[pa.DataType, str, Personal]]


@dataclass(frozen=True)
class Table:
    """One table. `personal`: kind of personal data by column. `marked`: marker rows replace the rows of a campaign."""

    name: str
    comment: str
    schema: pa.Schema
    comments: dict[str, str]
    personal: dict[str, Personal]
    merge_key: tuple[str, ...] = ("campaign_id",)
    marked: bool = True

    @cached_property
    def arrow(self) -> pa.Schema:
        """Return the schema as loaded, marker included."""
        return self.schema.append(pa.field(MARKER, pa.bool_())) if self.marked else self.schema

    @property
    def hints(self) -> dict[str, dict[str, Any]]:
        """Return dlt's column hints: every type pinned, every column nullable, for the marker rows."""
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
        """Return the columns and their SQL types, as dlt creates them in DuckDB."""
        return {field.name: SQL_TYPES[field.type] for field in self.arrow} | {LOAD_ID: "VARCHAR NOT NULL"}

    @cached_property
    def personal_columns(self) -> tuple[str, ...]:
        """Return the columns with personal data."""
        return tuple(name for name in self.schema.names if self.personal[name] != "no")

    def comment_on(self, column: str) -> str | None:
        """Return the comment of a column, None for a column outside the contract."""
        comment = self.comments.get(column)
        if comment is None or self.personal[column] == "no":
            return comment
        return f"{comment}; personal data ({self.personal[column]})"

    def markers(self, campaign_ids: Sequence[str], report: str) -> pa.Table:
        """Return one row per campaign that deletes its rows; in a table of several reports, those of this report."""
        keys = {"campaign_id": "", "report": report}
        rows = [
            {name: keys[name] for name in self.merge_key} | {"campaign_id": uuid, MARKER: True} for uuid in campaign_ids
        ]
        return pa.Table.from_pylist(rows, schema=self.arrow)


def _table(
    name: str,
    comment: str,
    columns: _Columns,
    *,
    merge_key: tuple[str, ...] = ("campaign_id",),
    marked: bool = True,
) -> Table:
    schema = pa.schema([(column, kind) for column, (kind, _, _) in columns.items()])
    comments = {column: text for column, (_, text, _) in columns.items() if text}
    personal = {column: kind for column, (_, _, kind) in columns.items()}
    return Table(name, comment, schema, comments, personal, merge_key, marked)


def _columns_of(report: Report) -> _Columns:
    return {column.name: (_TYPES[column.kind], column.comment, column.personal) for column in report.columns}


_CAMPAIGN: _Columns = {
    "campaign_id": (_TEXT, "campaign the row belongs to; from the address asked, no row carries it", "no")
}
_ROW: _Columns = {
    **_CAMPAIGN,
    "row_id": (
        _TEXT,
        "digest of campaign, report, row and its ordinal among equal rows; unique in its table",
        "digest",
    ),
}


def _report_table(report: Report) -> Table:
    return _table(
        report.name,
        f"One row per {report.grain}. Source: GET reporting/<campaign_id>/{report.name}. Times in UTC.",
        {**_ROW, **_columns_of(report)},
    )


def _fields_table(report: Report) -> Table:
    return _table(
        report.fields_table,
        f"One row per name and value of one row of {report.name} (join by row_id). Source: its comma-joined lists.",
        {
            **_CAMPAIGN,
            "row_id": (_TEXT, f"row of {report.name} it belongs to", "digest"),
            "position": (_INTEGER, "place in the list, from 1; names belong to values by position only", "no"),
            "name": (_TEXT, "field's name as the account wrote it; an empty one is an empty string", "no"),
            "value": (_TEXT, "field's value, nothing trimmed; an empty one is an empty string", "value"),
        },
    )


_CAMPAIGNS_TABLE = _table(
    CAMPAIGNS.name,
    "One row per campaign. Source: GET campaigns. A campaign that left the list keeps its row. Times in UTC.",
    {**_columns_of(CAMPAIGNS), "listed": (_BOOLEAN, "whether it was in the list at the last look", "no")},
)
_GROUPS_TABLE = _table(
    "campaigns__contact_groups",
    "One row per contact group of a campaign, included or excluded. Source: GET campaigns.",
    {
        "campaign_id": (_TEXT, "campaign", "no"),
        "position": (_INTEGER, "place in its list, from 1; included and excluded ones are counted apart", "no"),
        "contact_group_id": (_TEXT, "contact group's uuid", "no"),
        "included": (_BOOLEAN, "true: included; false: excluded", "no"),
    },
)
_ISSUES_TABLE = _table(
    "row_issues",
    "One row per value that was not stored as sent.",
    {
        "campaign_id": (_TEXT, "campaign", "no"),
        "report": (_TEXT, "report, or campaigns for the list", "no"),
        "row_id": (_TEXT, "row of the value; null for the list of campaigns", "digest"),
        "column_name": (_TEXT, "column it belongs to", "no"),
        "raw_value": (_TEXT, "text as it came; of invalid_text and repeated_key the JSON", "raw"),
        "issue": (
            _TEXT,
            (
                "ambiguous_time, nonexistent_time, invalid_time, invalid_phone (digits lost in a spreadsheet), "
                "unaligned_fields, unexpected_type, invalid_text (has characters that no database stores) or "
                "repeated_key (the last value of a key counts, this is another)"
            ),
            "no",
        ),
    },
    merge_key=("campaign_id", "report"),
)
_LEDGER_TABLE = _table(
    "report_ledger",
    "One row per campaign and report: what the tables hold of it and how far it can be trusted. A row counts "
    "only while its _dlt_load_id is in _dlt_loads.",
    {
        "campaign_id": (_TEXT, "campaign", "no"),
        "report": (_TEXT, "report", "no"),
        "state": (
            _TEXT,
            "open (may change), settled (final), failed (old rows stay), held (by the shrink guard)",
            "no",
        ),
        "verified_at": (
            _TIME,
            "when the walk began (or the .csv was made) whose rows are in the tables; null: do not trust",
            "no",
        ),
        "checked_at": (_TIME, "when the API was last asked, whether it answered or not", "no"),
        "changed_at": (_TIME, "when the content was last seen to differ from before", "no"),
        "pages": (_INTEGER, "pages of the walk in the tables", "no"),
        "row_count": (_INTEGER, "rows in the tables", "no"),
        "api_total": (_INTEGER, "meta.total on every page of that walk", "no"),
        "digest": (_TEXT, "identifies the multiset of rows: equal digest, equal content", "no"),
        "attempts": (_INTEGER, "walks of the last check", "no"),
        "error": (_TEXT, "why it failed or is held", "no"),
        "run_id": (_TEXT, "run that wrote this row", "no"),
        "origin": (_TEXT, "api or csv", "no"),
        "suppressed": (_INTEGER, "rows of forgotten people: row_count and these are api_total", "no"),
        "expired_at": (_TIME, "when its personal data was erased (retain_days)", "no"),
        # Begins with "_": no part of the contract.
        "_peak": (
            _INTEGER,
            "most rows so far, which the shrink guard compares with; belongs to this program, no part of the contract",
            "no",
        ),
    },
    merge_key=("campaign_id", "report"),
    marked=False,
)
_RUNS_TABLE = _table(
    "runs",
    "One row per run of a verb that writes; of generate, one per report asked for.",
    {
        "run_id": (_TEXT, "run", "no"),
        "started_at": (_TIME, "when it began", "no"),
        "finished_at": (_TIME, "when it ended; null while it runs or if it was killed", "no"),
        "verb": (_TEXT, "verb of the command line", "no"),
        "outcome": (
            _TEXT,
            (
                "ok, failed, held, token refused, error, running or interrupted; of generate accepted, refused "
                "or unknown (sent, and no answer known)"
            ),
            "no",
        ),
        "requests": (_INTEGER, "requests sent to the API", "no"),
        "row_count": (_INTEGER, "rows written to the report tables", "no"),
        "version": (_TEXT, "version of passona-warehouse", "no"),
        "campaign_id": (_TEXT, "campaign that generate asked for; null for other verbs", "no"),
        "report": (_TEXT, "report that generate asked for; null for other verbs", "no"),
        "erased": (
            _INTEGER,
            "rows that it erased, or whose personal data it erased (retain_days, passona forget)",
            "no",
        ),
    },
    merge_key=("run_id",),
    marked=False,
)
# The columns of keys that the guide does not know. Not part of the contract.
KEYS = _table(
    "_keys",
    "One row per key (as JSON) that the vendor's guide does not know, and its column",
    {"table_name": (_TEXT, "", "no"), "column_name": (_TEXT, "", "no"), "key": (_TEXT, "", "no")},
    merge_key=("table_name", "column_name"),
    marked=False,
)


def _all_tables() -> dict[str, Table]:
    tables = [_CAMPAIGNS_TABLE, _GROUPS_TABLE]
    for report in REPORTS.values():
        tables.append(_report_table(report))
        if report.lists:
            tables.append(_fields_table(report))
    tables += [_ISSUES_TABLE, _LEDGER_TABLE, _RUNS_TABLE]
    return {table.name: table for table in tables}


TABLES: dict[str, Table] = _all_tables()
GROUPS, ISSUES, LEDGER = (table.schema for table in (_GROUPS_TABLE, _ISSUES_TABLE, _LEDGER_TABLE))
