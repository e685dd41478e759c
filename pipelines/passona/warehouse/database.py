"""The warehouse: opened for writing by one run, or for reading.

    address -> engine (DuckDB file or Postgres), locked -> Database -> tables, load packages, runs

dlt works in a temporary folder that ends with the run. It never resumes a killed load, because that doubles rows; the
ledger makes those reports due again.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import dlt
import pyarrow as pa
from dlt.pipeline.exceptions import PipelineStepFailed

from passona.config import dlt_context
from passona.config.address import Address, check_driver
from passona.config.signals import deferred
from passona.errors import ConfigurationError, NotWritten, causes, is_interruption
from passona.reports.definitions import Report
from passona.reports.tables import DATASET, TABLES
from passona.source.ledger import INTERRUPTED
from passona.source.spool import LONGEST_AGE
from passona.source.walk import Walk
from passona.warehouse._key_columns import columns_of_keys
from passona.warehouse._load_package import Package
from passona.warehouse._locking import writing
from passona.warehouse._migrations import check_readable
from passona.warehouse._row_counts import check_written
from passona.warehouse._schema import create_tables, describe
from passona.warehouse._work_folder import WorkFolder
from passona.warehouse.connection import Connection, error_kinds, is_server, literal, quoted, temp_table
from passona.warehouse.engines.duckdb_file import DuckDBFile, read_file
from passona.warehouse.engines.engine import Engine, Workload
from passona.warehouse.ownership import Inventory
from passona.warehouse.policy_table import known_mode
from passona.warehouse.run_record import RunLog, RunRecord

PIPELINE = "passona"


class Database:
    """The warehouse, which this run alone may write.

    `files`: an empty folder of this run for files to import.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._run_logs: dict[str, RunLog] = {}
        self._runs_now = 0
        self._closed = False
        self._start_pipeline()

    def _start_pipeline(self) -> None:
        self.tune(Workload.WALK)
        self.pipeline = _pipeline(self.engine)
        self.files = self.work.folder("files")

    @property
    def address(self) -> Address:
        return self.engine.address

    @property
    def connection(self) -> Connection:
        return self.engine.connection

    @property
    def work(self) -> WorkFolder:
        return self.engine.work

    @property
    def spools(self) -> Path:
        return self.work.spools

    def inventory(self) -> Inventory:
        """Return what the schemas of the warehouse hold now."""
        return Inventory(self.connection, self.engine.relations())

    def tune(self, workload: Workload) -> None:
        """Prepare the session for what follows."""
        for statement in self.engine.settings.get(workload, ()):
            self.connection.execute(statement)

    @contextlib.contextmanager
    def writing(self, what: str) -> Iterator[None]:
        """Defer signals to the end of this block. Re-entrant.

        :raises NotWritten: `what` could not be written.
        """
        with writing(what, PipelineStepFailed, *error_kinds()):
            yield

    def prepare(self) -> None:
        """Create, migrate and describe all tables of the contract, even if nothing is ever loaded.

        :raises ConfigurationError: a later version created the warehouse, or an object of the user is in the way.
        """
        with self.writing("the tables of the warehouse"):
            create_tables(self.engine)

    def write_package(self, package: Package) -> None:
        """Write one load package.

        The reports that it replaces are marked as interrupted first, so that readers of the ledger notice a kill.

        :raises NotWritten: the database could not be written; the reports are due again.
        """
        with self.writing("the load package"):
            self._check_privacy(package.walks)
            self._mark_interrupted(package.walks)
            with dlt_context.use(dlt_context.LOADING):
                self._load(package)
            try:
                check_written(self.connection, package)
            except NotWritten:
                self._mark_interrupted(package.walks)
                raise
            new_columns = package.campaigns is not None and set(package.campaigns.column_names) - set(
                TABLES["campaigns"].schema.names
            )
            if new_columns or any(walk.spool.new_keys for walk in package.walks):
                describe(self.connection)

    def _check_privacy(self, walks: Sequence[Walk]) -> None:
        """Refuse rows that are not masked as this warehouse masks them: its callers must agree."""
        known = known_mode(self.connection)
        for privacy in (walk.spool.privacy for walk in walks):
            if (privacy.mode, None if privacy.is_clear else privacy.tokens.key_id) != known:
                raise ConfigurationError(
                    f"rows in {privacy.mode} mode cannot go into a warehouse that is {known[0]}, or by another key: "
                    "nothing was written"
                )

    def _mark_interrupted(self, walks: Sequence[Walk]) -> None:
        keys = [(walk.campaign_id, walk.report.name) for walk in walks]
        with temp_table(self.connection, campaign_id=[uuid for uuid, _ in keys], report=[name for _, name in keys]):
            self.connection.execute(
                f"UPDATE passona.report_ledger SET state = 'failed', verified_at = NULL, error = '{INTERRUPTED}', "  # noqa: S608  # constants
                "expired_at = NULL "  # retention erases the rows of a killed package again
                "WHERE (campaign_id, report) IN (SELECT campaign_id, report FROM given)"
            )

    def _load(self, package: Package) -> None:
        """Load a package by dlt; again with more memory if it runs out, as with values of megabytes."""
        try:
            self._run_pipeline(package)
        except PipelineStepFailed as error:
            if not any(isinstance(cause, self.engine.out_of_memory) for cause in causes(error)):
                raise
            self.tune(Workload.REBUILD)
            self.pipeline.abort_packages()
            self._run_pipeline(package)

    def _run_pipeline(self, package: Package) -> None:
        package.reset_counts()
        for report in {walk.report for walk in package.walks}:
            keys = set().union(*(walk.spool.new_keys for walk in package.walks if walk.report is report))
            package.columns[report.name] = self.columns_of_keys(report, keys)
        if not self.pipeline.default_schema_name:
            # dlt would do it after it has called the resources, which depend on its schema.
            self.pipeline.sync_destination()
        known: set[str] = set(self.pipeline.default_schema.tables if self.pipeline.default_schema_name else ())
        source = package.source(TABLES.keys() - known, fresh=self._is_fresh(package.walks))
        self.pipeline.run(source, loader_file_format="parquet")

    def _is_fresh(self, walks: Sequence[Walk]) -> bool:
        """Return True if no table has rows or issues of these walks' campaigns, such as of a killed load."""
        keys = [(walk.campaign_id, table) for walk in walks for table in (*walk.report.tables, "row_issues")]
        with temp_table(self.connection, campaign_id=[uuid for uuid, _ in keys], name=[table for _, table in keys]):
            return not any(
                self.connection.execute(
                    f"SELECT 1 FROM passona.{quoted(table)} WHERE campaign_id IN "  # noqa: S608  # a name of ours
                    f"(SELECT campaign_id FROM given WHERE name = {literal(table)}) LIMIT 1"
                ).fetchall()
                for table in {table for _, table in keys}
            )

    def columns_of_keys(self, report: Report, keys: Iterable[str]) -> dict[str, str]:
        """Return the column of each of these keys, which the guide does not know.

        :raises NotWritten: a new one could not be recorded.
        """
        with self.writing("the columns of new keys"):
            return columns_of_keys(self.connection, report, keys)

    def rewrite(self, gone: Sequence[str], wait: float, notify: Callable[[str], None]) -> int:
        """Remove deleted rows from the disk, and return the number of bytes searched for the texts in `gone`.

        Other processes may lock the warehouse in between, for up to `wait` seconds.

        :raises StillThere: one of these texts is still in its bytes.
        """
        self.tune(Workload.REBUILD)
        searched = self.engine.rewrite(gone, wait, notify)
        self._start_pipeline()
        return searched

    def clear_spools(self, keys: Iterable[tuple[str, str]]) -> None:
        """Remove spools that no walk will resume: those of these reports, which are not due, and old ones."""
        files = list(self.spools.iterdir())
        useless = {f"{campaign}.{report}.arrow" for campaign, report in keys} if files else set()
        oldest = (datetime.now(UTC) - LONGEST_AGE).timestamp()
        for file in files:
            if file.name in useless or file.suffix != ".arrow" or file.stat().st_mtime < oldest:
                file.unlink()

    @contextlib.contextmanager
    def run(self, run: RunRecord) -> Iterator[None]:
        """Record the start of a run, and its end as the block leaves it: `running` becomes ok, interrupted or error.

        The runs of several accounts may be nested.
        """
        self._begin(run)
        try:
            yield
        except BaseException as error:
            if run.outcome == "running":
                run.outcome = "interrupted" if is_interruption(error) else "error"
            with contextlib.suppress(Exception):  # the first error is the one to report
                self._end(run)
            raise
        if run.outcome == "running":
            run.outcome = "ok"
        self._end(run)

    def _begin(self, run: RunRecord) -> None:
        if not self._runs_now:
            self._end_run_logs()
        self._runs_now += 1
        self._run_logs[run.run_id] = RunLog(run)
        self._run_logs[run.run_id].begin(self.address)
        with self.writing("the start of the run"):
            self.connection.execute(
                "INSERT INTO passona.runs "
                "(run_id, started_at, verb, outcome, version, account, campaign_id, report, _dlt_load_id) "
                "VALUES (?, coalesce(?, now()), ?, ?, ?, ?, ?, ?, '')",
                [
                    run.run_id,
                    run.began,
                    run.verb,
                    run.outcome,
                    version("passona-warehouse"),
                    run.account,
                    run.campaign_id,
                    run.report,
                ],
            )

    def _end(self, run: RunRecord) -> None:
        with self.writing("the end of the run"):
            self.connection.execute(
                "UPDATE passona.runs SET started_at = coalesce(?, started_at), finished_at = coalesce(?, now()), "
                "outcome = ?, requests = ?, row_count = ?, erased = ? WHERE run_id = ?",
                [run.began, run.ended, run.outcome, run.requests, run.row_count, run.erased, run.run_id],
            )
        self._runs_now -= 1
        self._run_logs[run.run_id].log_outcome(run.outcome, run.requests, run.row_count)

    def _end_run_logs(self) -> None:
        for run_log in self._run_logs.values():
            run_log.end()
        self._run_logs.clear()

    def close(self) -> None:
        """Release the warehouse, once: the number of a closed descriptor may soon be another file's.

        Of the work folder only spools of unfinished walks stay.
        """
        if not self._closed:
            self._closed = True
            self._end_run_logs()
            self.engine.close()


def open_database(address: Address, wait: float, notify: Callable[[str], None]) -> Database:
    """Open the warehouse for writing. Wait up to `wait` seconds for the run that has locked it.

    :raises ConfigurationError: it is no DuckDB file, its folder does not exist, or the server cannot be reached.
    :raises OSError: its work folder cannot be created.
    """
    _use_frugal_memory()
    engine = _engine(address, wait, notify)
    with deferred():
        try:
            return Database(engine)
        except BaseException:
            engine.close()
            raise


def _use_frugal_memory() -> None:
    """Let Arrow use jemalloc, which keeps the least: 300,000 rows and their lists peak at 350 MB instead of 390.

    Not if the user chose by Arrow's own variable, or if this build of Arrow lacks jemalloc.
    """
    if "ARROW_DEFAULT_MEMORY_POOL" not in os.environ:
        with contextlib.suppress(NotImplementedError):
            pa.set_memory_pool(pa.jemalloc_memory_pool())


def _engine(address: Address, wait: float, notify: Callable[[str], None]) -> Engine:
    if isinstance(address, Path):
        return DuckDBFile(address, wait, notify)
    check_driver()
    from passona.warehouse.engines.postgres import PostgresServer

    return PostgresServer(address, wait, notify)


def _pipeline(engine: Engine) -> dlt.Pipeline:
    """Return a pipeline without a schema: it learns that from the warehouse."""
    folder = engine.work.folder_for_dlt()
    with dlt_context.use(dlt_context.LOADING):
        return dlt.pipeline(PIPELINE, pipelines_dir=str(folder), destination=engine.destination(), dataset_name=DATASET)


def open_reader(address: Address, wait: float, notify: Callable[[str], None]) -> Connection:
    """Open the warehouse for reading. Many processes may do so, but not while a DuckDB file is written.

    :raises ConfigurationError: another version created it, and it cannot be read as it is.
    """
    connection = _reader(address, wait, notify)
    try:
        connection.execute("SET TimeZone = 'UTC'")
        check_readable(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _reader(address: Address, wait: float, notify: Callable[[str], None]) -> Connection:
    if isinstance(address, Path):
        return read_file(address, wait, notify)
    check_driver()
    from passona.warehouse.engines.postgres import read_server

    return read_server(address)


def has_writer(connection: Connection) -> bool:
    """Return True if a run is writing to the warehouse that is read; never of a DuckDB file, which it locks."""
    if not is_server(connection):
        return False
    from passona.warehouse.engines.postgres import Reader

    return isinstance(connection, Reader) and connection.has_writer()
