"""The columns of keys that the guide does not know."""

import threading
from collections.abc import Collection, Iterable, Mapping

from passona.reports.definitions import Report, column_names


class NewColumns:
    """The columns of unknown keys in one run, thread-safe.

    `noted`: by table, the columns that the dataset has noted, by key. `taken`: by table, all other columns.
    """

    def __init__(self, noted: Mapping[str, Mapping[str, str]], taken: Mapping[str, Collection[str]]) -> None:
        self._noted, self._taken = {table: {*columns} for table, columns in noted.items()}, taken
        self._columns = {table: dict(columns) for table, columns in noted.items()}
        self._lock = threading.Lock()

    def name(self, report: Report, keys: Iterable[str]) -> dict[str, str]:
        with self._lock:
            known = self._columns.setdefault(report.name, {})
            taken = {*self._taken.get(report.name, ()), *known.values()}
            known |= column_names(report, {*keys} - known.keys(), taken)
            return {key: known[key] for key in keys}

    def to_note(self, table: str) -> dict[str, str]:
        """Return the columns that the dataset has not noted yet, each once per run."""
        with self._lock:
            noted = self._noted.setdefault(table, set())
            new = {key: name for key, name in self._columns.get(table, {}).items() if key not in noted}
            noted.update(new)
            return new
