"""What hosts the warehouse: a DuckDB file or a Postgres database, behind one protocol.

- `engine` what the rest of the program knows of either
- `duckdb_file` opened once and held for the whole run; `duckdb_rewriting` makes the file anew, without freed pages
- `postgres` locked by one run at a time (`_postgres_lock`), spoken to as DuckDB is (`_postgres_session`)
"""

__all__ = [
    "duckdb_file",
    "duckdb_rewriting",
    "engine",
    "postgres",
]
