"""What can go wrong, sorted by what to do about it.

Every message is one or two lines: where (campaign, report, page), what was expected, what came,
what to do next. No message ever holds a token, a phone number or the text of a message: what came
is told by its kind, its size or its number, never by quoting a row.

Exit codes are those of the contract; the lowest of 3, 4 and 5 wins where several apply.
"""
# ruff: noqa: N818  # errors are named for what happened: Busy, Held, TokenRefused

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from enum import IntEnum

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Errors of DuckDB and psycopg2 whose messages name files, sizes, tables and columns, and quote no value.
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


class Exit(IntEnum):
    """Exit codes of the command line."""

    OK = 0
    FAULT = 1
    USAGE = 2
    TOKEN = 3
    FAILED = 4
    HELD = 5
    BUSY = 6

    @property
    def word(self) -> str:
        """What a run that ends so came to."""
        return {self.FAULT: "error", self.TOKEN: "token refused"}.get(self, self.name.lower())


class PassonaError(Exception):
    """Base of all errors that are meant for people. `exit_code` is what the command ends with."""

    exit_code = Exit.FAULT


class ConfigurationError(PassonaError):
    """A setting or an argument is wrong: nothing was asked of the server. Mend it and run again."""

    exit_code = Exit.USAGE


class TokenRefused(PassonaError):
    """The server answered 401. Ends the run: no request follows, what is verified is kept."""

    exit_code = Exit.TOKEN


class Busy(PassonaError):
    """The warehouse file is held by another process. Try later, or wait longer (`--wait`)."""

    exit_code = Exit.BUSY


class Interrupted(BaseException):
    """Signal `number` asks the program to end. No KeyboardInterrupt: dlt and click make other errors of those."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Stopped(PassonaError):
    """The run ends; raised in the threads that still wait, never shown."""


class RequestFailed(PassonaError):
    """One request could not be answered, however often it was tried. Fails its report alone.

    `reached`: whether there was a connection to the server at all.
    """

    exit_code = Exit.FAILED

    def __init__(self, message: str, status: int | None = None, *, reached: bool = True) -> None:
        super().__init__(message)
        self.status, self.reached = status, reached


class FateUnknown(PassonaError):
    """A request that makes something was sent, and nobody knows what became of it. Never repeated unasked."""

    exit_code = Exit.FAILED


class PageRefused(PassonaError):
    """A page came, but it cannot be a page of a complete, steady walk. The walk is tried again.

    `page_size` tells that the page has not as many rows as it says, so that plain pages (no
    `per_page` asked) may work where big ones do not.
    """

    exit_code = Exit.FAILED

    def __init__(self, expected: str, came: str, *, page: int | None = None, page_size: bool = False) -> None:
        super().__init__(expected, came)
        self.expected, self.came = expected, came
        self.page, self.page_size = page, page_size

    def __str__(self) -> str:
        where = f"page {self.page}: " if self.page else ""
        return f"{where}expected {self.expected}, got {self.came}"


class FileRefused(PassonaError):
    """A .csv cannot be read as one whole report. Nothing of it is loaded; the old rows stay."""

    exit_code = Exit.FAILED


class WalkFailed(PassonaError):
    """A report could not be had whole. Its old rows stay; the run goes on with the others.

    `attempts`: how many walks were begun. `status`: of the answer that ended the last one, if that was it.
    """

    exit_code = Exit.FAILED

    def __init__(self, message: str, attempts: int = 1, status: int | None = None) -> None:
        super().__init__(message)
        self.attempts, self.status = attempts, status


class Unreachable(WalkFailed):
    """There is no connection to the server. Ends the run: no other request would do better."""


class Held(PassonaError):
    """The shrink guard holds back a report or the list of campaigns: it is far shorter. The old one stays."""

    exit_code = Exit.HELD


class NotWritten(PassonaError):
    """The database could not be written. Ends the run; what was to be written is due again."""


class StillThere(PassonaError):
    """A number that was erased is still in the bytes of the warehouse, for a reason that the user has to remove."""

    exit_code = Exit.USAGE


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it came of, down to the first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def is_interruption(error: BaseException) -> bool:
    """Whether a signal is behind an error, whatever dlt and DuckDB made of it on its way."""
    return any(isinstance(cause, Interrupted | KeyboardInterrupt) for cause in causes(error))


def told(error: BaseException) -> tuple[str, Exit]:
    """What is said of an error, in one line, and the code to exit with."""
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
    words = masked(_first_line(last))
    if "No space left" in str(last) or "File too large" in str(last):
        return "no space left on the device; make room and run again"
    if "orrupt" in words or "checksum" in words:
        return f"the database file is damaged ({words}); restore a backup, then run passona verify"
    if isinstance(last, OSError) and last.strerror:
        return f"{last.strerror}: {last.filename or 'the work folder'}"
    return f"{type(last).__name__}; --debug shows more" if _may_quote_a_row(last) else words


def _first_line(error: BaseException) -> str:
    return " ".join(str(error).strip().partition("\n")[0].split())[:300] or type(error).__name__


def _may_quote_a_row(error: BaseException) -> bool:
    """Return True unless the message is known to be about files, memory, locks, rights, tables and columns."""
    code = getattr(error, "pgcode", None)
    if code is not None:  # SQLSTATE: classes 22 (data) and 23 (constraints) quote values
        return code[:2] in ("22", "23")
    return type(error).__name__ not in _ABOUT_THE_DATABASE


def printable(text: str, keep: str = "") -> str:
    """Text from elsewhere, fit for a terminal or a page: what is not shown but obeyed there is replaced.

    `keep`: characters of these that are harmless all the same.
    """
    return "".join(c if c.isprintable() or c in keep else _unseen(c) for c in text)


def _unseen(character: str) -> str:
    return " " if character.isspace() and not character.isascii() else "\N{REPLACEMENT CHARACTER}"


def escaped(json: str) -> str:
    """JSON that is the same, with escapes for all that a terminal would obey, and that JSON does not mind."""
    return re.sub(r"[^ -~\n]", lambda match: match[0] if match[0].isprintable() else _escape(match[0]), json)


def _escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def masked(text: str) -> str:
    """Text without any number that could be a phone's."""
    from passona.likely_phones import replaced  # slow to import, and signals are heard before anything slow is

    return replaced(text, lambda _: "***", long_from=6)
