"""The runs of one source, one after another.

A run begins with the first resource that dlt asks, because a source is created before its pipeline runs, and ends with
the last resource or with an error. Resources may be asked from several threads (`parallelize`).
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import dlt

from passona.config.settings import Settings
from passona.errors import ConfigurationError
from passona.source._extraction import Extraction
from passona.source._load_package import LoadPackage
from passona.source._selection import SourceRequest

# Load packages that this process has already extracted a passona source into.
_started: set[str] = set()


class Runs:
    """The runs of one source."""

    def __init__(self, settings: Settings, request: SourceRequest) -> None:
        self._settings, self._request = settings, request
        self._lock = threading.Lock()
        self._current: Extraction | None = None
        self._running: set[str] = set()
        # The load package whose run could not start, and why: no request follows a refused token.
        self._broken: tuple[str, BaseException] | None = None

    @contextmanager
    def joined(self, name: str) -> Iterator[Extraction]:
        """Take part, as the resource of this name, in the current run; start it if it has not started."""
        with self._lock:
            extraction = self._current = self._join()
        resource = dlt.current.source().resources.get(name)
        is_limited = resource is not None and resource.limit is not None
        failed = True
        try:
            yield extraction
            failed = False
        except GeneratorExit:  # dlt's limit is reached, or another resource of this run failed
            failed = not is_limited
            raise
        finally:
            self._leave(extraction, name, failed=failed)

    def _join(self) -> Extraction:
        load_id = LoadPackage.current().load_id
        if self._broken is not None and self._broken[0] == load_id:
            raise self._broken[1]
        if self._current is not None and self._current.load_id == load_id:
            return self._current
        if load_id in _started:
            raise ConfigurationError(
                "two passona sources in one run would write their rows twice: run them one after another"
            )
        try:
            extraction = Extraction(self._settings, self._request)
        except BaseException as error:
            self._broken = (load_id, error) if load_id is not None else None
            raise
        self._running = {*extraction.names}
        if load_id is not None:
            _started.add(load_id)
        return extraction

    def _leave(self, extraction: Extraction, name: str, *, failed: bool) -> None:
        with self._lock:
            if extraction is not self._current:
                return
            self._running.discard(name)
            if self._running and not failed:
                return
            self._current = None
        extraction.end(failed=failed)
