"""dlt's Postgres with two changes: Parquet is loaded by COPY, and only the run that has the lock opens sessions.

dlt's own CSV jobs turn every empty text into NULL (FORCE_NULL), and its Parquet jobs need another driver (ADBC) and
fail at NUL. dlt also reopens a session that has ended, so a run that has lost its lock would continue to write.
"""

from typing import Any

import dlt
import pyarrow as pa
import pyarrow.parquet as pq
from dlt.common.destination import DestinationCapabilitiesContext
from dlt.common.destination.client import HasFollowupJobs, LoadJob, RunnableLoadJob
from dlt.common.destination.typing import PreparedTableSchema
from dlt.common.schema import Schema
from dlt.destinations.exceptions import DatabaseTerminalException
from dlt.destinations.impl.postgres.configuration import PostgresClientConfiguration
from dlt.destinations.impl.postgres.postgres import PostgresClient, PostgresParquetCopyJob
from dlt.destinations.impl.postgres.sql_client import Psycopg2SqlClient

from passona.warehouse.connection import literal
from passona.warehouse.engines._postgres_lock import STAGING_COMMENT, is_locked_by
from passona.warehouse.engines._postgres_session import copy_into
from passona.warehouse.engines.engine import CachedCapabilities

# Some 10 MB at a time, with texts of 200 bytes in a row.
_BATCH_ROWS = 20_000


class _CopyJob(RunnableLoadJob, HasFollowupJobs):
    """One Parquet file of a package, in one transaction."""

    def run(self) -> None:
        client = self._job_client.sql_client  # type: ignore[attr-defined]  # of dlt's clients for SQL
        table = client.make_qualified_table_name(self.load_table_name)
        with (
            pq.ParquetFile(self._file_path) as file,
            client.begin_transaction(),
            client.native_connection.cursor() as cursor,
        ):
            for batch in file.iter_batches(_BATCH_ROWS):
                copy_into(cursor, table, pa.Table.from_batches([batch]))


class _Session(Psycopg2SqlClient):
    def open_connection(self) -> Any:
        """Open a session of this run, unless it has lost its lock.

        The new session itself checks the lock: either the next run sees and ends this session, or this session sees
        that the lock is lost.
        """
        raw = super().open_connection()
        with raw.cursor() as cursor:
            if not is_locked_by(cursor, str((self.credentials.query or {}).get("application_name"))):
                self.close_connection()
                raise DatabaseTerminalException(RuntimeError("this run has lost its lock"))
        return raw

    def create_dataset(self) -> None:
        """Create the staging dataset with the comment by which the next run finds it, if this one is killed."""
        if not self.is_staging_dataset_active:
            super().create_dataset()
            return
        name = self.fully_qualified_dataset_name()
        self.execute_sql(f"CREATE SCHEMA {name}; COMMENT ON SCHEMA {name} IS {literal(STAGING_COMMENT)}")


class _Client(PostgresClient):
    def __init__(
        self, schema: Schema, config: PostgresClientConfiguration, capabilities: DestinationCapabilitiesContext
    ) -> None:
        super().__init__(schema, config, capabilities)
        own = self.sql_client
        self.sql_client = _Session(own.dataset_name, own.staging_dataset_name, config.credentials, capabilities)

    def create_load_job(
        self, table: PreparedTableSchema, file_path: str, load_id: str, restore: bool = False
    ) -> LoadJob:
        job = super().create_load_job(table, file_path, load_id, restore)
        return _CopyJob(file_path) if isinstance(job, PostgresParquetCopyJob) else job


class Postgres(CachedCapabilities, dlt.destinations.postgres):
    """dlt's Postgres, loaded from Parquet."""

    destination_type = "dlt.destinations.postgres"  # dlt's own tools know it by this name

    def _raw_capabilities(self) -> DestinationCapabilitiesContext:
        capabilities = super()._raw_capabilities()
        capabilities.loader_file_format_selector = None  # type: ignore[assignment]  # it would ask for ADBC
        capabilities.preferred_loader_file_format = "parquet"
        return capabilities

    @property
    def client_class(self) -> type[PostgresClient]:
        return _Client
