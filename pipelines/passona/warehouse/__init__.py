"""The warehouse: what is due, what was loaded, and what it can vouch for.

    load (plan) -> source.walk -> _load_package -> database -> dataset `passona`

- `load` one run of `passona load`; `csv_import` one of `import-csv`; `mail_requests` those of `generate`
- `database` the open warehouse; `engines` a DuckDB file and Postgres; `connection` a session with either
- `ledger_table` the ledger as stored; `verification` which reports are vouched for; `retention` what expires
- `ownership` which objects are ours; `_migrations` earlier forms; `policy_table` its privacy mode, and who stays out
- `replacement` files put in place whole; `quoting` names and texts in SQL
"""

__all__ = [
    "connection",
    "csv_import",
    "database",
    "engines",
    "ledger_table",
    "load",
    "mail_requests",
    "ownership",
    "policy_table",
    "quoting",
    "replacement",
    "retention",
    "verification",
]
