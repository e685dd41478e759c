"""The warehouse while it is written: loaded by dlt, described for people.

    address -> engine (duckdb_file or postgres), which this run holds alone -> Database -> packages, tables, runs

dlt works in a temporary folder of its own, which ends with the run; nothing is ever resumed by dlt, because its
resumption of a killed load doubles rows. What was killed is due again by the ledger.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Protocol, runtime_checkable

import dlt
import pyarrow as pa
from dlt.pipeline.exceptions import PipelineStepFailed

from passona.config import dlt_context
from passona.config.address import Address, check_driver
from passona.config.dbt_project import project_folder
from passona.config.signals import deferred
from passona.errors import ConfigurationError, NotWritten, causes
from passona.reports.definitions import REPORTS, Report
from passona.reports.tables import DATASET, TABLES
from passona.source.ledger import INTERRUPTED
from passona.source.spool import LONGEST_AGE
from passona.source.walk import Walk
from passona.warehouse._key_columns import key_columns, make_table
from passona.warehouse._load_package import Package
from passona.warehouse._locking import writing
from passona.warehouse._migrations import check_readable, migrate
from passona.warehouse._row_counts import check_written
from passona.warehouse._run_log import RunLog
from passona.warehouse._work_folder import WorkFolder
from passona.warehouse.connection import Connection, error_kinds, first_row, tables_of, temp_table
from passona.warehouse.engines.duckdb_file import DuckDBFile, read_file
from passona.warehouse.engines.engine import Engine, Workload
from passona.warehouse.ownership import OWN_NAMES, Inventory, Name, model_names, own_columns
from passona.warehouse.quoting import literal, quoted

log = logging.getLogger("passona")

PIPELINE = "passona"


class Database:
    """The open warehouse. Its work folder is its owner's alone; gone after the run.

    `files`: the folder for copies of files that are imported, and what is made of them.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.run: RunLog | None = None
        self._begun = 0.0
        self._closed = False
        self._begin_as_a_load()

    @property
    def address(self) -> Address:
        return self.engine.address

    @property
    def connection(self) -> Connection:
        return self.engine.connection

    @property
    def work(self) -> WorkFolder:
        return self.engine.work

    def commit(self, package: Package, zone: str) -> None:
        """Writes one load package. What it replaces is marked as interrupted before, so that a kill
        in the middle is seen by everyone who reads the ledger.

        :raises NotWritten: the database could not take it; what it replaces is due again.
        """
        with self.writing("the load package"):
            self._check_privacy(package.walks)
            self._mark_interrupted(package.walks)
            with dlt_context.use(dlt_context.LOADING):
                try:
                    self._run(package, zone)
                except PipelineStepFailed as error:
                    # Values of megabytes need more than the flat memory that all else is loaded in.
                    if not any(isinstance(cause, self.engine.out_of_memory) for cause in causes(error)):
                        self._check_obstacles()
                        raise
                    self.tune(Workload.REBUILD)
                    self.pipeline.abort_packages()
                    self._run(package, zone)
            self._check_written(package)
            new_columns = package.campaigns is not None and set(package.campaigns.column_names) - set(
                TABLES["campaigns"].schema.names
            )
            if new_columns or any(walk.spool.new_keys for walk in package.walks):
                self.describe()

    def _check_written(self, package: Package) -> None:
        """Count the package in the database; what is missing is due again.

        :raises NotWritten: something is missing.
        """
        try:
            check_written(self.connection, package)
        except NotWritten:
            self._mark_interrupted(package.walks)
            raise

    def _check_obstacles(self) -> None:
        """Nothing, where nothing that a user made refuses rows: it may have come in the course of the load.

        :raises ConfigurationError: something does.
        """
        with contextlib.suppress(*error_kinds()):  # what came of the load is told instead
            inventory = self.inventory()
            inventory.check(OWN_NAMES)
            inventory.check_types()

    def _check_privacy(self, walks: Sequence[Walk]) -> None:
        """Whoever brings rows has to reduce them as this warehouse does: a way in that forgot to is stopped here."""
        known = ("clear", None)
        if "_privacy" in tables_of(self.connection, DATASET):
            known = first_row(self.connection.execute("SELECT mode, key_id FROM passona._privacy")) or known
        for privacy in (walk.spool.privacy for walk in walks):
            if (privacy.mode, None if privacy.is_clear else privacy.tokens.key_id) != known:
                raise ConfigurationError(
                    f"rows in {privacy.mode} mode cannot go into a warehouse that is {known[0]}, or by another key: "
                    "nothing was written"
                )

    def key_columns(self, report: Report, keys: Iterable[str]) -> dict[str, str]:
        """Return the column of each of these keys, which the guide does not know.

        :raises NotWritten: a new one could not be noted.
        """
        with self.writing("the columns of new keys"):
            return key_columns(self.connection, report, keys)

    def _run(self, package: Package, zone: str) -> None:
        package.reset_counts()
        for report in {walk.report for walk in package.walks}:
            keys = set().union(*(walk.spool.new_keys for walk in package.walks if walk.report is report))
            package.columns[report.name] = self.key_columns(report, keys)
        if not self.pipeline.default_schema_name:
            # dlt would do it only after it has asked for the resources, which depend on what it knows.
            self.pipeline.sync_destination()
        known: set[str] = set(self.pipeline.default_schema.tables if self.pipeline.default_schema_name else ())
        source = package.source(zone, TABLES.keys() - known, fresh=self._is_fresh(package.walks))
        self.pipeline.run(source, loader_file_format="parquet")

    def _is_fresh(self, walks: Sequence[Walk]) -> bool:
        """Whether the tables hold no row of these walks' campaigns, and no issue; a killed load may have left some."""
        keys = [(walk.campaign_id, table) for walk in walks for table in (*walk.report.tables, "row_issues")]
        with temp_table(self.connection, campaign_id=[uuid for uuid, _ in keys], name=[table for _, table in keys]):
            return not any(
                self.connection.execute(
                    f"SELECT 1 FROM passona.{quoted(table)} WHERE campaign_id IN "  # noqa: S608  # a name of ours
                    f"(SELECT campaign_id FROM given WHERE name = {literal(table)}) LIMIT 1"
                ).fetchall()
                for table in {table for _, table in keys}
            )

    def _mark_interrupted(self, walks: Sequence[Walk]) -> None:
        with temp_table(
            self.connection,
            campaign_id=[walk.campaign_id for walk in walks],
            report=[walk.report.name for walk in walks],
        ):
            self.connection.execute(
                f"UPDATE passona.report_ledger SET state = 'failed', verified_at = NULL, error = '{INTERRUPTED}', "  # noqa: S608  # constants
                "expired_at = NULL "  # what a killed package leaves is to be given up again
                "WHERE (campaign_id, report) IN (SELECT campaign_id, report FROM given)"
            )

    def prepare(self) -> None:
        """All tables of the contract, typed and described, even if nothing is ever loaded; those of an earlier
        version in the form of this one.

        dlt alone would make them at the end of its first load, which takes half a second.

        :raises ConfigurationError: a later version made them.
        :raises NotWritten: the database could not take them.
        """
        with self.writing("the tables of the warehouse"):
            self._make_tables()

    def _make_tables(self) -> None:
        inventory = self.inventory()
        inventory.check(OWN_NAMES)
        self.connection.begin()
        self.connection.execute(f"CREATE SCHEMA IF NOT EXISTS {DATASET}")
        inventory.keep_register([*OWN_NAMES, *model_names(project_folder())])
        if migrate(self.connection):
            inventory = self.inventory()
        inventory.check_types()
        # DuckDB adds no column in the transaction that changed rows. Killed here, the next load adds them.
        self.connection.commit()
        self.connection.begin()
        missing = inventory.missing_tables()
        for name in missing:
            columns = ", ".join(f"{quoted(column)} {kind}" for column, kind in TABLES[name].sql_columns.items())
            self.connection.execute(f"CREATE TABLE {DATASET}.{quoted(name)} ({columns})")
        for name, column, kind in (added := inventory.missing_columns()):
            self.connection.execute(f"ALTER TABLE {DATASET}.{quoted(name)} ADD COLUMN {quoted(column)} {kind}")
        inventory.record({Name(DATASET, table.name): ("table", table.sql_columns) for table in TABLES.values()})
        make_table(self.connection)
        for statement in self.engine.indexes:
            self.connection.execute(statement)
        if missing:
            self._mark_lost(missing)
        self._note_killed()
        if missing or added or self._undescribed(inventory):
            self.describe()
        self.connection.commit()

    def inventory(self) -> Inventory:
        """Return what the schemas of the warehouse hold now."""
        return Inventory(self.connection, self.engine.relations())

    def _mark_lost(self, missing: set[str]) -> None:
        """What the ledger says of tables that somebody dropped (dlt's `drop` does) is true no more: due again."""
        lost = [report.name for report in REPORTS.values() if not missing.isdisjoint((*report.tables, "row_issues"))]
        self.connection.execute(
            "UPDATE passona.report_ledger SET state = 'failed', verified_at = NULL, error = 'its table was dropped' "
            "WHERE report IN (SELECT unnest(?::VARCHAR[]))",
            [lost],
        )

    def _undescribed(self, inventory: Inventory) -> bool:
        """Whether a run was killed before all was described, or another version said other words."""
        return any(comment != _comment(*place) for place, comment in inventory.comments())

    def describe(self) -> None:
        """Comment on tables and columns: dlt's descriptions do not get there. The user's columns keep their own."""
        for table in TABLES.values():
            self.connection.execute(f"COMMENT ON TABLE passona.{quoted(table.name)} IS {literal(table.comment)}")
        for table_name, columns in own_columns(self.connection).items():
            for column in columns:
                comment = literal(_comment(table_name, column))
                self.connection.execute(f"COMMENT ON COLUMN passona.{quoted(table_name)}.{quoted(column)} IS {comment}")

    def tune(self, workload: Workload) -> None:
        """Prepare the session for what follows."""
        for statement in self.engine.settings.get(workload, ()):
            self.connection.execute(statement)

    def rewrite(self, gone: Sequence[str], wait: float, notify: Callable[[str], None]) -> int:
        """Remove deleted rows from the disk, and return the number of bytes searched for the texts in `gone`.

        Others may hold the warehouse in between, for up to `wait` seconds.

        :raises StillThere: one of these texts is still in its bytes.
        :raises Busy: somebody held it for longer.
        """
        self.tune(Workload.REBUILD)
        searched = self.engine.rewrite(gone, wait, notify)
        self._begin_as_a_load()
        return searched

    def _begin_as_a_load(self) -> None:
        self.tune(Workload.WALK)
        self.pipeline = _pipeline(self.engine)
        self.files = self.work.folder("files")

    @property
    def spools(self) -> Path:
        return self.work.spools

    def clear_spools(self, keys: Iterable[tuple[str, str]]) -> None:
        """Removes what killed walks left behind and nobody will take up: that of these reports, which are
        not due, and what is too old.
        """
        files = list(self.spools.iterdir())
        useless = {f"{campaign}.{report}.arrow" for campaign, report in keys} if files else set()
        oldest = (datetime.now(UTC) - LONGEST_AGE).timestamp()
        for file in files:
            if file.name in useless or file.suffix != ".arrow" or file.stat().st_mtime < oldest:
                file.unlink()

    def begin_run(
        self,
        run_id: str,
        verb: str,
        at: datetime | None = None,
        *,
        outcome: str = "running",
        campaign_id: str | None = None,
        report: str | None = None,
    ) -> None:
        """Notes that a run began, `at` (UTC) or now.

        `outcome`: what is to be said of it if it is killed before its end is noted, if not `interrupted`.

        :raises NotWritten: the database could not take it.
        """
        self._end_lines()
        self.run = RunLog(run_id, verb)
        self.run.begin()
        self._begun = time.monotonic()
        log.info("%s begins: %s", verb, self.address, extra={"event": "run_begun"})
        with self.writing("the begin of the run"):
            self.connection.execute(
                "INSERT INTO passona.runs "
                "(run_id, started_at, verb, outcome, version, campaign_id, report, _dlt_load_id) "
                "VALUES (?, coalesce(?, now()), ?, ?, ?, ?, ?, '')",
                [run_id, at, verb, outcome, version("passona-warehouse"), campaign_id, report],
            )

    def _note_killed(self) -> None:
        """Mark runs that did not tell their end as interrupted: this run holds the warehouse, so none of them lasts."""
        if self.connection.execute("SELECT 1 FROM passona.runs WHERE outcome = 'running' LIMIT 1").fetchall():
            self.connection.execute("UPDATE passona.runs SET outcome = 'interrupted' WHERE outcome = 'running'")

    def end_run(
        self,
        run_id: str,
        outcome: str,
        requests: int,
        row_count: int,
        at: datetime | None = None,
        *,
        began: datetime | None = None,
        erased: int = 0,
    ) -> None:
        """Notes how a run ended, `at` (UTC) or now. `began`: when it began, if that was noted by a wrong clock.

        :raises NotWritten: the database could not take it.
        """
        with self.writing("the end of the run"):
            self.connection.execute(
                "UPDATE passona.runs SET started_at = coalesce(?, started_at), finished_at = coalesce(?, now()), "
                "outcome = ?, requests = ?, row_count = ?, erased = ? WHERE run_id = ?",
                [began, at, outcome, requests, row_count, erased, run_id],
            )
        seconds = round(time.monotonic() - self._begun, 3)
        log.info(
            "ended after %.1f s: %s", seconds, outcome,
            extra={
                "event": "run_ended", "outcome": outcome, "requests": requests, "rows": row_count, "seconds": seconds,
            },
        )  # fmt: skip

    def _end_lines(self) -> None:
        if self.run is not None:
            self.run.end()

    @contextlib.contextmanager
    def writing(self, what: str) -> Iterator[None]:
        """Signals wait for the end of this block; a block within another is a part of it.

        :raises NotWritten: `what` could not be written.
        """
        with writing(what, PipelineStepFailed, *error_kinds()):
            yield

    def close(self) -> None:
        """Release the warehouse. Of the work folder only spools of unfinished big walks stay.

        Once: a descriptor that is closed twice may be another file's by then.
        """
        if self._closed:
            return
        self._closed = True
        self._end_lines()
        self.engine.close()


def _comment(table: str, column: str | None) -> str:
    if column is None:
        return TABLES[table].comment
    known = TABLES[table].comment_on(column)
    if known is not None:
        return known
    if column.startswith("_"):
        return "belongs to dlt, no part of the contract"
    return "key that the vendor's guide does not know, as it came; may be personal data"


def open_database(address: Address, wait: float, notify: Callable[[str], None]) -> Database:
    """Open the warehouse for writing, alone. Wait up to `wait` seconds for its holder.

    :raises Busy: it is still held after that; names the holder.
    :raises ConfigurationError: it is no DuckDB file, its folder is not there, or the server cannot be reached.
    :raises OSError: its work folder cannot be made.
    """
    _give_memory_back()
    engine = _engine(address, wait, notify)
    with deferred():
        try:
            return Database(engine)
        except BaseException:
            engine.close()
            raise


def _engine(address: Address, wait: float, notify: Callable[[str], None]) -> Engine:
    if isinstance(address, Path):
        return DuckDBFile(address, wait, notify)
    check_driver()
    from passona.warehouse.engines.postgres import PostgresServer

    return PostgresServer(address, wait, notify)


def _pipeline(engine: Engine) -> dlt.Pipeline:
    """One that knows nothing yet: it learns the schema from the warehouse."""
    folder = engine.work.folder_for_dlt()
    with dlt_context.use(dlt_context.LOADING):
        return dlt.pipeline(PIPELINE, pipelines_dir=str(folder), destination=engine.destination(), dataset_name=DATASET)


def _give_memory_back() -> None:
    """Arrow keeps the least for later with jemalloc: a load of 3,000,000 rows 300 MB instead of 350.

    Unless the user chose by Arrow's own variable, or this build of Arrow has none.
    """
    if "ARROW_DEFAULT_MEMORY_POOL" not in os.environ:
        with contextlib.suppress(NotImplementedError):
            pa.set_memory_pool(pa.jemalloc_memory_pool())


def open_reader(address: Address, wait: float, notify: Callable[[str], None]) -> Connection:
    """The warehouse for reading; many may do so at once, but not while a DuckDB file is written.

    :raises Busy: it is still held for writing after `wait` seconds.
    :raises ConfigurationError: it was made by another version, and cannot be read as it is.
    """
    connection = _reading(address, wait, notify)
    try:
        connection.execute("SET TimeZone = 'UTC'")
        check_readable(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _reading(address: Address, wait: float, notify: Callable[[str], None]) -> Connection:
    if isinstance(address, Path):
        return read_file(address, wait, notify)
    check_driver()
    from passona.warehouse.engines.postgres import read_server

    return read_server(address)


def has_writer(connection: Connection) -> bool:
    """Return True if a run is writing to the warehouse that is read. Nobody can read a DuckDB file meanwhile."""
    return isinstance(connection, _Watching) and connection.has_writer()


@runtime_checkable
class _Watching(Protocol):
    def has_writer(self) -> bool: ...
