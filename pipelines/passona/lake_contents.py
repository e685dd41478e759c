"""What a lake knows of itself, in tables of a DuckDB in memory: for the same SQL as everywhere.

    logs -> campaigns, report_ledger, runs in memory <- what a run changes -> logs

Rows of reports never are there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from passona.connection import given, registered, tables_of
from passona.errors import ConfigurationError
from passona.lake_files import ISSUES, Snapshot
from passona.lake_forgotten import Forgotten, KeptOut, newest_list
from passona.lake_log import LOAD_ID, LOGS, Log, new_id
from passona.lake_views import GROUPS, NESTED_GROUPS, NESTED_ISSUES, SNAPSHOT
from passona.ledger import Entry, Key, entry_table
from passona.quoting import quoted
from passona.reports import CAMPAIGNS
from passona.schema import DATASET, SQL_TYPES, TABLES
from passona.source import Package
from passona.store import Store
from passona.times import UTC_TIME
from passona.tokens import Tokens

# ruff: noqa: S608  # names are constants or quoted

# How the lake is laid out; a version of this program that lays it out otherwise counts it up.
FORM = 1
ABOUT = "lake.json"
LEDGER_LOG = "report_ledger"
# Columns of the ledger's log that are no columns of the ledger: `lake_files.Snapshot`.
LIST = "_list"
OF_SNAPSHOT: dict[str, pa.DataType] = {
    SNAPSHOT: pa.string(), "_odd": pa.bool_(), "_new_columns": pa.string(), LIST: pa.int64(),
}  # fmt: skip
_OF_THE_LIST = f"AND report = '{CAMPAIGNS.name}'"
_LIST_TYPES = {
    NESTED_GROUPS: "STRUCT(position BIGINT, contact_group_id VARCHAR, included BOOLEAN)[]",
    NESTED_ISSUES: "STRUCT(row_id VARCHAR, column_name VARCHAR, raw_value VARCHAR, issue VARCHAR)[]",
}


class Session:
    """DuckDB in memory, with what the lake knows of itself (`connection.Connection`)."""

    def __init__(self, spill: Path | None = None) -> None:
        """`spill`: the folder for what is too large for the memory."""
        self.duckdb = duckdb.connect(config={"temp_directory": str(spill)} if spill else {})
        self.execute = self.duckdb.execute
        self.sql = self.duckdb.sql
        self.register = self.duckdb.register
        self.unregister = self.duckdb.unregister
        self.begin = self.duckdb.begin
        self.commit = self.duckdb.commit
        self.rollback = self.duckdb.rollback
        self.close = self.duckdb.close
        self.execute("SET TimeZone = 'UTC'")

    def make_tables(self) -> None:
        """All tables of the contract, without a row."""
        self.execute(f"CREATE SCHEMA {DATASET}")
        for table in TABLES.values():
            columns = ", ".join(f"{quoted(name)} {kind}" for name, kind in table.sql_columns.items())
            self.execute(f"CREATE TABLE {DATASET}.{table.name} ({columns})")

    def living(self, run_ids: Iterable[str]) -> set[str]:
        """All of these runs: nobody holds a lake, so any that did not tell its end may be at work."""
        return set(run_ids)


class Contents:
    """The logs of a lake, and the tables in memory that are made of them."""

    def __init__(self, store: Store, connection: Session) -> None:
        self.store, self.connection = store, connection
        self.logs = {name: Log(store, name) for name in LOGS}
        self.about: dict[str, Any] | None = None
        self._forgotten = Forgotten()

    def fill(self, before: datetime, *, make: bool) -> None:
        """Makes the tables; where nothing was ever written, only to `make` a lake. A run that began before this time
        and did not tell its end was killed.

        :raises ConfigurationError: another version made the lake.
        """
        with contextlib.suppress(FileNotFoundError):
            self.about = orjson.loads(self.store.read([ABOUT])[ABOUT])
        if self.about and self.about["form"] != FORM:
            raise ConfigurationError(
                f"the lake was laid out by another version of passona-warehouse ({self.about['version']}): use that one"
            )
        for found in self.logs.values():
            found.read()
        if not make and not any(found.seen for found in self.logs.values()):
            return
        self.connection.make_tables()
        for name, kind in OF_SNAPSHOT.items():
            self.connection.execute(f"ALTER TABLE {DATASET}.{LEDGER_LOG} ADD COLUMN {name} {SQL_TYPES[kind]}")
        self.connection.execute(f"CREATE TABLE {DATASET}._dlt_loads (load_id VARCHAR, status BIGINT)")
        self._fill_from_logs(before)
        if self.about:
            self.connection.execute(
                "CREATE TABLE passona._privacy (mode VARCHAR NOT NULL, key_id VARCHAR, forgetting_key VARCHAR)"
            )
            self.connection.execute(
                "INSERT INTO passona._privacy VALUES (?, ?, ?)",
                [self.about["privacy"], self.about["key_id"], self.about["forgetting_key"]],
            )
            self._fill_forgotten()

    def _fill_forgotten(self) -> None:
        self.connection.execute(
            "CREATE TABLE passona._forgotten (entry VARCHAR NOT NULL, forgotten_at TIMESTAMP WITH TIME ZONE NOT NULL)"
        )
        entries = self.forgotten().entries
        found = pa.table({"entry": list(entries), "forgotten_at": list(entries.values())})
        if len(found):
            with registered(self.connection, "listed", found):
                self.connection.execute("INSERT INTO passona._forgotten SELECT * FROM listed")

    def forgotten(self) -> Forgotten:
        """Who is kept out now."""
        self._forgotten = newest_list(self.store, self._forgotten)
        return self._forgotten

    def kept_out(self, found: Forgotten) -> KeptOut:
        """Tells who of the phones in the lake's tables is on a list."""
        mode, _, key = self.privacy() or ("clear", None, "")
        return found.among(Tokens((key.encode(),)) if mode == "clear" else None)

    def _fill_from_logs(self, before: datetime) -> None:
        campaigns = self.current("campaigns")
        if campaigns is not None:
            for name in _new_in_campaigns(campaigns.column_names):
                self.connection.execute(f"ALTER TABLE passona.campaigns ADD COLUMN {quoted(name)} VARCHAR")
            self._insert("campaigns", campaigns.drop_columns([NESTED_GROUPS, NESTED_ISSUES]))
            with registered(self.connection, "listed", campaigns):
                for table, nested in ((GROUPS, NESTED_GROUPS), (ISSUES, NESTED_ISSUES)):
                    report = f", '{CAMPAIGNS.name}' AS report" if table == ISSUES else ""
                    self.connection.execute(
                        f"INSERT INTO passona.{table} BY NAME SELECT campaign_id, {LOAD_ID}{report}, "
                        f"unnest({nested}, recursive := true) FROM listed"
                    )
        ledger = self.current(LEDGER_LOG)
        if ledger is not None:
            self._insert(LEDGER_LOG, ledger)
            # Stands for the values that are odd: which they are is in the files.
            self.connection.execute(
                f"INSERT INTO passona.row_issues BY NAME SELECT campaign_id, report, 'unexpected_type' AS issue, "
                f"{LOAD_ID} FROM passona.report_ledger WHERE _odd"
            )
            self.connection.execute(
                f"INSERT INTO passona._dlt_loads SELECT DISTINCT {LOAD_ID}, 0 FROM passona.report_ledger"
            )
        runs = self.current("runs")
        if runs is not None:
            self._insert("runs", runs)
            self.connection.execute(
                "UPDATE passona.runs SET outcome = 'interrupted' WHERE outcome = 'running' AND started_at < ?", [before]
            )

    def current(self, name: str) -> pa.Table | None:
        """The rows of a log that count."""
        rows = self.logs[name].rows
        if rows is None:
            return None
        with registered(self.connection, "log", rows):
            return self.connection.sql(
                f"SELECT * FROM log QUALIFY row_number() OVER "
                f"(PARTITION BY {', '.join(LOGS[name])} ORDER BY {LOAD_ID} DESC) = 1"
            ).to_arrow_table()

    def _insert(self, name: str, rows: pa.Table) -> None:
        with registered(self.connection, "rows_of_log", rows):
            self.connection.execute(f"INSERT INTO passona.{name} BY NAME SELECT * FROM rows_of_log")

    def snapshots(self) -> dict[Key, Snapshot]:
        """The snapshot of each report that counts."""
        found = self.connection.execute(
            f"SELECT campaign_id, report, {SNAPSHOT}, coalesce(_odd, false), _new_columns, coalesce({LIST}, 0) "
            "FROM passona.report_ledger"
        ).fetchall()
        return {(campaign, report): Snapshot(*rest) for campaign, report, *rest in found}

    def snapshots_now(self) -> dict[Key, str | None]:
        """The same by the log alone, also what others added to it, as it was last read."""
        ledger = self.current(LEDGER_LOG)
        if ledger is None:
            return {}
        columns = (ledger.column(name).to_pylist() for name in ("campaign_id", "report", SNAPSHOT))
        return {(campaign, report): snapshot for campaign, report, snapshot in zip(*columns, strict=True)}

    def ledger_now(self) -> pa.Table:
        """The rows of the ledger's log that count and name a snapshot, also those of others, as it was last read."""
        ledger = self.current(LEDGER_LOG)
        if ledger is None:
            return pa.schema([*TABLES[LEDGER_LOG].schema, *OF_SNAPSHOT.items(), (LOAD_ID, pa.string())]).empty_table()
        for name, kind in OF_SNAPSHOT.items():
            if name not in ledger.column_names:  # of a time before there was that column
                ledger = ledger.append_column(name, pa.array([None] * len(ledger), kind))
        return ledger.filter(pc.is_valid(ledger.column(SNAPSHOT)))

    def new_columns(self) -> dict[str, list[str]]:
        """The columns of each table for keys that are new, in any row that counts."""
        found: dict[str, set[str]] = {}
        ledger = self.current(LEDGER_LOG)
        for text in [] if ledger is None else ledger.column("_new_columns").unique().drop_null().to_pylist():
            for name, columns in orjson.loads(str(text)).items():
                found.setdefault(name, set()).update(columns)
        campaigns = self.connection.sql("SELECT * FROM passona.campaigns LIMIT 0").columns
        if new := _new_in_campaigns(campaigns):
            found[CAMPAIGNS.name] = set(new)
        return {name: sorted(columns) for name, columns in found.items()}

    def add_entries(self, entries: Sequence[Entry], snapshots: Sequence[Snapshot]) -> None:
        """Entries of the ledger, all at once, each with the snapshot whose rows it tells of."""
        rows = entry_table(entries)
        for (name, kind), cells in zip(OF_SNAPSHOT.items(), zip(*snapshots, strict=True), strict=True):
            rows = rows.append_column(name, pa.array(cells, kind))
        self._take_entries(self.logs[LEDGER_LOG].add(rows))

    def replace_entries(self, rows: pa.Table) -> None:
        """Rows of the ledger, all at once, each in the place of the one whose load id it has, and of no later one."""
        self._take_entries(self.logs[LEDGER_LOG].replace(rows))

    def _take_entries(self, rows: pa.Table) -> None:
        with registered(self.connection, "newer", rows):
            self.connection.execute(
                "DELETE FROM passona.report_ledger WHERE (campaign_id, report) IN "
                "(SELECT (campaign_id, report) FROM newer)"
            )
            self.connection.execute("INSERT INTO passona.report_ledger BY NAME SELECT * FROM newer")
            self.connection.execute(f"INSERT INTO passona._dlt_loads SELECT DISTINCT {LOAD_ID}, 0 FROM newer")

    def take_campaigns(self, package: Package) -> list[str]:
        """Campaigns that are new or changed, into the tables; their ids."""
        if package.campaigns is None:
            return []
        for name in _new_in_campaigns(package.campaigns.column_names):
            self.connection.execute(f"ALTER TABLE passona.campaigns ADD COLUMN IF NOT EXISTS {quoted(name)} VARCHAR")
        ids = [str(uuid) for uuid in package.campaigns.column("campaign_id").to_pylist()]
        parts = {CAMPAIGNS.name: package.campaigns, GROUPS: package.groups, ISSUES: package.campaign_issues}
        with given(self.connection, campaign_id=ids):
            for name in parts:
                self.connection.execute(
                    f"DELETE FROM passona.{name} WHERE campaign_id IN (SELECT campaign_id FROM given) "
                    + (_OF_THE_LIST if name == ISSUES else "")
                )
        load_id = new_id()
        for name, rows in parts.items():
            if rows is not None and len(rows):
                self._insert(name, rows.append_column(LOAD_ID, pa.repeat(pa.scalar(load_id), len(rows))))
        return ids

    def add_campaigns(self, ids: Iterable[str]) -> None:
        """These campaigns as the tables have them, into the log, each with its groups and issues."""
        with given(self.connection, campaign_id=list(ids)):
            rows = self.connection.sql(
                f"SELECT * EXCLUDE ({LOAD_ID}, _marker), "
                f"{_nested(NESTED_GROUPS, GROUPS, 'position contact_group_id included')}, "
                f"{_nested(NESTED_ISSUES, ISSUES, 'row_id column_name raw_value issue', _OF_THE_LIST)} "
                "FROM passona.campaigns AS campaigns WHERE campaign_id IN (SELECT campaign_id FROM given)"
            ).to_arrow_table()
        if len(rows):
            self.logs[CAMPAIGNS.name].add(rows)

    def renew_campaigns(self) -> None:
        """All campaigns as the tables have them, into one object; those before it go at once."""
        log = self.logs[CAMPAIGNS.name]
        found = self.connection.execute("SELECT campaign_id FROM passona.campaigns").fetchall()
        self.add_campaigns(uuid for (uuid,) in found)
        current = self.current(CAMPAIGNS.name)
        if current is not None:
            log.put_together(current, most=0)
        self.store.remove(log.useless(datetime.max.replace(tzinfo=UTC)))

    def add_run(self, run_id: str) -> bool:
        """A run as the tables have it, into the log. Whether it has ended."""
        rows = self.connection.sql(
            f"SELECT * EXCLUDE ({LOAD_ID}) FROM passona.runs WHERE run_id = ?", params=[run_id]
        ).to_arrow_table()
        if len(rows):
            self.logs["runs"].add(rows)
        return bool(len(rows)) and rows.column("finished_at").null_count == 0

    def unended(self, since: datetime) -> int:
        """How many runs that began since then did not tell their end."""
        runs = self.current("runs")
        if runs is None:
            return 0
        began = pc.greater_equal(runs.column("started_at"), pa.scalar(since, UTC_TIME))
        return len(runs.filter(pc.and_(began, pc.equal(runs.column("outcome"), pa.scalar("running")))))

    def listed(self) -> set[str]:
        """The campaigns that were in the list at the last look."""
        found = self.connection.execute("SELECT campaign_id FROM passona.campaigns WHERE listed").fetchall()
        return {uuid for (uuid,) in found}

    def privacy(self) -> tuple[str, str | None, str] | None:
        """Mode, id of the key, key for those who are kept out; None where a run has not said them yet."""
        if "_privacy" not in tables_of(self.connection, DATASET):
            return None
        mode, key_id, forgetting_key = self.connection.execute(
            "SELECT mode, key_id, forgetting_key FROM passona._privacy"
        ).fetchone() or (None, None, "")
        return None if mode is None else (mode, key_id, forgetting_key)

    def add_empty(self) -> None:
        """To each log that has no row an object with all its columns."""
        nested = self.connection.sql(
            f"SELECT {', '.join(f'NULL::{kind} AS {column}' for column, kind in _LIST_TYPES.items())} WHERE false"
        ).to_arrow_table()
        own = {LEDGER_LOG: pa.schema(OF_SNAPSHOT), CAMPAIGNS.name: nested.schema}
        for name, found in self.logs.items():
            if not found.seen:
                fields = [*TABLES[name].schema, *own.get(name, ())]
                found.add(pa.schema(fields).empty_table())


def _nested(column: str, table: str, names: str, where: str = "") -> str:
    """SQL of a campaign's rows in another table, as a list."""
    struct = ", ".join(f"'{name}': {name}" for name in names.split())
    return (
        f"coalesce((SELECT list_sort(list({{{struct}}})) FROM passona.{table} AS nested "
        f"WHERE nested.campaign_id = campaigns.campaign_id {where}), [])::{_LIST_TYPES[column]} AS {column}"
    )


def _new_in_campaigns(columns: Iterable[str]) -> list[str]:
    """Columns for keys that the guide does not know."""
    known = TABLES[CAMPAIGNS.name].sql_columns
    return [name for name in columns if name not in known and not name.startswith("_")]
