"""Make errors and external texts safe to show: no phone, no control characters.

an error -> format_error: one line and the exit code
a text   -> printable, masked, escaped (JSON)
"""

import errno
import re

from passona.errors import Exit, PassonaError, causes

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Errors of DuckDB and psycopg2 whose messages never quote a value.
_ABOUT_THE_DATABASE = (
    "IOException",
    "OutOfMemoryException",
    "FatalException",
    "SerializationException",
    "TransactionException",
    "CatalogException",
    "BinderException",
    "PermissionException",
    "HTTPException",
    "OperationalError",
    "InterfaceError",
)


def format_error(error: BaseException) -> tuple[str, Exit]:
    if isinstance(error, PassonaError):
        return str(error), error.exit_code
    if isinstance(error, OSError) and error.strerror:
        line = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
        return (f"{line}; make room and run again", Exit.FAULT) if error.errno in _FULL else (line, Exit.USAGE)
    if type(error).__module__.partition(".")[0] in ("_duckdb", "duckdb", "psycopg2"):
        return f"the warehouse: {reason(error)}", Exit.FAULT
    return f"a fault in this program ({type(error).__name__}); --debug shows where", Exit.FAULT


def reason(error: BaseException) -> str:
    """Return the database's own reason, without personal data."""
    last = list(causes(error))[-1]
    line = " ".join(str(last).strip().partition("\n")[0].split())[:300]
    words = masked(line or type(last).__name__)
    if "No space left" in str(last) or "File too large" in str(last):
        return "no space left on the device; make room and run again"
    if "orrupt" in words or "checksum" in words:
        return f"the database file is damaged ({words}); restore a backup, then run passona verify"
    if isinstance(last, OSError) and last.strerror:
        return f"{last.strerror}: {last.filename or 'the work folder'}"
    return f"{type(last).__name__}; --debug shows more" if _may_quote_a_row(last) else words


def _may_quote_a_row(error: BaseException) -> bool:
    """Return True unless the message is known to be about files, memory, locks, rights, tables and columns."""
    code = getattr(error, "pgcode", None)
    if code is not None:  # SQLSTATE: classes 22 (data) and 23 (constraints) quote values
        return code[:2] in ("22", "23")
    return type(error).__name__ not in _ABOUT_THE_DATABASE


def printable(text: str, keep: str = "") -> str:
    """Replace control characters in an external text. `keep`: harmless ones to leave."""
    return "".join(c if c.isprintable() or c in keep else _replacement(c) for c in text)


def _replacement(character: str) -> str:
    return " " if character.isspace() and not character.isascii() else "\N{REPLACEMENT CHARACTER}"


def escaped(json: str) -> str:
    """Escape the control characters in a JSON document, which stays equal."""
    return re.sub(r"[^ -~\n]", lambda match: match[0] if match[0].isprintable() else _escape(match[0]), json)


def _escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def masked(text: str) -> str:
    """Replace every number that may be a phone's."""
    from passona.masking.likely_phones import replaced  # slow: the command line listens to signals first

    return replaced(text, lambda _: "***", long_from=6)


def counted(number: int, noun: str) -> str:
    """Return `1 page`, `1,200 pages`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
