"""The databases that host the warehouse: a DuckDB file or a Postgres database, behind one protocol.

- `engine` the protocol
- `duckdb_file` a file, locked while it is open; `duckdb_rewriting` replaces it by one without freed pages
- `postgres` a database, locked by one run at a time (`_postgres_lock`), with DuckDB's interface (`_postgres_session`)
"""

__all__ = ["duckdb_file", "duckdb_rewriting", "engine", "postgres"]
