"""What the destination holds: the ledger as far as the rows confirm it, campaigns, and notes of the command line.

    dlt's SQL client -> report_ledger, _dlt_loads, row counts -> Contents

dlt commits table by table, so a killed load leaves new rows under an old ledger entry, and a new working folder does
not know about it. An entry is trusted only if its load is complete, the tables hold as many rows as it says, and none
of them came by a later load. Identifiers follow the destination's naming convention.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pyarrow as pa
from dlt.common.normalizers.naming import NamingConvention
from dlt.destinations.exceptions import DatabaseUndefinedRelation
from dlt.destinations.sql_client import SqlClientBase

from passona.errors import ConfigurationError
from passona.masking.mode import Mode
from passona.reports.definitions import CAMPAIGNS, Report
from passona.reports.tables import FORM, KEYS, LEDGER, LOAD_ID, TABLES
from passona.source.ledger import INTERRUPTED, Entry, Key

# Entries that one statement clears.
_CLEARED_AT_ONCE = 200

# Number of rows by key, and the id of the load of the latest of them.
_Counts = dict[tuple[str, ...], tuple[int, float]]


@dataclass
class Contents:
    """The contents of a dataset.

    `entries`: of the ledger; `verified_at` is None if the rows differ from the entry. `filled`: reports with rows,
    field rows or issues. `odd`: reports with values of another type than the guide's. `campaigns`: rows of that table,
    None without the table. `columns`: by table, columns of keys that the guide does not know. `taken`: by table, all
    other columns. `mode`: privacy mode that a command line noted, if any. `forgotten`: entries of forgotten people.
    `forgets_by_account`: an account has forgotten people whom the others may have.
    """

    entries: dict[Key, Entry] = field(default_factory=dict)
    filled: Collection[Key] = frozenset()
    odd: Collection[Key] = frozenset()
    campaigns: pa.Table | None = None
    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    taken: Mapping[str, Collection[str]] = field(default_factory=dict)
    mode: Mode | None = None
    forgotten: Sequence[str] = ()
    forgets_by_account: bool = False


class _Result(NamedTuple):
    """The result of a statement: names of columns in lower case, rows with instants in UTC."""

    names: list[str]
    rows: list[tuple[Any, ...]]


class Destination:
    """The dataset of a pipeline, through an open SQL client of dlt.

    `emptied`: tables that dlt is about to drop or truncate (`refresh`): they count as empty.
    """

    def __init__(self, client: SqlClientBase[Any], naming: NamingConvention, emptied: Collection[str] = ()) -> None:
        self._client, self._naming, self._emptied = client, naming, frozenset(emptied)

    def contents(self, reports: Sequence[Report], account: str) -> Contents:
        """Return what the dataset holds of these reports. `account`: whose forgotten people count.

        :raises ConfigurationError: a command line of another version created it.
        """
        if not self._client.has_dataset():
            return Contents()
        self._check_form()
        counted = {name: self._counts(name, "campaign_id") for report in reports for name in report.tables}
        rows = {name: counts for name, counts in counted.items() if counts is not None}
        issues = self._counts("row_issues", "campaign_id", "report")
        filled = {(uuid, r.name) for r in reports for name in r.tables for (uuid,) in rows.get(name, ())}
        columns: defaultdict[str, dict[str, str]] = defaultdict(dict)
        unclaimed = set()
        for table, column, key in self._select(KEYS.name, *KEYS.schema.names):
            if key is None:
                unclaimed.add((table, column))
            else:
                columns[table][json.loads(key)] = column
        forgotten = self._forgotten()
        return Contents(
            entries={entry.key: entry for entry in self._entries(reports, rows, issues)},
            filled=filled | {(uuid, report) for uuid, report in issues or ()},
            odd=self._odd(),
            campaigns=self._campaigns(),
            columns=columns,
            taken={
                table: {column for column in self._column_names(table) if (table, column) not in unclaimed}
                for table in (*(report.name for report in reports), CAMPAIGNS.name)
            },
            mode=next(iter(self._select("_privacy", "mode", "key_id", "forgetting_key")), None),
            forgotten=[entry for entry, owner in forgotten if owner in (None, account)],
            forgets_by_account=any(owner is not None for _, owner in forgotten),
        )

    def clear(self, keys: Sequence[Key]) -> None:
        """Mark reports whose rows are about to be replaced, so that they are not trusted if the load is killed."""
        values = {"verified_at": "NULL", "state": "'failed'", "error": f"'{INTERRUPTED}'"}
        sets = ", ".join(f"{self._column(name)} = {value}" for name, value in values.items())
        one = f"({self._column('campaign_id')} = %s AND {self._column('report')} = %s)"
        for start in range(0, len(keys), _CLEARED_AT_ONCE):
            some = keys[start : start + _CLEARED_AT_ONCE]
            where = " OR ".join([one] * len(some))
            self._client.execute_sql(
                f"UPDATE {self._name('report_ledger')} SET {sets} WHERE {where}",  # noqa: S608  # names of ours
                *(part for key in some for part in key),
            )

    def _forgotten(self) -> list[tuple[str, str | None]]:
        """Return the entries of forgotten people, each with the account that forgot them, None for all of them."""
        result = self._query("_forgotten", "*")
        entries = [dict(zip(result.names, row, strict=True)) for row in result.rows] if result else []
        return [(entry["entry"], entry.get("account")) for entry in entries]

    def _check_form(self) -> None:
        forms = [(int(form), str(version)) for form, version in self._select("_upgrades", "form", "version")]
        form, version = max(forms, default=(FORM, ""))
        made = f"dataset {self._client.dataset_name} was made by passona-warehouse {version}"
        if form > FORM:
            raise ConfigurationError(
                f"{made}, and this version does not know its form: pip install --upgrade 'passona-warehouse>={version}'"
            )
        if form < FORM:
            raise ConfigurationError(f"{made}, an earlier version: run passona load once, which brings it forward")

    def _entries(
        self, reports: Sequence[Report], rows: Mapping[str, _Counts], issues: _Counts | None
    ) -> Iterator[Entry]:
        """Yield the ledger. An entry that the rows do not confirm keeps its counts for the shrink guard.

        `rows`: counts by table, without missing tables. `issues`: counts of `row_issues`, None without the table.
        """
        loads = self._select("_dlt_loads", "load_id", "status")
        complete = {_number(load_id) for load_id, status in loads if status == 0}
        tables = {report.name: report.tables for report in reports}
        doubled = {(uuid, report.name) for report in reports for uuid in self._doubled(report)}
        ledger = self._select("report_ledger", *LEDGER.names, LOAD_ID)
        times = Counter((row[0], row[1]) for row in ledger)
        for *cells, load_id in ledger:
            entry, load = Entry(*cells), _number(load_id)
            if entry.report not in tables:
                continue
            names = tables[entry.report]
            counts = [rows.get(name, {}).get((entry.campaign_id,), (0, load)) for name in names]
            loads_of_rows = {load, *(last for _, last in (*counts, (issues or {}).get(entry.key, (0, load))))}
            is_once = times[entry.key] == 1 and entry.key not in doubled
            is_whole = issues is not None and rows.keys() >= {*names} and counts[0][0] == (entry.row_count or 0)
            if is_once and is_whole and loads_of_rows <= complete and max(loads_of_rows) == load:
                yield entry
            else:
                yield replace(entry, verified_at=None, state="failed", error=INTERRUPTED)

    def _doubled(self, report: Report) -> list[str]:
        """Return campaigns whose field rows exist twice: dlt repeats a job that was killed after its commit."""
        if not report.lists:
            return []
        uuid, row_id, position = map(self._column, ("campaign_id", "row_id", "position"))
        tail = f"WHERE {position} = 1 GROUP BY {uuid} HAVING count(*) > count(DISTINCT {row_id})"
        result = self._query(report.fields_table, uuid, tail)
        return [str(uuid) for (uuid,) in (result.rows if result else ())]

    def _odd(self) -> set[Key]:
        issues = self._select("row_issues", "campaign_id", "report", "issue")
        return {(uuid, report) for uuid, report, issue in issues if issue == "unexpected_type"}

    def _campaigns(self) -> pa.Table | None:
        """Return the table of campaigns with our own column names."""
        result = self._query(CAMPAIGNS.name, "*")
        if result is None:
            return None
        types = {field.name: field.type for field in TABLES[CAMPAIGNS.name].schema}
        ours = {self._naming.normalize_identifier(name).lower(): name for name in types}
        names = [ours.get(name, name) for name in result.names]
        columns = list(zip(*result.rows, strict=True)) or [()] * len(names)
        cells = {name: column for name, column in zip(names, columns, strict=True) if not name.startswith("_")}
        return pa.table({name: pa.array(column, types.get(name, pa.string())) for name, column in cells.items()})

    def _counts(self, table: str, *key: str) -> _Counts | None:
        """Return the counts by key, None if there is no such table."""
        keys = ", ".join(map(self._column, key))
        # Load ids are seconds as text, so max() is the latest.
        result = self._query(table, f"{keys}, count(*), max({self._column(LOAD_ID)})", f"GROUP BY {keys}")
        if result is None:
            return None
        return {tuple(cells): (count, _number(last)) for *cells, count, last in result.rows}

    def _select(self, table: str, *columns: str) -> list[tuple[Any, ...]]:
        """Return the rows of a table, none if there is no such table."""
        result = self._query(table, ", ".join(map(self._column, columns)))
        return result.rows if result else []

    def _query(self, table: str, what: str, tail: str = "") -> _Result | None:
        if table in self._emptied:
            return None
        statement = f"SELECT {what} FROM {self._name(table)} {tail}"  # noqa: S608  # names of ours
        try:
            # Not as Arrow, which dlt cannot read from DuckDB 2.
            with self._client.execute_query(statement) as cursor:
                names = [str(column[0]).lower() for column in cursor.description]
                return _Result(names, [tuple(map(_in_utc, row)) for row in cursor.fetchall()])
        except DatabaseUndefinedRelation:
            return None

    def _column_names(self, table: str) -> set[str]:
        result = self._query(table, "*", "WHERE 1 = 0")
        return set(result.names) if result else set()

    def _name(self, table: str) -> str:
        return self._client.make_qualified_table_name(self._naming.normalize_tables_path(table))

    def _column(self, name: str) -> str:
        return self._client.escape_column_name(self._naming.normalize_identifier(name))


def _in_utc(value: Any) -> Any:
    if not isinstance(value, datetime):
        return value
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


def _number(load_id: str) -> float:
    """Return a load id as seconds; an invalid id sorts before all others."""
    try:
        return float(load_id)
    except ValueError:
        return -1.0
