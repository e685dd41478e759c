"""The command line: one file per verb, with the verb's name.

- `main` all verbs, imported when they are used, and the exit code of an error
- `options` what verbs share; `screen` tables, JSON and progress; `outcome` what a load or an import did
"""

__all__ = ["main", "options", "outcome", "screen"]
