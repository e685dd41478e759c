"""Hide the user's environment variables from libraries, except harmless ones.

    os.environ -> isolate -> user_environment (all variables, to look up settings) + os.environ (those in KEPT)

dlt, dbt, DuckDB, Arrow and libpq read variables of their own, some of them at import: DLT_* changes column names,
DBT_EMPTY builds empty tables, PGOPTIONS changes the schema of a session. A list of harmful variables would never be
complete, so KEPT lists the harmless ones.
"""

import io
import os
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

# Paths, terminal, locale, and access to other systems: none of it changes what a row means. `_PASSONA_` is for shell
# completion, coverage for child processes of tests.
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
    """Remove variables that would change libraries, and undo the effects of PYTHON*.

    Only for the command line's process, before it imports any library.
    """
    _removed.update({name: value for name, value in os.environ.items() if not KEPT.fullmatch(name)})
    for name in _removed:
        del os.environ[name]
    # PYTHONWARNINGS=error turns any library's warning into an error, and a warning may quote a row.
    warnings.resetwarnings()
    warnings.simplefilter("ignore")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A character that the terminal cannot print must not fail a finished load.
            stream.reconfigure(errors="replace")


def user_environment() -> Mapping[str, str]:
    """Return all variables that the user set, whether or not this process is isolated."""
    return {**_removed, **os.environ}


@contextmanager
def isolated_environment(**variables: str) -> Iterator[None]:
    """Show libraries only harmless variables and these; restore the environment afterwards."""
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
