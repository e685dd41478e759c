"""Rewrite a warehouse file, so that no freed page and no log has deleted data.

DuckDB frees the pages of deleted rows without clearing them. So everything is copied into a new file, which replaces
the old one atomically. Compressed texts cannot be searched; to prove that a number is gone, a second, uncompressed copy
is searched and removed.
"""

import mmap
from collections.abc import Sequence
from graphlib import TopologicalSorter
from pathlib import Path

import duckdb

from passona.errors import StillThere
from passona.masking.phone_search import found_in
from passona.masking.phones import names_one, spellings_of
from passona.warehouse.atomic_file import sync
from passona.warehouse.connection import IS_GENERATED, Connection, literal, quoted

# DuckDB 1.2 and later can open the file, whichever version writes it.
STORAGE_VERSION = "v1.2.0"
# Bytes searched at once, and shared by two pieces: longer than a number with any separators.
_PIECE, _OVERLAP = 4 * 1024 * 1024, 1024


def rewrite(connection: duckdb.DuckDBPyConnection, path: Path, folder: Path, gone: Sequence[str]) -> int:
    """Replace the open file by a copy, and return the bytes searched. Close the connection after that.

    `folder`: for copies, and DuckDB's logs of them. `gone`: texts that must not be in any byte of the new file.

    :raises StillThere: one is, or the old file would survive under another name.
    """
    if (names := path.stat().st_nlink) > 1:
        raise StillThere(
            f"{path}: what was erased is still in its bytes, because the file has {names} names (hard links) and a new "
            f"one would replace it under this name alone: find the others (find / -samefile {path.name}), remove them, "
            "and run this again"
        )
    # Rows of a campaign stay together, where DuckDB finds them without an index.
    connection.execute("SET preserve_insertion_order = true")
    connection.execute("CHECKPOINT")
    texts = catalog_texts(connection) if gone else []
    in_catalog = [phone for phone in gone if any(names_one(text, spellings_of(phone)) for text in texts)]
    if in_catalog:
        raise _still_there(path, len(in_catalog), len(gone))
    searched = _search_uncompressed(connection, path, folder / "plain.duckdb", gone) if gone else 0
    fresh = folder / "fresh.duckdb"
    _copy(connection, fresh)
    fresh.chmod(path.stat().st_mode & 0o777)
    sync(fresh)
    if gone:
        _search(fresh, gone, path)
    # This process has the old file locked until the new one is in place.
    fresh.replace(path)
    sync(path.parent)
    return searched


def catalog_texts(connection: Connection) -> list[str]:
    """Return the texts of a DuckDB file's catalog: names, comments, queries, macros, values of types."""
    own = "WHERE NOT internal AND database_name = current_database()"
    texts = connection.execute(
        "SELECT concat_ws(chr(10), schema_name, table_name, column_name, comment, column_default) "  # noqa: S608  # constants
        f"FROM duckdb_columns() {own} UNION ALL "
        f"SELECT concat_ws(chr(10), comment, sql) FROM duckdb_tables() {own} UNION ALL "
        f"SELECT concat_ws(chr(10), comment, sql) FROM duckdb_views() {own} UNION ALL "
        "SELECT concat_ws(chr(10), comment, sql) FROM duckdb_indexes() "
        "WHERE database_name = current_database() UNION ALL "
        f"SELECT concat_ws(chr(10), function_name, comment, macro_definition) FROM duckdb_functions() {own} UNION ALL "
        "SELECT concat_ws(chr(10), type_name, comment, array_to_string(labels, chr(10))) "
        f"FROM duckdb_types() {own} UNION ALL "
        f"SELECT concat_ws(chr(10), schema_name, comment) FROM duckdb_schemas() {own} UNION ALL "
        "SELECT concat_ws(chr(10), sequence_name, comment, start_value, min_value, max_value, last_value) "
        "FROM duckdb_sequences() WHERE database_name = current_database()"
    ).fetchall()
    return [text for (text,) in texts]


def _search_uncompressed(connection: duckdb.DuckDBPyConnection, path: Path, plain: Path, gone: Sequence[str]) -> int:
    connection.execute("PRAGMA force_compression = 'uncompressed'")
    try:
        _copy(connection, plain)
        _search(plain, gone, path)
        return plain.stat().st_size
    finally:
        connection.execute("PRAGMA force_compression = 'auto'")
        plain.unlink(missing_ok=True)


def _copy(connection: duckdb.DuckDBPyConnection, target: Path) -> None:
    target.unlink(missing_ok=True)
    ((name,),) = connection.execute("SELECT current_database()").fetchall()
    connection.execute(f"ATTACH {literal(str(target))} AS fresh (STORAGE_VERSION '{STORAGE_VERSION}')")
    try:
        try:
            connection.execute(f"COPY FROM DATABASE {quoted(name)} TO fresh")
        except duckdb.ConstraintException:  # DuckDB fills a user's table before the one that its foreign key names
            _copy_parents_first(connection, name)
    finally:
        connection.execute("DETACH fresh")


def _copy_parents_first(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    connection.execute(f"COPY FROM DATABASE {quoted(name)} TO fresh (SCHEMA)")
    columns = connection.execute(
        "SELECT schema_name, table_name, list(column_name ORDER BY column_index) FROM duckdb_columns() "  # noqa: S608  # constants
        f"JOIN duckdb_tables() USING (database_name, schema_name, table_name) WHERE database_name = $name "
        f"AND NOT temporary AND NOT {IS_GENERATED} GROUP BY ALL",
        {"name": name},
    ).fetchall()
    parents = TopologicalSorter({(schema, table): set() for schema, table, _ in columns})
    for schema, table, parent in connection.execute(
        "SELECT schema_name, table_name, referenced_table FROM duckdb_constraints() "
        "WHERE constraint_type = 'FOREIGN KEY' AND database_name = ? AND referenced_table <> table_name",
        [name],
    ).fetchall():
        parents.add((schema, table), (schema, parent))
    names = {(schema, table): ", ".join(map(quoted, own)) for schema, table, own in columns}
    for key in parents.static_order():
        table = ".".join(map(quoted, key))
        connection.execute(
            f"INSERT INTO fresh.{table} ({names[key]}) SELECT {names[key]} FROM {quoted(name)}.{table}"  # noqa: S608  # quoted names
        )


def _search(file: Path, gone: Sequence[str], path: Path) -> None:
    found: set[str] = set()
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for at in range(0, len(data), _PIECE):
            found |= found_in(data[max(0, at - _OVERLAP) : at + _PIECE], gone)
    if found:
        raise _still_there(path, len(found), len(gone))


def _still_there(path: Path, found: int, asked: int) -> StillThere:
    return StillThere(
        f"{path}: {found} of {asked} numbers are still in its bytes, in a place that is not searched "
        "(a key, a name, a comment): look for it in the tables you made, erase it, and run passona forget again"
    )
