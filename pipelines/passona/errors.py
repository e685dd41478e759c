"""The exceptions and their exit codes, those of the contract; if several of 3, 4 and 5 apply, the lowest is returned.

    PassonaError (1)
      ConfigurationError, StillThere (2)
      TokenRefused (3)
      RequestFailed, OutcomeUnknown, PageRefused, FileRefused, WalkFailed > Unreachable (4)
      Held (5)
      Busy (6)
      NotWritten, Stopped (1)
    Interrupted (128 + signal)

A message is one or two lines: where (campaign, report, page), what was expected, what came, what to do next. It names
values by type, size or number and never quotes a row, so it has no token, phone number or message text.
"""
# ruff: noqa: N818  # errors have the name of the event: Busy, Held, TokenRefused

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
        """Return the outcome of a run with this exit code."""
        return {self.FAULT: "error", self.TOKEN: "token refused"}.get(self, self.name.lower())


class PassonaError(Exception):
    """Base of all errors for users. `exit_code`: of the command."""

    exit_code = Exit.FAULT


class ConfigurationError(PassonaError):
    """A setting or an argument is wrong, or something is in the way. Fix it and retry."""

    exit_code = Exit.USAGE


class TokenRefused(PassonaError):
    """The server answered 401. Ends the run: no request follows, verified reports are loaded."""

    exit_code = Exit.TOKEN


class Busy(PassonaError):
    """Another process has locked the warehouse. Retry later, or wait longer (`--wait`).

    Raised by all that opens the warehouse, after `wait` seconds.
    """

    exit_code = Exit.BUSY


class Interrupted(BaseException):
    """The program received signal `number`. Not a KeyboardInterrupt, which dlt and click convert to other errors."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Stopped(PassonaError):
    """The run ends; raised in waiting threads, never shown."""


class RequestFailed(PassonaError):
    """A request failed after all retries. Fails only its report. `reached`: False if no connection was made."""

    exit_code = Exit.FAILED

    def __init__(self, message: str, status: int | None = None, *, reached: bool = True) -> None:
        super().__init__(message)
        self.status, self.reached = status, reached


class OutcomeUnknown(PassonaError):
    """A POST was sent and its result is unknown. Never retried automatically."""

    exit_code = Exit.FAILED


class PageRefused(PassonaError):
    """A page cannot belong to a complete, consistent walk. The walk is retried.

    `page_size`: True if the page has fewer rows than it reports, so pages of the default size may work.
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
    """A .csv is not one complete report. None of it is loaded; the old rows stay."""

    exit_code = Exit.FAILED


class WalkFailed(PassonaError):
    """A report could not be loaded completely. Its old rows stay; the run continues with the others.

    `attempts`: walks started. `status`: of the response that ended the last one, if any.
    """

    exit_code = Exit.FAILED

    def __init__(self, message: str, attempts: int = 1, status: int | None = None) -> None:
        super().__init__(message)
        self.attempts, self.status = attempts, status


class Unreachable(WalkFailed):
    """There is no connection to the server. Ends the run, because no other request would succeed."""


class Held(PassonaError):
    """The shrink guard holds a report or the campaign list that became far shorter. The old one stays."""

    exit_code = Exit.HELD


class NotWritten(PassonaError):
    """The database could not be written. Ends the run; the reports stay due.

    Raised by all that writes to the warehouse.
    """


class StillThere(PassonaError):
    """An erased number is still in the bytes of the warehouse, for a reason that only the user can remove."""

    exit_code = Exit.USAGE


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and its causes, down to the first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def is_interruption(error: BaseException) -> bool:
    """Return True if a signal caused this error, however dlt and DuckDB wrapped it."""
    return any(isinstance(cause, Interrupted | KeyboardInterrupt) for cause in causes(error))
