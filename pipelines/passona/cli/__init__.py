"""The command line: one file per verb, named as the verb is.

- `main` the verbs under one name, and the exit code of an error
- `options` options that several verbs have; `screen`, `status_screen` what people see
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
