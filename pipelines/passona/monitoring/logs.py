"""Standard error: lines for people, or one JSON object a line.

Levels: error ends a run or fails a report. Warning is what a person should know: a held report, a wait for the
warehouse, a new key. Info is each run, report, package and retry. Debug is each response of the server. Text shows
warnings and errors, and info with `-v`; JSON shows info too. Nothing personal is logged: lines consist of names,
numbers and kinds, and JSON has no fields but `FIELDS`.
"""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial

import click

from passona.masking.messages import masked, printable

log = logging.getLogger("passona")

FIELDS = (
    "run_id", "verb", "account", "campaign", "report", "page", "attempt", "status", "changed", "pages", "rows",
    "reports", "requests", "seconds", "outcome", "exit_code", "trace",
)  # fmt: skip


class Text(logging.Formatter):
    """Lines for people."""

    def format(self, record: logging.LogRecord) -> str:
        message = printable(record.getMessage())
        is_ours = record.name == log.name and record.levelno >= logging.WARNING
        return (
            f"{record.__dict__.get('trace', '')}passona: {message}" if is_ours else f"{record.levelname[0]} {message}"
        )


class Json(logging.Formatter):
    """One JSON object a line: `ts` (UTC), `level`, `event`, `message`, and the FIELDS that are set."""

    def format(self, record: logging.LogRecord) -> str:
        message = printable(record.getMessage())
        values = record.__dict__
        line = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "event": values.get("event", "message"),
            "message": message if record.name == log.name else masked(message),
        }
        line |= {name: values[name] for name in FIELDS if values.get(name) is not None}
        return json.dumps(line, ensure_ascii=False)


class Lines(logging.Handler):
    """Writes each record with `write`: by default to standard error, or above progress bars."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(Text())
        self.write: Callable[[str], None] = partial(click.echo, err=True)

    def emit(self, record: logging.LogRecord) -> None:
        again = getattr(record, "again", None)
        if again is None or again == isinstance(self.formatter, Json):
            self.write(self.format(record))


def begin() -> None:
    """Show our warnings and errors, and the errors of libraries."""
    logging.basicConfig(handlers=[Lines()], level=logging.ERROR, force=True)
    log.setLevel(logging.WARNING)


def use_json() -> None:
    """Switch to JSON, from info on."""
    if handler := _handler():
        handler.setFormatter(Json())
    logging.captureWarnings(True)
    log.setLevel(min(logging.INFO, log.level))


def is_json() -> bool:
    handler = _handler()
    return handler is not None and isinstance(handler.formatter, Json)


def notify(line: str) -> None:
    """Log one line that a person should know."""
    log.warning("%s", line, extra={"event": "notice"})


def line(event: str, message: str, **fields: object) -> str:
    """Return an error as it would be logged, for a signal handler that must not wait for a lock."""
    record = log.makeRecord(log.name, logging.ERROR, "", 0, message, (), None, extra={"event": event, **fields})
    handler = _handler()
    return handler.format(record) if handler else Text().format(record)


@contextmanager
def written(write: Callable[[str], None]) -> Iterator[None]:
    """Send lines to `write` while the block lasts."""
    handler = _handler()
    if handler is None:
        yield
        return
    before, handler.write = handler.write, write
    try:
        yield
    finally:
        handler.write = before


def _handler() -> Lines | None:
    return next((handler for handler in logging.getLogger().handlers if isinstance(handler, Lines)), None)
