"""The warehouse: what is due, what was loaded, and which of it is verified.

    load (plan) -> source.walk -> _load_package -> database -> dataset `passona`

- `load` one run of `passona load`, `_account_load` the part of an account, `_owners` which account loads what
- `accounts` those that a warehouse names
- `csv_import` of `import-csv`, `mail_requests` of `generate`; `run` what loads share
- `run_record` the row in `runs`; `database` the open warehouse; `connection` a session with it
- `engines` DuckDB file and Postgres
- `_schema` creates the tables; `_migrations` those of the first version; `ownership` which objects are ours
- `ledger_table` the ledger as stored; `verification` which reports are verified; `retention` what expires
- `policy_table` the privacy mode, and forgotten people; `atomic_file` writes of files
"""

__all__ = [
    "accounts",
    "atomic_file",
    "connection",
    "csv_import",
    "database",
    "engines",
    "ledger_table",
    "load",
    "mail_requests",
    "ownership",
    "policy_table",
    "retention",
    "run",
    "run_record",
    "verification",
]
