"""The configuration of this process: settings, the warehouse's address, environment, signals.

- `configuration` reads `sources.passona` from dlt's files and variables into `settings` and `privacy_settings`
- `address` locates the warehouse; `path_syntax` avoids paths that DuckDB or dlt would misread
- `environment` limits the variables that libraries see; `dlt_context` is the configuration that dlt sees
- `dbt_project` locates the models; `signals` ends a run at Ctrl-C and SIGTERM
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
