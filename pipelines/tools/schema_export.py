"""`make schema`: export dlt's schema of the dataset after a load to schemas/export/passona.schema.yaml.

In a review, a change of table, column, type, key or comment is a change of this file. Left out are version and hashes,
and dlt's own tables, defaults and notes, which change with dlt. A test compares.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import duckdb
import yaml
from dlt import Schema

from demo_data import load_account
from passona_sandbox import Account

EXPORT = Path(__file__).parents[2] / "schemas/export/passona.schema.yaml"
_HEAD = "# dlt's schema of the dataset, without what changes by itself. Made by: make schema\n"
_LEFT_OUT = ("version", "version_hash", "previous_hashes", "engine_version", "settings", "normalizers")


def exported(warehouse: Path) -> str:
    """Return the newest schema that dlt stored in this DuckDB file."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        ((stored,),) = connection.execute(
            "SELECT schema FROM passona._dlt_version WHERE schema_name = 'passona' ORDER BY version DESC LIMIT 1"
        ).fetchall()
    schema: dict[str, Any] = dict(
        Schema.from_dict(json.loads(stored)).to_dict(remove_defaults=True, remove_processing_hints=True)
    )
    for name in _LEFT_OUT:
        schema.pop(name, None)
    schema["tables"] = {name: table for name, table in sorted(schema["tables"].items()) if not name.startswith("_dlt_")}
    for table in schema["tables"].values():
        del table["write_disposition"]  # how the last load wrote it: append if there was nothing to replace
    return _HEAD + yaml.safe_dump(schema, sort_keys=False, allow_unicode=True, width=120)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "warehouse.duckdb"
        load_account(Account(rows=100), path)
        EXPORT.parent.mkdir(exist_ok=True)
        EXPORT.write_text(exported(path), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
