"""The environment: what the user set, and what of it the libraries of this process may see.

    os.environ -> isolate -> user_environment (all of it, to look settings up) + os.environ (what KEPT allows)

dlt, dbt, DuckDB, Arrow and libpq read variables of their own, some of them at import: DLT_* changes column names,
DBT_EMPTY builds empty tables, PGOPTIONS changes the schema of a session. A list of harmful variables would never be
complete, so this is a list of harmless ones.
"""

from __future__ import annotations

import io
import os
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

# Places on this machine, the terminal, the locale, and how to reach and open what is elsewhere: none of it changes
# what a row means. `_PASSONA_` completes command lines in shells; coverage counts the lines of child processes.
KEPT = re.compile(
    r"PATH|HOME|USER|LOGNAME|USERNAME|HOSTNAME|SHELL|PWD|TMPDIR|TMP|TEMP|VIRTUAL_ENV|XDG_.*|LD_.*|DYLD_.*"
    r"|SYSTEMROOT|WINDIR|COMSPEC|PATHEXT|USERPROFILE|HOMEDRIVE|HOMEPATH|APPDATA|LOCALAPPDATA|PROGRAMDATA"
    r"|TERM|COLORTERM|COLUMNS|LINES|NO_COLOR|FORCE_COLOR|LANG|LANGUAGE|LC_.*|TZ|TZDIR"
    r"|(HTTP|HTTPS|ALL|NO)_PROXY|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|SSL_CERT_FILE|SSL_CERT_DIR|OPENSSL_.*|NETRC"
    r"|KRB5.*|PGPASSFILE|PGSSL.*|SSH_AUTH_SOCK"
    r"|(AWS|GOOGLE|GCLOUD|CLOUDSDK|AZURE|MSI|IDENTITY|FSSPEC)_.*|STORAGE_EMULATOR_HOST"
    r"|ARROW_DEFAULT_MEMORY_POOL|PASSONA_.*|_PASSONA_.*|COV_CORE_.*|COVERAGE_.*",
    re.IGNORECASE,  # http_proxy is as common as HTTP_PROXY
)

_removed: dict[str, str] = {}


def isolate() -> None:
    """Remove from this process what PYTHON* and other variables would change in libraries.

    Only for the process of the command line, before it imports any library.
    """
    _removed.update({name: value for name, value in os.environ.items() if not KEPT.fullmatch(name)})
    for name in _removed:
        del os.environ[name]
    # PYTHONWARNINGS=error turns any library's warning into an error, and a warning may quote a row.
    warnings.resetwarnings()
    warnings.simplefilter("ignore")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A character that PYTHONIOENCODING or the locale cannot print must not fail a load that is done.
            stream.reconfigure(errors="replace")


def user_environment() -> Mapping[str, str]:
    """Return all variables that the user set, whether or not this process is isolated."""
    return {**_removed, **os.environ}


@contextmanager
def isolated_environment(**variables: str) -> Iterator[None]:
    """Show libraries only what they may see, plus these variables; restore the environment afterwards."""
    before = dict(os.environ)
    _replace({name: value for name, value in before.items() if KEPT.fullmatch(name)} | variables)
    try:
        yield
    finally:
        _replace(before)


def _replace(variables: Mapping[str, str]) -> None:
    for name in os.environ.keys() - variables.keys():
        del os.environ[name]
    os.environ.update(variables)
