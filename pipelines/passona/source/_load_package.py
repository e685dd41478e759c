"""The load package that dlt extracts into, and the dataset that it goes to.

    dlt.current -> LoadPackage -> lock, contents and privacy mode of the dataset

Without a pipeline there is neither: nothing is known then, and everything is due.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

import dlt
from dlt import Pipeline
from dlt.common.storages.exceptions import CurrentLoadPackageStateNotAvailable

from passona.errors import ConfigurationError
from passona.masking.mode import Mode
from passona.reports.definitions import Report
from passona.reports.tables import PRIVACY_HINT
from passona.source._dataset_lock import DatasetLock
from passona.source._destination import Contents, Destination
from passona.source.ledger import Key


@dataclass(frozen=True)
class LoadPackage:
    """The current load package. `load_id` is None without a pipeline.

    `refreshes`: dlt runs in one of its `refresh` modes. `emptied`: tables that dlt is about to drop or truncate.
    """

    load_id: str | None = None
    refreshes: bool = False
    emptied: frozenset[str] = frozenset()

    @classmethod
    def current(cls) -> LoadPackage:
        try:
            package = dlt.current.load_package_state()
        except CurrentLoadPackageStateNotAvailable:
            return cls()
        state: Mapping[str, Any] = package["state"]
        emptied = [*state.get("dropped_tables", ()), *state.get("truncated_tables", ())]
        return cls(package["load_id"], "refresh" in state, frozenset(table["name"] for table in emptied))

    def lock(self) -> DatasetLock | None:
        """Take the dataset's lock, if the destination has one.

        :raises ConfigurationError: the destination cannot replace rows by campaign.
        :raises Busy: another run holds the lock.
        """
        if self.load_id is None:
            return None
        pipeline = dlt.current.pipeline()
        _check_destination(pipeline)
        if pipeline.destination.destination_type.rpartition(".")[2] != "postgres":
            return None
        lock = DatasetLock(pipeline, self.load_id)
        lock.take()
        return lock

    def contents(self, reports: Sequence[Report], account: str) -> Contents:
        """Return what the dataset holds of these reports. `account`: whose forgotten people count.

        :raises ConfigurationError: a command line of another version created the dataset.
        """
        if self.load_id is None:
            return Contents()
        with self._destination() as destination:
            return destination.contents(reports, account)

    @property
    def working_folder(self) -> Path | None:
        return None if self.load_id is None else Path(dlt.current.pipeline().working_dir)

    def mode(self) -> Mode | None:
        """Return the privacy mode that an earlier run of the source noted in dlt's schema, if any."""
        if self.load_id is None:
            return None
        noted = dlt.current.source_schema().tables.get("report_ledger", {}).get(PRIVACY_HINT)
        mode, _, key_id = str(noted or "").partition(" ")
        return (mode, key_id or None, token_hex(32)) if mode else None

    def clear(self, keys: Sequence[Key]) -> None:
        """Mark reports as interrupted in the dataset's ledger until this package is loaded."""
        if self.load_id is not None:
            with self._destination() as destination:
                destination.clear(keys)

    @contextmanager
    def _destination(self) -> Iterator[Destination]:
        pipeline, schema = dlt.current.pipeline(), dlt.current.source_schema()
        known = (schema.name,) if schema.name in pipeline.schema_names else ()
        with pipeline.sql_client(*known) as client:
            yield Destination(client, schema.naming, self.emptied)


def _check_destination(pipeline: Pipeline) -> None:
    strategies = pipeline.destination.capabilities().supported_merge_strategies or ()
    if "delete-insert" not in strategies:
        raise ConfigurationError(
            f"destination {pipeline.destination.destination_name}: it cannot delete a campaign's rows and insert the "
            "new ones (dlt's merge by delete-insert), so rows would double; use DuckDB, Postgres or another SQL "
            "destination"
        )
