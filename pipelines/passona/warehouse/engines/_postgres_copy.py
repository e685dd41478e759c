"""Arrow tables into Postgres, by COPY: for dlt's load jobs, and for our own temporary tables.

The character that Postgres cannot keep, NUL, is kept as its picture (U+2400).
"""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pyarrow.csv

from passona.source.rows import without_nul
from passona.warehouse.quoting import quoted

# All that is there in quotation marks: what has none is NULL, and an empty text is one.
_CSV = pyarrow.csv.WriteOptions(include_header=False, quoting_style="all_valid")


def copy_into(cursor: Any, table: str, rows: pa.Table) -> None:
    """Appends rows to a table, given as SQL names it. Columns go by their names."""
    if not len(rows):
        return
    columns = ", ".join(map(quoted, rows.column_names))
    written = io.BytesIO()
    pyarrow.csv.write_csv(without_nul(rows), written, _CSV)
    written.seek(0)
    cursor.copy_expert(f"COPY {table} ({columns}) FROM STDIN WITH (FORMAT csv, NULL '', ENCODING 'UTF8')", written)
