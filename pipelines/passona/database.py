"""The warehouse file: opened once and held for the whole run, loaded by dlt, described for people.

DuckDB lets one process write, so the file itself is the lock: whoever opens it is alone. dlt works
in a temporary folder beside it, which ends with the run; nothing is ever resumed by dlt, because its
resumption of a killed load doubles rows. What was killed is due again by the ledger.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pyarrow as pa
from dlt.common.destination import DestinationCapabilitiesContext
from dlt.pipeline.exceptions import PipelineStepFailed

from passona import logs
from passona.configuration import configure_dlt
from passona.errors import Busy, ConfigurationError, NotWritten, causes
from passona.interruption import held
from passona.quoting import literal, quoted
from passona.reports import REPORTS
from passona.schema import DATASET, TABLES
from passona.source import Package, passona_source
from passona.spool import LONGEST_AGE
from passona.upgrades import bring_forward, check_readable, missing_columns
from passona.walk import Walk

log = logging.getLogger("passona")

Connection = duckdb.DuckDBPyConnection

PIPELINE = "passona"
# Readers of DuckDB 1.2 and later can open the file, whichever version writes it.
STORAGE_VERSION = "v1.2.0"
# The folder of the work folder for copies that are to take the file's place.
REWRITING = "rewriting"
# Folders of the work folder that are of no use to a later run: of dlt, of DuckDB, of dbt, of files that are imported,
# of copies that hold what is to be erased.
TEMPORARY = ("dlt", "duckdb", "dbt", "files", REWRITING)
# Twice a second: short beside any load, and no load on the machine.
POLL_SECONDS = 0.5
# DuckDB's buffers; beyond it spills to the work folder, so memory stays flat however large a package
# is. Loads of 2,000,000 rows are no slower with it than without.
MEMORY_LIMIT = "64MB"


def warehouse_path() -> Path:
    """The DuckDB file that dlt's configuration names by destination `warehouse`; warehouse.duckdb if none.

    :raises ConfigurationError: another kind of destination, or a name that cannot work.
    """
    kind = dlt.config.get("destination.warehouse.destination_type", str) or "duckdb"
    if kind.rpartition(".")[2] != "duckdb":
        raise ConfigurationError(f"destination.warehouse.destination_type: {kind!r} is not supported yet; use duckdb")
    credentials: Any = dlt.secrets.get("destination.warehouse.credentials") or "warehouse.duckdb"
    if isinstance(credentials, dict):
        credentials = credentials.get("database", "")
    name = re.sub(r"^duckdb:(///?)?", "", str(credentials))
    path = Path(name)
    if not path.name or "://" in name:
        raise ConfigurationError("destination.warehouse.credentials: expected the path of a DuckDB file")
    if name.lower().startswith((":memory:", "md:", "motherduck:")):
        raise ConfigurationError(
            "destination.warehouse.credentials: expected the path of a DuckDB file, got a database in memory or at "
            "MotherDuck, which is not supported"
        )
    if name != str(credentials) and "?" in name:
        raise ConfigurationError(
            "destination.warehouse.credentials: expected duckdb:///PATH alone, got a query (?...) too; leave it out"
        )
    # DuckDB's name of a file is what stands before its first dot, whatever the case.
    if path.name.lstrip(".").partition(".")[0].lower() == DATASET:
        raise ConfigurationError(
            f"{path.name} cannot be the warehouse: DuckDB cannot tell a file called {DATASET} from the dataset "
            f"{DATASET} in it; choose another name, such as warehouse.duckdb"
        )
    return path.absolute()


class _DuckDB(dlt.destinations.duckdb):
    """dlt's DuckDB, which finds out once what it is capable of.

    dlt asks a hundred times a load and reads its whole configuration for each answer: a seventh of a small load.
    """

    destination_type = "dlt.destinations.duckdb"  # what dlt's own tools know it by
    _known: DestinationCapabilitiesContext | None = None

    def capabilities(self, config: Any = None, naming: Any = None) -> DestinationCapabilitiesContext:
        if config is not None or naming is not None:
            return super().capabilities(config, naming)
        if self._known is None:
            self._known = super().capabilities()
        return self._known.copy()


@dataclass
class Database:
    """The open warehouse. `work`: folder of its owner alone, for spools and dlt; gone after the run.

    `usual_memory`: what DuckDB would take if it were not told to take less. `file`: a descriptor to copy
    from, closed behind the connection: a process that closes any descriptor of a file loses its locks on it.
    """

    path: Path
    connection: duckdb.DuckDBPyConnection
    work: Path
    pipeline: dlt.Pipeline
    usual_memory: str
    file: int
    run: logs.Run | None = None
    _begun: float = 0.0
    _closed: bool = False

    def commit(self, package: Package, zone: str) -> None:
        """Writes one load package. What it replaces is marked as interrupted before, so that a kill
        in the middle is seen by everyone who reads the ledger.

        :raises NotWritten: the database could not take it; what it replaces is due again.
        """
        with _writing("the load package"):
            self._check_privacy(package.walks)
            self._mark_interrupted(package.walks)
            try:
                self._run(package, zone)
            except PipelineStepFailed as error:
                if not _is(duckdb.OutOfMemoryException, error):
                    raise
                # Values of megabytes need more than the flat memory that all else is loaded in.
                self.connection.execute(f"SET memory_limit = {literal(self.usual_memory)}")
                self.pipeline.abort_packages()
                self._run(package, zone)
            new_columns = package.campaigns is not None and set(package.campaigns.column_names) - set(
                TABLES["campaigns"].schema.names
            )
            if new_columns or any(walk.spool.new_keys for walk in package.walks):
                self.describe()

    def _check_privacy(self, walks: Sequence[Walk]) -> None:
        """Whoever brings rows has to reduce them as this warehouse does: a way in that forgot to is stopped here."""
        known = ("clear", None)
        if self.connection.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = '_privacy'").fetchall():
            known = self.connection.execute("SELECT mode, key_id FROM passona._privacy").fetchone() or known
        for privacy in (walk.spool.privacy for walk in walks):
            if (privacy.mode, None if privacy.is_clear else privacy.tokens.key_id) != known:
                raise ConfigurationError(
                    f"rows in {privacy.mode} mode cannot go into a warehouse that is {known[0]}, or by another key: "
                    "nothing was written"
                )

    def _run(self, package: Package, zone: str) -> None:
        package.reset_counts()
        if not self.pipeline.default_schema_name:
            # dlt would do it only after it has asked for the resources, which depend on what it knows.
            self.pipeline.sync_destination()
        known: set[str] = set(self.pipeline.default_schema.tables if self.pipeline.default_schema_name else ())
        source = passona_source(package, zone, TABLES.keys() - known, fresh=self._is_fresh(package.walks))
        self.pipeline.run(source, loader_file_format="parquet")

    def _is_fresh(self, walks: Sequence[Walk]) -> bool:
        """Whether the tables hold no row of these walks' campaigns, and no issue; a killed load may have left some."""
        keys = [(walk.campaign_id, table) for walk in walks for table in (*walk.report.tables, "row_issues")]
        with given(self.connection, campaign_id=[uuid for uuid, _ in keys], name=[table for _, table in keys]):
            return not any(
                self.connection.execute(
                    f"SELECT 1 FROM passona.{quoted(table)} WHERE campaign_id IN "  # noqa: S608  # a name of ours
                    f"(SELECT campaign_id FROM given WHERE name = {literal(table)}) LIMIT 1"
                ).fetchall()
                for table in {table for _, table in keys}
            )

    def _mark_interrupted(self, walks: Sequence[Walk]) -> None:
        with given(
            self.connection,
            campaign_id=[walk.campaign_id for walk in walks],
            report=[walk.report.name for walk in walks],
        ):
            self.connection.execute(
                "UPDATE passona.report_ledger SET state = 'failed', verified_at = NULL, error = 'interrupted', "
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
        with _writing("the tables of the warehouse"):
            self._make_tables()

    def _make_tables(self) -> None:
        self.connection.begin()
        self.connection.execute(f"CREATE SCHEMA IF NOT EXISTS {DATASET}")
        missing = self._missing_tables()
        bring_forward(self.connection)
        # DuckDB adds no column in the transaction that changed rows. Killed here, the next load adds them.
        self.connection.commit()
        self.connection.begin()
        for table in TABLES.values():
            columns = ", ".join(f"{quoted(name)} {kind}" for name, kind in table.sql_columns.items())
            self.connection.execute(f"CREATE TABLE IF NOT EXISTS {DATASET}.{quoted(table.name)} ({columns})")
        for table_name, column in missing_columns(self.connection):
            kind = TABLES[table_name].sql_columns[column]
            self.connection.execute(f"ALTER TABLE {DATASET}.{quoted(table_name)} ADD COLUMN {quoted(column)} {kind}")
        if missing:
            self._mark_lost(missing)
        if self._undescribed():
            self.describe()
        self.connection.commit()

    def _missing_tables(self) -> set[str]:
        found = self.connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = ?", [DATASET]
        ).fetchall()
        return TABLES.keys() - {name for (name,) in found}

    def _mark_lost(self, missing: set[str]) -> None:
        """What the ledger says of tables that somebody dropped (dlt's `drop` does) is true no more: due again."""
        lost = [report.name for report in REPORTS.values() if not missing.isdisjoint((*report.tables, "row_issues"))]
        self.connection.execute(
            "UPDATE passona.report_ledger SET state = 'failed', verified_at = NULL, error = 'its table was dropped' "
            "WHERE report IN (SELECT unnest(?::VARCHAR[]))",
            [lost],
        )

    def _undescribed(self) -> bool:
        """Whether a run was killed before all was described, or another version said other words."""
        tables = self.connection.execute(
            "SELECT table_name, comment FROM duckdb_tables() WHERE schema_name = ?", [DATASET]
        ).fetchall()
        columns = self.connection.execute(
            "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE schema_name = ?", [DATASET]
        ).fetchall()
        said = {name: comment for name, comment in tables if name in TABLES}
        return said != {table.name: table.comment for table in TABLES.values()} or any(
            comment != _comment(table_name, column) for table_name, column, comment in columns if table_name in TABLES
        )

    def describe(self) -> None:
        """Comments on tables and columns: dlt's descriptions do not get there."""
        columns = self.connection.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = ?", [DATASET]
        ).fetchall()
        for table in TABLES.values():
            self.connection.execute(f"COMMENT ON TABLE passona.{quoted(table.name)} IS {literal(table.comment)}")
        for table_name, column in columns:
            if table_name in TABLES:
                comment = literal(_comment(table_name, column))
                self.connection.execute(f"COMMENT ON COLUMN passona.{quoted(table_name)}.{quoted(column)} IS {comment}")

    def use_all_cores(self) -> None:
        """DuckDB may take all cores from now on: nothing is walked meanwhile."""
        self.connection.execute("RESET threads")

    @property
    def spools(self) -> Path:
        return self.work / "spools"

    @property
    def files(self) -> Path:
        """The folder for copies of files that are imported, and what is made of them."""
        return self.work / "files"

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
        """Notes that a run began, `at` (UTC) or now. Any that is still `running` was killed: this process is alone.

        `outcome`: what is to be said of it if it is killed before its end is noted, if not `interrupted`.

        :raises NotWritten: the database could not take it.
        """
        self._end_lines()
        self.run = logs.Run(run_id, verb)
        self.run.begin()
        self._begun = time.monotonic()
        log.info("%s begins: %s", verb, self.path, extra={"event": "run_begun"})
        with _writing("the begin of the run"):
            self.connection.execute("UPDATE passona.runs SET outcome = 'interrupted' WHERE outcome = 'running'")
            self.connection.execute(
                "INSERT INTO passona.runs "
                "(run_id, started_at, verb, outcome, version, campaign_id, report, _dlt_load_id) "
                "VALUES (?, coalesce(?, now()), ?, ?, ?, ?, ?, '')",
                [run_id, at, verb, outcome, version("passona-warehouse"), campaign_id, report],
            )

    def end_run(
        self,
        run_id: str,
        outcome: str,
        requests: int,
        row_count: int,
        at: datetime | None = None,
        *,
        erased: int = 0,
    ) -> None:
        """Notes how a run ended, `at` (UTC) or now.

        :raises NotWritten: the database could not take it.
        """
        with _writing("the end of the run"):
            self.connection.execute(
                "UPDATE passona.runs SET finished_at = coalesce(?, now()), outcome = ?, requests = ?, row_count = ?, "
                "erased = ? WHERE run_id = ?",
                [at, outcome, requests, row_count, erased, run_id],
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

    def still(self) -> Still:
        """The same warehouse, while nothing is written to it.

        :raises NotWritten: the database could not take its checkpoint.
        """
        _checkpoint(self.connection)
        return Still(self.path, self.connection, self.file)

    def close(self) -> None:
        """Ends the run's hold on the file. Of the work folder only spools of unfinished big walks stay.

        Once: a descriptor that is closed twice may be another file's by then.
        """
        if self._closed:
            return
        self._closed = True
        self._end_lines()
        self.connection.close()
        os.close(self.file)
        for name in TEMPORARY:
            shutil.rmtree(self.work / name, ignore_errors=True)
        for folder in (self.spools, self.work):
            with contextlib.suppress(OSError):
                folder.rmdir()


@dataclass(frozen=True)
class Still:
    """A warehouse whose file holds all that was written, and that nobody writes to: it can be copied from `file`."""

    path: Path
    connection: duckdb.DuckDBPyConnection
    file: int


@contextlib.contextmanager
def given(connection: duckdb.DuckDBPyConnection, **columns: Sequence[str]) -> Iterator[None]:
    """Columns of texts as the table `given` in this block: a list as a parameter takes 65 microseconds an element."""
    connection.register("given", pa.table({name: pa.array(texts, pa.string()) for name, texts in columns.items()}))
    try:
        yield
    finally:
        connection.unregister("given")


@contextlib.contextmanager
def _writing(what: str) -> Iterator[None]:
    with held():
        try:
            yield
        except (PipelineStepFailed, duckdb.Error) as error:
            raise NotWritten(f"{what} could not be written: {reason(error)}") from error


def _comment(table: str, column: str) -> str:
    known = TABLES[table].comment_on(column)
    if known is not None:
        return known
    if column.startswith("_"):
        return "belongs to dlt, no part of the contract"
    return "key that the vendor's guide does not know, as it came; may be personal data"


def open_database(path: Path, wait: float, say: Callable[[str], None]) -> Database:
    """Opens the warehouse for writing, alone. Waits up to `wait` seconds for whoever holds it.

    :raises Busy: it is still held after that; names the holder.
    :raises ConfigurationError: it is no DuckDB file, or its folder is not there.
    :raises OSError: the work folder beside it cannot be made.
    """
    configure_dlt()
    _give_memory_back()
    _keep_private(path)
    connection = _connected(path, wait, say)
    with held():
        return _opened(path, connection)


def _opened(path: Path, connection: duckdb.DuckDBPyConnection) -> Database:
    work = path.with_name(f"{path.name}.work")
    for name in TEMPORARY:
        shutil.rmtree(work / name, ignore_errors=True)
    for folder in (work, work / "spools", work / "dlt", work / "files"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"SET temp_directory = {literal(str(work / 'duckdb'))}")
    ((usual_memory,),) = connection.execute("SELECT current_setting('memory_limit')").fetchall()
    connection.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
    connection.execute("SET preserve_insertion_order = false")
    ((threads,),) = connection.execute("SELECT current_setting('threads')").fetchall()
    # The other half of the cores walks meanwhile; on two, a package is written in two thirds of the time.
    connection.execute(f"SET threads = {max(1, threads // 2)}")
    pipeline = dlt.pipeline(
        PIPELINE,
        pipelines_dir=str(work / "dlt"),
        destination=_DuckDB(connection, destination_name="warehouse"),
        dataset_name=DATASET,
    )
    return Database(path, connection, work, pipeline, usual_memory, os.open(path, os.O_RDONLY))


def _give_memory_back() -> None:
    """Arrow keeps the least for later with jemalloc: a load of 3,000,000 rows 300 MB instead of 350.

    Unless the user chose by Arrow's own variable, or this build of Arrow has none.
    """
    if "ARROW_DEFAULT_MEMORY_POOL" not in os.environ:
        with contextlib.suppress(NotImplementedError):
            pa.set_memory_pool(pa.jemalloc_memory_pool())


def _keep_private(path: Path) -> None:
    """A new warehouse is its owner's alone: phone numbers are in it. That of an existing file stays as it is.

    Holds for all files that this process makes: DuckDB makes a log beside its file.
    """
    if not path.exists() or not path.stat().st_mode & 0o077:
        os.umask(0o077)


def open_reader(path: Path, wait: float, say: Callable[[str], None]) -> duckdb.DuckDBPyConnection:
    """The warehouse for reading; many may do so at once, but not while it is written.

    :raises Busy: it is still held for writing after `wait` seconds.
    :raises ConfigurationError: it was made by another version, and cannot be read as it is.
    """
    connection = _connected(path, wait, say, read_only=True)
    try:
        check_readable(connection)
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def open_still(path: Path, wait: float, say: Callable[[str], None]) -> Iterator[Still]:
    """The warehouse while nobody writes to it, read by us and by whoever else likes to.

    :raises Busy: it is still held for writing after `wait` seconds.
    :raises ConfigurationError: there is none, or it is no DuckDB file.
    """
    if not path.is_file():
        raise ConfigurationError(f"there is no warehouse at {path}: run passona load first")
    connection = _connected(path, wait, say, read_only=True)
    if killed := log_of(path).exists():  # whoever wrote it left something there that is not in the file
        connection.close()
        _keep_private(path)
        connection = _connected(path, wait, say)
    file = os.open(path, os.O_RDONLY)
    try:
        if killed:
            _checkpoint(connection)
        yield Still(path, connection, file)
    finally:
        connection.close()
        os.close(file)


def _checkpoint(connection: duckdb.DuckDBPyConnection) -> None:
    with _writing("the checkpoint"):
        connection.execute("CHECKPOINT")


def log_of(path: Path) -> Path:
    """Where DuckDB keeps what is not in its file yet."""
    return path.with_name(f"{path.name}.wal")


def _connected(
    path: Path, wait: float, say: Callable[[str], None], *, read_only: bool = False
) -> duckdb.DuckDBPyConnection:
    if not path.parent.is_dir():
        raise ConfigurationError(f"the folder of the warehouse does not exist: {path.parent}; make it first")
    until = time.monotonic() + wait
    said = False
    while True:
        try:
            if read_only:
                return duckdb.connect(str(path), read_only=True)
            return duckdb.connect(str(path), config={"storage_compatibility_version": STORAGE_VERSION})
        except duckdb.IOException as error:
            holder = _holder(str(error))
            if holder is None:
                raise ConfigurationError(f"{path} cannot be opened as a DuckDB file: {_first_line(error)}") from error
            if time.monotonic() >= until:
                raise Busy(
                    f"{path.name} is held by {holder}; waited {wait:g} s. Let it end, or give --wait more seconds"
                ) from None
            if not said:
                say(f"{path.name} is held by {holder}; waiting up to {wait:g} s")
                said = True
            time.sleep(POLL_SECONDS)


def _holder(message: str) -> str | None:
    """Who holds the file, from DuckDB's error; None if the error is another one."""
    if "Could not set lock on file" not in message:
        return None
    found = re.search(r"held in (.+?) \(PID (\d+)\)", message)
    return f"{Path(found[1]).name} (process {found[2]})" if found else "another process"


def _is(kind: type[BaseException], error: BaseException) -> bool:
    return any(isinstance(cause, kind) for cause in causes(error))


def reason(error: BaseException) -> str:
    """What the database said, by its kind: its words may quote a row."""
    last = list(causes(error))[-1]
    if "No space left" in str(last) or "File too large" in str(last):
        return "no space left on the device; make room and run again"
    if isinstance(last, OSError) and last.strerror:
        return f"{last.strerror}: {last.filename or 'the work folder'}"
    return f"{type(last).__name__}; --debug shows more"


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0][:200]
