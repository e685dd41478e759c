"""The command line: one file per verb, with the verb's name.

- `main` all verbs, and the exit code of an error
- `options` what verbs share; `screen`, `status_screen` tables, JSON and progress
"""

__all__ = [
    "campaigns",
    "config",
    "doctor",
    "forget",
    "generate",
    "import_csv",
    "load",
    "main",
    "options",
    "person",
    "publish",
    "re_key",
    "report",
    "sandbox",
    "screen",
    "status",
    "status_screen",
    "transform",
    "verify",
]
