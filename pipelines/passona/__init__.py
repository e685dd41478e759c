"""Passona's SMS campaign reports in a warehouse: `passona_source` for any dlt pipeline, and a command line.

cli         one file per verb
monitoring  status, metrics, notifications, doctor
analytics   dbt models, HTML report, published copies
erasure     forget, re-key, access requests
warehouse   ledger, loads, engines (DuckDB file, Postgres)
csv_files   a mailed .csv becomes a walk
source      THE dlt source: client -> paginator -> walk -> rows -> resources
masking     what may be stored and shown about a person
config      settings, address, signals          reports  the six reports and the tables, as values
errors      exceptions and exit codes           imports go down this list, never up
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from passona.source.source import passona_source

    __version__: str

__all__ = ["__version__", "passona_source"]


def __getattr__(name: str) -> Any:
    """Import lazily: `passona --help` must not import dlt."""
    if name == "passona_source":
        from passona.source.source import passona_source

        return passona_source
    if name == "__version__":
        from importlib.metadata import version

        return version("passona-warehouse")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
