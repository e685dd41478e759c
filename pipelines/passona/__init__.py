"""Passona's SMS campaign reports, loaded into a warehouse: a DuckDB file or a Postgres database.

    campaigns -> plan (ledger) -> walk (paginator, pages, spool) -> rows (times, lists, row_ids)
              -> source (schema) -> load (database) -> dataset `passona`

One way, top to bottom of a load:

- `cli` exit codes, `interruption`; `verbs`, a file each; `options` that they share, `screen` what they show
- `logs` what is said on stderr; `ending` what others are told of a run's end: `metrics`, `on_failure`
- `load` one run: plan, walks, packages (`load_package`)
- `source` the dlt source, a package: `passona_source`, client, paginator, walk, ledger, resources; `decoding` reads
  JSON
- `mailings` what is asked for by mail; `csv_import` what comes of it: `csv_places` and `downloads` find the files,
  `csv_reader` spools them (`csv_form` what they are, `csv_text` their bytes, `csv_lines` which line is bad)
- `rows` what a row means: `times`, `lists`, `row_ids`; pure
- `key_columns` which column a new key has; `schema` the tables, `database` the open warehouse
- `address` where the warehouse is, `path_syntax` what libraries read in its path; `connection` how all speak to it,
  `waiting` for whoever holds it; `engine` what differs between `duckdb_file` (with `duckdb_rewriting`) and `postgres`;
  `capable` what dlt's destinations share, `work_folder` what a run keeps on disk
- `postgres_session` speaks to a server, `postgres_lock` lets one run write; `postgres_copy` and `postgres_destination`
  for dlt
- `ownership` what of a warehouse this program made, and what of the user's is in the way
- `upgrades` the form of a warehouse: earlier ones are brought forward, later ones refused
- `keeping` what is kept of people, `privacy_mode` in one dataset; `privacy` what becomes of their texts: `phones`,
  `tokens`, `shapes`, `agents`
- `register` what the warehouse knows of its privacy; `forgetting` `people`, by their `erasure` from `text_columns`,
  and `lifting` that; `person` what is stored about one; `rekeying`, `retention`
- `status` how fresh it is and what is wrong, shown by `status_screen`
- `transform` the dbt project (`project`) on what is loaded
- `doctor` the assumptions about the API, held against an account, a judge each
- `report` one page of the marts' `figures`: `page`, its `page_sections` and `page_words`, report_page/
- `publish` a copy for readers at a `target`, checked; `marts` which are nobody's; `reduction` a copy in another mode;
  `replacement` puts files in place
- `ledger_table` the ledger as it stands in the warehouse
- `environment` what libraries see of the user's variables; `lookup` what is configured, `spelling` of its names,
  `configuration` made `settings` of it; `dlt_context` what dlt sees; `counting` what is written
- `reports` the six reports as values; `errors` what can go wrong; `quoting` for SQL
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from passona.source.source import passona_source

    __version__: str

__all__ = ["__version__", "passona_source"]


def __getattr__(name: str) -> Any:
    """Import when asked: `passona --help` must not pay for dlt."""
    if name == "passona_source":
        from passona.source.source import passona_source

        return passona_source
    if name == "__version__":
        from importlib.metadata import version

        return version("passona-warehouse")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
