"""The warehouse while it is written: loaded by dlt, described for people.

    address -> engine (duckdb_file, postgres or lake), which is held -> Database -> packages, tables, runs

dlt works in a temporary folder of its own, which ends with the run; nothing is ever resumed by dlt, because its
resumption of a killed load doubles rows. What was killed is due again by the ledger.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import dlt
import pyarrow as pa
from dlt.pipeline.exceptions import PipelineStepFailed

from passona import logs
from passona.address import Address, Lake, check_driver
from passona.configuration import configure_dlt
from passona.connection import Connection, columns_of, error_kinds, given, tables_of
from passona.duckdb_file import DuckDBFile, Still, open_file, read_file
from passona.errors import ConfigurationError
from passona.interruption import held
from passona.lake import LakeWriter, open_lake, read_lake
from passona.lake_rewriting import REWRITING
from passona.quoting import literal, quoted
from passona.reports import REPORTS
from passona.schema import DATASET, TABLES
from passona.source import Package, passona_source
from passona.spool import LONGEST_AGE
from passona.upgrades import bring_forward, check_readable, is_behind, missing_columns
from passona.waiting import writing
from passona.walk import Walk

log = logging.getLogger("passona")

PIPELINE = "passona"
# Folders of the work folder that are of no use to a later run: of dlt, of dbt, of files that are imported, of copies
# that hold what is to be erased, and of DuckDB, which keeps its own to its end.
TEMPORARY = ("dlt", "dbt", "files", REWRITING, "duckdb")


class Engine(Protocol):
    """What holds the warehouse for us, and all that DuckDB and Postgres do each in its own way.

    `work`: where its work folder is to be.
    """

    @property
    def connection(self) -> Connection: ...

    @property
    def work(self) -> Path: ...

    @property
    def address(self) -> Address: ...

    def destination(self) -> Any: ...

    def budget(self, per_minute: int) -> Callable[[], float] | None: ...

    def comments(self) -> dict[tuple[str, str | None], str | None]: ...

    def sha256(self, text: str) -> str: ...

    def index(self) -> None: ...

    @property
    def shared(self) -> bool: ...

    def writing(self) -> AbstractContextManager[None]: ...

    def claim(self, run_id: str) -> None: ...

    def living(self, run_ids: Iterable[str]) -> set[str]: ...

    def lacked_memory(self, error: BaseException) -> bool: ...

    def give_memory(self, gigabytes: int | None = None) -> None: ...

    def take_memory_back(self) -> None: ...

    def use_all_cores(self) -> None: ...

    def vacuum(self) -> bool: ...

    @property
    def dbt_target(self) -> str: ...

    def dbt(self) -> AbstractContextManager[dict[str, str]]: ...

    def keep(self, run_id: str) -> None: ...

    def drop_left_spools(self) -> int: ...

    def close(self) -> None: ...


@dataclass
class Database:
    """The open warehouse. Its work folder is its owner's alone, for spools and dlt; gone after the run."""

    engine: Engine
    pipeline: dlt.Pipeline
    run: logs.Run | None = None
    _schemas: int | None = None
    _begun: float = 0.0
    _closed: bool = False

    @property
    def address(self) -> Address:
        return self.engine.address

    @property
    def connection(self) -> Connection:
        return self.engine.connection

    @property
    def work(self) -> Path:
        return self.engine.work

    @property
    def shared(self) -> bool:
        """Whether other runs may write between two writes of this one, so that what was read may be no more."""
        return self.engine.shared

    def commit(self, package: Package, zone: str) -> None:
        """Writes one load package. What it replaces is marked as interrupted before, so that a kill
        in the middle is seen by everyone who reads the ledger.

        :raises NotWritten: the database could not take it; what it replaces is due again.
        """
        with self.writing("the load package"):
            self._check_privacy(package.walks)
            if isinstance(self.engine, LakeWriter):
                self.engine.write(package, zone)
                return
            self._mark_interrupted(package.walks)
            try:
                self._run(package, zone)
            except PipelineStepFailed as error:
                # Values of megabytes need more than the flat memory that all else is loaded in.
                if not self.engine.lacked_memory(error):
                    raise
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
        if "_privacy" in tables_of(self.connection, DATASET):
            known = self.connection.execute("SELECT mode, key_id FROM passona._privacy").fetchone() or known
        for privacy in (walk.spool.privacy for walk in walks):
            if (privacy.mode, None if privacy.is_clear else privacy.tokens.key_id) != known:
                raise ConfigurationError(
                    f"rows in {privacy.mode} mode cannot go into a warehouse that is {known[0]}, or by another key: "
                    "nothing was written"
                )

    def _run(self, package: Package, zone: str) -> None:
        package.reset_counts()
        if self._schemas is not None and self._schemas != self._count_schemas():
            self.pipeline = _pipeline(self.engine)
        if not self.pipeline.default_schema_name:
            # dlt would do it only after it has asked for the resources, which depend on what it knows.
            self.pipeline.sync_destination()
        known: set[str] = set(self.pipeline.default_schema.tables if self.pipeline.default_schema_name else ())
        source = passona_source(package, zone, TABLES.keys() - known, fresh=self._is_fresh(package.walks))
        self.pipeline.run(source, loader_file_format="parquet")
        if self.shared:
            self._schemas = self._count_schemas()

    def _count_schemas(self) -> int:
        """How many schemas dlt has kept: one more where another run has found a new key."""
        ((number,),) = self.connection.execute("SELECT count(*) FROM passona._dlt_version").fetchall()
        return int(number)

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
        with self.writing("the tables of the warehouse"):
            self._make_tables()

    def _make_tables(self) -> None:
        self.connection.begin()
        self.connection.execute(f"CREATE SCHEMA IF NOT EXISTS {DATASET}")
        missing = TABLES.keys() - tables_of(self.connection, DATASET)
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
        self.engine.index()
        if missing:
            self._mark_lost(missing)
        if self._undescribed():
            self.describe()
        self.connection.commit()

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
        said = self.engine.comments()
        return any(comment != _comment(*key) for key, comment in said.items() if key[0] in TABLES)

    def describe(self) -> None:
        """Comments on tables and columns: dlt's descriptions do not get there."""
        for table in TABLES.values():
            self.connection.execute(f"COMMENT ON TABLE passona.{quoted(table.name)} IS {literal(table.comment)}")
        for table_name, column in columns_of(self.connection, DATASET):
            if table_name in TABLES:
                comment = literal(_comment(table_name, column))
                self.connection.execute(f"COMMENT ON COLUMN passona.{quoted(table_name)}.{quoted(column)} IS {comment}")

    def use_all_cores(self) -> None:
        """The database may take all cores from now on: nothing is walked meanwhile."""
        self.engine.use_all_cores()

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
        """Notes that a run began, `at` (UTC) or now. Any that is still `running` and not at work was killed.

        `outcome`: what is to be said of it if it is killed before its end is noted, if not `interrupted`.

        :raises NotWritten: the database could not take it.
        """
        self._end_lines()
        self.run = logs.Run(run_id, verb)
        self.run.begin()
        self._begun = time.monotonic()
        log.info("%s begins: %s", verb, self.address, extra={"event": "run_begun"})
        with self.writing("the begin of the run"):
            self._note_killed()
            self.engine.claim(run_id)
            self.connection.execute(
                "INSERT INTO passona.runs "
                "(run_id, started_at, verb, outcome, version, campaign_id, report, _dlt_load_id) "
                "VALUES (?, coalesce(?, now()), ?, ?, ?, ?, ?, '')",
                [run_id, at, verb, outcome, version("passona-warehouse"), campaign_id, report],
            )
            self.engine.keep(run_id)

    def _note_killed(self) -> None:
        found = self.connection.execute("SELECT run_id FROM passona.runs WHERE outcome = 'running'").fetchall()
        running = [run_id for (run_id,) in found]
        self.connection.execute(
            "UPDATE passona.runs SET outcome = 'interrupted' WHERE run_id IN (SELECT unnest(?::VARCHAR[]))",
            [sorted(set(running) - self.engine.living(running))],
        )

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
            self.engine.keep(run_id)
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
        """A DuckDB file, while nothing is written to it.

        :raises NotWritten: the database could not take its checkpoint.
        """
        if not isinstance(self.engine, DuckDBFile):
            raise ConfigurationError(f"{self.address} is no DuckDB file")
        return self.engine.still()

    @contextlib.contextmanager
    def writing(self, what: str) -> Iterator[None]:
        """Nobody else writes in this block, and signals wait for its end; a block within another is a part of it.

        :raises NotWritten: `what` could not be written, or this run has lost its hold on the warehouse.
        """
        with writing(what, PipelineStepFailed, *error_kinds()), self.engine.writing():
            yield

    def close(self) -> None:
        """Ends the run's hold on the warehouse. Of the work folder only spools of unfinished big walks stay.

        Once: a descriptor that is closed twice may be another file's by then.
        """
        if self._closed:
            return
        self._closed = True
        self._end_lines()
        for name in TEMPORARY[:-1]:  # before the next run may come and make its own
            shutil.rmtree(self.work / name, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.spools.rmdir()
        self.engine.close()
        if isinstance(self.engine, DuckDBFile):  # other engines' folders may be another process's by now
            shutil.rmtree(self.work / TEMPORARY[-1], ignore_errors=True)
            with contextlib.suppress(OSError):
                self.work.rmdir()


def _comment(table: str, column: str | None) -> str:
    if column is None:
        return TABLES[table].comment
    known = TABLES[table].comment_on(column)
    if known is not None:
        return known
    if column.startswith("_"):
        return "belongs to dlt, no part of the contract"
    return "key that the vendor's guide does not know, as it came; may be personal data"


def open_database(address: Address, wait: float, say: Callable[[str], None], *, alone: bool = True) -> Database:
    """Opens the warehouse for writing. Waits up to `wait` seconds for whoever holds it.

    `alone`: nobody else may write while it is open. Where not, on a server, others that are not alone may, one write
    at a time.

    :raises Busy: it is still held after that; names the holder.
    :raises ConfigurationError: it is no DuckDB file, or its folder is not there.
    :raises OSError: its work folder cannot be made.
    """
    configure_dlt()
    _give_memory_back()
    engine = _engine(address, wait, say, alone=alone)
    with held():
        return _opened(engine)


def _engine(address: Address, wait: float, say: Callable[[str], None], *, alone: bool) -> Engine:
    if isinstance(address, Path):
        return open_file(address, wait, say)
    if isinstance(address, Lake):
        return open_lake(address)
    check_driver()
    from passona.postgres import open_server

    engine = open_server(address, wait, say, alone=alone)
    if not alone and is_behind(engine.connection):
        # Runs of the version that made it must not write to what this one makes of it.
        engine.close()
        return open_server(address, wait, say, alone=True)
    return engine


def _opened(engine: Engine) -> Database:
    work = engine.work
    for name in TEMPORARY:
        shutil.rmtree(work / name, ignore_errors=True)
    for folder in (work, work / "spools", work / "dlt", work / "files"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Database(engine, _pipeline(engine))


def _pipeline(engine: Engine) -> dlt.Pipeline:
    """One that knows nothing yet: it learns the schema from the warehouse."""
    folder = engine.work / "dlt"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    return dlt.pipeline(PIPELINE, pipelines_dir=str(folder), destination=engine.destination(), dataset_name=DATASET)


def _give_memory_back() -> None:
    """Arrow keeps the least for later with jemalloc: a load of 3,000,000 rows 300 MB instead of 350.

    Unless the user chose by Arrow's own variable, or this build of Arrow has none.
    """
    if "ARROW_DEFAULT_MEMORY_POOL" not in os.environ:
        with contextlib.suppress(NotImplementedError):
            pa.set_memory_pool(pa.jemalloc_memory_pool())


def open_reader(address: Address, wait: float, say: Callable[[str], None]) -> Connection:
    """The warehouse for reading; many may do so at once, but not while a DuckDB file is written.

    :raises Busy: it is still held for writing after `wait` seconds.
    :raises ConfigurationError: it was made by another version, and cannot be read as it is.
    """
    connection = _reading(address, wait, say)
    try:
        connection.execute("SET TimeZone = 'UTC'")
        check_readable(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _reading(address: Address, wait: float, say: Callable[[str], None]) -> Connection:
    if isinstance(address, Path):
        return read_file(address, wait, say)
    if isinstance(address, Lake):
        return read_lake(address)
    check_driver()
    from passona.postgres import read_server

    return read_server(address)


def living(connection: Connection, run_ids: Iterable[str]) -> set[str]:
    """Those of these runs that are at work on the warehouse that is read: with a DuckDB file, none can be."""
    return connection.living(run_ids) if isinstance(connection, _Watched) else set()


@runtime_checkable
class _Watched(Protocol):
    def living(self, run_ids: Iterable[str]) -> set[str]: ...
