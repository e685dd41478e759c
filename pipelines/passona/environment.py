"""The environment: what the user set, and what the libraries of this process may see of it.

    os.environ -> isolate -> users (all of it, to find settings in) + os.environ (what KEPT allows)

dlt, dbt, DuckDB, Arrow and libpq read variables of their own, some of them while they are imported: DLT_* changes
names of columns, DBT_EMPTY builds empty tables, PGOPTIONS opens sessions elsewhere. A list of those could never be
complete, so it is the other way round: what is not known to be harmless is left out.
"""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

# Where things are on this machine, the terminal, the locale, and how to reach and open what is elsewhere. None of it
# changes what a row means. `_PASSONA_` completes command lines in shells; coverage counts lines of child processes.
KEPT = re.compile(
    r"PATH|HOME|USER|LOGNAME|USERNAME|HOSTNAME|SHELL|PWD|TMPDIR|TMP|TEMP|VIRTUAL_ENV|XDG_.*|LD_.*|DYLD_.*"
    r"|SYSTEMROOT|WINDIR|COMSPEC|PATHEXT|USERPROFILE|HOMEDRIVE|HOMEPATH|APPDATA|LOCALAPPDATA|PROGRAMDATA"
    r"|TERM|COLORTERM|COLUMNS|LINES|NO_COLOR|FORCE_COLOR|LANG|LANGUAGE|LC_.*|TZ|TZDIR"
    r"|(HTTP|HTTPS|ALL|NO)_PROXY|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|SSL_CERT_FILE|SSL_CERT_DIR|OPENSSL_.*|NETRC"
    r"|KRB5.*|PGPASSFILE|PGSSL.*|SSH_AUTH_SOCK"
    r"|(AWS|GOOGLE|GCLOUD|CLOUDSDK|AZURE|MSI|IDENTITY|FSSPEC)_.*|STORAGE_EMULATOR_HOST"
    r"|ARROW_DEFAULT_MEMORY_POOL|PASSONA_.*|_PASSONA_.*|COV_CORE_.*|COVERAGE_.*",
    re.IGNORECASE,  # http_proxy is as usual as HTTP_PROXY
)

_left_out: dict[str, str] = {}


def isolate() -> None:
    """Leaves of this process's environment what libraries may see, and nothing of Python's own warnings.

    For the command line's process alone, before any library is imported.
    """
    _left_out.update({name: value for name, value in os.environ.items() if not KEPT.fullmatch(name)})
    for name in _left_out:
        del os.environ[name]
    # PYTHONWARNINGS=error makes an error of any library's remark, and a remark may quote a row.
    warnings.resetwarnings()
    warnings.simplefilter("ignore")
    for stream in (sys.stdout, sys.stderr):
        # What PYTHONIOENCODING or the locale cannot print is no reason to fail after a load.
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a TextIOWrapper


def users() -> Mapping[str, str]:
    """All that the user set, whether or not this process was isolated."""
    return {**_left_out, **os.environ}


@contextmanager
def isolated(**variables: str) -> Iterator[None]:
    """In this block, libraries see what they may, and these variables. After it all is as it was before."""
    before = dict(os.environ)
    _become({name: value for name, value in before.items() if KEPT.fullmatch(name)} | variables)
    try:
        yield
    finally:
        _become(before)


def _become(variables: Mapping[str, str]) -> None:
    for name in os.environ.keys() - variables.keys():
        del os.environ[name]
    os.environ.update(variables)
