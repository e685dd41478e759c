"""Report how a run ended: `--metrics` and `--on-failure`.

A run that a signal stops only writes its metrics: the sender of the signal knows.
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
from passona.warehouse.atomic_file import AtomicFile

if TYPE_CHECKING:
    from passona.config.address import Address


class RunEnd:
    """Wraps a run, which sets `warehouse` and `document`, the outcome as `--json` prints it, once they are known."""

    def __init__(self, metrics: AtomicFile | None, on_failure: str | None) -> None:
        self._metrics, self._on_failure = metrics, on_failure
        self._started = time.monotonic()
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
            self._write_metrics(self._metrics, document)
        if self._on_failure is not None and Exit.OK < document["exit_code"] <= Exit.BUSY:
            from passona.monitoring.failure_hook import call_hook

            if problem := call_hook(self._on_failure, document):
                logs.notify(problem)

    def _write_metrics(self, file: AtomicFile, document: Mapping[str, Any]) -> None:
        from passona.monitoring._metrics import write_metrics

        try:
            write_metrics(file, document, time.monotonic() - self._started, self.warehouse)
        except OSError as error:
            logs.notify(f"the metrics could not be written: {format_error(error)[0]}")


def _document(error: BaseException) -> dict[str, Any]:
    """Return the outcome of a run that ended in an error."""
    for cause in causes(error):
        if isinstance(cause, Interrupted):
            return {"outcome": "interrupted", "exit_code": 128 + cause.number, "errors": []}
    if isinstance(error, click.ClickException):
        line, code = masked(error.format_message()), Exit.USAGE
    else:
        line, code = format_error(error)
    return {"outcome": code.word, "exit_code": int(code), "errors": [printable(line)]}
