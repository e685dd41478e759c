"""The tables of the dataset: columns, types, merge keys, comments. Everything else is derived from them.

Times are instants in UTC. Personal data is marked in dlt's hints (`x-personal`) and in the comments.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import pyarrow as pa

from passona.reports.definitions import CAMPAIGNS, REPORTS, Column, Kind, Personal, Report
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
# A hint of `report_ledger` in dlt's schema: the privacy mode of the rows, and the id of the key of their tokens.
PRIVACY_HINT = "x-privacy"

_TYPES: dict[Kind, pa.DataType] = {
    "text": pa.string(), "time": UTC_TIME, "integer": pa.int64(), "boolean": pa.bool_(),
}  # fmt: skip
_DLT_TYPES: dict[Kind, str] = {"text": "text", "time": "timestamp", "integer": "bigint", "boolean": "bool"}
SQL_TYPES = {
    pa.string(): "VARCHAR", UTC_TIME: "TIMESTAMP WITH TIME ZONE", pa.int64(): "BIGINT", pa.bool_(): "BOOLEAN",
}  # fmt: skip


@dataclass(frozen=True)
class Table:
    """One table. `marked`: marker rows replace the rows of a campaign."""

    name: str
    comment: str
    columns: tuple[Column, ...]
    merge_key: tuple[str, ...] = ("campaign_id",)
    marked: bool = True

    @cached_property
    def schema(self) -> pa.Schema:
        return pa.schema([(column.name, _TYPES[column.kind]) for column in self.columns])

    @cached_property
    def personal(self) -> dict[str, Personal]:
        return {column.name: column.personal for column in self.columns}

    @cached_property
    def arrow(self) -> pa.Schema:
        """Return the schema as loaded, marker included."""
        return self.schema.append(pa.field(MARKER, pa.bool_())) if self.marked else self.schema

    @property
    def hints(self) -> dict[str, dict[str, Any]]:
        """Return dlt's column hints: every type pinned, every column nullable, for the marker rows."""
        hints: dict[str, dict[str, Any]] = {
            column.name: {
                "name": column.name,
                "data_type": _DLT_TYPES[column.kind],
                "nullable": True,
                "description": self.comment_on(column.name),
            }
            for column in self.columns
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
        return tuple(name for name, kind in self.personal.items() if kind != "no")

    def comment_on(self, name: str) -> str | None:
        """Return the comment of a column, None for a column outside the contract."""
        column = next((column for column in self.columns if column.name == name), None)
        if column is None or not column.comment:
            return None
        return column.comment if column.personal == "no" else f"{column.comment}; personal data ({column.personal})"

    def markers(self, campaign_ids: Sequence[str], report: str) -> pa.Table:
        """Return one row per campaign that deletes its rows; in a table of several reports, those of this report."""
        keys = {"campaign_id": "", "report": report}
        rows = [
            {name: keys[name] for name in self.merge_key} | {"campaign_id": uuid, MARKER: True} for uuid in campaign_ids
        ]
        return pa.Table.from_pylist(rows, schema=self.arrow)


_CAMPAIGN_ID = Column("campaign_id", "campaign the row belongs to; from the address asked, no row carries it", "no")


def _tables_of(report: Report) -> Iterator[Table]:
    yield Table(
        report.name,
        f"One row per {report.grain}. Source: GET reporting/<campaign_id>/{report.name}. Times in UTC.",
        (
            _CAMPAIGN_ID,
            Column(
                "row_id",
                "digest of campaign, report, row and its ordinal among equal rows; unique in its table",
                "digest",
            ),
            *report.columns,
        ),
    )
    if report.lists:
        yield Table(
            report.fields_table,
            f"One row per name and value of one row of {report.name} (join by row_id). Source: its comma-joined lists.",
            (
                _CAMPAIGN_ID,
                Column("row_id", f"row of {report.name} it belongs to", "digest"),
                Column(
                    "position", "place in the list, from 1; names belong to values by position only", "no", "integer"
                ),
                Column("name", "field's name as the account wrote it; an empty one is an empty string", "no"),
                Column("value", "field's value, nothing trimmed; an empty one is an empty string", "value"),
            ),
        )


_CAMPAIGNS_TABLE = Table(
    CAMPAIGNS.name,
    "One row per campaign. Source: GET campaigns. A campaign that left the list keeps its row. Times in UTC.",
    (
        CAMPAIGNS.columns[0],
        Column("account", "account whose list has it, or had it last", "no"),
        *CAMPAIGNS.columns[1:],
        Column("listed", "in its account's list when that was last read", "no", "boolean"),
    ),
)
_GROUPS_TABLE = Table(
    "campaigns__contact_groups",
    "One row per contact group of a campaign, included or excluded. Source: GET campaigns.",
    (
        Column("campaign_id", "campaign", "no"),
        Column("position", "place in its list, from 1; included and excluded ones are counted apart", "no", "integer"),
        Column("contact_group_id", "contact group's uuid", "no"),
        Column("included", "true: included; false: excluded", "no", "boolean"),
    ),
)
_ISSUES_TABLE = Table(
    "row_issues",
    "One row per value that was not stored as sent.",
    (
        Column("campaign_id", "campaign", "no"),
        Column("report", "report, or campaigns for the list", "no"),
        Column("row_id", "row of the value; null for the list of campaigns", "digest"),
        Column("column_name", "column it belongs to", "no"),
        Column("raw_value", "text as it came; of invalid_text and repeated_key the JSON", "raw"),
        Column(
            "issue",
            "ambiguous_time, nonexistent_time, invalid_time, invalid_phone (digits lost in a spreadsheet), "
            "unaligned_fields, unexpected_type, invalid_text (has characters that no database stores) or "
            "repeated_key (the last value of a key counts, this is another)",
            "no",
        ),
    ),
    merge_key=("campaign_id", "report"),
)
_LEDGER_TABLE = Table(
    "report_ledger",
    "One row per campaign and report: what the tables hold of it and how far it can be trusted. A row counts "
    "only while its _dlt_load_id is in _dlt_loads.",
    (
        Column("campaign_id", "campaign", "no"),
        Column("report", "report", "no"),
        Column("state", "open (may change), settled (final), failed (old rows stay), held (by the shrink guard)", "no"),
        Column(
            "verified_at",
            "when the walk began (or the .csv was made) whose rows are in the tables; null: do not trust",
            "no",
            kind="time",
        ),
        Column("checked_at", "when the report was last requested, successfully or not", "no", "time"),
        Column("changed_at", "when the content was last seen to differ from before", "no", "time"),
        Column("pages", "pages of the walk in the tables", "no", "integer"),
        Column("row_count", "rows in the tables", "no", "integer"),
        Column("api_total", "meta.total on every page of that walk", "no", "integer"),
        Column("digest", "identifies the multiset of rows: equal digest, equal content", "no"),
        Column("attempts", "walks of the last check", "no", "integer"),
        Column("error", "why it failed or is held", "no"),
        Column("run_id", "run that wrote this row", "no"),
        Column("origin", "api or csv", "no"),
        Column("suppressed", "rows of forgotten people: row_count and these are api_total", "no", "integer"),
        Column("expired_at", "when its personal data was erased (retain_days)", "no", "time"),
        # Begins with "_": no part of the contract.
        Column(
            "_peak",
            "most rows so far, which the shrink guard compares with; belongs to this program, no part of the contract",
            "no",
            kind="integer",
            rename="_peak",
        ),
    ),
    merge_key=("campaign_id", "report"),
    marked=False,
)
_RUNS_TABLE = Table(
    "runs",
    "One row per run of a verb that writes; of load, one per account; of generate, one per report asked for.",
    (
        Column("run_id", "run", "no"),
        Column("started_at", "when it began", "no", "time"),
        Column("finished_at", "when it ended; null while it runs or if it was killed", "no", "time"),
        Column("verb", "verb of the command line", "no"),
        Column(
            "outcome",
            "ok, failed, held, token refused, error, running or interrupted; of generate accepted, refused "
            "or unknown (sent, and no answer known)",
            "no",
        ),
        Column("requests", "requests sent to the API", "no", "integer"),
        Column("row_count", "rows written to the report tables", "no", "integer"),
        Column("version", "version of passona-warehouse", "no"),
        Column("account", "account that it worked on; null: the whole warehouse", "no"),
        Column("campaign_id", "campaign that generate asked for; null for other verbs", "no"),
        Column("report", "report that generate asked for; null for other verbs", "no"),
        Column(
            "erased",
            "rows that it erased, or whose personal data it erased (retain_days, passona forget)",
            "no",
            kind="integer",
        ),
    ),
    merge_key=("run_id",),
    marked=False,
)
# The columns of keys that the guide does not know. Not part of the contract.
KEYS = Table(
    "_keys",
    "One row per key (as JSON) that the vendor's guide does not know, and its column",
    (Column("table_name", "", "no"), Column("column_name", "", "no"), Column("key", "", "no")),
    merge_key=("table_name", "column_name"),
    marked=False,
)


TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        _CAMPAIGNS_TABLE,
        _GROUPS_TABLE,
        *chain.from_iterable(map(_tables_of, REPORTS.values())),
        _ISSUES_TABLE,
        _LEDGER_TABLE,
        _RUNS_TABLE,
    )
}
GROUPS, ISSUES, LEDGER = (table.schema for table in (_GROUPS_TABLE, _ISSUES_TABLE, _LEDGER_TABLE))


def comment_on(table: str, column: str | None) -> str:
    """Return the comment of a table or of a column, also of one outside the contract."""
    if column is None:
        return TABLES[table].comment
    if comment := TABLES[table].comment_on(column):
        return comment
    if column.startswith("_"):
        return "belongs to dlt, no part of the contract"
    return "key that the vendor's guide does not know, as it came; may be personal data"
