"""dlt's Postgres as it is used here: Parquet goes in by COPY, and only a run that holds its lock opens sessions.

dlt has two ways of its own to load rows. CSV makes NULL of every empty text (FORCE_NULL), and here an empty name or
value is one; Parquet needs a driver more (ADBC), and fails at NUL. And it opens a session anew where one has ended,
and tries again: a run that has lost its lock would write on.
"""

from __future__ import annotations

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

from passona.warehouse._dlt_capabilities import CachedCapabilities
from passona.warehouse.engines._postgres_copy import copy_into
from passona.warehouse.engines._postgres_lock import STAGING_COMMENT, is_held_by
from passona.warehouse.quoting import literal

# Of texts of 200 bytes in a row, some 10 MB at a time.
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

        The session itself asks: the run that ends leftover sessions either sees this one, or this one sees that the
        lock is gone.
        """
        raw = super().open_connection()
        with raw.cursor() as cursor:
            if not is_held_by(cursor, str((self.credentials.query or {}).get("application_name"))):
                self.close_connection()
                raise DatabaseTerminalException(RuntimeError("this run has lost its lock"))
        return raw

    def create_dataset(self) -> None:
        """Create the staging dataset with the comment by which the next run knows it, if this one is killed."""
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
    """dlt's Postgres, which takes Parquet as all our destinations do."""

    destination_type = "dlt.destinations.postgres"  # what dlt's own tools know it by

    def _raw_capabilities(self) -> DestinationCapabilitiesContext:
        capabilities = super()._raw_capabilities()
        capabilities.loader_file_format_selector = None  # type: ignore[assignment]  # it would ask for ADBC
        capabilities.preferred_loader_file_format = "parquet"
        return capabilities

    @property
    def client_class(self) -> type[PostgresClient]:
        return _Client
