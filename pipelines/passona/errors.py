"""What can go wrong, sorted by what to do about it.

Every message is one or two lines: where (campaign, report, page), what was expected, what came,
what to do next. No message ever holds a token, a phone number or the text of a message: what came
is told by its kind, its size or its number, never by quoting a row.

Exit codes are those of the contract; the lowest of 3, 4 and 5 wins where several apply.
"""
# ruff: noqa: N818  # errors are named for what happened: Busy, Held, TokenRefused

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum


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
