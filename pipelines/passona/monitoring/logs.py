"""What is said on standard error: lines for people, or one JSON object a line.

    log.info, log.warning, say -> Lines -> Text or Json -> stderr

Levels: error ends a run or fails a report; warning is what somebody should know (a report held, a warehouse
waited for, a key that is new); info is each run, report and package, and what is tried again; debug each answer
of the server. For people (text) warnings and errors are shown, `-v` shows info too; JSON begins at info.
Nothing personal: what is said is made from names, numbers and kinds, and JSON holds the fields below alone.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import click

from passona.masking.messages import masked, printable

log = logging.getLogger("passona")

FIELDS = (
    "run_id", "verb", "campaign", "report", "page", "attempt", "status", "changed", "pages", "rows", "reports",
    "requests", "seconds", "outcome", "exit_code", "trace",
)  # fmt: skip


class Text(logging.Formatter):
    """Lines for people."""

    def format(self, record: logging.LogRecord) -> str:
        said = printable(record.getMessage())
        ours = record.name == log.name and record.levelno >= logging.WARNING
        return f"{record.__dict__.get('trace', '')}passona: {said}" if ours else f"{record.levelname[0]} {said}"


class Json(logging.Formatter):
    """One JSON object a line: `ts` (UTC), `level`, `event`, `message`, and those of FIELDS that are known."""

    def format(self, record: logging.LogRecord) -> str:
        said = printable(record.getMessage())
        known = record.__dict__
        line = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "event": known.get("event", "message"),
            "message": said if record.name == log.name else masked(said),
        }
        line |= {name: known[name] for name in FIELDS if known.get(name) is not None}
        return json.dumps(line, ensure_ascii=False)


class Lines(logging.Handler):
    """Writes to what standard error is at that moment; `write` puts a line elsewhere, such as above progress bars."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(Text())
        self.write: Callable[[str], None] = _to_stderr

    def emit(self, record: logging.LogRecord) -> None:
        again = getattr(record, "again", None)
        if again is None or again == isinstance(self.formatter, Json):
            self.write(self.format(record))


def _to_stderr(line: str) -> None:
    click.echo(line, err=True)


def begin() -> None:
    """From now on all that is logged is shown, from warnings on: ours, and the errors of libraries."""
    logging.basicConfig(handlers=[Lines()], level=logging.ERROR, force=True)
    log.setLevel(logging.WARNING)


def use_json() -> None:
    """From now on in JSON, from info on."""
    handler = _handler()
    if handler:
        handler.setFormatter(Json())
    logging.captureWarnings(True)
    log.setLevel(min(logging.INFO, log.level))


def is_json() -> bool:
    handler = _handler()
    return handler is not None and isinstance(handler.formatter, Json)


def notify(line: str) -> None:
    """One line that somebody should know of."""
    log.warning("%s", line, extra={"event": "notice"})


def line(event: str, message: str, **fields: object) -> str:
    """What an error would be shown as; for whoever must write it without waiting for any lock."""
    record = log.makeRecord(log.name, logging.ERROR, "", 0, message, (), None, extra={"event": event, **fields})
    handler = _handler()
    return handler.format(record) if handler else Text().format(record)


@contextmanager
def written(write: Callable[[str], None]) -> Iterator[None]:
    """Lines go there while the block lasts."""
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
