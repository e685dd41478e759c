"""The verbs of the command line, a file each: arguments in, an exit code out. Results on stdout, all else on stderr.

What takes time to import (dlt, pyarrow, duckdb) is imported in the verb's function: `--help` and a
wrong option must not pay for it.
"""
