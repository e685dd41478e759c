"""What this process is configured with: settings, the warehouse's address, environment, signals.

- `configuration` reads `sources.passona` from dlt's files and variables into `settings` and `privacy_settings`
- `address` where the warehouse is; `path_syntax` paths that DuckDB and dlt read as they stand
- `environment` which of the user's variables the libraries see; `dlt_context` the configuration that dlt sees
- `dbt_project` where the models are; `signals` how Ctrl-C and SIGTERM end a run
"""

__all__ = [
    "address",
    "configuration",
    "dbt_project",
    "dlt_context",
    "environment",
    "path_syntax",
    "privacy_settings",
    "settings",
    "signals",
]
