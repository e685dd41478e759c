"""How a run ended, told to those who asked for it: `--metrics` and `--on-failure`.

    with Ending(...) as ending -> outcome, or the error that passes -> metrics, then whoever hears of failures

A run that is stopped by a signal writes its metrics, and tells nobody else: who stopped it knows.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

from passona.errors import Exit, Interrupted, causes
from passona.masking.messages import format_error, masked, printable
from passona.monitoring import logs
from passona.warehouse.replacement import Replacement

if TYPE_CHECKING:
    from passona.config.address import Address


class RunEnd:
    """Around a run. `warehouse` and `document`, the outcome as JSON has it, are set within as they become known."""

    def __init__(self, metrics: Replacement | None, on_failure: str | None) -> None:
        self._metrics, self._on_failure = metrics, on_failure
        self._begun = time.monotonic()
        self.warehouse: Address | None = None
        self.document: Mapping[str, Any] | None = None

    def __enter__(self) -> RunEnd:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        document = self.document if error is None else _document(error)
        if document is None:
            return
        if self._metrics is not None:
            self._write(self._metrics, document)
        if self._on_failure is not None and Exit.OK < document["exit_code"] <= Exit.BUSY:
            self._tell(self._on_failure, document)

    def _write(self, metrics: Replacement, document: Mapping[str, Any]) -> None:
        from passona.monitoring._metrics import write_metrics

        try:
            write_metrics(metrics, document, time.monotonic() - self._begun, self.warehouse)
        except OSError as problem:
            logs.notify(f"the metrics could not be written: {format_error(problem)[0]}")

    def _tell(self, target: str, document: Mapping[str, Any]) -> None:
        from passona.monitoring.failure_hook import tell_failure

        problem = tell_failure(target, document)
        if problem:
            logs.notify(problem)


def _document(error: BaseException) -> dict[str, Any]:
    """The outcome of a run that ended in an error."""
    for cause in causes(error):
        if isinstance(cause, Interrupted):
            return {"outcome": "interrupted", "exit_code": 128 + cause.number, "errors": []}
    if isinstance(error, click.ClickException):
        line, code = masked(error.format_message()), Exit.USAGE
    else:
        line, code = format_error(error)
    return {"outcome": code.word, "exit_code": int(code), "errors": [printable(line)]}
