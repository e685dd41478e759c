"""Arrow tables into Postgres, by COPY: for dlt's load jobs, and for our own temporary tables.

dlt has two ways of its own. CSV makes NULL of every empty text (FORCE_NULL), and here an empty name or value is
one; Parquet needs a driver more (ADBC), and fails at the one character that Postgres cannot keep: NUL. It is
kept as its picture here (U+2400).
"""

from __future__ import annotations

import io
from typing import Any

import dlt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from dlt.common.destination import DestinationCapabilitiesContext
from dlt.common.destination.client import HasFollowupJobs, LoadJob, RunnableLoadJob
from dlt.common.destination.typing import PreparedTableSchema
from dlt.destinations.impl.postgres.postgres import PostgresClient, PostgresParquetCopyJob

from passona.capable import Capable
from passona.quoting import quoted

NUL = "\N{SYMBOL FOR NULL}"
# Of texts of 200 bytes in a row, some 10 MB at a time.
_BATCH_ROWS = 20_000
# All that is there in quotation marks: what has none is NULL, and an empty text is one.
_CSV = pyarrow.csv.WriteOptions(include_header=False, quoting_style="all_valid")


def copy_into(cursor: Any, table: str, rows: pa.Table) -> None:
    """Appends rows to a table, given as SQL names it. Columns go by their names."""
    if not len(rows):
        return
    columns = ", ".join(map(quoted, rows.column_names))
    written = io.BytesIO()
    pyarrow.csv.write_csv(_storable(rows), written, _CSV)
    written.seek(0)
    cursor.copy_expert(f"COPY {table} ({columns}) FROM STDIN WITH (FORMAT csv, NULL '', ENCODING 'UTF8')", written)


def _storable(rows: pa.Table) -> pa.Table:
    """The rows without NUL in their texts."""
    for place, field in enumerate(rows.schema):
        if pa.types.is_string(field.type) and pc.any(pc.match_substring(rows.column(place), "\0")).as_py():
            rows = rows.set_column(place, field.name, pc.replace_substring(rows.column(place), "\0", NUL))
    return rows


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


class _Client(PostgresClient):
    def create_load_job(
        self, table: PreparedTableSchema, file_path: str, load_id: str, restore: bool = False
    ) -> LoadJob:
        job = super().create_load_job(table, file_path, load_id, restore)
        return _CopyJob(file_path) if isinstance(job, PostgresParquetCopyJob) else job


class Postgres(Capable, dlt.destinations.postgres):
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
